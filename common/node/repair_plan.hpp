// Repair: what capture could not see, and what nodes hold differently.
//
// Scrub compares the rows of this file with their versions: a row whose hash is not its version's is a change, a live
// version without a row is a delete, a row without a version is an insert. Each is drained and published like any change.
//
// Anti-entropy compares the registers (key, version, content hash) of two or more nodes, a range of keys at a time. Nodes
// need not stand at the same stream sequence for it: a range is comparable when neither node holds a register in it, or of
// its table's schema, that the other cannot know yet. A range that differs is exchanged as keys and versions; the plan says who publishes what
// again, through the stream, with the version it has: there is no second way to apply.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/core/comparison.hpp"

namespace marmot::node {

// Both digests speak of the same messages: a difference is a difference of state.
bool comparable(const RangeDigest& a, const RangeDigest& b);
bool equal(const RangeDigest& a, const RangeDigest& b);

// Who does what so that all nodes end alike, from what each node (by number) holds in one range. Deterministic. Keys behind
// the last one of a list that was cut, and keys that are moving, are left for the next time.
//   the highest version wins; its holder with the lowest number publishes it again
//   one version, different rows: the higher hash is published under a new version (of equal ones, the higher one under the seed)
//   a live row that some nodes lack altogether, old enough to have been a delete that was pruned: the majority decides, and
//   where there is none it is deleted
std::map<uint64_t, std::vector<RepairAction>> plan_repair(const std::map<uint64_t, RangeKeys>& held);

}  // namespace marmot::node
