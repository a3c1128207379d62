#include "common/replica/schema_objects.hpp"

#include "common/replica/catalog.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

Result<std::set<std::string>> shadow_tables(sqlite::Database& db) {
  TRY_ASSIGN(const std::vector<Candidate> tables, list_tables(db, {"*"}, {}));
  std::set<std::string> out;
  for (const Candidate& table : tables) {
    if (table.not_watched == NotWatched::shadow_table) out.insert(table.name);
  }
  return out;
}

// Into `out`: names of what `one` has and `other` lacks or spells in another way.
void add_differing(const SchemaObjects& one, const SchemaObjects& other, std::set<std::string>& out) {
  for (const auto& [object, sql] : one) {
    const auto same = other.find(object);
    if (same == other.end() || same->second != sql) out.insert(object.second);
  }
}

}  // namespace

Result<SchemaObjects> read_schema_objects(sqlite::Database& db) {
  TRY_ASSIGN(const std::set<std::string> shadows, shadow_tables(db));
  SchemaObjects out;
  TRY_ASSIGN(Statement rows, db.prepare(sql::kSchemaObjects));
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return out;
    const std::string name(rows.text(1)), on(rows.text(2));
    if (shadows.count(on) == 0) out[{std::string(rows.text(0)), name}] = rows.text(3);
  }
}

std::set<std::string> changed_names(const SchemaObjects& before, const SchemaObjects& after) {
  std::set<std::string> out;
  add_differing(before, after, out);
  add_differing(after, before, out);
  return out;
}

}  // namespace marmot::replica
