// Lost rows are written again, as an application would write them: its triggers fire, ours log it, the agent replicates it.
#pragma once

#include <string>
#include <vector>

#include "common/replica/review.hpp"

namespace marmot::agent {

struct Assignment {
  std::string column;
  std::string value;  // NULL, a number, or text
};
// COLUMN=VALUE. Errc::bad_input otherwise.
Result<Assignment> parse_assignment(const std::string& text);

struct RestoreOptions {
  std::vector<Assignment> set;
  bool with_children = false;  // rows that refer to a lost one follow it to its new key; lost ones among them too
  bool all = false;            // of several tables: `set` is for those that have the column, and NULL for an INTEGER PRIMARY KEY only
};

struct Restored {
  int64_t rows = 0;
  int64_t moved = 0;         // rows that refer to them, and were moved
  int64_t left_behind = 0;   // those that were not, though the key is another one
  std::vector<std::string> kept_keys;  // tables of `all` that a NULL was not for
};

// All or none, in one transaction. Errc::refused: another row is in the way of one; the message holds it, and what to do. The conflicts are
// forgotten when their rows are back. `db` is a connection of its own with Probe::attach, not in a transaction.
Result<Restored> restore_rows(sqlite::Database& db, const std::vector<replica::LostRow>& lost, const RestoreOptions& options);

}  // namespace marmot::agent
