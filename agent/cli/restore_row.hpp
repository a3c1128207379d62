// A lost row is written again, as an application would write it: its triggers fire, ours log it, the agent replicates it.
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

// Errc::refused: another row is in the way; the message holds it, and what to do. The conflict is forgotten when its row is
// back. `db` is a connection of its own, not in a transaction.
Status restore_row(sqlite::Database& db, const replica::LostRow& lost, const std::vector<Assignment>& set);

}  // namespace marmot::agent
