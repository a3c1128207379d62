// A snapshot is merged by version into a live file (docs/design.md, "Joining"): what differs is found without the write lock and lands in one
// transaction (merge_whole.cpp), or, where that is too much, a slice at a time:
//
//   rows     every register of the snapshot, as if a message had brought it
//   absent   every live register here that the snapshot has not: kept, or gone
//   pruned   what the snapshot remembers of pruned tombstones (pruned.cpp)
//   finish   the snapshot's place in the stream becomes ours
#include <algorithm>

#include "common/base/mutation.hpp"
#include "common/replica/local_schema.hpp"
#include "common/replica/merge.hpp"
#include "common/replica/shelf.hpp"
#include "common/replica/snapshot.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

constexpr int64_t kBatchRows = 250;

// A batch of the snapshot's rows as a unit; owns the bytes that the unit's views borrow.
struct Batch {
  Unit unit;
  std::deque<std::string> bytes;
  std::string_view keep(std::string_view text) { return bytes.emplace_back(text); }
  ValueView keep(const ValueView& value) {
    ValueView out = value;
    if (value.type == ValueType::text || value.type == ValueType::blob) out.bytes = keep(value.bytes);
    return out;
  }
};

}  // namespace

// What the snapshot's schema has is here too: without it its rows have no place.
Status Replica::Impl::merge_schema() {
  Merge& merge = *merging;
  TRY_IN("take the snapshot's key", take_hash_key(merge.store.hash_key));
  TRY(merge_deleted_formerly());
  Registers theirs(merge.snapshot);
  TRY(theirs.load());
  const std::vector<int64_t> before = restartable();
  TRY(apply_schema(theirs.all(), merge.info.seq));
  // Tables that are made now, and for which rows waited: nothing else would bring these in, for all of this is undone where one does not run.
  std::vector<int64_t> woken = restartable();
  std::erase_if(woken, [&](int64_t id) { return std::find(before.begin(), before.end(), id) != before.end(); });
  std::optional<int64_t> failed;
  if (!woken.empty()) TRY(restart(woken, failed));
  if (!woken.empty()) TRY(forget_waiting());
  return merge_tables();
}

Status Replica::Impl::merge_tables() {
  Merge& merge = *merging;
  merge.tables.clear();
  TRY_ASSIGN(const std::vector<LocalTable> theirs, read_local_tables(merge.snapshot));
  for (const LocalTable& there : theirs) {
    auto info = read_table(merge.snapshot, there.name);
    if (!info && info.error().code == Errc::not_found) continue;  // dropped
    TRY(info);
    name_columns(*info, there.column_ids);
    const Target target = target_of(UnitTable{there.permanent_id.value_or(Version{}), there.name, {}, {}});
    if (target.to == Target::To::nowhere || target.to == Target::To::dropped) continue;
    Table* const here = target.table;
    if (here == nullptr) return make_error(Errc::schema, "table " + there.name + " of the snapshot could not be made here");
    if (!here->running()) return make_error(Errc::schema, "table " + there.name + " is stopped here: " + here->stopped.value_or(""));
    MergePair pair;
    pair.here = here->id;
    pair.there = std::make_unique<Table>(merge.snapshot, merge.store, state.life, there.id, std::move(*info));
    pair.map = here->map_columns(pair.there->stored_ids());
    merge.tables.push_back(std::move(pair));
  }
  merge.at = {Merge::Phase::rows, 0, {}, 0, schema_version};
  return ok();
}

namespace {

// The next keys of a table's registers behind `after`, which moves on.
Result<std::vector<std::string>> next_keys(Store& store, int64_t table, std::string& after) {
  std::vector<std::string> keys;
  TRY_ASSIGN(Statement* const select, store.statement(sql::kVersionsAfter));
  const std::string from = after;
  select->bind(1, table).bind_blob(2, from).bind(3, kBatchRows);
  for (;;) {
    TRY_ASSIGN(const bool more, select->step());
    if (!more) break;
    keys.emplace_back(select->blob(0));
  }
  if (!keys.empty()) after = keys.back();
  return keys;
}

}  // namespace

// A batch of one table's registers. True: the table has no more.
Result<bool> Replica::Impl::merge_rows(MergePair& pair, std::string& after, int64_t& looked_at) {
  TRY_ASSIGN(const std::vector<std::string> keys, next_keys(merging->store, pair.there->id, after));
  looked_at += static_cast<int64_t>(keys.size());
  TRY(merge_keys(pair, keys));
  return keys.size() < static_cast<size_t>(kBatchRows);
}

Status Replica::Impl::merge_keys(MergePair& pair, std::span<const std::string> keys) {
  Merge& merge = *merging;
  Table& here = *table_by_id(pair.here);
  Batch batch;
  Unit& unit = batch.unit;
  unit.tables.push_back(pair.there->unit_table());
  std::vector<ValueView> values;
  std::string storage;
  for (const std::string& key : keys) {
    TRY_ASSIGN(const auto known, merge.store.find(pair.there->id, key));
    if (unit.versions.empty() || unit.versions.back() != known->version) unit.versions.push_back(known->version);
    UnitRow row{0, static_cast<uint32_t>(unit.versions.size() - 1), known->live() ? Op::update : Op::remove, key};
    row.seq = known->seq.value_or(kNotInStream);
    if (known->live()) {
      TRY_ASSIGN(const bool there, read_live_row(merge.store, *pair.there, key, *known, values, storage));
      // Changed behind its version: the taker's repair publishes it.
      if (!there || pair.there->hash(values) != known->hash) continue;
      row.first_value = static_cast<uint32_t>(unit.values.size());
      for (const ValueView& value : values) unit.values.push_back(batch.keep(value));
    }
    unit.rows.push_back(row);
  }
  pair.there->release();
  std::vector<const UnitRow*> rows;
  for (const UnitRow& row : unit.rows) rows.push_back(&row);
  ApplyResult ignored;
  Rekeyed made;
  TRY(present_keys(unit, unit.tables[0], pair.map, here, merge.info.seq, rows, made));
  if (!rows.empty()) TRY_IN("merge " + here.info.name, apply_rows(unit, rows, here, pair.map, merge.info.seq, ignored));
  return ok();
}

// What is here and not in the snapshot was deleted where the snapshot remembers that. What is older than what it has forgotten
// was deleted too, unless nobody ever had it. Anything else is sent again.
Result<bool> Replica::Impl::merge_absent(MergePair& pair, std::string& after, int64_t& looked_at) {
  TRY_ASSIGN(const std::vector<std::string> keys, next_keys(store, pair.here, after));
  looked_at += static_cast<int64_t>(keys.size());
  TRY(merge_absent_keys(pair, keys));
  return keys.size() < static_cast<size_t>(kBatchRows);
}

Status Replica::Impl::merge_absent_keys(MergePair& pair, std::span<const std::string> keys) {
  Merge& merge = *merging;
  Table& here = *table_by_id(pair.here);
  // Under another key nothing can be looked up there. Nothing is taken for deleted then.
  const bool comparable = here.same_key(pair.there->unit_table());
  for (const std::string& key : keys) {
    TRY_ASSIGN(const auto there, merge.store.find(pair.there->id, key));
    if (there) continue;
    TRY_ASSIGN(const auto found, store.find(here.id, key));
    if (!found) continue;  // it went since
    const bool has_version = found->origin_id != 0;
    TRY_ASSIGN(const auto tombstone, comparable && has_version ? pruned_version(merge.store, pair.there->id, key) : std::optional<Version>{});
    if (tombstone && (*tombstone > found->version || (*tombstone == found->version && !found->live()))) {
      TRY(forget_row(here, key, *found));
      continue;
    }
    const bool never_sent = !has_version || is_inserted(found->state) || (!found->live() && !found->seq);
    if (never_sent) continue;
    if (!comparable || found->version.hlc >= merge.floor.hlc) {
      if (found->seq) TRY(store.unmark(here.id, key));  // sent again
    } else {
      TRY(forget_row(here, key, *found));
    }
  }
  return ok();
}

Status Replica::Impl::merge_finish() {
  Merge& merge = *merging;
  TRY_ASSIGN(const uint64_t own, store.units_of(self));
  {
    TRY_ASSIGN(Statement* const origins, merge.store.statement(sql::kSelectOrigins));
    for (;;) {
      TRY_ASSIGN(const bool more, origins->step());
      if (!more) break;
      const Origin origin{NodeId{static_cast<uint64_t>(origins->integer(1))}, Incarnation{static_cast<uint64_t>(origins->integer(2))}};
      TRY(pass_units(origin, static_cast<uint64_t>(origins->integer(3))));
    }
  }
  TRY(db.exec("DELETE FROM __marmot_part"));
  TRY_ASSIGN(Statement* const parts, merge.store.statement(sql::kAllParts));
  TRY_ASSIGN(Statement* const stage, store.statement(sql::kStagePart));
  for (;;) {
    TRY_ASSIGN(const bool more, parts->step());
    if (!more) break;
    for (int i = 0; i < 8; ++i) stage->bind(i + 1, parts->value(i));
    TRY(stage->run());
  }
  TRY(db.exec("DELETE FROM __marmot_refused"));
  TRY_ASSIGN(Statement* const refused, merge.store.statement(sql::kAllRefused));
  TRY_ASSIGN(Statement* const keep, store.statement(sql::kRefuse));
  for (;;) {
    TRY_ASSIGN(const bool more, refused->step());
    if (!more) break;
    for (int i = 0; i < 5; ++i) keep->bind(i + 1, refused->value(i));
    TRY(keep->run());
  }
  TRY(merge_former());
  TRY(merge_ids());
  TRY(merge_handled());
  state.position = merge.info.position();
  state.stream = {merge.clock.time, std::max(state.stream.seen, merge.clock.seen), merge.clock.bound, !state.resets->empty()};
  state.trimmed = false;
  state.reread = false;  // absent rows have been looked at
  TRY(store.set_meta(meta::kTrimmed, int64_t{0}));
  raise_floor(merge.floor);
  state.fence = merge.fence;
  state.gap = merge.gap;
  if (state.membership == Membership::joining && state.position.seq >= state.join_end) TRY(become_member());
  state.start_outbox();
  // Whether the units of ours that the snapshot stands for landed, or were lost, it does not say.
  TRY_ASSIGN(const uint64_t own_now, store.units_of(self));
  ApplyResult unused;
  return own_now == own ? ok() : send_lost_again(unused);
}

// The next piece of work. True: the merge is done.
Result<bool> Replica::Impl::merge_piece(int64_t& looked_at) {
  Merge& merge = *merging;
  Merge::Progress& at = merge.at;
  if (at.phase == Merge::Phase::begin || at.phase == Merge::Phase::whole) {
    if (at.phase == Merge::Phase::begin) TRY_IN("lower stamps as the snapshot's are", merge_resets());
    TRY(at.phase == Merge::Phase::begin ? begin_compare() : merge_whole());
    return false;
  }
  // Begun, or begun again because the application changed the schema.
  if (at.phase == Merge::Phase::schema || at.schema_version != schema_version) {
    TRY_IN("merge the schema", merge_schema());
    return false;
  }
  if (at.phase == Merge::Phase::finish) {
    TRY(merge_finish());
    return true;
  }
  if (at.phase == Merge::Phase::pruned) {
    TRY_ASSIGN(const bool end, merge_pruned(at.pruned, looked_at));
    if (end) at.phase = Merge::Phase::finish;
    return false;
  }
  if (at.table == merge.tables.size()) {
    at.phase = at.phase == Merge::Phase::rows ? Merge::Phase::absent : Merge::Phase::pruned;
    at.table = 0;
    return false;
  }
  MergePair& pair = merge.tables[at.table];
  TRY_ASSIGN(const bool end, at.phase == Merge::Phase::rows ? merge_rows(pair, at.after, looked_at) : merge_absent(pair, at.after, looked_at));
  if (end) {
    ++at.table;
    at.after.clear();
  }
  return false;
}

Status Replica::merge_begin(const std::string& path) {
  Impl& impl = *impl_;
  impl.merging.reset();
  // A table that is stopped holds the merge up, and nothing else resumes it while the file enters the stream.
  if (impl.state.membership != Membership::none) TRY(resume_stopped());
  TRY_ASSIGN(const SnapshotInfo info, read_snapshot_info(path));
  if (info.stream_id != impl.state.position.stream_id) {
    return make_error(Errc::refused, path + " is of another stream (" + to_hex(info.stream_id) + ", this file is in " +
                                         to_hex(impl.state.position.stream_id) + ")");
  }
  if (info.seq < impl.state.position.seq) {
    return make_error(Errc::refused, path + " is older (message " + std::to_string(info.seq) + ") than this file (" +
                                         std::to_string(impl.state.position.seq) + ")");
  }
  TRY_ASSIGN(sqlite::Database db, sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX));
  TRY(db.learn_encoding());
  TRY(db.exec(std::string(sql::kCreateInternalTables)));  // of an earlier format: those that it lacks
  TRY(db.exec("PRAGMA query_only = ON; BEGIN"));
  auto merge = std::make_unique<Merge>(std::move(db));
  merge->info = info;
  TRY(merge->store.load_hash_key());
  TRY_ASSIGN(const auto floor_seq, merge->store.meta_integer(meta::kFloorSeq));
  TRY_ASSIGN(const auto floor_hlc, merge->store.meta_integer(meta::kFloorHlc));
  TRY_ASSIGN(const auto fence, merge->store.meta_integer(meta::kFence));
  merge->fence = static_cast<StreamSeq>(fence.value_or(0));
  merge->floor = Floor{static_cast<StreamSeq>(floor_seq.value_or(0)), Hlc{static_cast<uint64_t>(floor_hlc.value_or(0))}};
  TRY_ASSIGN(const auto gap_first, merge->store.meta_integer(meta::kGapFirst));
  TRY_ASSIGN(const auto gap_last, merge->store.meta_integer(meta::kGapLast));
  merge->gap = Gap{static_cast<StreamSeq>(gap_first.value_or(0)), static_cast<StreamSeq>(gap_last.value_or(0))};
  TRY_ASSIGN(const auto seen, merge->store.meta_integer(meta::kSeenHlc));
  TRY_ASSIGN(const auto hlc, merge->store.meta_integer(meta::kHlc));  // of an earlier Marmot's
  TRY_ASSIGN(const auto stream_time, merge->store.meta_integer(meta::kStreamTime));
  TRY_ASSIGN(const auto clock_bound, merge->store.meta_integer(meta::kClockBound));
  const Hlc newest{static_cast<uint64_t>(seen.value_or(hlc.value_or(0)))};
  merge->clock = {stream_time.value_or(std::max<WallMs>(info.msg_at, 0)), HlcClock(newest).last(), clock_bound.value_or(0), false};
  TRY_ASSIGN(const auto units, merge->store.units_of(impl.self));
  TRY_ASSIGN(const auto own_units, impl.store.units_of(impl.self));
  if (units < own_units) {
    return make_error(Errc::stale, "the stream lost units of this agent, and retention what would have told it: those that follow"
                                   " would wait for them everywhere");
  }
  TRY_ASSIGN(const int64_t here, impl.db.query_integer("SELECT count(*) FROM __marmot_version"));
  merge->total = info.rows + here;
  impl.merging = std::move(merge);
  return ok();
}

Result<MergeResult> Replica::merge_slice(bool polite) {
  Impl& impl = *impl_;
  if (!impl.merging) return make_error(Errc::internal, "merge_slice without merge_begin");
  MergeResult result;
  int64_t looked_at = 0;
  const Merge::Progress before = impl.merging->at;
  const int64_t began = impl.env.monotonic_us();
  const auto in_time = [&] { return impl.env.monotonic_us() - began < impl.settings.slice_us; };
  const auto merge = [&]() -> Status {
    for (bool more = true; more;) {  // what is not drained has no version to win by
      more = false;
      TRY(impl.drain_log(result.units, impl.tracing ? &result.changes : nullptr, &more));
    }
    do {
      TRY(impl.give_way());
      TRY_ASSIGN(result.done, impl.merge_piece(looked_at));
    } while (!result.done && !impl.merging->at.compares() && in_time());
    return ok();
  };
  const auto compare = [&]() -> Status {
    do {
      TRY(impl.compare_piece(looked_at));
    } while (impl.merging->at.compares() && in_time());
    return ok();
  };
  const Status done = before.compares() ? compare() : impl.write(polite, &result.held_us, merge);
  if (!done) {
    impl.merging->at = before;
    return done.error();
  }
  impl.merging->looked_at += looked_at;
  result.rows = impl.merging->looked_at;
  result.total = impl.merging->total;
  if (result.done) impl.merging.reset();
  return result;
}

void Replica::merge_abandon() { impl_->merging.reset(); }

}  // namespace marmot::replica
