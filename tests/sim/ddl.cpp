#include "tests/sim/ddl.hpp"

#include <algorithm>

#include "common/replica/create_table.hpp"

namespace marmot::sim {

namespace {

const char* const kColumns[] = {"p", "q", "r", "s", "u"};
// Nodes give one name two defaults, so that they contend.
std::string default_of(const std::string& column, bool other) {
  if (column == "r") return other ? "DEFAULT 'e'" : "DEFAULT 'd'";
  if (column == "s") return other ? "DEFAULT 7" : "DEFAULT 5";
  return {};
}
const char* const kShared[] = {"'a'", "'b'", "'c'"};

std::vector<std::string> texts(sqlite::Database& db, const std::string& query) {
  std::vector<std::string> out;
  auto select = db.prepare(query);
  for (auto more = select ? select->step() : Result<bool>(false); more && *more; more = select->step()) out.emplace_back(select->text(0));
  return out;
}

// Of moving tables, and of what has another kind under such a name.
std::vector<std::string> taken_names(sqlite::Database& db) {
  return texts(db, "SELECT name FROM main.sqlite_schema WHERE name GLOB 'm[0-9]*' AND type IN ('table', 'view') ORDER BY name");
}

bool has(const std::vector<std::string>& list, const std::string& name) { return std::find(list.begin(), list.end(), name) != list.end(); }

}  // namespace

std::string Migrations::Shape::tail() const {
  return std::string(")") + (strict ? " STRICT" : "") + (strict && without_rowid ? "," : "") + (without_rowid ? " WITHOUT ROWID" : "");
}

Migrations::Shape Migrations::shape_of(const std::string& name) const {
  Shape out;
  if (shapes == 0) return out;
  out.strict = Random(mix64(shape_seed_)).per_mille(500);  // all of them, or none: docs/testing.md, "Open", seed 647
  Random its(mix64(shape_seed_ ^ static_cast<uint64_t>(name[1])));
  if (!its.per_mille(shapes)) return out;
  out.without_rowid = its.per_mille(400);
  const char* const generated[] = {"", "TEXT AS (w || 'g')", "TEXT AS (w || 'g') STORED"};
  out.generated = its.pick(generated);
  return out;
}

Migrations::Shape Migrations::shape(sqlite::Database& db, const std::string& table) {
  Shape out;
  auto flags = db.prepare("SELECT strict, wr, (SELECT hidden FROM pragma_table_xinfo(" + sqlite::quote_text(table) + ") WHERE name = 'g') FROM pragma_table_list"
                          " WHERE schema = 'main' AND name = " + sqlite::quote_text(table));
  const auto there = flags ? flags->step() : Result<bool>(false);
  if (!there || !*there) return out;
  out.strict = flags->integer(0) != 0;
  out.without_rowid = flags->integer(1) != 0;
  if (!flags->is_null(2)) out.generated = std::string("TEXT AS (w || 'g')") + (flags->integer(2) == 3 ? " STORED" : "");
  return out;
}

std::string Migrations::definition_of(const std::string& column, bool other, const Shape& shape) {
  const std::string any = shape.strict ? "ANY" : "";
  return column == "q" ? "TEXT" : column == "r" ? "TEXT NOT NULL " + default_of(column, other)
       : column == "s" ? (shape.strict ? "ANY " : "INT ") + default_of(column, other) : any;
}

std::vector<std::string> Migrations::names(sqlite::Database& db, const std::string& type, const std::string& glob) {
  const std::string source = type == "table" ? "pragma_table_list WHERE schema = 'main' AND " : "main.sqlite_schema WHERE ";
  return texts(db, "SELECT name FROM " + source + "type = '" + type + "' AND name GLOB '" + glob + "' ORDER BY name");
}

// All but `id`, `w` and `k`.
std::vector<Migrations::Column> Migrations::columns(sqlite::Database& db, const std::string& table) {
  std::vector<Column> out;
  auto select = db.prepare("SELECT name, type || iif(\"notnull\", ' NOT NULL', '') || coalesce(' DEFAULT ' || dflt_value, '') FROM pragma_table_info(" +
                           sqlite::quote_text(table) + ") WHERE name NOT IN ('id', 'w', 'k') ORDER BY cid");
  for (auto more = select ? select->step() : Result<bool>(false); more && *more; more = select->step()) {
    out.push_back({std::string(select->text(0)), std::string(select->text(1))});
  }
  return out;
}

std::string Migrations::write_of(const std::string& id) { return "(" + std::to_string(32 * last_) + " + " + id + ")"; }

std::string Migrations::value(const std::string& column, const std::string& id) {
  const bool null = random_.per_mille(100);
  if (null) return "NULL";
  return column == "u" ? random_.pick(kShared) : "'x' || " + write_of(id);
}

std::string Migrations::free_name(const std::vector<std::string>& taken) {
  const std::string name = "m" + std::to_string(random_.below(4));
  return has(taken, name) ? std::string() : name;
}

std::string Migrations::row_change(const std::string& table, const std::vector<Column>& columns) {
  ++last_;
  const std::string id = std::to_string(random_.below(kMovingIds)), other = std::to_string(random_.below(kMovingIds));
  const uint64_t what = random_.below(12);
  if (what == 0) return "DELETE FROM " + table + " WHERE id % 5 = " + std::to_string(random_.below(5));
  if (what <= 2) return "DELETE FROM " + table + " WHERE id = " + id;
  if (what <= 5) {
    const std::string target = what == 5 ? other : "id";
    std::string set = "w = " + write_of(target) + (what == 5 ? ", id = " + other + k_of(other) : "");
    for (const Column& column : columns) {
      if (random_.per_mille(500)) set += ", " + column.name + " = " + value(column.name, target);
    }
    const std::string where = what == 3 ? " WHERE id % 3 = " + std::to_string(random_.below(3)) : " WHERE id = " + id;
    return "UPDATE " + std::string(what == 5 ? "OR REPLACE " : "") + table + " SET " + set + where;
  }
  std::string into = "id, w", values = id + ", " + write_of(id), set = "w = excluded.w";
  if (rekeys != 0) {
    into += ", k";
    values += ", 'k" + id + "'";
  }
  for (const Column& column : columns) {
    if (random_.per_mille(300)) continue;
    into += ", " + column.name;
    values += ", " + value(column.name, id);
    set += ", " + column.name + " = excluded." + column.name;
  }
  const char* const manners[] = {"", " OR IGNORE", " OR REPLACE"};
  const bool upsert = random_.per_mille(300) && rekeys == 0;  // it would have to name the key
  const std::string manner = upsert ? "" : random_.pick(manners);
  return "INSERT" + manner + " INTO " + table + "(" + into + ") VALUES(" + values + ")" + (upsert ? " ON CONFLICT(id) DO UPDATE SET " + set : "");
}

std::string Migrations::create_table(const std::string& name) {
  const Shape shape = shape_of(name);
  std::string sql = "CREATE TABLE " + name + "(" + first_columns();
  for (const char* const column : kColumns) {
    const bool wanted = random_.per_mille(400), other = random_.per_mille(300);
    const std::string definition = definition_of(column, other, shape);
    if (wanted) sql += ", " + std::string(column) + (definition.empty() ? "" : " ") + definition;
  }
  if (!shape.generated.empty()) sql += ", g " + shape.generated;
  return sql + (rekeys == 0 ? "" : ", PRIMARY KEY(id)") + shape.tail();
}

std::string Migrations::first_columns() const {
  return rekeys == 0 ? "id INTEGER PRIMARY KEY, w INT" : "id INTEGER NOT NULL, w INT, k TEXT NOT NULL";
}

std::string Migrations::k_of(const std::string& id) const { return rekeys == 0 ? "" : ", k = 'k' || " + id; }

std::string Migrations::key_of(sqlite::Database& db, const std::string& table) {
  if (rekeys == 0) return {};
  std::string key;
  for (const std::string& part : texts(db, "SELECT name FROM pragma_table_info(" + sqlite::quote_text(table) + ") WHERE pk > 0 ORDER BY pk")) {
    key += (key.empty() ? "" : ", ") + part;
  }
  const char* const keys[] = {"id", "k", "id, k", "k, id"};
  const bool another = keys_.per_mille(rekeys);
  if (another) key = keys_.pick(keys);
  return ", PRIMARY KEY(" + key + ")";
}

// As hand-written migrations do it: the next number, in the transaction that makes the change.
void Migrations::number(sqlite::Database& db, Migration& migration) {
  const bool numbered = numbers_.per_mille(400), lower = lowers_ && numbers_.per_mille(250);
  const auto now = db.query_integer("PRAGMA user_version");
  if (!numbered || !now || migration.statements.empty()) return;
  std::vector<std::string>& last = migration.second.empty() ? migration.statements : migration.second;
  last.push_back("PRAGMA user_version = " + std::to_string(lower ? *now / 2 : *now + 1));
}

// Deployments differ by one column now and then.
Migration Migrations::at_start(sqlite::Database& db) {
  Migration out;
  out.changes_schema = true;
  const bool later = random_.per_mille(250);
  const Shape m0 = shape_of("m0"), m1 = shape_of("m1");
  const auto any = [](const Shape& shape) { return std::string(shape.strict ? " ANY" : ""); };
  const std::string first = first_columns(), key = rekeys == 0 ? "" : ", PRIMARY KEY(id)";
  out.statements = {"CREATE TABLE IF NOT EXISTS m0(" + first + ", p TEXT, q" + any(m0) + (later ? ", u" + any(m0) : "") + key + m0.tail(),
                    "CREATE TABLE IF NOT EXISTS m1(" + first + ", u" + any(m1) + ", q TEXT" + key + m1.tail(),
                    "CREATE INDEX IF NOT EXISTS mi0 ON m0(p)"};
  ++last_;
  const std::string id = std::to_string(random_.below(kMovingIds));
  out.statements.push_back("INSERT OR IGNORE INTO m0(id, w, p" + std::string(rekeys == 0 ? "" : ", k") + ") VALUES(" + id + ", " + write_of(id) + ", 'x' || " +
                           write_of(id) + (rekeys == 0 ? "" : ", 'k" + id + "'") + ")");
  const auto number = db.query_integer("PRAGMA user_version");
  if (number && *number == 0) out.statements.emplace_back("PRAGMA user_version = 1");
  return out;
}

Migration Migrations::change_columns(sqlite::Database& db, const std::string& table, const std::vector<Column>& columns, uint64_t what) {
  Migration out;
  const std::string name = random_.pick(kColumns);
  const Shape its = shape(db, table);
  const std::string definition = definition_of(name, random_.per_mille(300), its);
  const bool taken = std::any_of(columns.begin(), columns.end(), [&](const Column& one) { return one.name == name; });
  const std::string alter = "ALTER TABLE " + table;
  const bool generated = shapes != 0 && shapes_.per_mille(200);
  if (generated) {
    out.statements = {alter + (its.generated.empty() ? " ADD COLUMN g TEXT AS (w || 'g')" : " DROP COLUMN g")};
    return out;
  }
  if (what == 0 && !taken) {
    out.statements = {alter + " ADD COLUMN " + name + (definition.empty() ? "" : " ") + definition};
    const bool filled = random_.per_mille(200);
    if (!filled) return out;
    ++last_;
    out.statements.push_back("UPDATE " + table + " SET w = " + write_of("id") + ", " + name + " = 'x' || " + write_of("id") + " WHERE id % 2");
  } else if (what == 1 && !columns.empty()) {
    out.statements = {alter + " DROP COLUMN " + random_.pick(columns).name};
  } else if (what == 2 && !columns.empty()) {
    const std::string from = random_.pick(columns).name;
    const bool to_known = random_.per_mille(400) && !taken;  // perhaps as another node does with another column
    if (!to_known && from.size() > 3) return out;
    out.statements = {alter + " RENAME COLUMN " + from + " TO " + (to_known ? name : from + "n")};
  }
  return out;
}

Migration Migrations::change_objects(sqlite::Database& db, const std::string& table, const std::vector<Column>& columns, uint64_t what) {
  Migration out;
  const char* const types[] = {"index", "view", "trigger"};
  const std::string type = types[what], name = std::string("m") + type[0] + std::to_string(random_.below(2));
  if (has(names(db, type, name), name)) {
    out.statements = {"DROP " + type + " " + name};
    return out;
  }
  const std::string column = columns.empty() ? "w" : random_.pick(columns).name;
  const uint64_t shape = random_.below(5);
  if (type == "index") {
    const char* const ends[] = {"", ", w", "", "", ""};
    out.statements = {std::string("CREATE ") + (shape >= 3 ? "UNIQUE " : "") + "INDEX " + name + " ON " + table + "(" +
                      (shape == 2 ? "lower(" + column + ")" : column) + ends[shape] + ")" +
                      (shape == 1 || shape == 4 ? " WHERE " + column + " IS NOT NULL" : "")};
  } else if (type == "view") {
    out.statements = {"CREATE VIEW " + name + " AS SELECT id, " + (shape == 0 ? "*" : column) + " FROM " + table};
  } else if (!columns.empty()) {
    out.statements = {"CREATE TRIGGER " + name + " AFTER " + (shape < 3 ? "INSERT" : "UPDATE OF w") + " ON " + table + " BEGIN UPDATE " + table + " SET " +
                      column + " = 'x' || new.w WHERE id = new.id AND " + column + " IS NULL; END"};
  }
  return out;
}

// As Django, Rails and Alembic do it. A rebuild that drops a column changes no row besides: docs/schema-changes.md, Limits.
Migration Migrations::rebuild(sqlite::Database& db, const std::string& table, std::vector<Column> columns) {
  Migration out;
  const uint64_t tool = random_.below(3), what = random_.below(4);
  const std::vector<std::string> objects = texts(db, "SELECT sql FROM main.sqlite_schema WHERE tbl_name = " + sqlite::quote_text(table) +
                                                         " AND type IN ('index', 'trigger') AND sql IS NOT NULL AND name NOT GLOB '__marmot*' ORDER BY rowid");
  const size_t lost = what == 0 && !columns.empty() ? random_.below(columns.size()) : columns.size();
  std::string kept = rekeys == 0 ? "id, w" : "id, w, k";
  for (size_t i = 0; i < columns.size(); ++i) kept += i == lost ? "" : ", " + columns[i].name;
  if (lost < columns.size()) columns.erase(columns.begin() + static_cast<std::ptrdiff_t>(lost));
  const std::string name = random_.pick(kColumns);
  const Shape its = shape(db, table);
  const std::string definition = definition_of(name, random_.per_mille(300), its);
  if (what == 1 && std::none_of(columns.begin(), columns.end(), [&](const Column& one) { return one.name == name; })) {
    const size_t at = random_.below(columns.size() + 1);
    columns.insert(columns.begin() + static_cast<std::ptrdiff_t>(at), {name, definition});
  }
  if (what == 2 && !columns.empty()) {
    // Another type or default, and NOT NULL where there is something to fill in; tools do that first.
    const size_t at = random_.below(columns.size());
    const std::string& other = columns[at].name;
    const size_t from = columns[at].definition.find("DEFAULT");
    std::string kept_default = from == std::string::npos ? "" : columns[at].definition.substr(from);
    const bool another = random_.per_mille(300);
    if (another && !kept_default.empty()) kept_default = kept_default.find('\'') != std::string::npos ? default_of("r", kept_default == default_of("r", false))
                                                                                                     : default_of("s", kept_default == default_of("s", false));
    const bool first = kept_default.empty() && nulls_.per_mille(nulls);
    const bool strict = first || (!kept_default.empty() && random_.per_mille(400));
    if (first) kept_default = nulls_.per_mille(500) ? "DEFAULT 'n'" : "DEFAULT 3";
    const char* const new_types[] = {"", "TEXT ", "INT "};
    const std::string type = random_.pick(new_types);
    columns[at].definition = (its.strict && type != "TEXT " ? "ANY " : type) + std::string(strict ? "NOT NULL " : "") + kept_default;
    if (strict) {
      ++last_;
      out.statements.push_back("UPDATE " + table + " SET w = " + write_of("id") + ", " + other + " = 'x' || " + write_of("id") + " WHERE " + other + " IS NULL");
    }
  }
  std::string body = "(" + first_columns();
  for (const Column& column : columns) body += ", " + column.name + (column.definition.empty() ? "" : " ") + column.definition;
  if (!its.generated.empty()) body += ", g " + its.generated;
  body += key_of(db, table) + its.tail();
  if (rekeys != 0 && keys_.per_mille(400)) {  // in the log when the agent meets the migration
    out.statements.push_back("DELETE FROM " + table + " WHERE id % 4 = " + std::to_string(keys_.below(4)));
  }
  const auto copy = [&](const std::string& to, const std::string& from) { return "INSERT INTO " + to + "(" + kept + ") SELECT " + kept + " FROM " + from; };
  const std::string copied = tool == 0 ? "new__" + table : tool == 1 ? "_alembic_tmp_" + table : table;
  std::vector<std::string> last;
  if (tool < 2) {
    out.statements.insert(out.statements.end(), {"CREATE TABLE " + copied + body, copy(copied, table)});
    last = {"DROP TABLE " + table, "ALTER TABLE " + copied + " RENAME TO " + table};
  } else {
    out.statements.insert(out.statements.end(), {"CREATE TEMP TABLE a_" + table + " AS SELECT * FROM " + table, "DROP TABLE " + table,
                                                 "CREATE TABLE " + table + body, copy(table, "temp.a_" + table), "DROP TABLE temp.a_" + table});
  }
  if (what == 3) {
    ++last_;
    const std::string part = std::to_string(random_.below(4));
    out.statements.push_back("UPDATE " + copied + " SET w = " + write_of("id") + " WHERE id % 4 = " + part);
    out.statements.push_back("DELETE FROM " + copied + " WHERE id % 7 = " + part);
  }
  if (rekeys != 0 && keys_.per_mille(400)) out.statements.push_back("DELETE FROM " + copied + " WHERE id % 4 = " + std::to_string(keys_.below(4)));
  last.insert(last.end(), objects.begin(), objects.end());
  const bool commits = tool == 1 && random_.per_mille(300);
  std::vector<std::string>& where = commits ? out.second : out.statements;
  where.insert(where.end(), last.begin(), last.end());
  return out;
}

Migration Migrations::drop_and_make(sqlite::Database& db, const std::string& table, const std::vector<Column>& columns) {
  Migration out;
  const std::vector<std::string> tables = names(db, "table", "m[0-9]*");
  const std::string other = random_.pick(tables), free = free_name(taken_names(db));
  switch (random_.below(6)) {
    case 0:
      out.statements = {"DROP TABLE " + table};
      out.drops = true;
      break;
    case 1: {
      out.statements = {"DROP TABLE " + table, create_table(table)};
      out.drops = true;
      break;
    }
    case 2: case 3:
      if (free.empty()) break;
      out.statements = {"ALTER TABLE " + table + " RENAME TO " + free};
      out.vacuum = random_.per_mille(300);
      if (random_.per_mille(500)) out.statements.push_back(row_change(free, columns));
      break;
    case 4:
      if (other == table) break;
      out.statements = {"ALTER TABLE " + table + " RENAME TO swap", "ALTER TABLE " + other + " RENAME TO " + table, "ALTER TABLE swap RENAME TO " + other};
      break;
    default:
      if (!free.empty()) out.statements = {create_table(free)};
  }
  return out;
}

// A virtual table or a view of a name that moving tables have, or a table of the name of a virtual table's backing table, which FTS3 drops
// though it did not make it. An application that does both in one file has SQLite's answer: only apart do they meet.
Migration Migrations::change_kind(sqlite::Database& db) {
  Migration out;
  const std::string name = "m" + std::to_string(kinds_.below(4)), backing = name + "_stat";
  const std::vector<std::string> taken = taken_names(db);
  const uint64_t what = kinds_.below(6);
  const char* const makes[] = {"CREATE VIRTUAL TABLE ? USING fts3(body)", "CREATE VIRTUAL TABLE ? USING fts5(body)", "CREATE VIRTUAL TABLE ? USING rtree(id, a, b)",
                               "CREATE VIEW ? AS SELECT 1 AS w"};
  if (what == 4) {
    if (!has(taken, name) && !has(taken, backing)) out.statements = {create_table(backing)};
  } else if (what == 5) {
    out = make_room(db);
  } else if (!has(taken, name) && !has(taken, backing)) {
    std::string sql = makes[what];
    out.statements = {sql.replace(sql.find('?'), 1, name)};
  }
  return out;
}

Migration Migrations::make_room(sqlite::Database& db) {
  Migration out;
  out.changes_schema = true;
  out.statements = texts(db, "SELECT iif(type = 'view', 'DROP VIEW ', 'DROP TABLE ') || name FROM pragma_table_list "
                             "WHERE schema = 'main' AND type IN ('view', 'virtual') AND name GLOB 'm[0-9]*' ORDER BY name LIMIT 1");
  return out;
}

Migration Migrations::next(sqlite::Database& db, uint64_t ddl, uint64_t kinds) {
  const std::vector<std::string> tables = names(db, "table", "m[0-9]*");
  Migration out;
  if (kinds != 0 && kinds_.per_mille(ddl) && kinds_.per_mille(kinds)) {
    out = change_kind(db);
    out.changes_schema = true;
    return out;
  }
  if (tables.empty()) {
    const std::string name = free_name(taken_names(db));
    if (random_.per_mille(400)) out.statements = {create_table(name)};
    out.changes_schema = true;
    return out;
  }
  const std::string& table = random_.pick(tables);
  const std::vector<Column> has_columns = columns(db, table);
  const bool changes = random_.per_mille(ddl);
  if (changes) {
    const uint64_t what = random_.below(16);
    if (what < 5) out = change_columns(db, table, has_columns, what < 3 ? 0 : what - 2);
    else if (what < 9) out = change_objects(db, table, has_columns, what < 7 ? 0 : what - 6);
    else if (what < 12) out = rebuild(db, table, has_columns);
    else out = drop_and_make(db, table, has_columns);
    number(db, out);
    out.changes_schema = true;
    return out;
  }
  const uint64_t size = 1 + random_.below(3);
  for (uint64_t i = 0; i < size; ++i) {
    const std::string& one = random_.pick(tables);
    const std::vector<Column> its = columns(db, one);
    out.statements.push_back(row_change(one, its));
  }
  return out;
}

Result<std::string> print_schema(sqlite::Database& db) {
  std::string out;
  TRY_ASSIGN(auto tables, db.prepare("SELECT s.name, c.name, c.type, c.\"notnull\", coalesce(c.dflt_value, ''), c.hidden, c.pk, l.strict, l.wr, s.sql LIKE '%AUTOINCREMENT%' FROM main.sqlite_schema s"
                                     " JOIN pragma_table_list l ON l.schema = 'main' AND l.name = s.name, pragma_table_xinfo(s.name) c"
                                     " WHERE s.type = 'table' AND s.name NOT GLOB '__marmot*' AND s.name NOT GLOB 'sqlite_*' AND s.name NOT IN ('sim_seen', 'sim_commit') ORDER BY s.name, c.cid"));
  for (;;) {
    TRY_ASSIGN(const bool more, tables.step());
    if (!more) break;
    for (int i = 0; i < tables.columns(); ++i) out += std::string(tables.text(i)) + (i == 0 ? ": " : " ");
    out += '\n';
  }
  TRY_ASSIGN(auto objects, db.prepare("SELECT type, name, sql FROM main.sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL"
                                      " AND name NOT GLOB '__marmot*' ORDER BY type, name"));
  for (;;) {
    TRY_ASSIGN(const bool more, objects.step());
    if (!more) break;
    out += std::string(objects.text(0)) + " " + std::string(objects.text(1)) + ": " + replica::canonical_sql(objects.text(2)) + "\n";
  }
  TRY_ASSIGN(const int64_t number, db.query_integer("PRAGMA user_version"));
  return out + "user_version " + std::to_string(number) + "\n";
}

std::string first_difference(const std::string& one, const std::string& other) {
  size_t line = 0, at = 0;
  while (at < one.size() && at < other.size() && one[at] == other[at]) {
    if (one[at++] == '\n') line = at;
  }
  if (at == one.size() && at == other.size()) return {};
  return "here '" + one.substr(line, one.find('\n', line) - line) + "', there '" + other.substr(line, other.find('\n', line) - line) + "'";
}

bool refused_without_us(sqlite::Database& db, const std::string& statement) {
  auto twin = sqlite::Database::open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX);
  if (!twin) return false;
  const std::string theirs = " WHERE sql IS NOT NULL AND name NOT GLOB '__marmot*' AND name NOT GLOB 'sqlite_*'";
  for (const std::string& schema : {std::string("main.sqlite_schema"), std::string("temp.sqlite_schema")}) {
    for (const std::string& sql : texts(db, "SELECT sql FROM " + schema + theirs +
                                                " ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid")) {
      (void)twin->exec(schema[0] == 't' ? "CREATE TEMP" + sql.substr(6) : sql);
    }
  }
  return !twin->exec(statement);
}

}  // namespace marmot::sim
