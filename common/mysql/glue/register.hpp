// Gives a connection MySQL's functions and collations: the one place where common/mysql meets SQLite. Compiled into each half.
#pragma once

#include <memory>

#include "common/base/result.hpp"
#include "common/mysql/functions/session.hpp"
#include "common/sqlite/api.hpp"

namespace marmot::mysql {

// What a name means that the host's SQLite has already, whichever its version.
enum class Names {
  absent,  // it keeps its meaning: of MySQL's names only those that SQLite lacks are registered, and mysql_NAME for all
  all,     // MySQL's throughout
};

// `session` is shared by the functions, and let go of when the connection closes. A connection that has the functions already, in
// the same way or with `all`, is left alone; one with `absent` may be given `all`. Errors: SQLite's own (SQLITE_BUSY: a statement is
// running, and a name in use would have to be replaced).
Status register_functions(sqlite3* db, Names names, std::shared_ptr<Session> session);

// The session that the functions of this connection read; nullptr: it has none.
std::shared_ptr<Session> session_of(sqlite3* db);

}  // namespace marmot::mysql
