#include "tests/sim/schema_spec.hpp"

#include <algorithm>

namespace marmot::sim {

namespace {

struct KeyShape {
  const char* sql;  // column definitions
  const char* constraint;
  const char* options;
  std::vector<std::pair<std::string, Collation>> key;
  bool nullable;
};

const std::vector<KeyShape>& key_shapes() {
  static const std::vector<KeyShape> shapes = {
      {"id INTEGER PRIMARY KEY", "", "", {{"id", Collation::binary}}, false},
      {"id INTEGER PRIMARY KEY AUTOINCREMENT", "", "", {{"id", Collation::binary}}, false},
      {"id INT NOT NULL PRIMARY KEY", "", "", {{"id", Collation::binary}}, false},
      {"k TEXT NOT NULL PRIMARY KEY", "", "", {{"k", Collation::binary}}, false},
      {"k TEXT COLLATE NOCASE NOT NULL PRIMARY KEY", "", "", {{"k", Collation::nocase}}, false},
      {"k TEXT COLLATE RTRIM NOT NULL PRIMARY KEY", "", " WITHOUT ROWID", {{"k", Collation::rtrim}}, false},
      {"k PRIMARY KEY", "", " WITHOUT ROWID", {{"k", Collation::binary}}, false},
      {"id INT NOT NULL, k TEXT NOT NULL", ", PRIMARY KEY(id, k)", "", {{"id", Collation::binary}, {"k", Collation::binary}}, false},
      {"id INT, k TEXT COLLATE NOCASE", ", PRIMARY KEY(k, id)", " WITHOUT ROWID", {{"k", Collation::nocase}, {"id", Collation::binary}}, false},
      {"k TEXT PRIMARY KEY", "", "", {{"k", Collation::binary}}, true},
      {"id INT, k TEXT", ", PRIMARY KEY(id, k)", "", {{"id", Collation::binary}, {"k", Collation::binary}}, true},
      {"", "", "", {}, true},
  };
  return shapes;
}

const char* const kTypes[] = {"", " INT", " REAL", " TEXT", " BLOB", " NUMERIC", " TEXT DEFAULT 'none'", " INT NOT NULL DEFAULT 7", " REAL DEFAULT 1.5"};

void add_unique(TableSpec& table, std::vector<std::string>& sql, Random& random) {
  UniqueSpec unique;
  unique.name = table.name() + "_u" + std::to_string(table.unique.size());
  const uint64_t shape = random.below(6);
  std::string terms, where;
  switch (shape) {
    case 0: case 1:
      unique.terms = {{"u", Collation::binary, false}};
      terms = "u";
      break;
    case 2:
      unique.terms = {{"u", Collation::nocase, false}};
      terms = "u COLLATE NOCASE";
      break;
    case 3:
      unique.terms = {{"u", Collation::binary, true}};
      terms = "lower(u)";
      break;
    case 4:
      unique.terms = {{"u", Collation::rtrim, false}, {"u2", Collation::binary, false}};
      terms = "u COLLATE RTRIM, u2";
      break;
    default:
      unique.terms = {{"u", Collation::binary, false}};
      unique.where_not_null = "u2";
      terms = "u";
      where = " WHERE u2 IS NOT NULL";
  }
  sql.push_back("CREATE UNIQUE INDEX " + unique.name + " ON " + table.name() + "(" + terms + ")" + where);
  table.unique.push_back(std::move(unique));
}

void add_plain(SchemaSpec& schema, Random& random, bool unique) {
  const KeyShape& shape = random.pick(key_shapes());
  TableSpec table;
  table.id.table = "t" + std::to_string(schema.tables.size());
  table.id.key = shape.key;
  table.nullable_key = table.tagged = shape.nullable;
  std::string columns = shape.sql;
  const auto add = [&](const std::string& text) { columns += (columns.empty() ? "" : ", ") + text; };
  const uint64_t values = 1 + random.below(3);
  for (uint64_t i = 0; i < values; ++i) {
    table.values.push_back(std::string(1, static_cast<char>('v' + i)));
    add(table.values.back() + random.pick(kTypes));
  }
  if (unique) {
    add("u TEXT, u2 INT");
    table.values.insert(table.values.end(), {"u", "u2"});
  }
  if (table.tagged) add("tag INT");
  add("tx INT");
  table.definition = "(" + columns + shape.constraint + ")" + shape.options;
  schema.sql.push_back("CREATE TABLE " + table.name() + table.definition);
  const size_t first = schema.sql.size();
  for (uint64_t i = unique ? 1 + random.below(2) : 0; i > 0; --i) add_unique(table, schema.sql, random);
  if (random.per_mille(250)) schema.sql.push_back("CREATE INDEX " + table.name() + "_i ON " + table.name() + "(v, tx)");
  table.around.assign(schema.sql.begin() + static_cast<std::ptrdiff_t>(first), schema.sql.end());
  schema.tables.push_back(std::move(table));
}

TableSpec special(const char* name, TableSpec::Kind kind, const char* key, std::vector<std::string> values) {
  TableSpec table;
  table.id = {name, {{key, Collation::binary}}};
  table.kind = kind;
  table.values = std::move(values);
  return table;
}

void add_docs(SchemaSpec& schema) {
  schema.fts = true;
  schema.tables.push_back(special("docs", TableSpec::Kind::docs, "id", {"body"}));
  schema.sql.insert(schema.sql.end(), {
      "CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT, tx INT)",
      "CREATE VIRTUAL TABLE docs_fts USING fts5(body, content='docs', content_rowid='id')",
      "CREATE TRIGGER docs_ai AFTER INSERT ON docs BEGIN INSERT INTO docs_fts(rowid, body) VALUES(new.id, new.body); END",
      "CREATE TRIGGER docs_ad AFTER DELETE ON docs BEGIN INSERT INTO docs_fts(docs_fts, rowid, body) VALUES('delete', old.id, old.body); END",
      "CREATE TRIGGER docs_au AFTER UPDATE ON docs BEGIN INSERT INTO docs_fts(docs_fts, rowid, body) VALUES('delete', old.id, old.body);"
      " INSERT INTO docs_fts(rowid, body) VALUES(new.id, new.body); END"});
}

void add_audit(SchemaSpec& schema, Random& random) {
  TableSpec& of = schema.tables[random.below(schema.tables.size())];
  const std::string watched = of.name();
  of.definition.clear();  // its triggers stand elsewhere: it is not rebuilt
  schema.tables.push_back(special("audit", TableSpec::Kind::audit, "id", {}));
  schema.sql.push_back("CREATE TABLE audit(id INTEGER PRIMARY KEY, what TEXT, tx INT)");
  schema.sql.push_back("CREATE TRIGGER audit_delete AFTER DELETE ON " + watched + " BEGIN INSERT INTO audit(what, tx) VALUES('gone', old.tx); END");
  schema.sql.push_back("CREATE TRIGGER audit_insert AFTER INSERT ON " + watched + " BEGIN INSERT INTO audit(what, tx) VALUES('came', new.tx); END");
}

// A table that is each file's own, with a constraint, is written by triggers of one that is replicated: what one machine's table
// takes, another's refuses.
void add_local(SchemaSpec& schema, Random& random) {
  TableSpec& of = schema.tables[2 + random.below(schema.tables.size() - 2)];
  const std::string watched = of.name();
  of.definition.clear();  // its triggers stand elsewhere: it is not rebuilt
  of.local_effects = true;
  schema.local = {"CREATE TABLE IF NOT EXISTS sim_seen(what TEXT UNIQUE, n INT)"};
  const auto trigger = [&](const std::string& event, const std::string& row) {
    return "CREATE TRIGGER seen_" + event + " AFTER " + event + " ON " + watched + " BEGIN INSERT INTO sim_seen SELECT '" + event + "' || (" + row +
           ".tx % 7), (SELECT count(*) FROM sim_seen) + " + row + ".tx; END";
  };
  schema.sql.insert(schema.sql.end(), {trigger("INSERT", "new"), trigger("UPDATE", "new"), trigger("DELETE", "old")});
}

void add_family(SchemaSpec& schema, Random& random) {
  schema.tables.push_back(special("parent", TableSpec::Kind::parent, "id", {"v"}));
  schema.tables.push_back(special("child", TableSpec::Kind::child, "id", {"parent"}));
  const char* const action = random.per_mille(500) ? "CASCADE" : "SET NULL";
  schema.sql.push_back("CREATE TABLE parent(id INTEGER PRIMARY KEY, v, tx INT)");
  schema.sql.push_back(std::string("CREATE TABLE child(id INTEGER PRIMARY KEY, parent INT REFERENCES parent(id) ON DELETE ") + action +
                       " ON UPDATE CASCADE, tx INT)");
}

void add_bare(SchemaSpec& schema) {
  TableSpec table;
  table.id = {"bare", {}};
  table.kind = TableSpec::Kind::bare;
  table.values = {"v"};
  table.nullable_key = table.tagged = true;
  schema.sql.push_back("CREATE TABLE bare(v, tag INT, tx INT)");
  schema.tables.push_back(std::move(table));
}

// Parents with children, as applications insert them.
void add_given(SchemaSpec& schema) {
  schema.tables.push_back(special("fam", TableSpec::Kind::given, "id", {}));
  schema.tables.push_back(special("kid", TableSpec::Kind::given, "id", {}));
  schema.sql.push_back("CREATE TABLE fam(id INTEGER PRIMARY KEY AUTOINCREMENT, tx INT)");
  schema.sql.push_back("CREATE TABLE kid(id INTEGER PRIMARY KEY AUTOINCREMENT, fam INT REFERENCES fam(id), tx INT)");
}

}  // namespace

bool TableSpec::lowers() const {
  return std::any_of(unique.begin(), unique.end(), [](const UniqueSpec& one) {
    return std::any_of(one.terms.begin(), one.terms.end(), [](const UniqueTerm& term) { return term.lower; });
  });
}

std::vector<TableKey> SchemaSpec::keys() const {
  std::vector<TableKey> keys;
  for (const TableSpec& table : tables) keys.push_back(table.id);
  return keys;
}

SchemaSpec random_schema(Random& random, bool unique_indexes, bool failing_effects, bool reuse, bool ids) {
  SchemaSpec schema;
  schema.sql = {"CREATE TABLE pair_a(p INTEGER PRIMARY KEY, tx INT)", "CREATE TABLE pair_b(p INTEGER PRIMARY KEY, tx INT)"};
  schema.tables.push_back(special("pair_a", TableSpec::Kind::pair_a, "p", {}));
  schema.tables.push_back(special("pair_b", TableSpec::Kind::pair_b, "p", {}));
  const uint64_t plain = 1 + random.below(3);
  for (uint64_t i = 0; i < plain; ++i) {
    const bool unique = random.per_mille(600) && unique_indexes;
    add_plain(schema, random, unique);
  }
  if (random.per_mille(350)) add_docs(schema);
  if (random.per_mille(350)) add_family(schema, random);
  if (failing_effects) add_local(schema, random);  // before the audit table, which a pair may write to
  if (random.per_mille(350)) add_audit(schema, random);
  if (reuse) add_bare(schema);
  if (ids) add_given(schema);
  return schema;
}

}  // namespace marmot::sim
