#include "extension/tables.hpp"

#include <array>
#include <memory>
#include <string>

#include "common/core/key.hpp"
#include "common/core/row.hpp"
#include "common/sqlite/database.hpp"
#include "common/sqlite/guarded.hpp"

namespace marmot::extension {

namespace {

using SqlOf = Result<std::string> (*)(sqlite::Database&);

// One table-valued function: the rows of a query. A blob in the key's column is a canonical key, shown as people read it;
// any other is a row (core/row.hpp), shown as JSON.
struct Table {
  const char* name;
  const char* declaration;
  SqlOf sql;
  int key_column = -1;
};

Result<std::string> sql_of_tables(sqlite::Database&) {
  return std::string("SELECT id, name, mode, stopped FROM main.__marmot_table ORDER BY id");
}

Result<std::string> sql_of_conflicts(sqlite::Database&) {
  // What waits on the shelf stands behind what is gone. In its way: a row that holds one of its unique values and is in the
  // table (states 1 and 2).
  return std::string(
      "SELECT * FROM (SELECT id, at, kind, tbl, key, winner_node, winner_row, loser_node, loser_row, reason, 0 "
      "FROM main.__marmot_conflict ORDER BY id) "
      "UNION ALL SELECT * FROM (SELECT s.id, s.at, s.kind, t.name, s.key, "
      "(SELECT o.node FROM main.__marmot_unique mine JOIN main.__marmot_unique other ON other.tbl = mine.tbl AND other.idx = mine.idx "
      "AND other.hash = mine.hash AND other.key <> mine.key JOIN main.__marmot_version w ON w.tbl = other.tbl AND w.key = other.key "
      "AND w.state IN (1, 2) JOIN main.__marmot_origin o ON o.id = w.origin WHERE mine.tbl = s.tbl AND mine.key = s.key LIMIT 1), "
      "NULL, (SELECT o.node FROM main.__marmot_version v JOIN main.__marmot_origin o ON o.id = v.origin "
      "WHERE v.tbl = s.tbl AND v.key = s.key), s.row, s.reason, 1 "
      "FROM main.__marmot_shelf s LEFT JOIN main.__marmot_table t ON t.id = s.tbl ORDER BY s.id)");
}

Result<std::string> sql_of_members(sqlite::Database& db) {
  TRY_ASSIGN(const int64_t kept, db.query_integer("SELECT count(*) FROM main.sqlite_schema WHERE name = '__marmot_member'"));
  return std::string("SELECT ") +
         (kept == 0 ? "1, 1, 1, 1 WHERE 0"  // a file that an older Marmot watched
                    : "node, seen, applied, node = (SELECT value FROM main.__marmot_meta WHERE key = 'node_id') "
                      "FROM main.__marmot_member ORDER BY node");
}

// What the log holds (its key columns as SQL literals, as many as the table's key has), then what is drained and not
// yet acknowledged.
Result<std::string> sql_of_changes(sqlite::Database& db) {
  TRY_ASSIGN(const int64_t columns, db.query_integer("SELECT count(*) FROM pragma_table_info('__marmot_log', 'main') "
                                                     "WHERE name GLOB 'k[0-9]*'"));
  std::string key = "CASE t.n WHEN 0 THEN 'rowid ' || l.k1 WHEN 1 THEN quote(l.k1)";
  std::string list = "quote(l.k1)";
  for (int64_t i = 2; i <= columns; ++i) {
    list += " || ', ' || quote(l.k" + std::to_string(i) + ")";
    key += " WHEN " + std::to_string(i) + " THEN '(' || " + list + " || ')'";
  }
  key += " END";
  return "WITH t AS MATERIALIZED (SELECT w.id, w.name, "
         "(SELECT count(*) FROM pragma_table_info(w.name, 'main') WHERE pk) AS n FROM main.__marmot_table w) "
         "SELECT * FROM (SELECT t.name, " + key + ", "
         "CASE l.op WHEN 1 THEN 'insert' WHEN 2 THEN 'update' ELSE 'delete' END, l.ts "
         "FROM main.__marmot_log l LEFT JOIN t ON t.id = l.tbl ORDER BY l.seq) "
         "UNION ALL SELECT t.name, v.key, iif(v.state, 'write', 'delete'), v.hlc & 0xffffffffffff "
         "FROM main.__marmot_version v LEFT JOIN t ON t.id = v.tbl WHERE v.seq IS NULL";
}

constexpr std::array<Table, 4> kTables{{
    {"marmot_tables", "CREATE TABLE x(id INT, name TEXT, mode TEXT, stopped TEXT)", sql_of_tables},
    {"marmot_conflicts",
     "CREATE TABLE x(id INT, at INT, kind TEXT, tbl TEXT, key TEXT, winner_node INT, winner_row TEXT, loser_node INT, loser_row TEXT, "
     "reason TEXT, shelved INT)",
     sql_of_conflicts, 4},
    {"marmot_members", "CREATE TABLE x(node INT, seen INT, applied INT, self INT)", sql_of_members, 1},
    {"marmot_changes", "CREATE TABLE x(tbl TEXT, key TEXT, op TEXT, at INT)", sql_of_changes, 1},
}};

struct VirtualTable : sqlite3_vtab {
  VirtualTable(sqlite3* handle, const Table& which) : sqlite3_vtab{}, db(handle), table(which) {}
  sqlite3* db;
  const Table& table;
};

struct Cursor : sqlite3_vtab_cursor {
  Cursor() : sqlite3_vtab_cursor{} {}
  sqlite::Statement rows;
  bool has_row = false;
  sqlite3_int64 number = 0;
};

template <class Body>
int guarded_by(VirtualTable& table, Body&& body) noexcept {
  return sqlite::guarded(std::forward<Body>(body), [&](int, const char* text) {
    sqlite3_free(table.zErrMsg);
    table.zErrMsg = sqlite3_mprintf("%s: %s", table.table.name, text);
  });
}

VirtualTable& table_of(sqlite3_vtab_cursor* cursor) { return *static_cast<VirtualTable*>(cursor->pVtab); }

extern "C" int table_connect(sqlite3* db, void* table, int, const char* const*, sqlite3_vtab** out, char** error) {
  const auto& which = *static_cast<const Table*>(table);
  return sqlite::guarded(
      [&]() -> Status {
        const int rc = sqlite3_declare_vtab(db, which.declaration);
        if (rc != SQLITE_OK) return sqlite::error_of(db, rc);
        *out = new VirtualTable(db, which);
        return ok();
      },
      [&](int, const char* text) { *error = sqlite3_mprintf("%s: %s", which.name, text); });
}

extern "C" int table_disconnect(sqlite3_vtab* table) {
  delete static_cast<VirtualTable*>(table);
  return SQLITE_OK;
}

extern "C" int table_best_index(sqlite3_vtab*, sqlite3_index_info* info) {
  info->estimatedCost = 1e6;
  info->estimatedRows = 1000;
  return SQLITE_OK;
}

extern "C" int table_open(sqlite3_vtab* table, sqlite3_vtab_cursor** out) {
  return guarded_by(*static_cast<VirtualTable*>(table), [&] {
    *out = new Cursor();
    return ok();
  });
}

extern "C" int table_close(sqlite3_vtab_cursor* cursor) {
  delete static_cast<Cursor*>(cursor);
  return SQLITE_OK;
}

Status advance(Cursor& cursor) {
  TRY_ASSIGN(cursor.has_row, cursor.rows.step());
  ++cursor.number;
  return ok();
}

extern "C" int table_filter(sqlite3_vtab_cursor* base, int, const char*, int, sqlite3_value**) {
  auto& cursor = *static_cast<Cursor*>(base);
  VirtualTable& table = table_of(base);
  return guarded_by(table, [&]() -> Status {
    auto db = sqlite::Database::borrow(table.db);
    cursor.has_row = false;
    cursor.number = 0;
    TRY_ASSIGN(const int64_t installed, db.query_integer("SELECT count(*) FROM main.sqlite_schema "
                                                         "WHERE type = 'table' AND name = '__marmot_table'"));
    if (installed == 0) return ok();
    TRY_ASSIGN(const std::string sql, table.table.sql(db));
    TRY_ASSIGN(cursor.rows, db.prepare(sql));
    return advance(cursor);
  });
}

extern "C" int table_next(sqlite3_vtab_cursor* base) {
  return guarded_by(table_of(base), [&] { return advance(*static_cast<Cursor*>(base)); });
}

extern "C" int table_eof(sqlite3_vtab_cursor* base) { return static_cast<Cursor*>(base)->has_row ? 0 : 1; }

extern "C" int table_column(sqlite3_vtab_cursor* base, sqlite3_context* context, int column) {
  auto& cursor = *static_cast<Cursor*>(base);
  return guarded_by(table_of(base), [&]() -> Status {
    if (sqlite3_column_type(cursor.rows.get(), column) == SQLITE_BLOB) {
      const std::string_view bytes = cursor.rows.blob(column);
      std::string text;
      if (column == table_of(base).table.key_column) {
        text = describe_key(bytes);
      } else {
        TRY_ASSIGN(const auto row, decode_row(bytes));
        text = row_json(row);
      }
      sqlite3_result_text64(context, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    } else {
      sqlite3_result_value(context, sqlite3_column_value(cursor.rows.get(), column));
    }
    return ok();
  });
}

extern "C" int table_rowid(sqlite3_vtab_cursor* base, sqlite3_int64* rowid) {
  *rowid = static_cast<Cursor*>(base)->number;
  return SQLITE_OK;
}

// No xCreate: these tables exist by their name alone, and CREATE VIRTUAL TABLE cannot put one into a file.
constexpr sqlite3_module make_module() {
  sqlite3_module module{};
  module.xConnect = table_connect;
  module.xBestIndex = table_best_index;
  module.xDisconnect = table_disconnect;
  module.xOpen = table_open;
  module.xClose = table_close;
  module.xFilter = table_filter;
  module.xNext = table_next;
  module.xEof = table_eof;
  module.xColumn = table_column;
  module.xRowid = table_rowid;
  return module;
}
constexpr sqlite3_module kModule = make_module();

}  // namespace

Status register_tables(sqlite3* db) {
  for (const Table& table : kTables) {
    const int rc = sqlite3_create_module_v2(db, table.name, &kModule, const_cast<Table*>(&table), nullptr);
    if (rc != SQLITE_OK) return sqlite::error_of(db, rc).in(table.name);
  }
  return ok();
}

}  // namespace marmot::extension
