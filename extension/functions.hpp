// The scalar functions of libmarmot.
#pragma once

#include "common/base/result.hpp"
#include "common/sqlite/api.hpp"

namespace marmot::extension {

Status register_functions(sqlite3* db);

}  // namespace marmot::extension
