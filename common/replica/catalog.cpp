#include "common/replica/catalog.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "common/core/row_hash.hpp"
#include "common/replica/sidecars.hpp"
#include "common/replica/sql_text.hpp"

namespace marmot::replica {

namespace {

constexpr int kExpressionTerm = -2;  // index_xinfo's cid of an expression
constexpr int kRowidTerm = -1;       // and of the rowid, which ends every index of a rowid table

// SQLite folds ASCII letters in names, and only those.
bool same_name(std::string_view a, std::string_view b) { return fold_name(a) == fold_name(b); }

bool has_prefix(std::string_view name, std::string_view prefix) {
  return name.size() >= prefix.size() && same_name(name.substr(0, prefix.size()), prefix);
}

// --- columns -------------------------------------------------------------------------------------------------------

// For PRAGMA table_list SQLite connects to every virtual table, and ignores what fails. An I/O error there has ended the transaction then, and
// what comes next would be written outside of any. `inside`: there was one before.
Status still_inside(const sqlite::Database& db, bool inside) {
  if (inside && !db.in_transaction()) return make_error(Errc::io, "SQLite ended the transaction: a virtual table could not be read");
  return ok();
}

// Whether ANY in this table means "no affinity" (STRICT) or, as any unknown type name, NUMERIC.
Result<bool> is_strict(sqlite::Database& db, const std::string& table) {
  if (sqlite3_libversion_number() < 3037000) return false;
  const bool inside = db.in_transaction();
  TRY_ASSIGN(sqlite::Statement row, db.prepare("SELECT strict FROM pragma_table_list(?1) WHERE schema = 'main'"));
  row.bind(1, table);
  TRY_ASSIGN(const bool found, row.step());
  TRY(still_inside(db, inside));
  return found && row.integer(0) != 0;
}

// A type name of the affinity that SQLite derives (datatype3.html, "Determination Of Column Affinity").
std::string_view affinity(std::string_view declared_type) {
  const std::string type = fold_name(declared_type);
  const auto has = [&](std::string_view part) { return type.find(part) != std::string::npos; };
  if (has("int")) return "INTEGER";
  if (has("char") || has("clob") || has("text")) return "TEXT";
  if (type.empty() || has("blob")) return "BLOB";
  if (has("real") || has("floa") || has("doub")) return "REAL";
  return "NUMERIC";
}

// Literals, bare words (SQLite takes `DEFAULT abc` for the string), NULL, TRUE and FALSE, signed and in parentheses:
// what ADD COLUMN accepts, and a little more. CURRENT_TIME and its like, functions and operators are not constant.
bool is_constant(std::string_view sql) {
  const auto tokens = tokenize(sql);
  if (!tokens || tokens->empty()) return false;
  int values = 0;
  for (const Token& token : *tokens) {
    if (token.kind == Token::Kind::symbol) {
      if (token.text != "(" && token.text != ")" && token.text != "+" && token.text != "-") return false;
      if (values != 0 && token.text != ")") return false;
    } else {
      if (has_prefix(token.text, "current_") && token.kind == Token::Kind::word) return false;
      ++values;
    }
  }
  return values == 1;
}

// Lets SQLite itself store each constant default in a column of the same affinity, in a database of its own.
Status evaluate_defaults(std::vector<Column>& columns, const std::vector<std::string>& affinities) {
  std::vector<size_t> constant;
  std::string sql;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].generated || !is_constant(columns[i].default_sql)) continue;
    sql += (sql.empty() ? "CREATE TABLE d(c" : ", c") + std::to_string(i) + " " + affinities[i] + " DEFAULT " +
           columns[i].default_sql;
    constant.push_back(i);
  }
  if (constant.empty()) return ok();
  TRY_ASSIGN(sqlite::Database scratch, sqlite::Database::open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  TRY(scratch.exec(sql + "); INSERT INTO d DEFAULT VALUES"));
  TRY_ASSIGN(sqlite::Statement row, scratch.prepare("SELECT * FROM d"));
  TRY(row.step());
  for (size_t i = 0; i < constant.size(); ++i) {
    Column& column = columns[constant[i]];
    column.default_value = row.value(static_cast<int>(i));
    column.default_bytes = std::make_shared<const std::string>(column.default_value.bytes);
    column.default_value.bytes = *column.default_bytes;
  }
  return ok();
}

struct RawColumns {
  std::vector<int> key;        // declared primary key, in its order: indexes into the columns
  std::vector<bool> not_null;  // by column
};

Result<RawColumns> read_columns(sqlite::Database& db, TableInfo& table) {
  TRY_ASSIGN(const bool strict, is_strict(db, table.name));
  TRY_ASSIGN(sqlite::Statement rows,
             db.prepare("SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1, 'main')"));
  rows.bind(1, table.name);
  RawColumns out;
  std::map<int64_t, int> key;
  std::vector<std::string> affinities;
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) break;
    Column column;
    column.name = rows.text(0);
    column.id = column.spelled_id = fold_name(column.name);
    column.seed = column_seed(column.id);
    column.not_null = rows.integer(2) != 0 && rows.integer(4) == 0;
    column.generated = rows.integer(5) >= 2;  // 2 virtual, 3 stored
    affinities.emplace_back(strict && same_name(rows.text(1), "any") ? "BLOB" : affinity(rows.text(1)));
    if (affinities.back() == "TEXT") column.affinity = Affinity::text;
    else if (affinities.back() == "REAL") column.affinity = Affinity::real;
    else if (affinities.back() != "BLOB") column.affinity = Affinity::number;
    if (!column.generated) column.default_sql = rows.text(3);
    if (rows.integer(4) != 0) key[rows.integer(4)] = static_cast<int>(table.columns.size());
    out.not_null.push_back(rows.integer(2) != 0);
    table.columns.push_back(std::move(column));
  }
  TRY(evaluate_defaults(table.columns, affinities));
  for (size_t i = 0; i < table.columns.size(); ++i) {
    Column& column = table.columns[i];
    if (!column.not_null || column.default_value.type != ValueType::null) continue;
    switch (column.affinity) {
      case Affinity::text: column.default_value = ValueView::of_text(""); break;
      case Affinity::blob: column.default_value = ValueView::of_blob(""); break;
      case Affinity::real: column.default_value = ValueView::of_real(0); break;
      case Affinity::number: column.default_value = ValueView::of_integer(0); break;
    }
  }
  for (const auto& [position, index] : key) out.key.push_back(index);
  return out;
}

// --- indexes -------------------------------------------------------------------------------------------------------

struct Term {
  int column = 0;  // or kExpressionTerm, kRowidTerm
  std::string collation;
};

// The key columns of an index; `on_rowid` says whether the index ends in the rowid (an index of a rowid table).
Result<std::vector<Term>> read_terms(sqlite::Database& db, const std::string& index, bool* on_rowid = nullptr) {
  TRY_ASSIGN(sqlite::Statement rows,
             db.prepare("SELECT cid, coll, key FROM pragma_index_xinfo(?1, 'main') ORDER BY seqno"));
  rows.bind(1, index);
  std::vector<Term> out;
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return out;
    const auto column = static_cast<int>(rows.integer(0));
    if (rows.integer(2) != 0) out.push_back({column, std::string(rows.text(1))});
    else if (on_rowid != nullptr && column == kRowidTerm) *on_rowid = true;
  }
}

std::optional<Collation> built_in(std::string_view name) {
  const std::string folded = fold_name(name);
  if (folded == "binary") return Collation::binary;
  if (folded == "nocase") return Collation::nocase;
  if (folded == "rtrim") return Collation::rtrim;
  return std::nullopt;
}

Error foreign_collation(const TableInfo& table, std::string_view what, std::string_view collation) {
  return make_error(Errc::schema, "table " + table.name + " cannot be replicated: its " + std::string(what) +
                                      " compares by collation " + std::string(collation) +
                                      ", and only BINARY, NOCASE and RTRIM compare alike on every node");
}

// Half a hash: it stands in __marmot_unique twice a row, and no table has so many indexes that two of them could share it.
// An automatic index, sqlite_autoindex_<table>_<number>, goes without the table's name: the table may be renamed.
uint64_t unique_index_id(const TableInfo& table, const std::string& name) {
  static constexpr std::string_view kAutomatic = "sqlite_autoindex_";
  if (!has_prefix(name, kAutomatic)) return bytes_hash(name) >> 33;
  return bytes_hash(std::string(kAutomatic) + name.substr(std::min(name.size(), kAutomatic.size() + table.name.size()))) >> 33;
}

}  // namespace

Result<UniqueIndex> read_unique_index(sqlite::Database& db, const TableInfo& table, const std::string& name) {
  UniqueIndex out;
  out.name = name;
  out.id = unique_index_id(table, name);
  TRY_ASSIGN(const std::vector<Term> terms, read_terms(db, name));
  IndexSql parsed;
  TRY_ASSIGN(sqlite::Statement row,
             db.prepare("SELECT sql FROM main.sqlite_schema WHERE type = 'index' AND name = ?1"));
  row.bind(1, name);
  TRY_ASSIGN(const bool found, row.step());
  if (found && !row.is_null(0)) {  // an index made by a UNIQUE constraint has no SQL, and no expressions
    auto from_sql = parse_create_index(row.text(0));
    if (!from_sql) return std::move(from_sql).error().in("index " + name);
    parsed = *std::move(from_sql);
  }
  for (size_t i = 0; i < terms.size(); ++i) {
    const auto collation = built_in(terms[i].collation);
    if (!collation) return foreign_collation(table, "unique index " + name, terms[i].collation);
    out.collations.push_back(*collation);
    if (terms[i].column >= 0) {
      out.terms.push_back(sqlite::quote_identifier(table.columns[static_cast<size_t>(terms[i].column)].name));
    } else if (terms[i].column == kExpressionTerm && i < parsed.terms.size()) {
      out.terms.push_back(parsed.terms[i]);
    } else {
      return make_error(Errc::schema, "table " + table.name + ": index " + name + " could not be read");
    }
  }
  out.where = std::move(parsed.where);
  return out;
}

namespace {

struct Indexes {
  std::string primary;              // the index behind a declared key; empty: none, or an INTEGER PRIMARY KEY
  std::vector<std::string> unique;  // the other unique ones, in name order
};

Result<Indexes> list_indexes(sqlite::Database& db, const TableInfo& table) {
  TRY_ASSIGN(sqlite::Statement rows,
             db.prepare("SELECT name, \"unique\", origin FROM pragma_index_list(?1, 'main') ORDER BY name"));
  rows.bind(1, table.name);
  Indexes out;
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return out;
    if (rows.text(2) == "pk") out.primary = rows.text(0);
    else if (rows.integer(1) != 0) out.unique.emplace_back(rows.text(0));
  }
}

// --- key -----------------------------------------------------------------------------------------------------------

std::string free_rowid_name(const std::vector<Column>& columns) {
  for (const std::string_view name : {"rowid", "oid", "_rowid_"}) {
    const auto has_name = [&](const Column& column) { return same_name(column.name, name); };
    if (std::none_of(columns.begin(), columns.end(), has_name)) return std::string(name);
  }
  return {};
}

Status read_declared_key(sqlite::Database& db, TableInfo& table, const std::string& index, const RawColumns& raw) {
  bool on_rowid = false;
  TRY_ASSIGN(const std::vector<Term> terms, read_terms(db, index, &on_rowid));
  table.without_rowid = !on_rowid;
  table.key_kind = KeyKind::declared;
  for (const Term& term : terms) {
    const auto collation = built_in(term.collation);
    if (!collation) return foreign_collation(table, "primary key", term.collation);
    const auto is_same = [&](const KeyColumn& part) { return part.column == term.column; };
    const auto same = std::find_if(table.key.begin(), table.key.end(), is_same);
    if (same == table.key.end()) {
      table.key.push_back({term.column, *collation});
    } else if (same->collation != *collation) {
      return make_error(Errc::schema,
                        "table " + table.name + " cannot be replicated: its primary key names a column twice");
    }
    if (!table.without_rowid && !raw.not_null[static_cast<size_t>(term.column)]) table.nullable_key = true;
  }
  return ok();
}

Status read_key(sqlite::Database& db, TableInfo& table, const std::string& index, const RawColumns& raw) {
  if (raw.key.empty()) {
    table.key_kind = KeyKind::rowid;
  } else if (index.empty()) {
    // Only an INTEGER PRIMARY KEY has no index: it is the rowid. (INT and INTEGER ... DESC have one, and are not.)
    table.key_kind = KeyKind::rowid_alias;
    table.key.push_back({raw.key.front(), Collation::binary});
    const std::string& column = table.columns[static_cast<size_t>(raw.key.front())].name;
    int increments = 0;
    const int rc = sqlite3_table_column_metadata(db.get(), "main", table.name.c_str(), column.c_str(), nullptr, nullptr, nullptr, nullptr, &increments);
    if (rc != SQLITE_OK) return db.error(rc);
    table.auto_increment = increments != 0;
  } else {
    TRY(read_declared_key(db, table, index, raw));
  }
  if (!table.without_rowid) table.rowid_name = free_rowid_name(table.columns);
  if (table.rowid_name.empty() && (table.key_kind == KeyKind::rowid || table.nullable_key)) {
    return make_error(Errc::schema,
                      "table " + table.name + " cannot be replicated: it needs its rowid for a key, and columns have "
                      "taken the names rowid, oid and _rowid_; give it a PRIMARY KEY");
  }
  return ok();
}

// --- all tables ----------------------------------------------------------------------------------------------------

struct SchemaTable {
  std::string name;
  std::string module;  // of a virtual table; empty: an ordinary one
};

Result<std::vector<SchemaTable>> schema_tables(sqlite::Database& db) {
  TRY_ASSIGN(sqlite::Statement rows,
             db.prepare("SELECT name, rootpage, sql FROM main.sqlite_schema WHERE type = 'table' ORDER BY rowid"));
  std::vector<SchemaTable> out;
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return out;
    out.push_back({std::string(rows.text(0)), rows.integer(1) == 0 ? module_of(rows.text(2)) : std::string()});
  }
}

Result<std::vector<std::string>> names(sqlite::Database& db, std::string_view sql) {
  TRY_ASSIGN(sqlite::Statement rows, db.prepare(sql));
  std::vector<std::string> out;
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return out;
    out.push_back(fold_name(rows.text(0)));
  }
}

bool contains(const std::vector<std::string>& sorted, const std::string& name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

// Tells the shadow tables of virtual tables of SQLite's own modules. SQLite says so itself from 3.37 on, where the module is loaded; else they
// are known by the names that those modules give them.
class ShadowTables {
 public:
  static Result<ShadowTables> of(sqlite::Database& db, const std::vector<SchemaTable>& tables) {
    ShadowTables out;
    std::vector<std::string> modules;
    const bool tells = sqlite3_libversion_number() >= 3037000;
    if (tells) {
      const bool inside = db.in_transaction();
      TRY_ASSIGN(out.told_, names(db, "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"));
      TRY(still_inside(db, inside));
      TRY_ASSIGN(modules, names(db, "SELECT name FROM pragma_module_list"));
      std::sort(out.told_.begin(), out.told_.end());
      std::sort(modules.begin(), modules.end());
    }
    for (const SchemaTable& table : tables) {
      if (table.module.empty() || !is_own_module(table.module) || (tells && contains(modules, fold_name(table.module)))) continue;
      for (const std::string_view suffix : kSuffixes) {
        out.guessed_.push_back(fold_name(table.name) + "_" + std::string(suffix));
      }
    }
    std::sort(out.guessed_.begin(), out.guessed_.end());
    return out;
  }

  bool has(std::string_view name) const { return contains(told_, fold_name(name)) || contains(guessed_, fold_name(name)); }

 private:
  static constexpr std::array<std::string_view, 11> kSuffixes{
      "content", "docsize", "data", "idx", "config", "segments", "segdir", "stat", "node", "rowid", "parent"};
  std::vector<std::string> told_;
  std::vector<std::string> guessed_;
};

bool matches(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return sqlite3_strglob(glob.c_str(), name.c_str()) == 0; });
}

}  // namespace

bool is_own_module(std::string_view module) {
  static constexpr std::array<std::string_view, 10> kOwn{"fts3", "fts3tokenize", "fts4", "fts4aux", "fts5", "fts5vocab", "rtree", "rtree_i32",
                                                         "geopoly", "dbstat"};
  return std::find(kOwn.begin(), kOwn.end(), fold_name(module)) != kOwn.end();
}

bool is_backing_name(std::string_view virtual_table, std::string_view table) { return has_prefix(table, std::string(virtual_table) + '_'); }

bool spells_out(const std::vector<std::string>& include, std::string_view table) {
  return std::any_of(include.begin(), include.end(), [&](const std::string& pattern) { return same_name(pattern, table); });
}

std::string module_of(std::string_view sql) {
  const auto tokens = tokenize(sql);
  if (!tokens) return "?";
  for (size_t i = 3; i + 1 < tokens->size(); ++i) {
    if (same_name((*tokens)[i].text, "using")) return unquote((*tokens)[i + 1].text);
  }
  return "?";
}

bool is_full_text(std::string_view sql) {
  const std::string module = fold_name(module_of(sql));
  return module == "fts5" || module == "fts4" || module == "fts3";
}

namespace {

// Has `name`, in front of an option's value, the meaning of "content"? FTS5 takes an option by its first letters.
bool names_content(std::string_view name, bool fts5) {
  constexpr std::string_view kContent = "content";
  return !name.empty() && (fts5 ? kContent.substr(0, name.size()) == fold_name(name) : same_name(name, kContent));
}

}  // namespace

IndexContent index_content(std::string_view sql) {
  const auto tokens = tokenize(sql);
  const std::string module = fold_name(module_of(sql));
  if (!tokens || module == "fts3") return IndexContent::own;
  for (size_t i = 1; i + 1 < tokens->size(); ++i) {  // ... , content = value
    const std::string_view before = (*tokens)[i - 1].text;
    if ((*tokens)[i + 1].text != "=" || (before != "(" && before != ",") || !names_content((*tokens)[i].text, module == "fts5")) continue;
    const std::string_view value = i + 2 < tokens->size() ? (*tokens)[i + 2].text : std::string_view();
    return value == "," || value == ")" || unquote(value).empty() ? IndexContent::none : IndexContent::other;
  }
  return IndexContent::own;
}

bool is_over_content(std::string_view sql) { return is_full_text(sql) && index_content(sql) == IndexContent::other; }

std::string TableInfo::shape() const {
  std::vector<std::string> stored;
  for (const Column& column : columns) {
    if (!column.generated) stored.push_back(sqlite::quote_identifier(fold_name(column.name)));
  }
  std::sort(stored.begin(), stored.end());
  std::string out;
  for (const std::string& column : stored) out += (out.empty() ? "" : ", ") + column;
  switch (key_kind) {
    case KeyKind::rowid: return out + "; key rowid";
    case KeyKind::rowid_alias: out += "; key integer"; break;
    case KeyKind::declared: out += nullable_key ? "; key nullable" : "; key"; break;
  }
  static constexpr std::array<std::string_view, 3> kNames{"binary", "nocase", "rtrim"};
  for (const KeyColumn& part : key) {
    out += ' ' + sqlite::quote_identifier(fold_name(columns[static_cast<size_t>(part.column)].name)) + ' ';
    out += kNames[static_cast<size_t>(part.collation)];
  }
  return out;
}

Result<TableInfo> read_table(sqlite::Database& db, std::string_view name) {
  TableInfo table;
  {
    TRY_ASSIGN(sqlite::Statement row, db.prepare("SELECT name, rootpage FROM main.sqlite_schema "
                                                 "WHERE type = 'table' AND name = ?1 COLLATE NOCASE"));
    row.bind(1, name);
    TRY_ASSIGN(const bool found, row.step());
    if (!found) return make_error(Errc::not_found, "no such table: " + std::string(name));
    table.name = row.text(0);
    if (row.integer(1) == 0) {
      return make_error(Errc::schema, "table " + table.name + " cannot be replicated: it is a virtual table");
    }
  }
  const std::string verb = "read table " + table.name;
  auto raw = read_columns(db, table);
  if (!raw) return std::move(raw).error().in(verb);
  auto indexes = list_indexes(db, table);
  if (!indexes) return std::move(indexes).error().in(verb);
  TRY(read_key(db, table, indexes->primary, *raw));
  for (const std::string& index : indexes->unique) {
    TRY_ASSIGN(UniqueIndex unique, read_unique_index(db, table, index));
    table.unique.push_back(std::move(unique));
  }
  return table;
}

bool is_chosen(const std::vector<std::string>& include, const std::vector<std::string>& exclude, std::string_view name) {
  const std::string text(name);
  if (!matches(include, text) || matches(exclude, text)) return false;
  return !sidecar_of(name) || names_sidecar(include, name);
}

std::string Candidate::reason() const {
  if (!not_watched) return "";
  switch (*not_watched) {
    case NotWatched::internal: return "one of Marmot's own tables";
    case NotWatched::sqlite_own: return "one of SQLite's own tables";
    case NotWatched::virtual_table: return "a virtual table";
    case NotWatched::shadow_table:
      if (backs.empty()) return "a shadow table: it holds a virtual table's data";
      return "taken for a backing table of the virtual table " + backs + ", whose module is none of SQLite's own (name the table in `tables` to replicate "
             "it all the same)";
    case NotWatched::sidecar:
      return "the bookkeeping of " + std::string(sidecar_of(name).value_or("another sidecar")) +
             ", which is this file's own (name the table in `tables` to replicate it all the same)";
    case NotWatched::excluded: return "not chosen by the tables and exclude patterns";
  }
  return "";
}

Result<std::vector<Candidate>> list_tables(sqlite::Database& db, const std::vector<std::string>& include,
                                           const std::vector<std::string>& exclude) {
  TRY_ASSIGN(const std::vector<SchemaTable> tables, schema_tables(db));
  TRY_ASSIGN(const ShadowTables shadows, ShadowTables::of(db, tables));
  std::vector<Candidate> out;
  const auto foreign_owner = [&](const SchemaTable& table) {
    const auto its = std::find_if(tables.begin(), tables.end(), [&](const SchemaTable& one) {
      return !one.module.empty() && !is_own_module(one.module) && is_backing_name(one.name, table.name);
    });
    return its == tables.end() ? std::string() : its->name;
  };
  for (const SchemaTable& table : tables) {
    Candidate candidate{table.name, std::nullopt};
    const std::string owner = foreign_owner(table);
    const bool chosen = is_chosen(include, exclude, table.name);
    if (has_prefix(table.name, "__marmot_")) candidate.not_watched = NotWatched::internal;
    else if (has_prefix(table.name, "sqlite_")) candidate.not_watched = NotWatched::sqlite_own;
    else if (!table.module.empty()) candidate.not_watched = NotWatched::virtual_table;
    else if (owner.empty() ? shadows.has(table.name) : !spells_out(include, table.name)) candidate = {table.name, NotWatched::shadow_table, owner};
    else if (!chosen) candidate.not_watched = sidecar_of(table.name) && !matches(exclude, table.name) ? NotWatched::sidecar : NotWatched::excluded;
    out.push_back(std::move(candidate));
  }
  return out;
}

}  // namespace marmot::replica
