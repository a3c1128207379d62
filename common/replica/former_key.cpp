// Tombstones under keys that tables had before they were given others (docs/decisions/0035-deleted-under-a-former-key.md).
#include "common/replica/column_id.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/former_row.hpp"
#include "common/replica/local_schema.hpp"
#include "common/replica/merge.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

constexpr int64_t kPruneFormer = 500;  // in one transaction

// As __marmot_buried.seq: to be sent, before the schema or after it.
void bind_unsent(Statement& statement, int at, bool after_schema) {
  if (after_schema) statement.bind(at, int64_t{-1});
  else statement.bind_null(at);
}

// The table as it was, with the columns of its key alone: deletions need no others.
Result<UnitTable> table_of_shape(const Table& now, std::string_view shape) {
  UnitTable out{now.permanent_id.value_or(Version{}), now.info.name, {}, {}};
  if (shape.empty()) return out;  // it had no key
  TRY_ASSIGN(const DecodedKey parts, decode_key(shape));
  for (size_t i = 0; i + 3 < parts.parts.size(); i += 4) {
    out.columns.emplace_back(parts.parts[i].bytes);
    out.key.push_back({static_cast<uint32_t>(i / 4), static_cast<Collation>(parts.parts[i + 1].integer), static_cast<Affinity>(parts.parts[i + 2].integer),
                       parts.parts[i + 3].integer != 0});
  }
  return out;
}

// The message that told the row.
std::optional<StreamSeq> told_at(const UnitRow& row, StreamSeq seq) {
  if (row.seq == kNotInStream) return std::nullopt;
  return row.seq != 0 ? row.seq : seq;
}

}  // namespace

std::string spell_shape(const UnitTable& table) {
  std::string out;
  for (const UnitKeyColumn& part : table.key) {
    append_key_part(out, ValueView::of_text(column_base(table.columns[part.column])));
    append_key_part(out, ValueView::of_integer(static_cast<int64_t>(part.collation)));
    append_key_part(out, ValueView::of_integer(static_cast<int64_t>(part.affinity)));
    append_key_part(out, ValueView::of_integer(part.nullable ? 1 : 0));
  }
  return out;
}

Status Replica::Impl::take_tombstones(int64_t table, const std::string& shape) {
  const bool on_their_way = state.membership == Membership::member && !state.outbox_due;  // else the outbox had yet to send them
  TRY_ASSIGN(const Store::OriginRow own, store.origin(self));
  TRY_ASSIGN(Statement* const take, store.statement(sql::kFormerTake));
  take->bind(1, table).bind_blob(2, shape).bind(3, on_their_way ? own.id : int64_t{-1});
  bind_unsent(*take, 4, state.membership != Membership::member);
  return take->run();
}

Status Replica::Impl::give_tombstones_back(Table& table) {
  const std::string shape = spell_shape(table.unit_table());
  TRY_ASSIGN(Statement* const give, store.statement(sql::kFormerGiveBack));
  give->bind(1, table.id).bind_blob(2, shape);
  TRY(give->run());
  if (sqlite3_changes(db.get()) > 0) state.start_outbox();
  TRY_ASSIGN(Statement* const forget, store.statement(sql::kFormerForget));
  forget->bind(1, table.id).bind_blob(2, shape);
  return forget->run();
}

Status Replica::Impl::keep_former(int64_t table, std::string_view shape, std::string_view key, const Version& version, std::optional<StreamSeq> seq) {
  TRY_ASSIGN(const Store::OriginRow origin, store.origin(version.origin));
  TRY_ASSIGN(Statement* const put, store.statement(sql::kFormerPut));
  put->bind(1, table).bind_blob(2, shape).bind_blob(3, key).bind(4, version.hlc.stored()).bind(5, origin.id);
  if (seq) put->bind(6, static_cast<int64_t>(*seq));
  else bind_unsent(*put, 6, state.membership != Membership::member);
  return put->run();
}

Status Replica::Impl::delete_formerly(const Table& table, const std::string& shape, const std::vector<std::string>& keys) {
  if (keys.empty()) return ok();
  const Version version{state.clock.tick(env.now(), env.now()), self};
  for (const std::string& key : keys) {
    TRY(keep_former(table.id, shape, key, version, std::nullopt));
    if (tracing) state.sent_again.push_back(Change{false, table.info.name, Op::remove, describe_key(key), version, 0});
  }
  return ok();
}

Result<std::optional<Version>> Replica::Impl::former_version(int64_t table, std::string_view shape, std::string_view key) {
  TRY_ASSIGN(Statement* const select, store.statement(sql::kFormerOfKey));
  select->bind(1, table).bind_blob(2, shape).bind_blob(3, key);
  return store.version_in(*select);
}

Status Replica::Impl::meet_tombstones(const Unit& unit, const UnitTable& sent, const Table& table, StreamSeq seq, std::vector<const UnitRow*>& rows) {
  const std::string shape = spell_shape(sent);
  const FormerKey former(sent.columns, sent.key, table);
  std::vector<const UnitRow*> left;
  for (const UnitRow* const row : rows) {
    const Version& version = unit.versions[row->version];
    TRY_ASSIGN(const auto kept, former_version(table.id, shape, row->key));
    const auto at = told_at(*row, seq);
    if (row->op == Op::remove && (kept ? *kept < version || (*kept == version && at) : !table.info.key.empty())) {
      state.clock.observe(version.hlc);
      TRY(keep_former(table.id, shape, row->key, version, at));
    }
    // What is told once more may have to go once more: a row that came under the present key since.
    const bool again = kept && *kept == version && row->op == Op::remove && former.told();
    if (!kept || *kept < version || again) left.push_back(row);
  }
  rows = std::move(left);
  return ok();
}

Status Replica::Impl::meet_older_tombstones(const Unit& unit, const std::vector<SentColumn>& map, Table& table, std::vector<const UnitRow*>& rows) {
  std::vector<std::string> shapes;
  TRY_ASSIGN(Statement* const select, store.statement(sql::kFormerShapes));
  select->bind(1, table.id);
  for (;;) {
    TRY_ASSIGN(const bool more, select->step());
    if (!more) break;
    shapes.emplace_back(select->blob(0));
  }
  std::vector<ValueView> values;
  for (const std::string& shape : shapes) {
    TRY_ASSIGN(const UnitTable was, table_of_shape(table, shape));
    const FormerKey former(was.columns, was.key, table);
    std::vector<const UnitRow*> left;
    for (const UnitRow* const row : rows) {
      std::optional<Version> kept;
      if (row->op != Op::remove && former.told()) {
        std::deque<std::string> storage;
        table.values_for(map, &unit.values[row->first_value], coercer, storage, values);
        if (const auto key = former.of_row(values)) {
          TRY_ASSIGN(kept, former_version(table.id, shape, *key));
        }
      }
      if (!kept || *kept < unit.versions[row->version]) left.push_back(row);
    }
    rows = std::move(left);
  }
  return ok();
}

Status Replica::Impl::publish_former(UnitStream& out, bool after_schema) {
  TRY_ASSIGN(Statement* const unsent, store.statement(sql::kFormerUnsent));
  bind_unsent(*unsent, 1, after_schema);
  std::set<int64_t> sent;
  int64_t place = 0;
  std::string shape;
  const Table* table = nullptr;
  UnitTable as_it_was;
  for (int64_t of = 0;;) {
    TRY_ASSIGN(const bool more, unsent->step());
    if (!more) break;
    if (place == 0 || of != unsent->integer(0) || shape != unsent->blob(1)) {
      of = unsent->integer(0);
      shape = std::string(unsent->blob(1));
      --place;
      table = table_by_id(of);
      if (table != nullptr) {
        TRY_ASSIGN(as_it_was, table_of_shape(*table, shape));
      }
    }
    if (table == nullptr) continue;
    TRY_ASSIGN(const Version version, store.version(unsent->integer(3), unsent->integer(4)));
    TRY(out.removal(place, as_it_was, version, unsent->blob(2)));
    sent.insert(of);
  }
  for (const int64_t of : sent) {
    TRY_ASSIGN(Statement* const mark, store.statement(sql::kFormerSent));
    bind_unsent(*mark, 1, after_schema);
    mark->bind(2, of);
    TRY(mark->run());
  }
  return ok();
}

Status Replica::Impl::send_former_again() {
  TRY_ASSIGN(Statement* const again, store.statement(sql::kFormerAgain));
  return again->run();
}

Status Replica::Impl::prune_former() {
  TRY_ASSIGN(Statement* const prune, store.statement(sql::kFormerPrune));
  prune->bind(1, static_cast<int64_t>(state.floor.seq)).bind(2, kPruneFormer);
  return forget_pruned(*prune);
}

Status Replica::Impl::merge_deleted_formerly() {
  Merge& merge = *merging;
  TRY_ASSIGN(const std::vector<LocalTable> theirs, read_local_tables(merge.snapshot));
  for (const LocalTable& there : theirs) {
    Table* const here = target_of(UnitTable{there.permanent_id.value_or(Version{}), there.name, {}, {}}).table;
    if (here == nullptr || !here->running()) continue;
    Unit unit;
    std::deque<std::string> keys;
    unit.tables.push_back(here->unit_table());
    const std::string shape = spell_shape(unit.tables[0]);
    TRY_ASSIGN(Statement* const select, merge.store.statement(sql::kFormerAll));
    select->bind(1, there.id);
    for (;;) {
      TRY_ASSIGN(const bool more, select->step());
      if (!more) break;
      if (select->blob(0) != shape) continue;
      TRY_ASSIGN(const Version version, merge.store.version(select->integer(2), select->integer(3)));
      UnitRow row{0, static_cast<uint32_t>(unit.versions.size()), Op::remove, keys.emplace_back(select->blob(1))};
      row.seq = select->integer(4) > 0 ? static_cast<StreamSeq>(select->integer(4)) : kNotInStream;
      unit.versions.push_back(version);
      unit.rows.push_back(row);
    }
    if (unit.rows.empty()) continue;
    std::vector<const UnitRow*> rows;
    for (const UnitRow& row : unit.rows) rows.push_back(&row);
    ApplyResult ignored;
    TRY(apply_rows(unit, rows, *here, here->map_columns(unit.tables[0].columns), merge.info.seq, ignored));
  }
  return ok();
}

Status Replica::Impl::merge_former() {
  Merge& merge = *merging;
  for (const MergePair& pair : merge.tables) {
    const Table* const now = table_by_id(pair.here);
    if (now == nullptr) continue;
    const std::string present = spell_shape(now->unit_table());
    TRY_ASSIGN(Statement* const theirs, merge.store.statement(sql::kFormerAll));
    theirs->bind(1, pair.there->id);
    for (;;) {
      TRY_ASSIGN(const bool more, theirs->step());
      if (!more) break;
      const std::string shape(theirs->blob(0)), key(theirs->blob(1));
      if (shape == present) continue;  // this file has gone back to that key
      TRY_ASSIGN(const Version version, merge.store.version(theirs->integer(2), theirs->integer(3)));
      std::optional<StreamSeq> seq;
      if (theirs->integer(4) > 0) seq = static_cast<StreamSeq>(theirs->integer(4));
      TRY_ASSIGN(const auto here, former_version(pair.here, shape, key));
      if (!here || *here < version || (*here == version && seq)) TRY(keep_former(pair.here, shape, key, version, seq));
    }
  }
  return ok();
}

}  // namespace marmot::replica
