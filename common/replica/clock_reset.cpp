// `marmot clock reset` (docs/decisions/0032-a-clock-that-was-wrong.md): at its message's place in the stream each node lowers every stamp that it
// holds, by the same function. Units that were made by somebody who had not come there yet are told by their base, and lowered as they come.
#include <algorithm>
#include <map>
#include <memory>

#include "common/base/mutation.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/merge.hpp"
#include "common/replica/numbers.hpp"
#include "sql.hpp"

namespace marmot::replica {

using codec::ClockChange;
using sqlite::Statement;

namespace {

constexpr int64_t kMostResets = 100;  // of a stream; of more the oldest go: nobody is that far behind
constexpr int64_t kMostTouched = 10'000;  // rows of __marmot_touched
constexpr int64_t kTouchedEveryMs = 10'000;
constexpr const char* kLowered = "marmot_lowered";

// Of both ways in which tables hold a stamp. Of one argument: as a version has it.
void lower_value(sqlite3_context* context, int arguments, sqlite3_value** values) {
  const auto& impl = *static_cast<const Replica::Impl*>(sqlite3_user_data(context));
  const int64_t value = sqlite3_value_int64(values[0]);
  const Hlc stamp = arguments == 1 ? Hlc::from_stored(value) : Hlc{static_cast<uint64_t>(value)};
  const Hlc lower = impl.lowering == nullptr ? stamp : impl.lowering->lowered(stamp);
  sqlite3_result_int64(context, arguments == 1 ? lower.stored() : static_cast<int64_t>(lower.value));
}

std::string lowered_versions(std::string_view body, const ClockReset& reset) {
  std::vector<Version> versions = unspell_replaced(body);
  for (Version& version : versions) version.hlc = reset.lowered(version.hlc);
  return spell_replaced(versions);
}

using Lower = Hlc (ClockReset::*)(Hlc) const;

// As it was, with other stamps.
Result<std::string> restamped_rows(std::string_view payload, const ClockReset& reset, Lower lower) {
  TRY_ASSIGN(const codec::DecodedUnit decoded, codec::decode_unit(codec::Envelope{}, payload));
  const Unit& unit = decoded.unit;
  codec::UnitWriter writer;
  for (const UnitTable& table : unit.tables) writer.add_table(table);
  for (const UnitRow& row : unit.rows) {
    Version version = unit.versions[row.version];
    version.hlc = (reset.*lower)(version.hlc);
    writer.row(row.table, writer.add_version(version), row.op, row.key);
    const size_t values = row.op == Op::remove ? 0 : unit.tables[row.table].columns.size();
    for (size_t i = 0; i < values; ++i) writer.value(unit.values[row.first_value + i]);
  }
  return writer.finish(unit.more, unit.base);
}

Result<std::string> restamped_kept(codec::Kind kind, std::string_view payload, const ClockReset& reset) {
  if (kind != codec::Kind::schema) return restamped_rows(payload, reset, &ClockReset::lowered);
  TRY_ASSIGN(std::vector<SchemaRegister> told, codec::decode_schema(payload));
  for (SchemaRegister& one : told) {
    one.version.hlc = reset.lowered(one.version.hlc);
    if (one.kind == SchemaKind::number) one.body = lowered_versions(one.body, reset);
  }
  return codec::encode_schema(told);
}

// Units that are kept in a table of this file, to be applied later.
Status restamp_kept(Store& store, std::string_view select_after, std::string_view set, const ClockReset& reset) {
  for (int64_t after = 0;;) {
    TRY_ASSIGN(Statement* const next, store.statement(select_after));
    next->bind(1, after);
    TRY_ASSIGN(const bool found, next->step());
    if (!found) return ok();
    after = next->integer(0);
    const std::string payload(next->blob(2));
    const auto kind = static_cast<codec::Kind>(next->integer(1));
    next->reset();
    TRY_ASSIGN(const std::string lower, restamped_kept(kind, payload, reset));
    TRY_ASSIGN(Statement* const put, store.statement(set));
    put->bind(1, after).bind_blob(2, lower);
    TRY(put->run());
  }
}

// Versions of this file's own that the stream does not hold get, behind what they become by the reset, those of when they were made in truth, where that
// is known: others may have written since the reset, earlier or later than this file did. Whoever made the reset had not seen them: two can become one.
class TrueTimes {
 public:
  TrueTimes(Replica::Impl& impl, const ClockReset& reset) : impl_(impl), reset_(reset) {}

  Status read() {
    TRY(read(sql::kUnsentVersions, 2));
    TRY(read(sql::kUnsentBuried, 3));
    const WallMs now = impl_.env.now();
    Hlc last;
    for (auto& [stamp, is] : made_) {
      TRY_ASSIGN(const WallMs touched, impl_.true_time(stamp));
      const Hlc at = touched != 0 ? Hlc::from_wall(std::min(touched, now)) : stamp.wall() <= now ? stamp : Hlc{};
      last = std::max({Hlc{last.value + 1}, Hlc{reset_.lowered(stamp).value + 1}, at});
      is = last;
    }
    return ok();
  }

  // Once all are lowered.
  Status put() {
    TRY_ASSIGN(const Store::OriginRow own, impl_.store.origin(impl_.self));
    for (const Row& row : rows_) {
      const int64_t hlc = made_.at(row.stamp).stored();
      TRY_ASSIGN(Statement* const put, impl_.store.statement(row.buried ? sql::kRedateBuried : sql::kRedateVersion));
      put->bind(1, row.table);
      if (row.buried) put->bind_blob(2, row.shape).bind_blob(3, row.key).bind(4, hlc).bind(5, own.id);
      else put->bind_blob(2, row.key).bind(3, hlc).bind(4, own.id);
      TRY(put->run());
    }
    if (!made_.empty()) impl_.state.clock.observe(made_.rbegin()->second);
    return ok();
  }

 private:
  struct Row {
    int64_t table = 0;
    std::string shape, key;
    Hlc stamp;
    bool buried = false;
  };

  // `at`: the column of the stamp.
  Status read(std::string_view unsent, int at) {
    TRY_ASSIGN(Statement* const select, impl_.store.statement(unsent));
    for (;;) {
      TRY_ASSIGN(const bool more, select->step());
      if (!more) return ok();
      TRY_ASSIGN(const Version version, impl_.store.version(select->integer(at), select->integer(at + 1)));
      if (!impl_.is_ours(version.origin.node) || reset_.lowered(version.hlc) == version.hlc) continue;
      const bool buried = at == 3;
      rows_.push_back({select->integer(0), buried ? std::string(select->blob(1)) : std::string(), std::string(select->blob(at - 1)), version.hlc, buried});
      made_.emplace(version.hlc, Hlc{});
    }
  }

  Replica::Impl& impl_;
  const ClockReset& reset_;
  std::vector<Row> rows_;
  std::map<Hlc, Hlc> made_;  // of each stamp
};

}  // namespace

// For good: SQLite lets nobody take a function away while a statement runs.
Status Replica::Impl::make_lowering_functions() {
  for (const int arguments : {1, 2}) {
    const int rc = sqlite3_create_function_v2(db.get(), kLowered, arguments, SQLITE_UTF8 | SQLITE_DIRECTONLY, this, lower_value, nullptr, nullptr, nullptr);
    if (rc != SQLITE_OK) return db.error(rc).in("make the function that lowers stamps");
  }
  return ok();
}

// Where the clock is ahead of this machine's, for others have set it so, `stamp` does not say when its change was touched.
Status Replica::Impl::note_touched(Hlc stamp, WallMs at, WallMs now) {
  const bool ahead = stamp.wall() > now + codec::kClockBoundMs;
  if (!ahead && state.touched == 0) return ok();
  const WallMs noted = ahead ? std::min(at, now) : 0;
  if (noted != 0 && state.touched != 0 && noted < state.touched + kTouchedEveryMs) return ok();
  state.touched = noted;
  TRY_ASSIGN(Statement* const note, store.statement(sql::kNoteTouched));
  note->bind(1, static_cast<int64_t>(stamp.value)).bind(2, noted);
  TRY(note->run());
  TRY_ASSIGN(Statement* const drop, store.statement(sql::kTouchedDropOldest));
  drop->bind(1, kMostTouched);
  return drop->run();
}

// 0: when the stamp says, or it is not known.
Result<WallMs> Replica::Impl::true_time(Hlc stamp) {
  TRY_ASSIGN(Statement* const select, store.statement(sql::kTouchedAt));
  select->bind(1, static_cast<int64_t>(stamp.value));
  TRY_ASSIGN(const bool found, select->step());
  const WallMs at = found ? select->integer(0) : 0;
  select->reset();
  return at;
}

Status Replica::Impl::lower_registers(const ClockReset& reset) {
  tables_dirty = true;
  for (const SchemaRegister& one : registers.all()) {
    const Registers::Entry entry = *registers.find(one.kind, one.table, one.id);
    SchemaRegister lower = one;
    lower.version.hlc = reset.lowered(one.version.hlc);
    if (one.kind == SchemaKind::number) lower.body = lowered_versions(one.body, reset);
    if (lower == one && one.kind != SchemaKind::number) continue;
    TRY(registers.put(lower, entry.seq));
    if (one.kind == SchemaKind::number && entry.here) TRY(registers.set_here(lower, lowered_versions(*entry.here, reset)));
  }
  return ok();
}

Status Replica::Impl::lower_stamps(const ClockReset& reset, StreamSeq seq) {
  lowering = &reset;
  const Status done = lower_all(reset, seq);
  lowering = nullptr;
  return done;
}

Status Replica::Impl::lower_all(const ClockReset& reset, StreamSeq seq) {
  TRY(db.exec("UPDATE OR REPLACE __marmot_misdated SET hlc = marmot_lowered(hlc, 0), at = marmot_lowered(at, 0)"));
  TrueTimes own(*this, reset);
  TRY(own.read());
  TRY(db.exec("DELETE FROM __marmot_touched"));
  state.touched = 0;
  const std::string above = "(hlc & 0xffffffffffff) >= " + std::to_string(reset.segments.front().from.wall());
  int64_t rows = 0;
  for (const char* const table : {"version", "buried", "pruned"}) {
    const bool live_only = mutated(Mutation::reset_spares_tombstones) && std::string_view(table) == "version";
    TRY(db.exec("UPDATE __marmot_" + std::string(table) + " SET hlc = marmot_lowered(hlc) WHERE " + above + (live_only ? " AND state <> 0" : "")));
    rows += sqlite3_changes(db.get());
  }
  TRY(db.exec("UPDATE __marmot_passed SET hlc = marmot_lowered(hlc, 0)"));
  TRY(lower_registers(reset));
  TRY(restamp_kept(store, sql::kWaitingKept, sql::kWaitingRestamp, reset));
  TRY(restamp_kept(store, sql::kRefusedKept, sql::kRefusedRestamp, reset));
  TRY(restamp_kept(store, sql::kOverruledKept, sql::kOverruledRestamp, reset));
  for (Hlc* const one : {&state.stream.seen, &state.not_lower, &state.floor.hlc, &state.floor_seen, &state.pruned_hlc, &state.outbox_until}) *one = reset.lowered(*one);
  // What lies beyond the year 2200 no clock had followed.
  const Hlc top = reset.segments.back().to;
  state.stream.seen = std::max(state.stream.seen, top);
  state.clock = HlcClock(std::max(reset.lowered(state.clock.last()), top));
  TRY(own.put());
  passed_over.clear();
  TRY(load_passed_over());
  TRY(keep_reset(reset, seq));
  log(LogLevel::warn, "message " + std::to_string(seq) + " (marmot clock reset): " + std::to_string(rows) +
                          " versions were stamped ahead of " + to_string(reset.segments.front().to) + ", and count as of then now, in their order");
  return ok();
}

Status Replica::Impl::keep_reset(const ClockReset& reset, StreamSeq seq) {
  TRY_ASSIGN(Statement* const keep, store.statement(sql::kKeepReset));
  const std::string payload = codec::encode_clock({0, reset});
  keep->bind(1, static_cast<int64_t>(seq)).bind_blob(2, payload);
  TRY(keep->run());
  TRY_ASSIGN(Statement* const drop, store.statement(sql::kResetsDropOldest));
  drop->bind(1, kMostResets);
  TRY(drop->run());
  // Not a stamp: it has the agent begin a new incarnation, and lower what data_dir remembers (Replica::misdated, redate).
  TRY_ASSIGN(Statement* const due, store.statement(sql::kMisdate));
  due->bind(1, static_cast<int64_t>(self.incarnation.value)).bind(2, int64_t{0}).bind(3, int64_t{0});
  TRY(due->run());
  return load_resets();
}

Status Replica::Impl::load_resets() {
  TRY_ASSIGN(state.resets, read_resets(store));
  state.stream.was_reset = !state.resets->empty();
  return ok();
}

// In the file of `store`, which may be a snapshot.
Result<Replica::Impl::Resets> Replica::Impl::read_resets(Store& store) {
  auto resets = std::make_shared<std::vector<KnownReset>>();
  TRY_ASSIGN(Statement* const all, store.statement(sql::kAllResets));
  for (;;) {
    TRY_ASSIGN(const bool more, all->step());
    if (!more) return Resets(std::move(resets));
    TRY_ASSIGN(ClockChange change, codec::decode_clock(all->blob(1)));
    resets->push_back({static_cast<StreamSeq>(all->integer(0)), std::move(change.reset)});
  }
}

Status Replica::Impl::apply_clock(const ClockChange& change, StreamSeq seq, ApplyResult& result) {
  if (change.bound_ms != 0) {
    state.stream.bound = change.bound_ms;
    log(LogLevel::info, "message " + std::to_string(seq) + " (marmot clock bound): a stamp may be " + std::to_string(change.bound_ms) + " ms ahead of the stream's time");
  }
  const bool known = std::any_of(state.resets->begin(), state.resets->end(), [&](const KnownReset& one) { return one.seq == seq; });
  if (change.reset.segments.empty() || known) return ok();
  const ClockReset reset = change.reset.taken(state.stream.time, state.resets->empty() ? nullptr : &state.resets->back().reset);
  if (reset.segments.empty()) {
    log(LogLevel::warn, "message " + std::to_string(seq) + " (marmot clock reset) came too late into the stream, or right behind another one: it counts for nothing; say it again where `marmot clock` says so");
    return ok();
  }
  TRY(lower_stamps(reset, seq));
  result.misdated = true;
  return ok();
}

// Its sender had not come to a reset when it made the unit. None: it had.
Result<std::optional<std::string>> Replica::Impl::lowered_payload(const Unit& unit, std::string_view payload) const {
  std::optional<std::string> out;
  for (const KnownReset& one : *state.resets) {
    if (unit.base >= one.seq) continue;
    TRY_ASSIGN(out, restamped_rows(out ? std::string_view(*out) : payload, one.reset, &ClockReset::lowered_in_flight));
  }
  return out;
}

void Replica::Impl::compare_clock(const ClockChange& change, StreamSeq seq) {
  if (change.bound_ms != 0) compared_clock.bound = change.bound_ms;
  const ClockReset reset = change.reset.taken(compared_clock.time, compared_resets.empty() ? nullptr : &compared_resets.back().reset);
  if (reset.segments.empty()) return;
  compared_resets.push_back({seq, reset});
  compared_clock.was_reset = true;
  compared_clock.seen = std::max(reset.lowered(compared_clock.seen), reset.segments.back().to);
  for (auto& [table, rows] : compared) {
    for (auto& [key, row] : rows) row.version.hlc = reset.lowered(row.version.hlc);
  }
}

// What the snapshot that is merged has passed, and this file has not: before their stamps meet.
Status Replica::Impl::merge_resets() {
  TRY_ASSIGN(const Resets theirs, read_resets(merging->store));
  for (const KnownReset& one : *theirs) {
    const bool known = std::any_of(state.resets->begin(), state.resets->end(), [&](const KnownReset& ours) { return ours.seq == one.seq; });
    if (!known && one.seq > state.position.seq) TRY(lower_stamps(one.reset, one.seq));
  }
  return ok();
}

// Of the stream that this file followed so far. `end`: what it holds of the one that it enters, if it is the same.
Status Replica::Impl::forget_resets(StreamSeq end) {
  TRY_ASSIGN(Statement* const forget, store.statement(sql::kForgetResets));
  forget->bind(1, static_cast<int64_t>(end));
  TRY(forget->run());
  return load_resets();
}

Result<ClockReport> Replica::clock_report(WallMs now) {
  Impl& impl = *impl_;
  std::vector<Hlc> stamps;
  ClockReport out;
  for (const auto sql : {sql::kStampsAhead, sql::kRegistersAhead}) {
    TRY_ASSIGN(Statement* const select, impl.store.statement(sql));
    select->bind(1, now);
    for (;;) {
      TRY_ASSIGN(const bool more, select->step());
      if (!more) break;
      const int64_t value = select->integer(0);
      stamps.push_back(sql == sql::kStampsAhead ? Hlc::from_stored(value) : Hlc{static_cast<uint64_t>(value)});
      out.versions += select->integer(1);
    }
  }
  const Impl::State& state = impl.state;
  for (const Hlc one : {state.clock.last(), state.stream.seen, state.floor.hlc, state.floor_seen, state.pruned_hlc}) {
    if (one.wall() >= now) stamps.push_back(one);
  }
  std::sort(stamps.begin(), stamps.end());
  stamps.erase(std::unique(stamps.begin(), stamps.end()), stamps.end());
  if (!stamps.empty()) out.ahead_ms = stamps.back().wall() - now;
  out.bound_ms = state.stream.bound == 0 ? codec::kClockBoundMs : state.stream.bound;
  out.reset = make_clock_reset(stamps, now);
  return out;
}

Result<DrainResult> Replica::change_clocks(int64_t bound, const ClockReset& reset, bool polite) {
  Impl& impl = *impl_;
  DrainResult result;
  TRY(impl.write(polite, &result.held_us, [&]() -> Status {
    TRY(impl.drain_log(result.units, impl.tracing ? &result.changes : nullptr, &result.more));
    if (impl.state.membership != Membership::member) return make_error(Errc::busy, "this file has not caught up with its stream yet");
    UnitStream out(impl.self, impl.state.position.seq, &impl.state.next_unit, impl.settings);
    TRY(out.clock({bound, reset}));
    TRY_ASSIGN(auto units, out.finish(false));
    for (OutUnit& unit : units) result.units.push_back(std::move(unit));
    return ok();
  }));
  return result;
}

}  // namespace marmot::replica
