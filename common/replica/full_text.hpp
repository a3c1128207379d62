// Full-text indexes over a table or view (content=): can it be read?
#pragma once

#include <optional>
#include <string>

#include "common/base/result.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

// Of what is said below: an error of the lock, of room, or of the file, and not the index's or its content's.
bool is_of_the_file(const Error& error);

// What the read of a first row ends with; nullopt: it goes well, and `rows` says whether there is one. An error is_of_the_file().
Result<std::optional<std::string>> complaint_of(sqlite::Database& db, const std::string& select, bool* rows);

// Of the content of index `index`, as far as that shows without reading it: a table or column is missing.
Result<std::optional<std::string>> why_unreadable(sqlite::Database& db, const std::string& index);

}  // namespace marmot::replica
