// The reference model of the UNIQUE rule, written from one sentence of docs/conflicts.md ("UNIQUE values") and nothing else:
// "from the latest version down, a row is visible unless it collides on a unique index with one that is visible already".
// Equal versions go by their keys. Shares no code with common/replica.
#pragma once

#include <string>
#include <vector>

#include "common/core/version.hpp"
#include "tests/sim/rows.hpp"
#include "tests/sim/schema_spec.hpp"

namespace marmot::sim {

struct LiveRow {
  Version version;
  std::string key;  // canonical bytes: the lower one goes first where versions are equal
  const Row* row = nullptr;
};

// Which of a table's live rows are visible: one flag a row, in the order given.
std::vector<bool> visible_rows(const std::vector<LiveRow>& rows, const std::vector<UniqueSpec>& unique);

}  // namespace marmot::sim
