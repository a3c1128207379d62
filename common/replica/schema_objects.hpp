// The application's schema as the file holds it, to tell what a change of it touched.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "common/base/result.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

// (type, name) -> SQL. The type stands in the key because a trigger may have the name of a table.
using SchemaObjects = std::map<std::pair<std::string, std::string>, std::string>;

// Tables (virtual ones too), indexes, views and triggers of the main schema, without SQLite's own, Marmot's own, and the shadow
// tables of virtual tables.
Result<SchemaObjects> read_schema_objects(sqlite::Database& db);

// Names of what is in one of the two only, or has other SQL there.
std::set<std::string> changed_names(const SchemaObjects& before, const SchemaObjects& after);

}  // namespace marmot::replica
