// The table-valued functions of libmarmot: marmot_tables, marmot_conflicts, marmot_changes. Read-only; empty in a file
// that is not watched.
#pragma once

#include "common/base/result.hpp"
#include "common/sqlite/api.hpp"

namespace marmot::extension {

Status register_tables(sqlite3* db);

}  // namespace marmot::extension
