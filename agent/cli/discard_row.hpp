// Lost rows are forgotten, and, when asked, what refers to them goes too, as an application would delete it: it is replicated.
#pragma once

#include <vector>

#include "common/replica/review.hpp"

namespace marmot::agent {

struct Discarded {
  int64_t rows = 0;
  int64_t children = 0;  // rows that referred to them, and rows that referred to those
};

// All or none, in one transaction. Rows that wait on the shelf are live rows: the agent deletes them on every node. `with_children`: rows that
// refer to a lost one by declared foreign keys and were written by its node, and whoever refers to those, are deleted. `db` is a connection of its
// own with Probe::attach, not in a transaction.
Result<Discarded> discard_rows(sqlite::Database& db, const std::vector<replica::LostRow>& lost, bool with_children);

}  // namespace marmot::agent
