// Just enough of SQLite's grammar to take apart what sqlite_schema holds: tokens, CREATE INDEX and CREATE TRIGGER.
// Works on any text without reading past its end; text that SQLite itself accepted is split as SQLite splits it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"

namespace marmot::replica {

struct Token {
  enum class Kind : uint8_t { word, quoted_name, string, blob, number, variable, symbol } kind;
  std::string_view text;  // as written, quotes included
  size_t offset = 0;
};

// Comments and white space are dropped. Errc::bad_input on an unterminated string or comment.
Result<std::vector<Token>> tokenize(std::string_view sql);

// The name a word or a quoted name ("x", `x`, [x], 'x') stands for.
std::string unquote(std::string_view token);

// A name as SQLite compares names: equal ones are the same name.
std::string fold_name(std::string_view name);

struct IndexSql {
  std::vector<std::string> terms;  // without ASC, DESC and COLLATE at their end
  std::string where;               // empty: not partial
};
Result<IndexSql> parse_create_index(std::string_view sql);

struct TriggerStatement {
  std::string verb;    // INSERT, REPLACE, UPDATE, DELETE, SELECT
  std::string target;  // unquoted table name; empty for SELECT
  std::string sql;     // without the closing semicolon
  bool raises = false; // contains RAISE(
};
struct TriggerSql {
  std::string timing;   // BEFORE, AFTER, INSTEAD OF
  std::string event;    // INSERT, UPDATE, DELETE
  std::vector<std::string> columns;  // of UPDATE OF
  std::string table;
  std::string when;     // empty: none
  std::vector<TriggerStatement> statements;
};
Result<TriggerSql> parse_create_trigger(std::string_view sql);

}  // namespace marmot::replica
