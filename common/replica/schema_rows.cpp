// What a changed table means for the versions of its rows.
#include <algorithm>

#include "common/base/mutation.hpp"
#include "common/core/row.hpp"
#include "common/replica/column_id.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/former_row.hpp"
#include "common/replica/schema_migrate.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

std::string Replica::Impl::key_shape(const TableInfo& info) {
  std::string out = std::string(info.key_kind == KeyKind::rowid ? "rowid" : "key") + (info.nullable_key ? "?" : "");  // a rowid's alias or not: WITHOUT ROWID
  for (const KeyColumn& part : info.key) {
    const Column& column = info.columns[static_cast<size_t>(part.column)];
    out += ' ' + sqlite::quote_identifier(column.id) + std::to_string(static_cast<int>(part.collation)) + std::to_string(static_cast<int>(column.affinity));
  }
  return out;
}

Status Replica::Impl::compare_rows(const Rebuilt& rebuilt, TouchedKeys& touched) {
  Table* const table = table_by_id(rebuilt.id);
  if (table == nullptr || !table->exists || mutated(Mutation::rebuild_not_compared)) return ok();
  if (key_shape(rebuilt.before) != key_shape(table->info)) {
    return table->info.key_kind == KeyKind::rowid ? lose_key(rebuilt.before, *table, nullptr, &touched) : rekey(rebuilt.before, *table, nullptr, &touched);
  }
  const FormerHash former(rebuilt.before, *table);
  if (table->info.key_kind == KeyKind::rowid && !former.lost()) {
    const auto matched = match_keyless_rows(*table, [&](const std::vector<ValueView>& values) { return former.former(values); });
    TRY(matched);
  }
  std::set<std::string> logged;  // the log says that it was changed, and when: the drain gives it its version
  if (former.lost()) {
    TRY_ASSIGN(logged, logged_keys(*table));
  }
  const WallMs now = env.now();
  int64_t met = 0;
  Table::Position position;
  TRY(table->scan(position, INT64_MAX, true, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
    TRY_ASSIGN(const auto known, store.find(table->id, key));
    const bool here = known && known->visible();
    const auto told = here ? former.compare(values, known->hash) : FormerHash::Told::changed;
    if (told == FormerHash::Told::changed) {
      touched.add(table, key, now);
    } else if (told == FormerHash::Told::unknown && rebuilt.unseen) {
      if (logged.count(key) == 0) TRY(send_again(*table, key, true, *known, table->hash(values)));
    } else if (!former.lost()) {  // else rehash_due() does it, once what the log says of the row is drained
      TRY(set_hash(*table, key, known->hash, table->hash(values)));
    }
    met += here ? 1 : 0;
    return ok();
  }));
  if (former.lost()) {
    table->rehash = true;
    TRY(table->save());
  }
  // Registers whose row is gone.
  TRY_ASSIGN(Statement live, db.prepare(sql::kLiveKeys));
  live.bind(1, table->id);
  std::vector<std::string> keys;
  for (;;) {
    TRY_ASSIGN(const bool more, live.step());
    if (!more) break;
    keys.emplace_back(live.blob(0));
  }
  if (static_cast<int64_t>(keys.size()) == met) return ok();
  std::vector<ValueView> values;
  for (const std::string& key : keys) {
    TRY_ASSIGN(const bool there, table->read(key, values));
    if (!there) touched.add(table, key, now);
  }
  table->release();
  return ok();
}

Result<std::set<std::string>> Replica::Impl::logged_keys(Table& table) {
  std::set<std::string> out;
  TRY_ASSIGN(Statement* const parked, store.statement(sql::kSelectParked));
  parked->bind(1, table.id);
  for (;;) {
    TRY_ASSIGN(const bool more, parked->step());
    if (!more) break;
    out.emplace(parked->blob(0));
  }
  TRY(scan_log(INT64_MIN, INT64_MAX, [&](Table& of, LogOp op) -> Status {
    if (&of != &table) return ok();
    TRY_ASSIGN(const auto keys, table.keys_of_log(read_log, kLogKeys, op, read_log.integer(1), false, false));
    out.insert(keys.begin(), keys.end());
    return ok();
  }));
  return out;
}

// Nobody can tell whether the row was changed while no trigger saw it. It gets the very next version after the one it has:
// over what this file knew of the row, and over no write that it had not seen.
Status Replica::Impl::send_again(Table& table, std::string_view key, bool there, const Register& known, uint64_t hash) {
  const Version next{Hlc{known.version.hlc.value + 1}, self};
  state.clock.observe(next.hlc);
  TRY(store.put(table.id, key, there, next, std::nullopt, hash, known.state));
  if (tracing) state.sent_again.push_back(Change{false, table.info.name, Op::update, describe_key(key), next, 0});
  state.start_outbox();
  return ok();
}

Status Replica::Impl::refill(const Refill& due, const std::string& called, bool* allows_null) {
  const auto& [table_id, ours, known] = due;
  Table* const table = table_by_id(table_id);
  if (table == nullptr || !table->running()) return ok();
  const std::vector<std::string> ids = table->stored_ids();
  const auto at = static_cast<size_t>(std::find(ids.begin(), ids.end(), called) - ids.begin());
  if (at == ids.size()) return ok();
  const Column& column = table->info.columns[static_cast<size_t>(table->stored()[at])];
  const Affinity affinity = column.affinity;
  std::deque<std::string> bytes;
  const auto fill_of = [&](const std::string& id) {
    return coercer.stored_if_changed(affinity, fill_value(parse_column_id(id).fill(), bytes.emplace_back()), bytes);
  };
  const ValueView from = fill_of(ours), to = fill_of(known);
  if (same_value(from, to)) return ok();
  *allows_null = !column.not_null || to.type != ValueType::null;
  if (!*allows_null) return ok();
  std::vector<std::string> keys;
  {
    TRY_ASSIGN(Statement sent, db.prepare(sql::kSentKeys));
    sent.bind(1, table_id);
    for (;;) {
      TRY_ASSIGN(const bool more, sent.step());
      if (!more) break;
      keys.emplace_back(sent.blob(0));
    }
  }
  std::vector<ValueView> values;
  for (const std::string& key : keys) {
    TRY_ASSIGN(const bool there, table->read(key, values));
    if (!there || !same_value(values[at], from)) continue;
    values[at] = to;
    TRY(table->update(key, values));
  }
  table->release();
  return ok();
}

Status Replica::Impl::set_hash(Table& table, std::string_view key, uint64_t from, uint64_t to) {
  if (from == to) return ok();
  forget_brought_along();  // it knows rows by their hashes
  TRY_ASSIGN(Statement* const write, store.statement(sql::kSetHash));
  write->bind(1, table.id).bind_blob(2, key).bind(3, static_cast<int64_t>(to));
  return write->run();
}

namespace {

// The live registers of a table under the key that it had.
struct FormerRegisters {
  struct Known {
    std::string key;  // as it was
    Register value;
    bool met = false;
  };
  std::deque<Known> all;
  std::unordered_map<std::string, Known*> by_key;             // as the columns would have it now
  std::unordered_multimap<uint64_t, Known*> by_hash;          // of rows that only what they hold can tell

  Known* find(const std::optional<std::string>& key, const std::optional<uint64_t>& hash) {
    if (key) {
      const auto own = by_key.find(*key);
      return own == by_key.end() ? nullptr : own->second;
    }
    const auto same = hash ? by_hash.find(*hash) : by_hash.end();
    if (same == by_hash.end()) return nullptr;
    Known* const known = same->second;
    by_hash.erase(same);
    return known;
  }
};

Result<FormerRegisters> former_registers(Replica::Impl& impl, int64_t table, const FormerKey& former_key, bool lost) {
  FormerRegisters out;
  TRY_ASSIGN(Statement live, impl.db.prepare(sql::kLiveKeys));
  live.bind(1, table);
  for (;;) {
    TRY_ASSIGN(const bool more, live.step());
    if (!more) return out;
    std::string key(live.blob(0));
    TRY_ASSIGN(const auto found, impl.store.find(table, key));
    FormerRegisters::Known& known = out.all.emplace_back(FormerRegisters::Known{std::move(key), *found});
    if (auto now = former_key.of_key(known.key, impl.coercer)) out.by_key.emplace(*std::move(now), &known);
    else if (!lost) out.by_hash.emplace(found->hash, &known);
  }
}

}  // namespace

// Another key: every row keeps its version under its new key, where its old one can still be told. Each node does this for
// itself, so that nothing needs to be sent but which rows are gone. `carried`: the change is another node's, and the log
// speaks of the table only where it is stopped; else `touched`.
Status Replica::Impl::rekey(const TableInfo& before, Table& table, const TableMigration* carried, TouchedKeys* touched) {
  const FormerHash former(before, table);
  const UnitTable was = Table(db, store, state.life, table.id, before).unit_table();
  const FormerKey former_key(was.columns, was.key, table);
  const std::string shape = spell_shape(was);
  TRY(db.exec("DELETE FROM __marmot_unique WHERE tbl = " + std::to_string(table.id)));  // first: whose values are in the way is told by former keys
  TRY(clear_shelf(table, "unique", "its table was given another key while it waited on the shelf"));
  std::set<std::string> logged;
  if (Table* const stopped = touched == nullptr ? table_by_id(table.id) : nullptr) {
    TRY_ASSIGN(logged, logged_keys(*stopped));
  }
  TRY_ASSIGN(FormerRegisters registers_before, former_registers(*this, table.id, former_key, former.lost()));
  TRY(take_tombstones(table.id, shape));
  for (const char* of_rows : {"version", "rowid", "log", "parked", "passed"}) {
    TRY(db.exec("DELETE FROM __marmot_" + std::string(of_rows) + " WHERE tbl = " + std::to_string(table.id)));
  }
  TRY(forget_pruned_of(table.id));
  const WallMs now = env.now();
  Table::Position position;
  TRY(table.scan(position, INT64_MAX, true, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
    const auto old = former_key.told() ? former_key.of_row(values) : std::nullopt;
    FormerRegisters::Known* const known = registers_before.find(old, old ? std::nullopt : former.former(values));
    if (known != nullptr) known->met = true;
    if (logged.count(known != nullptr ? known->key : old.value_or("")) != 0) TRY(park(table.id, key, now));
    const auto told = known == nullptr ? FormerHash::Told::changed : touched == nullptr ? FormerHash::Told::same : former.compare(values, known->value.hash);
    if (told == FormerHash::Told::unknown) {
      TRY(send_again(table, key, false, known->value, table.hash(values)));
    } else if (told == FormerHash::Told::same) {
      const uint64_t hash = carried != nullptr && carried->unfit.count(known->key) != 0 ? known->value.hash : table.hash(values);
      TRY(store.put(table.id, key, false, known->value.version, known->value.seq, hash, known->value.state));
    } else if (touched != nullptr) {
      touched->add(&table, key, now);
      return ok();
    } else if (old && carried->unfit.count(*old) != 0) {
      return ok();
    } else {
      TRY_ASSIGN(Statement* const insert, store.statement(sql::kBaselineVersion));
      insert->bind(1, table.id).bind_blob(2, key).bind(3, static_cast<int64_t>(table.hash(values)));
      TRY(insert->run());
    }
    return keep_unique(table, key);
  }));
  if (carried != nullptr) {  // they wait on the shelf: Migrate::shelve()
    std::string key;
    for (const RefusedRow& row : carried->refused) {
      const auto old = former_key.told() ? former_key.of_row(row.values) : std::nullopt;
      FormerRegisters::Known* const known = registers_before.find(old, old ? std::nullopt : former.former(row.values));
      if (known == nullptr || !table.key_of_values(row.values, key)) continue;
      TRY_ASSIGN(const auto taken, store.find(table.id, key));
      if (taken) continue;
      known->met = true;
      TRY(store.put(table.id, key, false, known->value.version, known->value.seq, known->value.hash, known->value.state));
    }
  }
  TRY(give_tombstones_back(table));
  std::vector<std::string> gone;
  for (const FormerRegisters::Known& known : registers_before.all) {
    const bool ours = touched != nullptr ? known.value.origin_id != 0 : logged.count(known.key) != 0;
    if (!known.met && ours) gone.push_back(known.key);
  }
  return mutated(Mutation::rekey_untold) ? ok() : delete_formerly(table, shape, gone);
}

Status Replica::Impl::present_keys(const Unit& unit, const UnitTable& sent, const std::vector<SentColumn>& map, Table& table,
                                   StreamSeq seq, std::vector<const UnitRow*>& rows, Rekeyed& made) {
  if (table.same_key(sent)) return meet_older_tombstones(unit, map, table, rows);
  TRY(meet_tombstones(unit, sent, table, seq, rows));
  if (table.info.key.empty()) {
    for (const UnitRow*& row : rows) {
      TRY_ASSIGN(const DecodedKey key, decode_key(row->key));
      if (key.is_rowid) continue;
      UnitRow& copy = made.rows.emplace_back(*row);
      copy.key = made.bytes.emplace_back(former_identity(sent.columns, sent.key, row->key));
      row = &copy;
    }
    return ok();
  }
  const FormerKey former(sent.columns, sent.key, table);
  struct Held {  // by a row here
    const UnitRow* row = nullptr;
    std::string key;  // the present one of the row
    int holders = 0;
  };
  std::map<std::string, Held> held;  // by the key that it had
  std::set<std::string> written;     // present keys
  std::vector<const UnitRow*> out;
  const auto under = [&](const UnitRow& row, Op op, std::string key) {
    UnitRow& copy = made.rows.emplace_back(row);
    copy.op = op;
    copy.key = made.bytes.emplace_back(std::move(key));
    out.push_back(&copy);
  };
  std::vector<ValueView> values;
  std::string key;
  for (const UnitRow* const row : rows) {
    auto old = former.told() ? former.of_key(row->key, coercer) : std::nullopt;
    if (row->op == Op::remove) {
      if (old) held[*std::move(old)].row = row;
      else if (table.takes_key(row->key)) out.push_back(row);  // of a row known by its rowid
      else untold(sent, *row, "its columns are gone");
      continue;
    }
    table.values_for(map, &unit.values[row->first_value], coercer, made.bytes, values);
    if (!table.key_of_values(values, key)) {
      out.push_back(row);
      continue;
    }
    written.insert(key);
    under(*row, row->op, key);
    if (!old) continue;
    TRY_ASSIGN(const auto here, store.find(table.id, key));
    if (!here || !here->live()) held[*std::move(old)].row = row;  // its row may be here under another key, as it was before
  }
  if (!held.empty()) {
    Table::Position position;
    TRY(table.scan(position, INT64_MAX, true, [&](const std::string& present, const std::vector<ValueView>& here) -> Status {
      const auto old = former.of_row(here);
      const auto found = old ? held.find(*old) : held.end();
      if (found == held.end()) return ok();
      found->second.key = present;
      ++found->second.holders;
      return ok();
    }));
  }
  for (auto& [old, one] : held) {
    if (one.holders == 1 && written.count(one.key) == 0) under(*one.row, Op::remove, std::move(one.key));
    else if (one.holders > 1 && one.row->op == Op::remove) untold(sent, *one.row, "several rows have what it was");
  }
  rows = std::move(out);
  return ok();
}

void Replica::Impl::untold(const UnitTable& sent, const UnitRow& row, std::string_view why) const {
  log(LogLevel::warn, "table " + sent.name + ": the delete of " + describe_key(row.key) +
                          " was made before the table had another key, and which row that is now cannot be told (" + std::string(why) +
                          "): if it is still there, delete it again");
}

Result<std::set<std::string>> Replica::Impl::unfit_rows(Table& table) {
  std::set<std::string> out;
  Table::Position position;
  TRY(table.scan(position, INT64_MAX, false, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
    TRY_ASSIGN(const auto known, store.find(table.id, key));
    if (!known || !known->visible() || known->hash != table.hash(values)) out.insert(key);
    return ok();
  }));
  table.release();
  return out;
}

// A column went: rows that nobody changed have another hash, and the version they had.
Status Replica::Impl::rehash(Table& table, const std::set<std::string>& unfit) {
  Table::Position position;
  TRY(table.scan(position, INT64_MAX, false, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
    if (unfit.count(key) != 0) return ok();
    TRY_ASSIGN(const auto known, store.find(table.id, key));
    return known && known->visible() ? set_hash(table, key, known->hash, table.hash(values)) : ok();
  }));
  table.rehash = false;
  tables_dirty = true;
  TRY(table.save());
  return rehash_shelf(table);
}

Status Replica::Impl::rehash_shelf(Table& table) {
  if (state.shelved == 0) return ok();
  TRY(scan_shelf(table, [&](const std::string& key, const Register& now, const std::vector<ValueView>& values) -> Status {
    return set_hash(table, key, now.hash, table.hash(values));
  }));
  return settle_table(table);
}

Status Replica::Impl::rehash_due() {
  for (const auto& table : tables) {
    if (table->rehash && table->running()) TRY(rehash(*table, {}));
  }
  return ok();
}

Status Replica::Impl::keep_dropped_rows(Table& table, bool all) {
  TRY(drain_parked({&table}));
  TRY(clear_shelf(table, "dropped-table", "its table was dropped"));
  std::vector<ValueView> values;
  std::vector<std::string> keys;
  {
    TRY_ASSIGN(Statement rows, db.prepare(all ? sql::kLiveKeys : sql::kOutboxRows));
    rows.bind(1, table.id);
    if (!all) rows.bind_blob(2, "");
    for (;;) {
      TRY_ASSIGN(const bool more, rows.step());
      if (!more) break;
      if (all || rows.integer(2) != 0) keys.emplace_back(rows.blob(0));  // a baseline row was never written by anybody
    }
  }
  for (const std::string& key : keys) {
    TRY_ASSIGN(const auto known, store.find(table.id, key));
    if (!known || !known->visible()) continue;
    if (table.permanent_id && registers.dropped_by_writer(*table.permanent_id, known->version)) continue;
    TRY_ASSIGN(const bool there, table.read(key, values));
    if (!there) continue;
    TRY(keep_conflict({"dropped-table", table.info.name, key, known->version, json_of(table, values), std::nullopt, "", "its table was dropped"}));
  }
  table.release();
  return ok();
}

Status Replica::Impl::keep_late_rows(const Unit& unit, const std::vector<const UnitRow*>& rows, const UnitTable& table) {
  for (const UnitRow* const row : rows) {
    // A node hears of its own rows after it dropped their table.
    if (row->op == Op::remove || registers.dropped_by_writer(table.id, unit.versions[row->version])) continue;
    std::vector<RowColumn> columns;
    for (size_t i = 0; i < table.columns.size(); ++i) columns.push_back({column_base(table.columns[i]), unit.values[row->first_value + i]});
    TRY(keep_conflict({"dropped-table", table.name, row->key, unit.versions[row->version], marmot::row_json(columns), std::nullopt, "",
                       "its table was dropped before it arrived"}));
  }
  return ok();
}

}  // namespace marmot::replica
