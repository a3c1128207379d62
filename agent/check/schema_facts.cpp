#include "agent/check/schema_facts.hpp"

#include <map>
#include <string_view>
#include <utility>

#include "common/replica/autoincrement.hpp"
#include "common/replica/create_table.hpp"
#include "common/replica/full_text.hpp"
#include "common/replica/sql_text.hpp"

namespace marmot::agent {

namespace {

using replica::NotWatched;
using replica::TableInfo;
using sqlite::quote_identifier;
using sqlite::Statement;

bool same(std::string_view a, std::string_view b) {
  return sqlite3_stricmp(std::string(a).c_str(), std::string(b).c_str()) == 0;
}

// --- what is missing -----------------------------------------------------------------------------------------------

// A message of SQLite's that says what it lacks. (generated columns: "unknown function: f()")
std::optional<Missing> missing_in(std::string_view message) {
  constexpr std::pair<std::string_view, Missing::Kind> kSayings[] = {
      {"no such function: ", Missing::Kind::function},
      {"unknown function: ", Missing::Kind::function},
      {"no such collation sequence: ", Missing::Kind::collation},
      {"no such module: ", Missing::Kind::module},
  };
  for (const auto& [saying, kind] : kSayings) {
    const size_t at = message.find(saying);
    if (at == std::string_view::npos) continue;
    std::string_view name = message.substr(at + saying.size());
    if (name.ends_with("()")) name.remove_suffix(2);
    return Missing{kind, std::string(name), {}};
  }
  return std::nullopt;
}

void no_function(sqlite3_context* context, int, sqlite3_value**) { sqlite3_result_null(context); }
int no_order(void*, int, const void*, int, const void*) { return 0; }

// False: it is there already, or nothing can stand in for it.
bool stand_in(sqlite::Database& db, const Missing& what) {
  switch (what.kind) {
    case Missing::Kind::function:
      return sqlite3_create_function_v2(db.get(), what.name.c_str(), -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                                        nullptr, no_function, nullptr, nullptr, nullptr) == SQLITE_OK;
    case Missing::Kind::collation:
      return sqlite3_create_collation_v2(db.get(), what.name.c_str(), SQLITE_UTF8, nullptr, no_order, nullptr) == SQLITE_OK;
    case Missing::Kind::module: return false;
  }
  return false;
}

// The writes that an agent makes. Compiling them makes SQLite look at every index, check, generated column and trigger.
std::vector<std::string> writes_to(const TableFacts& table) {
  const std::string name = "main." + quote_identifier(table.name);
  std::string set;
  for (const replica::Column& column : table.info.columns) {
    if (column.generated) continue;
    set += (set.empty() ? "" : ", ") + quote_identifier(column.name) + " = " + quote_identifier(column.name);
  }
  std::vector<std::string> out{"INSERT INTO " + name + " DEFAULT VALUES", "DELETE FROM " + name};
  if (!set.empty()) out.push_back("UPDATE " + name + " SET " + set);
  return out;
}

void find_missing(sqlite::Database& db, const std::string& table, const std::string& sql, std::vector<Missing>& out) {
  constexpr int kMost = 64;  // of one statement; a stand-in that changes nothing must not go on for ever
  for (int i = 0; i < kMost; ++i) {
    const auto compiled = db.prepare(sql);
    if (compiled) return;
    auto what = missing_in(compiled.error().message);
    if (!what) return;
    what->table = table;
    const bool more = stand_in(db, *what);
    out.push_back(*std::move(what));
    if (!more) return;
  }
}

// --- tables --------------------------------------------------------------------------------------------------------

Result<std::vector<ForeignKey>> foreign_keys_of(sqlite::Database& db, const std::string& table) {
  TRY_ASSIGN(Statement rows, db.prepare("SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1, 'main') ORDER BY id, seq"));
  rows.bind(1, table);
  std::map<int64_t, ForeignKey> keys;
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) break;
    ForeignKey& key = keys[rows.integer(0)];
    key.parent = rows.text(1);
    key.columns.emplace_back(rows.text(2));
    if (!rows.is_null(3)) key.to.emplace_back(rows.text(3));
  }
  std::vector<ForeignKey> out;
  for (auto& [id, key] : keys) out.push_back(std::move(key));
  return out;
}

std::vector<std::string> unique_of(const TableInfo& info) {
  std::vector<std::string> out;
  for (const replica::UniqueIndex& index : info.unique) {
    std::string terms;
    for (const std::string& term : index.terms) {
      const bool is_name = !term.empty() && term.front() == '"';
      terms += (terms.empty() ? "" : ", ") + (is_name ? replica::unquote(term) : term);
    }
    out.push_back(index.where.empty() ? terms : terms + " where " + index.where);
  }
  return out;
}

Result<std::string> virtual_table_sql(sqlite::Database& db, const std::string& table) {
  TRY_ASSIGN(Statement row, db.prepare("SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1"));
  row.bind(1, table);
  TRY_ASSIGN(const bool found, row.step());
  return found ? std::string(row.text(0)) : std::string();
}

std::string declared_module(const std::string& sql) {
  const auto tokens = replica::tokenize(sql);
  if (!tokens) return std::string();
  for (size_t i = 0; i + 1 < tokens->size(); ++i) {
    if (same((*tokens)[i].text, "using")) return replica::unquote((*tokens)[i + 1].text);
  }
  return std::string();
}

Result<bool> knows_module(sqlite::Database& db, const std::string& module) {
  TRY_ASSIGN(Statement row, db.prepare("SELECT 1 FROM pragma_module_list WHERE name = ?1 COLLATE NOCASE"));
  row.bind(1, module);
  return row.step();
}

Status read_virtual(sqlite::Database& db, TableFacts& table) {
  TRY_ASSIGN(const std::string sql, virtual_table_sql(db, table.name));
  table.module = declared_module(sql);
  TRY_ASSIGN(table.module_known, knows_module(db, table.module));
  if (!table.module_known || !replica::is_over_content(sql)) return ok();
  TRY_ASSIGN(const auto why, replica::why_unreadable(db, table.name));
  table.unreadable_content = why.value_or("");
  return ok();
}

Status read_ordinary(sqlite::Database& db, TableFacts& table) {
  auto info = replica::read_table(db, table.name);
  if (!info) {
    if (info.error().code != Errc::schema) return std::move(info).error();
    table.unreadable = info.error().message;
    return ok();
  }
  table.info = *std::move(info);
  table.unique = unique_of(table.info);
  TRY_ASSIGN(table.foreign_keys, foreign_keys_of(db, table.name));
  const auto rows = db.query_integer("SELECT count(*) FROM (SELECT 1 FROM main." + quote_identifier(table.name) + " LIMIT " +
                                     std::to_string(TableFacts::kFewRows + 1) + ")");
  if (!rows) return rows.error();
  table.rows = *rows;
  TRY_ASSIGN(const std::string text, replica::table_sql(db, table.name));
  table.adoptable = static_cast<bool>(replica::with_autoincrement(text));
  return ok();
}

}  // namespace

const TableFacts* SchemaFacts::find(std::string_view name) const {
  for (const TableFacts& table : tables) {
    if (same(table.name, name)) return &table;
  }
  return nullptr;
}

Result<SchemaFacts> read_schema_facts(sqlite::Database& db, const std::vector<std::string>& include,
                                      const std::vector<std::string>& exclude, WallMs now) {
  TRY_ASSIGN(const auto forecasts, replica::id_forecasts(db, now));
  TRY_ASSIGN(const auto candidates, replica::list_tables(db, include, exclude));
  SchemaFacts out;
  for (const replica::Candidate& candidate : candidates) {
    if (candidate.not_watched == NotWatched::internal || candidate.not_watched == NotWatched::sqlite_own) continue;
    if (candidate.not_watched == NotWatched::shadow_table || candidate.not_watched == NotWatched::excluded) continue;
    TableFacts table;
    table.name = candidate.name;
    table.not_watched = candidate.not_watched;
    if (candidate.not_watched == NotWatched::virtual_table) {
      if (!replica::is_chosen(include, exclude, table.name)) continue;
      TRY_IN("virtual table " + table.name, read_virtual(db, table));
    } else if (!candidate.not_watched) {
      TRY_IN("table " + table.name, read_ordinary(db, table));
    }
    for (const replica::IdForecast& one : forecasts) {
      if (same(one.table, table.name)) table.pace = one;
    }
    out.tables.push_back(std::move(table));
  }
  for (const TableFacts& table : out.tables) {
    if (table.not_watched || !table.unreadable.empty()) continue;
    for (const std::string& sql : writes_to(table)) find_missing(db, table.name, sql, out.missing);
  }
  return out;
}

}  // namespace marmot::agent
