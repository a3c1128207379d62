#include "tests/sim/ledger.hpp"

#include <algorithm>
#include <cstdio>

#include "common/codec/clock.hpp"
#include "common/codec/message.hpp"
#include "common/replica/column_id.hpp"

namespace marmot::sim {

std::vector<Change> Ledger::difference(const Rows& before, const Rows& after) {
  std::vector<Change> changes;
  for (const auto& [id, row] : before) {
    const auto now = after.find(id);
    const std::string was = print_row(row);
    if (now == after.end()) changes.push_back({id, was, std::nullopt, {}, {}});
    else if (std::string is = print_row(now->second); is != was) changes.push_back({id, was, std::move(is), {}, {}});
  }
  for (const auto& [id, row] : after) {
    if (before.count(id) == 0) changes.push_back({id, std::nullopt, print_row(row), {}, {}});
  }
  return changes;
}

void Ledger::commit(int node, int64_t number, Fate fate, std::vector<Change> changes, WallMs at) {
  for (const Change& change : changes) {
    if (change.after) contents_.emplace(change.id, *change.after);
    if (change.was) was_.emplace(change.id, *change.was);
  }
  commits_[node].push_back({number, fate, std::move(changes), at});
}

void Ledger::history_lost(int node) { held_.erase(node); }

void Ledger::resumed(int node) {
  for (Commit& commit : commits_[node]) {
    if (commit.fate == Fate::committed) commit.fate = Fate::early;
  }
}

void Ledger::damaged(int node, const Place& place) {
  held_[node].erase(Place{place.table, describe_key(place.key)});
  damaged_.insert(place);
}

void Ledger::recovered(int node, int64_t number) {
  held_.erase(node);
  for (Commit& commit : commits_[node]) {
    if (commit.number > number) commit.fate = Fate::rolled_back;
    else if (commit.fate == Fate::unknown) commit.fate = Fate::committed;
  }
  moving.recovered(node, number);
}

const TableSpec* Ledger::table(const std::string& name) const {
  for (const TableSpec& table : schema_.tables) {
    if (table.name() == name) return &table;
  }
  return nullptr;
}

std::string Ledger::published(int node, const replica::OutUnit& out) {
  std::string payload;
  std::optional<codec::Envelope> last;
  for (const std::string& message : out.messages) {
    auto envelope = codec::open(message);
    if (!envelope) return "a node publishes what does not decode: " + envelope.error().message;
    payload += envelope->slice;
    last = *envelope;
  }
  if (last && last->kind == codec::Kind::schema) {
    auto registers = codec::decode_schema(payload);
    if (!registers) return "a node publishes a schema that does not decode: " + registers.error().message;
    for (SchemaRegister& one : *registers) one.version = lowered(one.version);  // it does not say what its sender had applied
    if (std::string wrong = moving.published_schema(out.msg_ids.back(), *registers); !wrong.empty()) return wrong;
  }
  if (last && last->kind == codec::Kind::clock) {
    const auto change = codec::decode_clock(payload);
    if (!change) return "a node publishes a clock message that does not decode: " + change.error().message;
    announced_[out.msg_ids.back()] = change->reset;
  }
  if (!last || last->kind != codec::Kind::rows) return {};
  const auto decoded = codec::decode_unit(*last, payload);
  if (!decoded) return "a node publishes a unit that does not decode: " + decoded.error().message;
  const Unit& unit = decoded->unit;
  for (const UnitRow& row : unit.rows) {
    const UnitTable& wire = unit.tables[row.table];
    const TableSpec* const spec = table(wire.name);
    if (spec == nullptr) {
      if (print) {
        std::printf("            %s %s%s, version %s\n", wire.name.c_str(), describe_key(row.key).c_str(), row.op == Op::remove ? " deleted" : "",
                    to_string(unit.versions[row.version].hlc).c_str());
      }
      if (wire.name.rfind("named", 0) != 0) moving.published_row(out.msg_ids.back(), wire, unit, row);  // App::name_a_table
      continue;
    }
    const Place place{wire.name, std::string(row.key)};
    Register value;
    for (size_t i = 0; i < wire.columns.size() && row.op != Op::remove; ++i) {
      value.row[std::string(replica::column_base(wire.columns[i]))] = Cell::of(unit.values[row.first_value + i]);
    }
    const auto decoded_key = decode_key(row.key);
    if (!decoded_key) return "a key that does not decode in " + wire.name;
    value.id = RowId{wire.name, "k" + place.key};
    if (row.op != Op::remove) {
      value.content = print_row(value.row);
      const RowId named = value.id;
      value.id = id_of(spec->id, value.row);
      if (!decoded_key->is_rowid && value.id != named) return "a unit names " + print_id(named) + " and holds the row of " + print_id(value.id);
    }
    const Version version = lowered(unit.versions[row.version], unit.base);
    if (print) {
      std::printf("            %s %s, version %s %llu.%llx\n", print_id({wire.name, "k" + place.key}).c_str(), value.content.value_or("deleted").c_str(),
                  to_string(version.hlc).c_str(), static_cast<unsigned long long>(version.origin.node.value),
                  static_cast<unsigned long long>(version.origin.incarnation.value));
    }
    units_[out.msg_ids.back()].emplace_back(place, version);
    const auto [known, made] = registers_[place].emplace(version, value);
    void_.erase({place, version});
    const bool was_lowered = version != unit.versions[row.version];  // two can become one: their sender tells the later one again
    if (!made && known->second.content != value.content && !was_lowered) {
      return "one version names two contents of " + print_id(value.id) + ": " + known->second.content.value_or("none") + " and " +
             value.content.value_or("none");
    }
    if (!made) continue;
    if (value.content) places_[value.id].insert(place);
    if (value.content) by_content_[{value.id, *value.content}].emplace_back(place, version);
    if (was_lowered || version.origin != unit.origin || damaged_.count(place) != 0) continue;
    if (std::string wrong = judge(node, place, value.id, version, value.content); !wrong.empty()) return wrong;
  }
  return {};
}

// Was `content` the node's own last word on the row before its commit `number`?
bool Ledger::wrote_last(int node, int64_t number, const RowId& id, const Content& content) const {
  const std::vector<Commit>& commits = commits_.at(node);
  for (auto commit = commits.rbegin(); commit != commits.rend(); ++commit) {
    if (commit->number >= number || commit->fate == Fate::rolled_back) continue;
    for (const Change& change : commit->changes) {
      if (change.id == id) return change.after == content;
    }
  }
  return false;
}

bool Ledger::unversioned(int node, const Place& place) const {
  const auto clone = unversioned_.find(node);
  return clone != unversioned_.end() && clone->second.count(Place{place.table, describe_key(place.key)}) != 0;
}

// A change has a higher version than what its writer saw.
std::string Ledger::judge(int node, const Place& place, const RowId& id, const Version& version, const Content& content) const {
  const auto commits = commits_.find(node);
  if (commits == commits_.end()) return {};
  Content wanted = content;
  // Back through the node's own commits, to the last state that was published.
  for (auto commit = commits->second.rbegin(); commit != commits->second.rend(); ++commit) {
    if (commit->fate != Fate::committed) continue;
    for (const Change& change : commit->changes) {
      if (change.id != id || change.after != wanted) continue;
      auto seen = versions_of(id, change.before);
      // What it wrote itself before (a foreign key's action writes no number of its transaction) others may have written too.
      if (wrote_last(node, commit->number, id, change.before)) {
        seen.erase(std::remove_if(seen.begin(), seen.end(), [&](const auto& one) { return one.second.origin.node != version.origin.node; }), seen.end());
      } else if (unversioned(node, place)) {
        seen.clear();
      }
      wanted = change.before;
      if (!change.before || seen.empty()) continue;
      Version lowest = seen.front().second;
      for (const auto& [where, other] : seen) lowest = std::min(lowest, other);
      if (lowest == version) return {};
      if (version < lowest) {
        return "causality: " + print_id(id) + ", changed after version " + to_string(lowest.hlc) + " of it was there, has " + to_string(version.hlc);
      }
      return {};
    }
  }
  return {};
}

std::map<Place, Ledger::Winner> Ledger::winners() const {
  std::map<Place, Winner> out;
  for (const auto& [place, version] : stored_) out[place] = Winner{version, &registers_.at(place).at(version)};  // the last is the highest
  return out;
}

// Elsewhere a row's tag may change, or it is not told which of two rows it is.
std::string Ledger::name_of_two() const {
  for (const auto& [place, versions] : registers_) {
    const TableSpec* const spec = table(place.table);
    if (spec == nullptr || spec->kind != TableSpec::Kind::bare) continue;
    const RowId* named = nullptr;
    for (const auto& [version, value] : versions) {
      if (!value.content || stored_.count({place, version}) == 0) continue;
      if (named != nullptr && *named != value.id) return print_id(*named) + " and " + print_id(value.id) + " are both " + describe_key(place.key);
      named = &value.id;
    }
  }
  return {};
}

std::vector<std::pair<Place, Version>> Ledger::versions_of(const RowId& id, const Content& content) const {
  std::vector<std::pair<Place, Version>> out;
  if (content) {
    const auto known = by_content_.find({id, *content});
    if (known != by_content_.end()) out = known->second;
    std::erase_if(out, [&](const auto& version) { return void_.count(version) != 0; });
    return out;
  }
  for (const Place& place : places(id)) {
    const auto versions = registers_.find(place);
    if (versions == registers_.end()) continue;
    for (const auto& [version, value] : versions->second) {
      if (!value.content && void_.count({place, version}) == 0) out.emplace_back(place, version);
    }
  }
  return out;
}

std::vector<std::pair<Place, Version>> Ledger::stored_versions_of(const RowId& id, const Content& content) const {
  auto versions = versions_of(id, content);
  versions.erase(std::remove_if(versions.begin(), versions.end(), [&](const auto& version) { return stored_.count(version) == 0; }), versions.end());
  return versions;
}

Content Ledger::published_before(int node, const RowId& id, const Content& after) const {
  Content at = after;
  const auto commits = commits_.find(node);
  if (commits == commits_.end()) return at;
  for (auto commit = commits->second.rbegin(); commit != commits->second.rend(); ++commit) {
    if (commit->fate == Fate::rolled_back) continue;
    for (const Change& change : commit->changes) {
      if (change.id != id || change.after != at) continue;
      at = change.before;
      if (!at || !stored_versions_of(id, at).empty()) return at;
      break;
    }
  }
  return at;
}

// The rule of decision 0032, as this file has it.
bool Ledger::refused(const Origin& sender, const std::vector<std::pair<Place, Version>>& rows, WallMs at, int64_t clock_bound) {
  stream_time_ = std::max(stream_time_, at);
  const WallMs limit = std::max(stream_time_, stream_seen_.wall()) + clock_bound;
  const WallMs of_others = was_reset() ? limit : std::max(limit, stream_time_ + 86'400'000);
  for (const auto& [place, version] : rows) {
    if (version.hlc.wall() > (version.origin == sender ? limit : of_others)) return true;
  }
  for (const auto& [place, version] : rows) stream_seen_ = std::max(stream_seen_, version.hlc);
  return false;
}

// As who has passed the resets holds it. Of a unit: those that its sender had not come to.
Version Ledger::lowered(Version version, StreamSeq base) const {
  for (const auto& [seq, reset] : resets_) {
    if (base < seq) version.hlc = reset.lowered_in_flight(version.hlc);
  }
  return version;
}

void Ledger::reset(const ClockReset& announced, StreamSeq seq) {
  const ClockReset reset = announced.taken(stream_time_, resets_.empty() ? nullptr : &resets_.back().second);
  if (reset.segments.empty() || (!resets_.empty() && resets_.back().first >= seq)) return;  // too late; the same message again
  reset_at_ = stream_time_;
  resets_.emplace_back(seq, reset);
  const std::set<std::pair<Place, Version>> before = stored_;
  std::map<Place, Version> highest;
  for (const auto& [place, version] : before) highest[place] = version;
  const auto low = [&](const Place& place, Version version) {
    const bool in_stream = before.count({place, version}) != 0;
    const bool beaten = in_stream && version < highest[place];
    version.hlc = in_stream ? reset.lowered(version.hlc) : reset.lowered_in_flight(version.hlc);
    if (beaten) version.hlc = std::min(version.hlc, Hlc{reset.lowered(highest[place].hlc).value - 1});  // whoever made the reset may have known neither
    return version;
  };
  for (auto& [place, versions] : registers_) {
    std::map<Version, Register> now;
    for (auto& [version, value] : versions) now[low(place, version)] = std::move(value);  // of two that become one the later one was applied
    versions = std::move(now);
  }
  for (auto* const rows : {&stored_, &void_}) {
    std::set<std::pair<Place, Version>> now;
    for (const auto& [place, version] : *rows) now.emplace(place, low(place, version));
    *rows = std::move(now);
  }
  for (auto& [id, rows] : units_) {
    for (auto& [place, version] : rows) version = low(place, version);
  }
  for (auto& [content, rows] : by_content_) {
    for (auto& [place, version] : rows) version = low(place, version);
  }
  moving.reset(reset);
  stream_seen_ = std::max(reset.lowered(stream_seen_), reset.segments.back().to);
}

std::string Ledger::earlier_winner(int64_t apart) const {
  std::map<std::pair<RowId, std::string>, WallMs> written;  // when
  for (const auto& [node, commits] : commits_) {
    for (const Commit& commit : commits) {
      for (const Change& change : commit.changes) {
        if (change.after) written.try_emplace({change.id, *change.after}, commit.at);
      }
    }
  }
  for (const auto& [place, winner] : winners()) {
    const Content& content = winner.value->content;
    const auto won = content ? written.find({winner.value->id, *content}) : written.end();
    if (won == written.end()) continue;
    for (const auto& [version, value] : registers_.at(place)) {
      if (!value.content || stored_.count({place, version}) == 0) continue;
      const auto lost = written.find({value.id, *value.content});
      if (lost == written.end() || value.id != winner.value->id || lost->second <= std::max(won->second, reset_at_) + apart) continue;
      return print_id(value.id) + " is " + *content + ", and " + *value.content + " was written " + std::to_string(lost->second - won->second) + " ms later";
    }
  }
  return {};
}

void Ledger::stored(const std::string& msg_id, StreamSeq seq, WallMs at, int64_t clock_bound) {
  if (const auto announced = announced_.find(msg_id); announced != announced_.end()) {
    stream_time_ = std::max(stream_time_, at);
    reset(announced->second, seq);
  }
  const auto unit = units_.find(msg_id);
  const auto id = codec::parse_message_id(msg_id);
  if (unit != units_.end() && id && refused(id->origin, unit->second, at, clock_bound)) {
    for (const auto& row : unit->second) {
      if (stored_.count(row) == 0) void_.insert(row);
    }
    return;
  }
  if (unit != units_.end()) {
    stored_.insert(unit->second.begin(), unit->second.end());
    for (const auto& row : unit->second) void_.erase(row);
  }
  moving.stored(msg_id);
}

void Ledger::redated(int node, NodeId named, Hlc clock) {
  held_.erase(node);
  for (const auto& [place, versions] : registers_) {
    for (const auto& [version, value] : versions) {
      if (version.origin.node == named && version.hlc > clock && stored_.count({place, version}) == 0) void_.insert({place, version});
    }
  }
}

void Ledger::drained(int node, const std::string& table, const std::string& key, const Version& version) {
  if (print) std::printf("            n%d drained %s %s as %s\n", node, table.c_str(), key.c_str(), to_string(version.hlc).c_str());
  drained_[{node, Place{table, key}}] = version;
  if (this->table(table) == nullptr) moving.drained(node, table, key, version);
  held_[node][Place{table, key}] = version;
}

std::string Ledger::applied(int node, const std::string& table, const std::string& key, const Version& version) {
  if (this->table(table) == nullptr) return {};  // a moving one: dropped and made again, its keys begin anew
  if (const auto clone = unversioned_.find(node); clone != unversioned_.end()) clone->second.erase(Place{table, key});
  Version& held = held_[node][Place{table, key}];
  // What it holds is from before a reset or from behind it.
  if (version < held && lowered(version) < lowered(held)) return "back in time: " + table + " " + key + " had version " + to_string(held.hlc) + ", and gets " + to_string(version.hlc);
  held = version;
  return {};
}

std::set<Place> Ledger::places(const RowId& id) const {
  std::set<Place> places;
  if (const auto known = places_.find(id); known != places_.end()) places = known->second;
  if (const auto was = was_.find(id); was != was_.end()) places.merge(this->places(was->second));
  if (!id.key.empty() && id.key[0] == 'k') places.insert(Place{id.table, id.key.substr(1)});
  return places;
}

std::optional<Version> Ledger::drained_version(int node, const Place& place) const {
  const auto found = drained_.find({node, Place{place.table, describe_key(place.key)}});
  if (found == drained_.end()) return std::nullopt;
  Version version = found->second;
  for (const auto& [seq, reset] : resets_) {
    if (version.hlc.wall() > stream_time_ + 60'000) version.hlc = reset.lowered(version.hlc);  // as its file did; what was drained since is not ahead
  }
  return version;
}

bool Ledger::written(const RowId& id, const Content& content) const {
  return !content || contents_.count({id, *content}) != 0;
}

size_t Ledger::size() const {
  size_t out = 0;
  for (const auto& [node, commits] : commits_) out += commits.size();
  return out;
}

}  // namespace marmot::sim
