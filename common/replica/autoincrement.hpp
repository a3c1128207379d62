// One word in the text of a table: AUTOINCREMENT, put in and taken out where the table stands, without a rebuild (docs/decisions/0041).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

// CREATE TABLE with the word. Errc::refused, with the reason, where the table cannot have it: its key must be one
// column of the type INTEGER, in either form that SQLite knows. Errc::refused too where it has it.
Result<std::string> with_autoincrement(std::string_view sql);
// CREATE TABLE without it; as it is where it does not have it.
std::string without_autoincrement(std::string_view sql);

// In the transaction of the caller. SQLite's next id stays above every id of the table. Other connections follow with their next statement.
// Statements of this connection on the table must not be running. Errc::not_found: there is no such table; Errc::refused: see above.
Status add_autoincrement(sqlite::Database& db, const std::string& table);
Status remove_autoincrement(sqlite::Database& db, const std::string& table);

// `marmot ids adopt` and `release`: the table's text in this file, and what the agent is to tell the other nodes. In the transaction of the
// caller. Errc::not_found: there is no such table; Errc::refused: it cannot have the word (see above), is not replicated, or, to be
// released, was never adopted.
Status adopt_table(sqlite::Database& db, const std::string& table);
Status release_table(sqlite::Database& db, const std::string& table);
// The tables that adopt_table() takes, or those that release_table() does.
Result<std::vector<std::string>> adoptable_tables(sqlite::Database& db);
Result<std::vector<std::string>> adopted_tables(sqlite::Database& db);

// `adopt_table` without the text, of a table that has the word from us already; or `release_table`.
Status wish_adopted(sqlite::Database& db, int64_t table_id, bool adopt);
// The other nodes have been told that table `table_id` has the word from us, or has it no more.
Status tell_adopted(sqlite::Database& db, int64_t table_id, bool adopted);
// For `marmot cleanup`, and for files without Marmot's tables too.
Status release_all(sqlite::Database& db);

}  // namespace marmot::replica
