// How database files and their folders are called.
#pragma once

#include <string>

#include "common/base/result.hpp"

namespace marmot::agent {

// "<db>-marmot", where the lock of a database file stands (and everything else, unless data_dir is set).
std::string marmot_dir(const std::string& database_path);

// The path by which SQLite names a file: absolute, symbolic links resolved; the file itself may be missing.
// Errc::bad_input when its folder does not exist.
Result<std::string> canonical_path(const std::string& path);

}  // namespace marmot::agent
