// What __marmot_table and __marmot_column say of a table, and what sqlite_schema says now.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/core/version.hpp"
#include "common/replica/catalog.hpp"
#include "common/replica/create_table.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

struct LocalTable {
  int64_t id = 0;                   // __marmot_table.id
  std::string name;                 // as last seen
  std::string sql;                  // as last seen; empty: the agent has not seen it yet
  std::optional<Version> permanent_id;
  std::map<std::string, std::string> column_ids;  // folded name here -> id
  bool adopted = false;             // its text in the file has the word AUTOINCREMENT from us, and `sql` has not (adopted.cpp)
  std::optional<bool> wish;         // what the application's operator asked for, and nobody was told of: to adopt it, or to release it
};

Result<std::vector<LocalTable>> read_local_tables(sqlite::Database& db);
// Name, sql, permanent id and columns; the row in __marmot_table must be there.
Status save_local_table(sqlite::Database& db, const LocalTable& table);
// Its row, its columns, its triggers and everything kept about its rows.
Status forget_local_table(sqlite::Database& db, int64_t id);

// table_sql() as the application wrote it: without the word that is ours. Under the table's name, or another one that it has now.
Result<std::string> own_sql(sqlite::Database& db, const LocalTable& table, std::string_view name);

// What SQLite would make of a table, from its SQL alone; columns carry their ids.
Result<TableInfo> describe_table(const LocalTable& table);
// Puts the ids of `column_ids` into the columns, and what rows have by them that were made without the column.
void name_columns(TableInfo& info, const std::map<std::string, std::string>& column_ids);

}  // namespace marmot::replica
