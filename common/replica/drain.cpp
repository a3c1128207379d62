// Drain: the log's keys become versions and a unit (docs/design.md, "Drain").
#include <algorithm>

#include "common/base/mutation.hpp"
#include "common/core/row_hash.hpp"
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

std::string touched_id(int64_t table, std::string_view key) { return std::string(reinterpret_cast<const char*>(&table), sizeof table).append(key); }

void TouchedKeys::add(Table* table, std::string_view key, WallMs at) {
  std::string id = touched_id(table->id, key);
  const auto known = index_.find(id);
  if (known != index_.end()) {
    list_[known->second].at = std::max(list_[known->second].at, at);
    return;
  }
  list_.push_back(Touched{table, std::move(id), at});
  index_.emplace(list_.back().id, list_.size() - 1);
}

void TouchedKeys::sort() {
  const auto earlier = [](const Touched& a, const Touched& b) { return a.at < b.at; };
  if (std::is_sorted(list_.begin(), list_.end(), earlier)) return;
  std::stable_sort(list_.begin(), list_.end(), earlier);
  index_.clear();
  for (size_t i = 0; i < list_.size(); ++i) index_.emplace(list_[i].id, i);
}

Status UnitStream::make_room() {
  constexpr size_t kMaxRawBytes = size_t{1} << 30;  // one unit must fit into memory at both ends
  if (writer_ && ((settings_.atomic_rows > 0 && writer_->rows() >= static_cast<size_t>(settings_.atomic_rows)) ||
                  writer_->raw_bytes() >= kMaxRawBytes || writer_->cells() >= settings_.unit_cells)) {
    TRY(close(true));
  }
  if (!writer_) {
    writer_.emplace();
    tables_.clear();
  }
  return ok();
}

Status UnitStream::row(Table& table, const Version& version, Op op, std::string_view key, const std::vector<ValueView>& values) {
  TRY(make_room());
  auto known = tables_.find(table.id);
  if (known == tables_.end()) {
    const uint32_t index = writer_->add_table(table.unit_table());
    known = tables_.emplace(table.id, index).first;
  }
  writer_->row(known->second, writer_->add_version(version), op, key);
  if (op != Op::remove) {
    for (const ValueView& value : values) writer_->value(value);
  }
  return ok();
}

Status UnitStream::removal(int64_t place, const UnitTable& table, const Version& version, std::string_view key) {
  TRY(make_room());
  auto known = tables_.find(place);
  if (known == tables_.end()) known = tables_.emplace(place, writer_->add_table(table)).first;
  writer_->row(known->second, writer_->add_version(version), Op::remove, key);
  return ok();
}

Status UnitStream::seal(codec::Kind kind, const std::string& payload, size_t rows, uint8_t format) {
  OutUnit unit;
  unit.number = (*next_number_)++;
  unit.rows = rows;
  unit.messages = codec::seal(kind, origin_, unit.number, payload, settings_.max_message, format);
  for (size_t part = 0; part < unit.messages.size(); ++part) {
    unit.msg_ids.push_back(codec::message_id(origin_, unit.number, static_cast<uint32_t>(part)));
  }
  units_.push_back(std::move(unit));
  return ok();
}

Status UnitStream::close(bool more) {
  if (!writer_) return ok();
  const size_t rows = writer_->rows();
  TRY_ASSIGN(const std::string payload, writer_->finish(more, base_));
  writer_.reset();
  return seal(codec::Kind::rows, payload, rows);
}

Result<std::vector<OutUnit>> UnitStream::finish(bool more) {
  TRY(close(more));
  TRY(end_together());
  return std::move(units_);
}

Status UnitStream::mark(bool more) {
  TRY(close(true));
  TRY_ASSIGN(const std::string payload, codec::UnitWriter().finish(more, base_));
  return seal(codec::Kind::rows, payload, 0);
}

Status UnitStream::end_together() { return std::exchange(together_, false) ? mark(false) : ok(); }

Status UnitStream::schema(const std::vector<SchemaRegister>& registers, bool rows_follow) {
  if (registers.empty()) return ok();
  TRY(close(true));
  if (rows_follow && !mutated(Mutation::schema_apart)) {
    TRY(mark(true));
    together_ = true;
  }
  TRY_ASSIGN(const std::string payload, codec::encode_schema(registers));
  return seal(codec::Kind::schema, payload, 0, codec::schema_format(registers));
}

Status UnitStream::floor(const Floor& floor) {
  TRY(close(true));
  return seal(codec::Kind::floor, codec::encode_floor(floor), 0);
}

Status UnitStream::ids(const codec::IdFacts& facts) {
  TRY(close(false));
  return seal(codec::Kind::ids, codec::encode_ids(facts), 0, codec::kFormatOfIds);
}

Status UnitStream::handled(const std::vector<codec::HandledConflict>& conflicts) {
  TRY(close(false));
  return seal(codec::Kind::handled, codec::encode_handled(conflicts), 0, codec::kFormatOfHandled);
}

Status UnitStream::clock(const codec::ClockChange& change) {
  TRY(close(false));
  return seal(codec::Kind::clock, codec::encode_clock(change), 0, codec::kFormatOfClock);
}

// Rows logged within a second of each other share one HLC, so that two overlapping transactions do not interleave row by
// row, and a backlog of hours still has its true times.
namespace {
class Stamps {
 public:
  Stamps(HlcClock& clock, WallMs now) : clock_(clock), now_(now) {}
  Hlc of(WallMs at) {
    if (mutated(Mutation::hlc_per_row) || !started_ || at - began_ > 1000 || at < began_ - 1000) {
      began_ = at;
      stamp_ = clock_.tick(at, now_);
      started_ = true;
    }
    return stamp_;
  }

 private:
  HlcClock& clock_;
  WallMs now_;
  WallMs began_ = 0;
  bool started_ = false;
  Hlc stamp_;
};
}  // namespace

Status Replica::Impl::prepare_log() {
  TRY_ASSIGN(const int64_t columns, db.query_integer("SELECT count(*) FROM pragma_table_info('__marmot_log') WHERE name GLOB 'k[0-9]*'"));
  if (read_log && columns == log_keys) return ok();
  log_keys = static_cast<int>(columns);
  std::string list;
  for (int i = 1; i <= log_keys; ++i) list += ", k" + std::to_string(i);
  TRY_ASSIGN(read_log, db.prepare("SELECT tbl, ts, op" + list + " FROM __marmot_log WHERE seq > ?1 AND seq <= ?2 ORDER BY seq", true));
  return ok();
}

Status Replica::Impl::scan_log(int64_t after, int64_t last, const std::function<Status(Table& table, LogOp op)>& fn) {
  TRY(prepare_log());
  read_log.bind(1, after).bind(2, last);
  const sqlite::ResetGuard guard(read_log);
  Table* table = nullptr;
  for (;;) {
    TRY_ASSIGN(const bool row, read_log.step());
    if (!row) return ok();
    if (table == nullptr || table->id != read_log.integer(0)) table = table_by_id(read_log.integer(0));
    if (table == nullptr || !table->exists) continue;  // dropped, or watched no more: nothing is left to read
    TRY(fn(*table, static_cast<LogOp>(read_log.integer(2))));
  }
}

// Only the log up to `last` is drained, and rows are read as they are at its end. A keyless row that it names, and whose rowid
// is given to another one behind `last`, cannot be read any more: under its name that other row would go out.
Status Replica::Impl::find_reused(int64_t last, ReusedRowids& reused) {
  ReusedRowids named;
  TRY(scan_log(INT64_MIN, last, [&](const Table& table, LogOp) {
    if (const auto here = table.keyless_of_log(read_log, kLogKeys)) named[table.id].insert(*here);
    return ok();
  }));
  if (named.empty()) return ok();
  return scan_log(last, INT64_MAX, [&](const Table& table, LogOp op) {
    const auto here = op == LogOp::insert ? table.keyless_of_log(read_log, kLogKeys) : std::nullopt;
    if (here && named[table.id].count(*here) != 0) reused[table.id].insert(*here);
    return ok();
  });
}

Status Replica::Impl::read_log_rows(TouchedKeys& touched, bool* more) {
  TRY_ASSIGN(Statement* const range, store.statement(sql::kLogRange));
  TRY_ASSIGN(const bool any, range->step());
  if (!any || range->is_null(0)) {
    sqlite3_reset(range->get());
    return ok();
  }
  const int64_t first = range->integer(0);
  const int64_t end = range->integer(1);
  sqlite3_reset(range->get());
  int64_t last = end;
  if (settings.atomic_rows > 0 && end - first >= settings.atomic_rows) {
    // Cut where the writers paused longest, near the end of what fits: most likely between two transactions.
    last = first + settings.atomic_rows - 1;
    TRY_ASSIGN(Statement* const pauses, store.statement(sql::kLogPauses));
    pauses->bind(1, last - settings.atomic_rows / 10).bind(2, last + 1);
    int64_t widest = -1, previous_ts = 0, previous_seq = 0;
    for (bool started = false;; started = true) {
      TRY_ASSIGN(const bool row, pauses->step());
      if (!row) break;
      if (started && pauses->integer(1) - previous_ts >= widest) {
        widest = pauses->integer(1) - previous_ts;
        last = previous_seq;
      }
      previous_seq = pauses->integer(0);
      previous_ts = pauses->integer(1);
    }
    *more = true;
  }
  touched.left_over = state.log_left_over;
  touched.continues = state.log_in_pieces;
  ReusedRowids reused;
  if (*more) TRY(find_reused(last, reused));
  TRY(scan_log(INT64_MIN, last, [&](Table& table, LogOp op) -> Status {
    const auto here = reused.empty() ? std::nullopt : table.keyless_of_log(read_log, kLogKeys);
    const bool is_reused = here && reused[table.id].count(*here) != 0;
    TRY_ASSIGN(const auto keys, table.keys_of_log(read_log, kLogKeys, op, read_log.integer(1), is_reused, touched.left_over));
    for (const std::string& key : keys) {
      if (table.running()) {
        touched.add(&table, key, read_log.integer(1));
        continue;
      }
      TRY(park(table.id, key, read_log.integer(1)));
    }
    return ok();
  }));
  return db.exec(last == end ? "DELETE FROM __marmot_log" : "DELETE FROM __marmot_log WHERE seq <= " + std::to_string(last));
}

Status Replica::Impl::park(int64_t table, std::string_view key, WallMs at) {
  TRY_ASSIGN(Statement* const park, store.statement(sql::kPark));
  park->bind(1, table).bind_blob(2, key).bind(3, at);
  return park->run();
}

Status Replica::Impl::keep_unique(Table& table, std::string_view key) {
  if (table.info.unique.empty()) return ok();
  TRY_ASSIGN(const auto values, table.unique_values(key));
  for (const Table::UniqueValue& value : values) {
    if (state.shelved > 0) TRY(note_given_up(table, value, key));
    TRY_ASSIGN(Statement* const write, store.statement(value.hash ? sql::kUniquePut : sql::kUniqueRemove));
    write->bind(1, table.id).bind(2, static_cast<int64_t>(value.index)).bind_blob(3, key);
    if (value.hash) write->bind(4, static_cast<int64_t>(*value.hash));
    TRY(write->run());
  }
  return ok();
}

Status Replica::Impl::drop_unique(Table& table, std::string_view key) {
  for (const UniqueIndex& index : table.info.unique) {
    if (state.shelved > 0) TRY(note_given_up(table, {index.id, std::nullopt}, key));
    TRY_ASSIGN(Statement* const write, store.statement(sql::kUniqueRemove));
    write->bind(1, table.id).bind(2, static_cast<int64_t>(index.id)).bind_blob(3, key);
    TRY(write->run());
  }
  return ok();
}

// REPLACE deletes by a secondary unique index without firing a trigger: whoever held this row's values before is looked at
// too, and found gone.
Status Replica::Impl::find_victims(Table& table, std::string_view key, WallMs at, TouchedKeys& touched) {
  if (table.info.unique.empty() || mutated(Mutation::victim_missed)) return ok();
  TRY_ASSIGN(const auto values, table.unique_values(key));
  for (const Table::UniqueValue& value : values) {
    if (!value.hash) continue;
    TRY_ASSIGN(Statement* const holders, store.statement(sql::kUniqueHolders));
    holders->bind(1, table.id).bind(2, static_cast<int64_t>(value.index)).bind(3, static_cast<int64_t>(*value.hash)).bind_blob(4, key);
    for (;;) {
      TRY_ASSIGN(const bool row, holders->step());
      if (!row) break;
      touched.add(&table, holders->blob(0), at);
    }
  }
  return ok();
}

namespace {

// The touched rows of one drain, one after another.
class RowDrain {
 public:
  RowDrain(Replica::Impl& impl, TouchedKeys& touched, UnitStream* out, std::vector<Change>* changes)
      : impl_(impl), touched_(touched), out_(out), changes_(changes), left_over_(touched.left_over ? touched.size() : 0),
        now_(impl.env.now()), stamps_(impl.state.clock, now_) {}

  Status row(size_t i) {
    const Touched& item = touched_[i];
    const std::string_view key = item.key();
    Table& table = *item.table;
    table.id_use.touched = true;  // a row that came and went has used up an id as well
    TRY_ASSIGN(const auto before, impl_.store.find(table.id, key));
    const bool was_live = before && before->visible();
    const bool was_shelved = before && before->shelved();
    // An earlier piece of this log has read the row as it is at the log's end, and told it with the time of an earlier touch.
    const bool told_early = touched_.continues && before && before->version.origin == impl_.self && before->version.hlc.wall() < item.at;
    // Victims first: the row's values are read below, and must not be disturbed.
    TRY(impl_.find_victims(table, key, item.at, touched_));
    TRY_ASSIGN(const bool there, table.read(key, values_));
    if (!there && !was_live) {
      if (was_shelved) return ok();  // it was not there before either: it waits on
      // Deleted before its version was made: the tombstone must exist all the same.
      if (!told_early && (before || table.baseline)) {
        if (i < left_over_) TRY(impl_.pass_over(item, before));
        TRY(table.forget_rowid(key));  // it came and went, or was given a key: the rowid is another row's
        return ok();
      }
    }
    const uint64_t hash = there ? table.hash(values_) : 0;
    // Touched, not changed. A baseline row is another matter: written between the watching of its table and its first
    // version, it belongs to the unit of its transaction.
    if (there && was_live && before->hash == hash && before->origin_id != 0 && !told_early) {
      if (i < left_over_) TRY(impl_.pass_over(item, before));
      return ok();
    }
    // When a row went that no log names, nobody knows: right behind what was known of it, so that whoever has changed it since keeps it.
    const bool gone_unseen = touched_.unseen && !there && was_live && before->origin_id != 0;
    const Version version{gone_unseen ? Hlc{before->version.hlc.value + 1} : stamps_.of(item.at), impl_.self};
    if (gone_unseen) impl_.state.clock.observe(version.hlc);
    else TRY(impl_.note_touched(version.hlc, item.at, now_));
    const Op op = !there ? Op::remove : was_live ? Op::update : Op::insert;
    if (table.info.key_kind == KeyKind::rowid_alias && op == Op::insert) impl_.note_id(table, key);
    if (was_shelved) TRY(impl_.replace_shelved(table, key, *before, version, values_));
    if (out_ != nullptr) TRY(out_->row(table, version, op, key, values_));
    if (before && before->seq) TRY(impl_.note_spoken_of(table, key));
    const bool inserted = op == Op::insert || (was_live && before->state == RowState::inserted);
    const RowState now = !there ? RowState::dead : inserted ? RowState::inserted : RowState::live;
    TRY(impl_.store.put(table.id, key, before.has_value(), version, std::nullopt, hash, now));
    if (there) {
      TRY(impl_.keep_unique(table, key));
    } else {
      TRY(impl_.drop_unique(table, key));
      TRY(table.forget_rowid(key));
    }
    if (changes_ != nullptr) changes_->push_back(Change{false, table.info.name, op, describe_key(key), version, 0});
    return ok();
  }

 private:
  Replica::Impl& impl_;
  TouchedKeys& touched_;
  UnitStream* out_;
  std::vector<Change>* changes_;
  size_t left_over_;
  WallMs now_;
  Stamps stamps_;
  std::vector<ValueView> values_;
};

}  // namespace

Status Replica::Impl::drain_touched(TouchedKeys& touched, UnitStream* out, std::vector<Change>* changes) {
  TRY(stop_blamed());
  touched.sort();
  RowDrain rows(*this, touched, out, changes);
  for (size_t i = 0; i < touched.size(); ++i) {  // grows while victims are found
    if (i % 32 == 0) TRY(give_way());
    const Touched& item = touched[i];
    const bool left_out = !blamed.empty() && !item.table->running() && blamed.count(fold_name(item.table->info.name)) != 0;
    Status done = left_out ? ok() : rows.row(i);
    if (done && !left_out) continue;
    if (!done && (!stops_table(done.error()) || !db.in_transaction())) return done;
    if (!done && item.table->running()) return blame(*item.table, done.error());
    TRY(park(item.table->id, item.key(), item.at));
  }
  TRY(settle_freed());
  return ok();
}

Status Replica::Impl::log_drained(bool more) {
  state.log_in_pieces = more;
  if (more) {
    touch_ids();  // what is left of the log may have used up any table's
    return ok();
  }
  state.log_left_over = false;
  return begin_life();
}

Status Replica::Impl::drain_to_outbox() {
  for (bool more = true; more;) {
    more = false;
    TouchedKeys touched;
    TRY(check_schema(touched));
    TRY(read_log_rows(touched, &more));
    TRY(drain_touched(touched, nullptr, tracing ? &state.sent_again : nullptr));
    if (touched.size() > 0) state.start_outbox();
    TRY(log_drained(more));
  }
  return ok();
}

Status Replica::Impl::drain_log(std::vector<OutUnit>& units, std::vector<Change>* changes, bool* more) {
  UnitStream out(self, state.position.seq, &state.next_unit, settings);
  TRY(drain_into(out, false, changes, more));
  TRY_ASSIGN(auto finished, out.finish(*more));
  for (OutUnit& unit : finished) units.push_back(std::move(unit));
  return ok();
}

Status Replica::Impl::drain_into(UnitStream& out, bool rows_follow, std::vector<Change>* changes, bool* more) {
  TouchedKeys touched;
  TRY_IN("check schema", check_schema(touched));
  TRY_IN("read log", read_log_rows(touched, more));
  if (mutated(Mutation::log_deleted_first)) TRY(db.exec("COMMIT; BEGIN IMMEDIATE"));
  const bool publishes = state.membership == Membership::member;
  if (publishes) {
    TRY_IN("publish deletions", publish_former(out, false));
    TRY_IN("settle numbers", settle_former_numbers());
    TRY_IN("publish schema", publish_schema(out, rows_follow || state.half_told || touched.size() > 0));
    TRY_IN("publish deletions", publish_former(out, true));
  }
  if (changes != nullptr) changes->insert(changes->end(), state.sent_again.begin(), state.sent_again.end());
  state.sent_again.clear();
  TRY_IN("drain", drain_touched(touched, publishes ? &out : nullptr, changes));
  TRY_IN("begin a life", log_drained(*more));
  if (state.outbox_passed && touched.size() > 0) state.rewind_outbox();
  if (!*more) TRY_IN("hash again", rehash_due());
  if (state.prune_due) TRY_IN("prune", prune_former());
  TRY_IN("prune", prune_tombstones());
  if (publishes && !*more) TRY_IN("retire", retire_losers(out, changes));
  if (publishes && !rows_follow) TRY_IN("send again what was sent in part", send_half_told(out));
  if (!rows_follow) TRY(out.end_together());
  if (publishes && !*more) {
    TRY_IN("settle ids", settle_ids());
    TRY_IN("publish ids", publish_ids(out));
    TRY_IN("publish handled conflicts", publish_handled(out));
  }
  if (*more) {
    ++split_units;
    log(LogLevel::info, "more than atomic_rows = " + std::to_string(settings.atomic_rows) +
                            " rows are waiting: other nodes get them in parts, each whole");
  }
  return ok();
}

Result<DrainResult> Replica::drain(bool polite) {
  DrainResult result;
  Impl& impl = *impl_;
  Status done = impl.write(polite, &result.held_us, [&] {
    return impl.drain_log(result.units, impl.tracing ? &result.changes : nullptr, &result.more);
  });
  if (!done && !(mutated(Mutation::ack_before_persist) && !result.units.empty())) return std::move(done).error();
  return result;
}

}  // namespace marmot::replica
