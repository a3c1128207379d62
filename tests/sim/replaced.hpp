// Rows that REPLACE took away unseen: they were in its way by a unique index, and no trigger of ours fired for them.
#pragma once

#include <vector>

#include "common/sqlite/database.hpp"
#include "tests/sim/ledger.hpp"
#include "tests/sim/schema_spec.hpp"

namespace marmot::sim {

// Of a transaction with a REPLACE that `db` has just committed: marks those of its deletions that the log does not hold
// (Change::unseen). To be called before anything else happens to the file.
Status mark_unseen(sqlite::Database& db, const SchemaSpec& schema, std::vector<Change>& changes);

}  // namespace marmot::sim
