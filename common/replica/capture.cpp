#include "common/base/mutation.hpp"
#include "common/replica/capture.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "common/replica/autoincrement.hpp"
#include "common/replica/scope.hpp"
#include "sql.hpp"

namespace marmot::replica {

namespace {

struct Substitution {
  std::string_view name;
  std::string text;
};

// One pass over the template, so that a name which looks like a placeholder stays what it is.
std::string fill(std::string_view text, const std::vector<Substitution>& values) {
  std::string out;
  for (;;) {
    const size_t open = text.find("{{");
    if (open == std::string_view::npos) return out += text;
    const size_t close = text.find("}}", open);
    const std::string_view name = text.substr(open + 2, close - open - 2);
    const auto is_it = [&](const Substitution& value) { return value.name == name; };
    const auto value = std::find_if(values.begin(), values.end(), is_it);
    assert(value != values.end());
    out += text.substr(0, open);
    out += value->text;
    text.remove_prefix(close + 2);
  }
}

Result<bool> exists(sqlite::Database& db, std::string_view type, std::string_view name) {
  TRY_ASSIGN(sqlite::Statement row,
             db.prepare("SELECT 1 FROM main.sqlite_schema WHERE type = ?1 AND name = ?2 COLLATE NOCASE"));
  row.bind(1, type).bind(2, name);
  return row.step();
}

// The SQL of a schema object of ours; empty: it is not there.
Result<std::string> stored_sql(sqlite::Database& db, std::string_view name) {
  TRY_ASSIGN(sqlite::Statement row, db.prepare("SELECT sql FROM main.sqlite_schema WHERE name = ?1"));
  row.bind(1, name);
  TRY_ASSIGN(const bool found, row.step());
  return found ? std::string(row.text(0)) : std::string();
}

// --- a table's objects ---------------------------------------------------------------------------------------------

// What the log keeps of a row, as SQL with OLD. and NEW. still to be put in front.
std::vector<std::string> logged_columns(const TableInfo& table) {
  std::vector<std::string> out;
  for (const KeyColumn& part : table.key) {
    out.push_back(sqlite::quote_identifier(table.columns[static_cast<size_t>(part.column)].name));
  }
  if (table.key_kind == KeyKind::rowid || table.nullable_key) out.push_back(table.rowid_name);
  return out;
}

std::string list_of(const std::vector<std::string>& columns, std::string_view prefix) {
  std::string out;
  for (const std::string& column : columns) {
    if (!out.empty()) out += ", ";
    out += std::string(prefix) + column;
  }
  return out;
}

std::string changed_condition(const TableInfo& table, const std::vector<std::string>& columns) {
  std::string out;
  for (size_t i = 0; i < columns.size(); ++i) {
    const std::string& c = columns[i];
    if (!out.empty()) out += " OR ";
    // A rowid is always an integer.
    const bool is_rowid = i >= table.key.size() || table.key_kind == KeyKind::rowid_alias;
    if (!is_rowid) out += "typeof(OLD." + c + ") IS NOT typeof(NEW." + c + ") OR ";
    out += "OLD." + c + " IS NOT NEW." + c + (is_rowid ? "" : " COLLATE BINARY");
  }
  return out;
}

// A schema object of ours: its name, and its SQL as it is made and as SQLite then keeps it (without the schema's name).
struct Object {
  std::string name;
  std::string create;
  std::string stored;
};

std::vector<Object> objects_of(const TableInfo& table, int64_t id) {
  const std::vector<std::string> columns = logged_columns(table);
  std::vector<std::string> log_columns;
  for (size_t i = 1; i <= columns.size(); ++i) log_columns.push_back("k" + std::to_string(i));
  std::vector<Substitution> values{{"main", ""},
                                   {"id", std::to_string(id)},
                                   {"table", sqlite::quote_identifier(table.name)},
                                   {"k", list_of(log_columns, "")},
                                   {"new", list_of(columns, "NEW.")},
                                   {"old", list_of(columns, "OLD.")},
                                   {"changed", changed_condition(table, columns)}};
  std::vector<Object> out;
  const auto add = [&](std::string_view suffix, std::string_view text) {
    Object object;
    object.name = "__marmot_" + std::to_string(id) + "_" + std::string(suffix);
    values.front().text = "";
    object.stored = fill(text, values);
    values.front().text = "main.";
    object.create = fill(text, values);
    out.push_back(std::move(object));
  };
  add("insert", sql::kInsertTrigger);
  // The second INSERT is the one that logs the old key.
  const std::string_view update = sql::kUpdateTrigger;
  add("update", mutated(Mutation::old_key_unlogged) ? std::string(update.substr(0, update.rfind("  INSERT"))) + "END" : std::string(update));
  add("delete", sql::kDeleteTrigger);
  if (table.key_kind == KeyKind::rowid) add("keep", sql::kKeepIndex);
  return out;
}

// Makes what is missing and what is not as it should be (another version's triggers, a key that changed). True: a
// trigger was missing, so writes may have gone by unseen.
Result<bool> put_in_place(sqlite::Database& db, const TableInfo& table, int64_t id) {
  bool missed = false;
  for (const Object& object : objects_of(table, id)) {
    const bool is_index = object.name.ends_with("_keep");
    TRY_ASSIGN(const std::string now, stored_sql(db, object.name));
    if (now == object.stored) continue;
    if (!now.empty()) {
      TRY(db.exec((is_index ? "DROP INDEX main." : "DROP TRIGGER main.") + sqlite::quote_identifier(object.name)));
    } else if (!is_index) {
      missed = true;
    }
    Status made = db.exec(object.create);
    if (!made && made.error().message.find("already exists") != std::string::npos) {
      // This connection knows it still, from before a tool took it out of sqlite_schema.
      TRY(db.exec("PRAGMA writable_schema = RESET"));
      made = db.exec(object.create);
    }
    TRY(made);
  }
  return missed;
}

Status widen_log(sqlite::Database& db, size_t keys) {
  TRY_ASSIGN(const int64_t have, db.query_integer("SELECT count(*) FROM pragma_table_info('__marmot_log', 'main') "
                                                  "WHERE name GLOB 'k[0-9]*'"));
  for (size_t i = static_cast<size_t>(have) + 1; i <= keys; ++i) {
    TRY(db.exec("ALTER TABLE main.__marmot_log ADD COLUMN k" + std::to_string(i)));
  }
  return ok();
}

// --- ids -----------------------------------------------------------------------------------------------------------

// Ids are never used again: not after an unwatch, for versions may still name them, and not while triggers carry them
// (somebody dropped __marmot_table, as a migration tool does with tables that it does not know).
Result<int64_t> new_id(sqlite::Database& db, const std::vector<InstalledTrigger>& triggers) {
  TRY_ASSIGN(int64_t id,
             db.query_integer("SELECT 1 + max((SELECT coalesce(max(id), 0) FROM main.__marmot_table),"
                              " coalesce((SELECT value FROM main.__marmot_meta WHERE key = 'last_table_id'), 0))"));
  for (const InstalledTrigger& trigger : triggers) id = std::max(id, trigger.table_id + 1);
  TRY(db.exec("INSERT OR REPLACE INTO main.__marmot_meta(key, value) "
              "VALUES('last_table_id', " + std::to_string(id) + ")"));
  return id;
}

struct Registered {
  int64_t id = 0;
  std::string name;  // as last seen
};

bool is_on(const InstalledTrigger& trigger, std::string_view table) {
  return sqlite3_stricmp(trigger.table.c_str(), std::string(table).c_str()) == 0;
}

// The row of a table in __marmot_table: by the triggers that it carries (a rename takes them along), else by its name,
// unless that row's triggers went away with a renamed table.
Result<std::optional<Registered>> find_registered(sqlite::Database& db, const std::vector<InstalledTrigger>& triggers,
                                                  std::string_view table) {
  TRY_ASSIGN(sqlite::Statement rows,
             db.prepare("SELECT id, name, name = ?1 COLLATE NOCASE FROM main.__marmot_table ORDER BY id"));
  rows.bind(1, table);
  std::optional<Registered> by_name;
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return by_name;
    Registered row{rows.integer(0), std::string(rows.text(1))};
    const auto is_its = [&](const InstalledTrigger& trigger) { return trigger.table_id == row.id; };
    const auto trigger = std::find_if(triggers.begin(), triggers.end(), is_its);
    if (trigger == triggers.end()) {
      if (rows.integer(2) != 0) by_name = std::move(row);
    } else if (is_on(*trigger, table)) {
      return std::optional<Registered>(std::move(row));
    }
  }
}

// The id of a table that is about to be watched: its own from before, or a new one.
Result<int64_t> register_table(sqlite::Database& db, const std::string& table,
                               const std::vector<InstalledTrigger>& triggers) {
  TRY_ASSIGN(const std::optional<Registered> known, find_registered(db, triggers, table));
  if (!known) {
    TRY_ASSIGN(const int64_t id, new_id(db, triggers));
    TRY(db.exec("INSERT INTO main.__marmot_table(id, name, mode) VALUES(" + std::to_string(id) + ", " +
                sqlite::quote_text(table) + ", 'keys')"));
    return id;
  }
  if (known->name != table) {
    TRY(db.exec("UPDATE main.__marmot_table SET name = " + sqlite::quote_text(table) +
                " WHERE id = " + std::to_string(known->id)));
  }
  return known->id;
}

Status drop_objects(sqlite::Database& db, std::string_view pattern) {
  TRY_ASSIGN(sqlite::Statement rows,
             db.prepare("SELECT type, name FROM main.sqlite_schema WHERE name GLOB ?1 AND sql IS NOT NULL "
                        "ORDER BY type = 'table', type = 'index'"));
  rows.bind(1, pattern);
  std::vector<std::string> drops;
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) break;
    // An index falls with its table: hence IF EXISTS.
    drops.push_back("DROP " + std::string(rows.text(0)) + " IF EXISTS main." + sqlite::quote_identifier(rows.text(1)));
  }
  for (const std::string& drop : drops) TRY(db.exec(drop));
  return ok();
}

Result<Watched> watch_inside(sqlite::Database& db, const TableInfo& table) {
  TRY(install(db));
  TRY_ASSIGN(const std::vector<InstalledTrigger> triggers, installed_triggers(db));
  TRY_ASSIGN(const int64_t id, register_table(db, table.name, triggers));
  for (const InstalledTrigger& trigger : triggers) {
    if (trigger.table_id == id || !is_on(trigger, table.name)) continue;
    TRY(drop_objects(db, "__marmot_" + std::to_string(trigger.table_id) + "_*"));  // of a row that is gone
  }
  TRY(widen_log(db, logged_columns(table).size()));
  TRY_ASSIGN(const bool missed, put_in_place(db, table, id));
  return Watched{id, table.name, missed};
}

}  // namespace

Status install(sqlite::Database& db) {
  TRY_ASSIGN(Scope scope, Scope::begin(db));
  TRY_IN("install", db.exec(std::string(sql::kCreateInternalTables)));
  return scope.commit();
}

Result<Watched> watch(sqlite::Database& db, const TableInfo& table, WatchMode mode) {
  const std::string verb = "watch " + table.name;
  if (mode == WatchMode::full) {
    return make_error(Errc::bad_input, verb + ": mode 'full' (old values kept) is not in this version; use 'keys'");
  }
  const char* name = table.name.c_str();
  if (sqlite3_strnicmp(name, "__marmot_", 9) == 0 || sqlite3_strnicmp(name, "sqlite_", 7) == 0) {
    return make_error(Errc::bad_input, verb + ": it is not an application's table");
  }
  TRY_ASSIGN(Scope scope, Scope::begin(db));
  auto watched = watch_inside(db, table);
  if (!watched) return std::move(watched).error().in(verb);
  TRY_IN(verb, scope.commit());
  return watched;
}

Status fire_first(sqlite::Database& db) {
  static constexpr std::string_view kCreate = "CREATE TRIGGER ";  // as SQLite keeps it
  std::vector<std::pair<std::string, std::string>> behind;
  {
    TRY_ASSIGN(sqlite::Statement rows,
               db.prepare("SELECT ours.name, ours.sql FROM main.sqlite_schema AS ours JOIN"
                          " (SELECT tbl_name, max(rowid) AS youngest FROM main.sqlite_schema WHERE type = 'trigger'"
                          " AND name NOT GLOB '__marmot_*' GROUP BY tbl_name COLLATE NOCASE) AS others"
                          " ON others.tbl_name = ours.tbl_name COLLATE NOCASE AND others.youngest > ours.rowid "
                          "WHERE ours.type = 'trigger' AND ours.name GLOB '__marmot_[0-9]*_*' ORDER BY ours.rowid"));
    for (;;) {
      TRY_ASSIGN(const bool more, rows.step());
      if (!more) break;
      behind.emplace_back(rows.text(0), rows.text(1));
    }
  }
  for (const auto& [name, sql] : behind) {
    TRY(db.exec("DROP TRIGGER main." + sqlite::quote_identifier(name)));
    TRY(db.exec("CREATE TRIGGER main." + sql.substr(kCreate.size())));
  }
  return ok();
}

Status forget_rows_of(sqlite::Database& db, int64_t id) {
  const auto forget = [&](std::string_view table) { return db.exec("DELETE FROM main.__marmot_" + std::string(table) + " WHERE tbl = " + std::to_string(id)); };
  for (const std::string_view table : kTablesOfRows) TRY(forget(table));
  TRY(forget("adopted"));
  return forget("pace");
}

Status unwatch(sqlite::Database& db, std::string_view name) {
  const std::string verb = "unwatch " + std::string(name);
  TRY_ASSIGN(const bool installed, exists(db, "table", "__marmot_table"));
  if (!installed) return make_error(Errc::not_found, verb + ": this file is not watched at all");
  TRY_ASSIGN(Scope scope, Scope::begin(db));
  TRY_ASSIGN(const std::vector<InstalledTrigger> triggers, installed_triggers(db));
  auto registered = find_registered(db, triggers, name);
  if (!registered) return std::move(registered).error().in(verb);
  if (!*registered) return make_error(Errc::not_found, verb + ": it is not watched");
  const std::string id = std::to_string((*registered)->id);
  TRY_IN(verb, drop_objects(db, "__marmot_" + id + "_*"));
  TRY_IN(verb, forget_rows_of(db, (*registered)->id));
  TRY_IN(verb, db.exec("DELETE FROM main.__marmot_table WHERE id = " + id));
  return scope.commit();
}

Status cleanup(sqlite::Database& db) {
  TRY_ASSIGN(Scope scope, Scope::begin(db));
  TRY_IN("cleanup", release_all(db));
  TRY_IN("cleanup", drop_objects(db, "__marmot_*"));
  return scope.commit();
}

Result<std::vector<InstalledTrigger>> installed_triggers(sqlite::Database& db) {
  static constexpr std::string_view kPrefix = "__marmot_";
  TRY_ASSIGN(sqlite::Statement rows, db.prepare("SELECT name, tbl_name FROM main.sqlite_schema WHERE type = 'trigger' "
                                                "AND name GLOB '__marmot_[0-9]*_*' ORDER BY name"));
  std::vector<InstalledTrigger> out;
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return out;
    const std::string_view name = rows.text(0).substr(kPrefix.size());
    InstalledTrigger trigger;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), trigger.table_id);
    if (error != std::errc{} || end == name.data() + name.size() || *end != '_') continue;
    trigger.event = name.substr(static_cast<size_t>(end - name.data()) + 1);
    trigger.table = rows.text(1);
    out.push_back(std::move(trigger));
  }
}

}  // namespace marmot::replica
