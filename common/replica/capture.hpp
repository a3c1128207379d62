// Installs and removes what makes a file replicable: the internal tables (sql/schema.sql) and three triggers a table
// (sql/capture.sql). Used by the agent and, through marmot_watch() and marmot_cleanup(), by the extension.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/replica/catalog.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

enum class WatchMode : uint8_t { keys, full };

struct Watched {
  int64_t id = 0;  // __marmot_table.id
  std::string name;
  bool added = false;  // false: it was watched already, with its triggers in place
};

// All of these run inside the caller's transaction, or in one of their own when there is none.

// Creates what is missing of the internal tables. Idempotent.
Status install(sqlite::Database& db);

// Watches one table: its row in __marmot_table, its triggers, the log's key columns, and for a rowid-keyed table the empty
// index that keeps VACUUM from renumbering it. Idempotent; puts back triggers that are missing.
Result<Watched> watch(sqlite::Database& db, const TableInfo& table, WatchMode mode);

// SQLite fires the youngest trigger of a table first, and each can end the statement before the others: RAISE(IGNORE) does, and what fails
// under OR FAIL, and both leave the row as it is written by then. So ours are made again where one of the application's is younger.
Status fire_first(sqlite::Database& db);

// Removes a table's triggers, index and internal rows. Errc::not_found when it is not watched.
Status unwatch(sqlite::Database& db, std::string_view name);

// Removes everything of ours: the file's .dump is as if Marmot had never been there. The journal mode is the caller's
// business (it cannot change inside a transaction).
Status cleanup(sqlite::Database& db);

// Internal tables (__marmot_ and the name) that hold what is known of rows, each by its table's id.
inline constexpr std::string_view kTablesOfRows[] = {"log", "parked", "passed", "version", "unique", "shelf", "rowid", "pruned", "buried"};

// Deletes what they hold of one table, and what else is known of it by its id, but for its columns.
Status forget_rows_of(sqlite::Database& db, int64_t id);

// The triggers' names of table `id` that exist now. Triggers are how a renamed table is recognised.
struct InstalledTrigger {
  int64_t table_id = 0;
  std::string event;  // insert, update, delete
  std::string table;  // the table it is on now
};
Result<std::vector<InstalledTrigger>> installed_triggers(sqlite::Database& db);

}  // namespace marmot::replica
