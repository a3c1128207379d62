// The application's triggers do not run while the agent applies rows (their effects on replicated tables arrive as rows
// of their own). What they write to tables that are not replicated (FTS5, R-tree, excluded tables) must happen here: TEMP
// copies of just those statements, which run even with SQLITE_DBCONFIG_ENABLE_TRIGGER off (SQLite 3.35).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

struct SkippedEffect {
  std::string trigger;
  std::string reason;  // has RAISE, does not compile: ...
};

// Drops the TEMP triggers of a former call and makes them anew from sqlite_schema. `replicated(name)` says whether a table
// is replicated here; it is given the name as the schema spells it. A check (SELECT RAISE(...)) is no effect and is left
// out; it is reported only where it stands beside effects, which now run without it. Call it outside a transaction or
// inside one; again after every schema change.
Result<std::vector<SkippedEffect>> install_effects(sqlite::Database& db,
                                                   const std::function<bool(const std::string&)>& replicated);

}  // namespace marmot::replica
