#include "tests/sim/given_ids.hpp"

#include <algorithm>

#include "common/core/id_blocks.hpp"

namespace marmot::sim {

namespace {

constexpr const char* kTables[] = {"fam", "kid"};

// What a file says of its ids.
struct Deal {
  std::optional<int> slot;  // its own
  bool alone = true;
  std::map<std::string, IdGeometry> geometry;  // by table
};

Result<Deal> read_deal(sqlite::Database& db, const std::vector<NodeId>& former) {
  Deal out;
  TRY_ASSIGN(auto slots, db.prepare("SELECT slot, owner, owner = (SELECT value FROM __marmot_meta WHERE key = 'node_id') FROM __marmot_slot"
                                    " WHERE NOT retired ORDER BY slot"));
  for (;;) {
    TRY_ASSIGN(const bool more, slots.step());
    if (!more) break;
    const NodeId owner{static_cast<uint64_t>(slots.integer(1))};
    if (slots.integer(2) != 0 && !out.slot) out.slot = static_cast<int>(slots.integer(0));
    out.alone = out.alone && (slots.integer(2) != 0 || std::find(former.begin(), former.end(), owner) != former.end());
  }
  for (const std::string table : kTables) {
    TRY_ASSIGN(auto row, db.prepare("SELECT number, start, block, slots FROM __marmot_geometry WHERE tbl IN"
                                    " (SELECT tbl FROM __marmot_schema WHERE kind = 1 AND name = ?1) ORDER BY number DESC, stream, place LIMIT 1"));
    row.bind(1, table);
    TRY_ASSIGN(const bool said, row.step());
    IdGeometry& geometry = out.geometry[table];
    if (said) geometry = {row.integer(0), row.integer(1), row.integer(2), row.integer(3), false, 0};
  }
  return out;
}

bool no_such_table(const Error& error) { return error.code == Errc::schema || error.code == Errc::not_found; }

}  // namespace

Status GivenIds::commit(sqlite::Database& db, const std::vector<Change>& changes) {
  std::optional<Deal> deal;
  for (const Change& change : changes) {
    const bool ours = std::find(std::begin(kTables), std::end(kTables), change.id.table) != std::end(kTables);
    if (!ours || change.before || !change.after) continue;
    if (!deal) {
      auto read = read_deal(db, {});
      if (!read && no_such_table(read.error())) return ok();  // no agent has seen this file
      TRY(read);
      deal = *std::move(read);
    }
    ++given_;
    const auto key = decode_key(std::string_view(change.id.key).substr(1));
    if (!key || !deal->slot || slot_of(deal->geometry[change.id.table], key->parts.at(0).integer) != deal->slot) continue;
    ++inside_;
    contents_[change.id].insert(*change.after);
  }
  return ok();
}

void GivenIds::forget(int node) {
  for (auto& [table, ranges] : ranges_) ranges.erase(node);
}

Result<std::string> GivenIds::check_next(sqlite::Database& db, int node, const std::vector<NodeId>& former, bool apart) {
  forget(node);
  auto read = read_deal(db, former);
  if (!read && no_such_table(read.error())) return std::string();
  TRY_ASSIGN(Deal deal, std::move(read));
  if (!deal.slot || deal.alone) return std::string();
  for (const std::string table : kTables) {
    const auto highest = db.query_integer("SELECT max(ifnull((SELECT seq FROM sqlite_sequence WHERE name = '" + table + "'), 0), ifnull(max(id), 0)) FROM " + table);
    if (!highest) continue;  // it is not there yet
    const IdGeometry& geometry = deal.geometry[table];
    const int64_t left = left_in_block(geometry, *deal.slot, *highest + 1);
    if (left > 0) {
      auto& ranges = ranges_[table];
      for (const auto& [other, range] : ranges) {
        if (!apart || *highest + 1 >= range.second || range.first >= *highest + 1 + left) continue;
        return "n" + std::to_string(other) + " and this node both give out " + table + " " + std::to_string(std::max(range.first, *highest + 1));
      }
      ranges[node] = {*highest + 1, *highest + 1 + left};
    }
    if (left > 0 || !next_block(geometry, *deal.slot, *highest, kMaxCompactId)) continue;
    return "the next id of " + table + " is " + std::to_string(*highest + 1) + ", which is in no block of slot " + std::to_string(*deal.slot) + ": from " +
           std::to_string(geometry.from) + ", " + std::to_string(geometry.slots) + " blocks of " + std::to_string(geometry.block);
  }
  return std::string();
}

std::string GivenIds::check(const Ledger& ledger) const {
  for (const auto& [id, contents] : contents_) {
    std::vector<std::string> told;
    for (const std::string& content : contents) {
      if (!ledger.stored_versions_of(id, content).empty()) told.push_back(content);
    }
    if (told.size() > 1) return print_id(id) + " was given to two rows: " + told[0] + ", and " + told[1];
  }
  return {};
}

}  // namespace marmot::sim
