// The reference model of the UNIQUE rule, written from DESIGN's sentence and nothing else: "Visible rows are a function of
// the registers: live rows of a table from the highest version down (ties by key), each visible unless it collides on a
// unique index with one already visible." Shares no code with common/replica.
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
