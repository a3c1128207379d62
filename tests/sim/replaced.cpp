#include "tests/sim/replaced.hpp"

#include <algorithm>

namespace marmot::sim {

namespace {

const TableSpec* table_of(const SchemaSpec& schema, const RowId& id) {
  const auto table = std::find_if(schema.tables.begin(), schema.tables.end(), [&](const TableSpec& one) { return one.name() == id.table; });
  return table == schema.tables.end() ? nullptr : &*table;
}

bool is_keyless(const RowId& id) { return id.key.front() == 't'; }

// A scenario's applications may have made it just now, or in another file.
Result<bool> watched(sqlite::Database& db, const TableSpec& table) {
  TRY_ASSIGN(const int64_t there, db.query_integer("SELECT EXISTS(SELECT 1 FROM __marmot_table t JOIN main.sqlite_schema s ON s.name = t.name WHERE t.name = " +
                                                   sqlite::quote_text(table.name()) + ")"));
  return there == 1;
}

bool may_be_keyless(const TableSpec& table) { return table.id.key.empty() || table.nullable_key; }

// The ops (sql/schema.sql) that the log holds of a row, behind `after`. Keys that are declared and whole stand in its first columns, as
// they are; the rowid of a row without a key stands behind them.
Result<std::vector<int64_t>> logged(sqlite::Database& db, const TableSpec& table, const RowId& id, std::optional<int64_t> rowid, int64_t after) {
  const int parts = static_cast<int>(table.id.key.size());
  std::string columns;
  for (int i = 1; i <= parts + (may_be_keyless(table) ? 1 : 0); ++i) columns += ", l.k" + std::to_string(i);
  TRY_ASSIGN(auto log, db.prepare("SELECT l.op" + columns + " FROM __marmot_log l JOIN __marmot_table t ON t.id = l.tbl WHERE t.name = " +
                                  sqlite::quote_text(table.name()) + " AND l.seq > " + std::to_string(after) + " ORDER BY l.seq"));
  std::vector<int64_t> ops;
  for (;;) {
    TRY_ASSIGN(const bool more, log.step());
    if (!more) return ops;
    std::string held = "k";
    bool whole = parts > 0;
    for (int i = 0; i < parts; ++i) {
      const ValueView part = log.value(i + 1);
      whole = whole && part.type != ValueType::null;
      if (whole) append_key_part(held, part, table.id.key[static_cast<size_t>(i)].second);
    }
    const bool is_it = is_keyless(id) ? !whole && rowid && log.integer(parts + 1) == *rowid : whole && held == id.key;
    if (is_it) ops.push_back(log.integer(0));
  }
}

// Under what key the file knows the row. Empty: under none.
Result<std::string> key_of(sqlite::Database& db, const RowId& id, std::optional<int64_t> rowid) {
  if (!is_keyless(id)) return id.key.substr(1);
  std::string key;
  if (!rowid) return key;
  TRY_ASSIGN(auto select, db.prepare("SELECT r.node, r.there FROM __marmot_rowid r JOIN __marmot_table t ON t.id = r.tbl WHERE t.name = ?1 AND r.here = ?2"));
  select.bind(1, id.table).bind(2, *rowid);
  TRY_ASSIGN(const bool known, select.step());
  if (known) append_rowid_part(key, NodeId{static_cast<uint64_t>(select.integer(0))}, select.integer(1));
  return key;
}

// The version that a deletion gets of which only the file tells (decision 0034): the very next one. None: the file knows no such row.
Result<std::optional<Version>> next_version(sqlite::Database& db, const Place& place) {
  TRY_ASSIGN(auto select, db.prepare("SELECT v.hlc, (SELECT value FROM __marmot_meta WHERE key = 'node_id') FROM __marmot_version v"
                                     " JOIN __marmot_table t ON t.id = v.tbl WHERE t.name = ?1 AND v.key = ?2 AND v.state IN (1, 2)"));
  select.bind(1, place.table).bind_blob(2, place.key);
  TRY_ASSIGN(const bool known, select.step());
  if (!known) return std::optional<Version>();
  return std::optional<Version>({Hlc{Hlc::from_stored(select.integer(0)).value + 1}, Origin{NodeId{static_cast<uint64_t>(select.integer(1))}, {}}});
}

std::optional<int64_t> rowid_of(const Keyless& keyless, const RowId& id) {
  const auto found = keyless.rowids.find(id);
  return found == keyless.rowids.end() ? std::nullopt : std::optional(found->second);
}

Status mark_unseen(sqlite::Database& db, const TableSpec& table, const Keyless& before, Change& change) {
  const auto rowid = rowid_of(before, change.id);
  TRY_ASSIGN(const auto ops, logged(db, table, change.id, rowid, 0));
  if (!ops.empty()) return ok();
  TRY_ASSIGN(const std::string key, key_of(db, change.id, rowid));
  TRY_ASSIGN(change.unseen, next_version(db, Place{change.id.table, key}));
  return ok();
}

// A row without a key is the same one, whatever was done to it, where the log names its rowid and no insert of it.
Status mark_retagged(sqlite::Database& db, const TableSpec& table, const Keyless& before, const Keyless& after, Change& change) {
  const auto rowid = rowid_of(after, change.id);
  const auto former = std::find_if(before.rowids.begin(), before.rowids.end(), [&](const auto& one) { return one.first.table == change.id.table && one.second == rowid; });
  if (!rowid || former == before.rowids.end()) return ok();
  TRY_ASSIGN(const auto ops, logged(db, table, change.id, rowid, before.log_end));
  if (!ops.empty() && std::find(ops.begin(), ops.end(), 1) == ops.end()) change.was = former->first;
  return ok();
}

}  // namespace

Result<Keyless> read_keyless(sqlite::Database& db, const SchemaSpec& schema) {
  Keyless out;
  for (const TableSpec& table : schema.tables) {
    TRY_ASSIGN(const bool here, watched(db, table));
    if (!here || !may_be_keyless(table)) continue;
    std::string keyless;
    for (const auto& [name, collation] : table.id.key) keyless += (keyless.empty() ? " WHERE " : " OR ") + sqlite::quote_identifier(name) + " IS NULL";
    TRY_ASSIGN(auto select, db.prepare("SELECT rowid, tag FROM " + sqlite::quote_identifier(table.name()) + keyless));
    for (;;) {
      TRY_ASSIGN(const bool more, select.step());
      if (!more) break;
      out.rowids.emplace(id_of({table.name(), {}}, {{"tag", Cell::of(select.value(1))}}), select.integer(0));
    }
  }
  TRY_ASSIGN(out.log_end, db.query_integer("SELECT coalesce(max(seq), 0) FROM __marmot_log"));
  return out;
}

Status mark_changes(sqlite::Database& db, const SchemaSpec& schema, const Keyless& before, bool replaces, std::vector<Change>& changes) {
  Keyless after;
  if (!before.rowids.empty()) {
    TRY_ASSIGN(after, read_keyless(db, schema));
  }
  for (Change& change : changes) {
    const TableSpec* const table = table_of(schema, change.id);
    if (table == nullptr) continue;
    TRY_ASSIGN(const bool here, watched(db, *table));
    if (!here) continue;
    if (!change.after && replaces && !table->unique.empty()) TRY(mark_unseen(db, *table, before, change));
    if (!change.before && is_keyless(change.id)) TRY(mark_retagged(db, *table, before, after, change));
  }
  return ok();
}

}  // namespace marmot::sim
