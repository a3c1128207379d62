// What the checkers must know of tables that a scenario's applications create: what random_schema() knows of its own.
#include <algorithm>

#include "tests/sim/ddl.hpp"
#include "tests/sim/schema_spec.hpp"

namespace marmot::sim {

namespace {

Result<Collation> collation(std::string_view name) {
  if (name == "BINARY") return Collation::binary;
  if (name == "NOCASE") return Collation::nocase;
  if (name == "RTRIM") return Collation::rtrim;
  return make_error(Errc::refused, "a key under the collation " + std::string(name));
}

// The columns of an index, in order; of a unique one that the model does not know: refused.
Result<std::vector<UniqueTerm>> terms_of(sqlite::Database& db, const std::string& index) {
  std::vector<UniqueTerm> out;
  TRY_ASSIGN(auto columns, db.prepare("SELECT name, coll FROM pragma_index_xinfo(" + sqlite::quote_text(index) + ") WHERE key ORDER BY seqno"));
  for (;;) {
    TRY_ASSIGN(const bool more, columns.step());
    if (!more) return out;
    if (columns.text(0).empty()) return make_error(Errc::refused, "a unique index on an expression");
    TRY_ASSIGN(const Collation by, collation(columns.text(1)));
    out.push_back({std::string(columns.text(0)), by, false});
  }
}

Status learn_indexes(sqlite::Database& db, TableSpec& table) {
  TRY_ASSIGN(auto indexes, db.prepare("SELECT name, origin, partial FROM pragma_index_list(" + sqlite::quote_text(table.name()) + ") WHERE \"unique\""));
  for (;;) {
    TRY_ASSIGN(const bool more, indexes.step());
    if (!more) return ok();
    if (indexes.integer(2) != 0) return make_error(Errc::refused, "a partial unique index");
    TRY_ASSIGN(auto terms, terms_of(db, std::string(indexes.text(0))));
    if (indexes.text(1) != "pk") {
      table.unique.push_back({std::string(indexes.text(0)), std::move(terms), ""});
      continue;
    }
    for (const UniqueTerm& term : terms) table.id.key.emplace_back(term.column, term.collation);
  }
}

Status learn_key(sqlite::Database& db, TableSpec& table) {
  TRY(learn_indexes(db, table));
  if (!table.id.key.empty()) return ok();
  TRY_ASSIGN(auto columns, db.prepare("SELECT name FROM pragma_table_info(" + sqlite::quote_text(table.name()) + ") WHERE pk"));
  TRY_ASSIGN(const bool rowid, columns.step());
  if (rowid) table.id.key.emplace_back(std::string(columns.text(0)), Collation::binary);
  if (rowid || db.query_integer("SELECT 1 FROM pragma_table_info(" + sqlite::quote_text(table.name()) + ") WHERE name = 'tag'")) return ok();
  return make_error(Errc::refused, "no key, and no column 'tag' to tell its rows by");
}

}  // namespace

Status learn_tables(sqlite::Database& db, SchemaSpec& spec) {
  TRY_ASSIGN(auto tables, db.prepare("SELECT s.name, s.sql FROM main.sqlite_schema s JOIN pragma_table_list l ON l.name = s.name AND l.schema = 'main'"
                                     " WHERE l.type = 'table' AND s.name NOT GLOB '__marmot*' AND s.name NOT GLOB 'sqlite_*' AND s.name NOT GLOB 'sim_*'"
                                     " AND s.name NOT GLOB '" + std::string(kMovingNames) + "' ORDER BY s.name"));
  spec.fts = spec.fts || db.query_integer("SELECT 1 FROM main.sqlite_schema WHERE name = 'docs_fts'");
  for (;;) {
    TRY_ASSIGN(const bool more, tables.step());
    if (!more) return ok();
    const std::string name(tables.text(0)), sql(tables.text(1));
    const auto known = std::find_if(spec.tables.begin(), spec.tables.end(), [&](const TableSpec& table) { return table.name() == name; });
    if (known != spec.tables.end() && known->learned != sql) {
      return make_error(Errc::refused, "table " + name + " has another definition now; those whose schema changes are named m0, m1, ... (tests/sim/ddl.hpp)");
    }
    if (known != spec.tables.end()) continue;
    TableSpec table;
    table.id.table = name;
    table.learned = sql;
    if (const Status learned = learn_key(db, table); !learned) return make_error(Errc::refused, "table " + name + ": " + learned.error().message);
    spec.tables.push_back(std::move(table));
  }
}

}  // namespace marmot::sim
