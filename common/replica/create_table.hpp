// Takes CREATE TABLE apart: the columns, each with its definition as written, and what follows them. Works on any text
// without reading past its end; text that SQLite itself accepted is split as SQLite splits it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

struct ColumnSql {
  std::string name;        // unquoted
  std::string definition;  // type and constraints as written; may be empty
};

struct CreateTable {
  std::string name;  // unquoted, without the schema's name
  std::vector<ColumnSql> columns;
  // From behind the last column: ", UNIQUE(a, b)) STRICT", ")".
  std::string tail;
};

// CREATE TABLE of an ordinary table, as the file has it; empty: there is none of that name.
Result<std::string> table_sql(sqlite::Database& db, std::string_view name);

// Errc::bad_input: no CREATE TABLE with a list of columns.
Result<CreateTable> parse_create_table(std::string_view sql);

// The statement again, under another name if need be.
std::string create_table_sql(const CreateTable& table);

// Two pieces of SQL say the same when these are equal: without comments, with single spaces, names unquoted, words folded.
std::string canonical_sql(std::string_view sql);
// As if a column called `from` were called `to`, which is what RENAME COLUMN makes of a definition.
std::string canonical_sql(std::string_view sql, std::string_view from, std::string_view to);

// The table that an index or a trigger is on. Errc::bad_input: it is neither.
Result<std::string> object_table(std::string_view sql);

}  // namespace marmot::replica
