// What a changed table means for the versions of its rows.
#include <algorithm>

#include "common/base/mutation.hpp"
#include "common/core/row.hpp"
#include "common/core/row_hash.hpp"
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

// Tells whether a row is what its register says it was, though columns have come and gone since.
class FormerHash {
 public:
  FormerHash(const TableInfo& before, const Table& table) {
    for (const int column : table.stored()) {
      const Column& now = table.info.columns[static_cast<size_t>(column)];
      Part part{now.seed, value_hash(now.seed, now.default_value), false};
      for (const Column& was : before.columns) {
        if (was.generated || was.id != now.id) continue;
        part = {now.seed, value_hash(now.seed, was.default_value), true};
      }
      parts_.push_back(part);
    }
    const std::vector<std::string> ids = table.stored_ids();
    for (const Column& was : before.columns) {
      lost_ = lost_ || (!was.generated && std::find(ids.begin(), ids.end(), was.id) == ids.end());
    }
  }

  // A column went, and with it what a row's former hash could be checked by, unless the row had nothing in it.
  bool lost() const { return lost_; }

  enum class Told : uint8_t { same, changed, unknown };
  Told compare(const std::vector<ValueView>& values, uint64_t hash) const {
    const auto was = former(values);
    if (was && *was == hash) return Told::same;
    return was && lost_ ? Told::unknown : Told::changed;
  }

  // The hash that the row had before, but for lost columns. nullopt: a new column was given a value.
  std::optional<uint64_t> former(const std::vector<ValueView>& values) const {
    uint64_t sum = 0;
    for (size_t i = 0; i < parts_.size(); ++i) {
      const uint64_t one = value_hash(parts_[i].seed, values[i]);
      if (one == parts_[i].default_hash) continue;
      if (!parts_[i].was_here) return std::nullopt;
      sum += one;
    }
    return kept_hash(sum);
  }

 private:
  struct Part {
    uint64_t seed = 0;
    uint64_t default_hash = 0;
    bool was_here = false;
  };
  std::vector<Part> parts_;
  bool lost_ = false;
};

}  // namespace

std::string Replica::Impl::key_shape(const TableInfo& info) {
  std::string out = std::to_string(static_cast<int>(info.key_kind)) + (info.nullable_key ? "?" : "");
  for (const KeyColumn& part : info.key) {
    out += ' ' + sqlite::quote_identifier(info.columns[static_cast<size_t>(part.column)].id) + std::to_string(static_cast<int>(part.collation));
  }
  return out;
}

Status Replica::Impl::compare_rows(const Rebuilt& rebuilt, TouchedKeys& touched) {
  Table* const table = table_by_id(rebuilt.id);
  if (table == nullptr || !table->exists || mutated(Mutation::rebuild_not_compared)) return ok();
  if (key_shape(rebuilt.before) != key_shape(table->info)) return rekey(rebuilt.before, *table, &touched);
  const FormerHash former(rebuilt.before, *table);
  if (table->info.key_kind == KeyKind::rowid && !former.lost()) {
    TRY(match_keyless_rows(*table, [&](const std::vector<ValueView>& values) { return former.former(values); }));
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
      TRY(send_again(*table, key, *known, table->hash(values)));
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

// Nobody can tell whether the row was changed while no trigger saw it. It gets the very next version after the one it has:
// over what this file knew of the row, and over no write that it had not seen.
Status Replica::Impl::send_again(Table& table, std::string_view key, const Register& known, uint64_t hash) {
  const Version next{Hlc{known.version.hlc.value + 1}, self};
  state.clock.observe(next.hlc);
  TRY(store.put(table.id, key, true, next, std::nullopt, hash, known.state));
  state.start_outbox();
  return ok();
}

// A copied table's rows have other rowids: those without a declared key are told by what they hold.
Status Replica::Impl::match_keyless_rows(Table& table, const std::function<std::optional<uint64_t>(const std::vector<ValueView>&)>& former) {
  struct Row {
    int64_t rowid = 0;
    std::string key;  // whose it was by its rowid
    std::optional<uint64_t> hash;
  };
  std::vector<Row> rows;
  Table::Position position;
  TRY(table.scan(position, INT64_MAX, false, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
    rows.push_back({position.rowid, key, former(values)});
    return ok();
  }));
  std::unordered_map<std::string, uint64_t> free;  // live rows that have no place yet
  {
    TRY_ASSIGN(Statement live, db.prepare(sql::kLiveKeys));
    live.bind(1, table.id);
    for (;;) {
      TRY_ASSIGN(const bool more, live.step());
      if (!more) break;
      free.emplace(live.blob(0), static_cast<uint64_t>(live.integer(1)));
    }
  }
  std::vector<std::pair<std::string, int64_t>> places;
  std::vector<const Row*> others;
  for (const Row& row : rows) {
    const auto own = free.find(row.key);
    if (own == free.end() || own->second != row.hash) {
      others.push_back(&row);
      continue;
    }
    places.emplace_back(row.key, row.rowid);
    free.erase(own);
  }
  if (others.empty()) return ok();
  std::multimap<uint64_t, std::string> by_hash;
  for (const auto& [key, hash] : free) by_hash.emplace(hash, key);
  for (const Row* const row : others) {
    const auto same = row->hash ? by_hash.find(*row->hash) : by_hash.end();
    if (same == by_hash.end()) continue;
    places.emplace_back(same->second, row->rowid);
    by_hash.erase(same);
  }
  TRY(db.exec("DELETE FROM __marmot_rowid WHERE tbl = " + std::to_string(table.id)));
  for (const auto& [key, rowid] : places) TRY(table.adopt_rowid(key, rowid));
  return ok();
}

Status Replica::Impl::set_hash(Table& table, std::string_view key, uint64_t from, uint64_t to) {
  if (from == to) return ok();
  TRY_ASSIGN(Statement* const write, store.statement(sql::kSetHash));
  write->bind(1, table.id).bind_blob(2, key).bind(3, static_cast<int64_t>(to));
  return write->run();
}

// Another key: every row keeps its version under its new key, where its old one can still be told. Each node does this for
// itself, so that nothing needs to be sent. `touched` null: rows without a version come from another node.
Status Replica::Impl::rekey(const TableInfo& before, Table& table, TouchedKeys* touched) {
  const FormerHash former(before, table);
  std::vector<std::pair<size_t, Collation>> old_key;  // places among the stored values
  const std::vector<std::string> ids = table.stored_ids();
  for (const KeyColumn& part : before.key) {
    const auto at = std::find(ids.begin(), ids.end(), before.columns[static_cast<size_t>(part.column)].id);
    if (at != ids.end()) old_key.emplace_back(static_cast<size_t>(at - ids.begin()), part.collation);
  }
  const bool told = !before.key.empty() && old_key.size() == before.key.size();
  TRY(clear_shelf(table, "unique", "its table was given another key while it waited on the shelf"));
  std::unordered_map<std::string, Register> kept;
  {
    TRY_ASSIGN(Statement live, db.prepare(sql::kLiveKeys));
    live.bind(1, table.id);
    for (;;) {
      TRY_ASSIGN(const bool more, live.step());
      if (!more) break;
      std::string key(live.blob(0));
      TRY_ASSIGN(const auto found, store.find(table.id, key));
      kept.emplace(std::move(key), *found);
    }
  }
  for (const char* of_rows : {"version", "unique", "rowid", "log", "parked"}) {
    TRY(db.exec("DELETE FROM __marmot_" + std::string(of_rows) + " WHERE tbl = " + std::to_string(table.id)));
  }
  const WallMs now = env.now();
  Table::Position position;
  TRY(table.scan(position, INT64_MAX, true, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
    std::string old;
    for (const auto& [at, collation] : old_key) {
      if (values[at].type != ValueType::null) append_key_part(old, values[at], collation);
    }
    const auto known = told ? kept.find(old) : kept.end();
    if (known != kept.end() && (touched == nullptr || former.compare(values, known->second.hash) != FormerHash::Told::changed)) {
      TRY(store.put(table.id, key, false, known->second.version, known->second.seq, table.hash(values), known->second.state));
      return keep_unique(table, key);
    }
    if (touched != nullptr) {
      touched->add(&table, key, now);
      return ok();
    }
    TRY_ASSIGN(Statement* const insert, store.statement(sql::kBaselineVersion));
    insert->bind(1, table.id).bind_blob(2, key).bind(3, static_cast<int64_t>(table.hash(values)));
    TRY(insert->run());
    return keep_unique(table, key);
  }));
  return ok();
}

std::vector<UnitRow> Replica::Impl::present_keys(const Unit& unit, const std::vector<const UnitRow*>& rows, const Table& table,
                                                 const std::vector<int>& map, std::deque<std::string>& keys) const {
  std::vector<UnitRow> out;
  std::vector<ValueView> values;
  std::string key;
  for (const UnitRow* const row : rows) {
    if (row->op != Op::remove) {
      values.clear();
      for (size_t i = 0; i < map.size(); ++i) {
        values.push_back(table.value_for(i, map[i] < 0 ? nullptr : &unit.values[row->first_value + static_cast<size_t>(map[i])]));
      }
      if (table.key_of_values(values, key) && key != row->key) {
        out.push_back(*row);
        out.back().key = keys.emplace_back(key);
        continue;
      }
    } else if (!table.takes_key(row->key)) {
      continue;  // which row that was cannot be told any more
    }
    out.push_back(*row);
  }
  return out;
}

// A column went: rows that nobody changed have another hash, and the version they had.
Status Replica::Impl::rehash(Table& table) {
  Table::Position position;
  TRY(table.scan(position, INT64_MAX, false, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
    TRY_ASSIGN(const auto known, store.find(table.id, key));
    return known && known->visible() ? set_hash(table, key, known->hash, table.hash(values)) : ok();
  }));
  TRY(scan_shelf(table, [&](const std::string& key, const Register& now, const std::vector<ValueView>& values) -> Status {
    return set_hash(table, key, now.hash, table.hash(values));
  }));
  table.rehash = false;
  tables_dirty = true;
  TRY(table.save());
  return state.shelved > 0 ? settle_table(table) : ok();
}

Status Replica::Impl::rehash_due() {
  for (const auto& table : tables) {
    if (table->rehash && table->running()) TRY(rehash(*table));
  }
  return ok();
}

Status Replica::Impl::merge_local_table(Table& from, Table& into) {
  Unit unit;
  std::deque<std::string> bytes;
  unit.tables.push_back(UnitTable{into.permanent_id.value_or(Version{}), into.info.name, from.stored_ids()});
  std::vector<std::string> keys;
  {
    TRY_ASSIGN(Statement all, db.prepare("SELECT key FROM __marmot_version WHERE tbl = ?1"));
    all.bind(1, from.id);
    for (;;) {
      TRY_ASSIGN(const bool more, all.step());
      if (!more) break;
      keys.emplace_back(all.blob(0));
    }
  }
  std::vector<ValueView> values;
  std::string storage;
  for (const std::string& key : keys) {
    TRY_ASSIGN(const auto known, store.find(from.id, key));
    unit.versions.push_back(known->version);
    UnitRow row{0, static_cast<uint32_t>(unit.versions.size() - 1), known->live() ? Op::update : Op::remove, key};
    row.seq = known->seq.value_or(kNotInStream);
    if (known->live()) {
      TRY_ASSIGN(const bool there, read_row(from, key, *known, values, storage));
      if (!there) continue;
      row.first_value = static_cast<uint32_t>(unit.values.size());
      for (ValueView value : values) {
        if (value.type == ValueType::text || value.type == ValueType::blob) value.bytes = bytes.emplace_back(value.bytes);
        unit.values.push_back(value);
      }
    }
    unit.rows.push_back(row);
  }
  from.release();
  std::vector<const UnitRow*> rows;
  for (const UnitRow& row : unit.rows) rows.push_back(&row);
  const std::vector<int> map = into.map_columns(unit.tables[0].columns);
  std::deque<std::string> present;
  const std::vector<UnitRow> under_keys = present_keys(unit, rows, into, map, present);
  rows.clear();
  for (const UnitRow& row : under_keys) rows.push_back(&row);
  ApplyResult ignored;
  TRY(apply_rows(unit, rows, into, map, state.position.seq, ignored));
  into.release();
  state.start_outbox();  // what of it nobody has seen yet
  return ok();
}

Status Replica::Impl::keep_dropped_rows(Table& table, bool all) {
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
    TRY_ASSIGN(const bool there, table.read(key, values));
    if (!there) continue;
    TRY(keep_conflict({"dropped-table", table.info.name, key, known->version, json_of(table, values), std::nullopt, "", "its table was dropped"}));
  }
  table.release();
  return ok();
}

Status Replica::Impl::keep_late_rows(const Unit& unit, const std::vector<const UnitRow*>& rows, const UnitTable& table) {
  for (const UnitRow* const row : rows) {
    if (row->op == Op::remove) continue;
    std::vector<RowColumn> columns;
    for (size_t i = 0; i < table.columns.size(); ++i) columns.push_back({table.columns[i], unit.values[row->first_value + i]});
    TRY(keep_conflict({"dropped-table", table.name, row->key, unit.versions[row->version], marmot::row_json(columns), std::nullopt, "",
                       "its table was dropped before it arrived"}));
  }
  return ok();
}

}  // namespace marmot::replica
