// What lost, for people: what `marmot conflicts` lists, and what stands in a lost row's way. On any connection to a replicated
// file, with or without an agent on it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/core/row.hpp"
#include "common/core/version.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

struct LostRow {
  int64_t id = 0;          // of __marmot_conflict, or of __marmot_shelf
  bool shelved = false;    // a live row that waits; else it is gone
  WallMs at = 0;           // when it was noticed here
  std::string kind;
  std::string table;
  std::string key;         // canonical bytes, the loser's
  std::optional<Version> winner;
  std::string winner_row;  // JSON (core row_json); empty: it is not known, or was a delete
  Version loser;
  std::string loser_row;
  std::string reason;
};

// Conflicts in the order in which they were noticed, then the shelf. Empty where Marmot's tables are not there.
Result<std::vector<LostRow>> lost_rows(sqlite::Database& db);

// Of one table, from an id of __marmot_conflict on, at most so many.
Result<std::vector<LostRow>> lost_rows_from(sqlite::Database& db, const std::string& table, int64_t id, int64_t most);

// One of __marmot_conflict has been restored, or is to be forgotten: here, and on all nodes once an agent has told them.
Status forget_conflict(sqlite::Database& db, const LostRow& lost);

// The rows of `table`, as JSON, that would not let `row` in: the same key, or a unique value in common. `table` is as
// sqlite_schema has it. Needs Probe::attach.
Result<std::vector<std::string>> rows_in_the_way(sqlite::Database& db, const std::string& table, const std::vector<RowColumn>& row);

}  // namespace marmot::replica
