// Repair: what capture could not see, and what nodes hold differently.
//
// Scrub compares the rows of this file with their versions: a row whose hash is not its version's is a change, a live
// version without a row is a delete, a row without a version is an insert. Each is drained and published like any change.
//
// Anti-entropy compares the registers (key, version, content hash) of two or more nodes, a range of keys at a time. Nodes
// need not stand at the same stream sequence for it: a range is comparable when neither node holds a register in it that
// the other cannot know yet. A range that differs is exchanged as keys and versions; the plan says who publishes what
// again, through the stream, with the version it has: there is no second way to apply.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/replica/replica.hpp"

namespace marmot::replica {

// The registers of `table` whose canonical keys are above `after` and not above `upto`.
struct KeyRange {
  std::string table;
  std::string after;  // empty: from the first
  std::string upto;   // empty: to the last
};

struct RangeDigest {
  StreamSeq position = 0;  // applied here when it was taken
  StreamSeq newest = 0;    // the highest stream sequence that touched a register of the range
  StreamSeq floor = 0;     // tombstones at or below it do not count
  bool pending = false;    // a register is not in the stream yet
  bool cut = false;        // `limit` was reached
  int64_t registers = 0;
  uint64_t sum = 0;
  std::string reach;       // the last key that was looked at; meaningful when cut
};

// Both digests speak of the same messages: a difference is a difference of state.
bool comparable(const RangeDigest& a, const RangeDigest& b);
bool equal(const RangeDigest& a, const RangeDigest& b);

struct RangeKey {
  std::string key;
  Version version;
  uint64_t hash = 0;
  StreamSeq seq = 0;  // 0: not in the stream yet
  bool live = false;
};

struct RangeKeys {
  StreamSeq position = 0;
  StreamSeq floor = 0;
  Hlc floor_hlc;           // the highest among the tombstones that went at the floor
  std::vector<RangeKey> keys;
  bool cut = false;        // more keys follow behind the last one
};

enum class RepairOp : uint8_t {
  republish,  // the register as it is
  restamp,    // the same row under a new version
  remove,     // delete the row: it is one that was deleted and pruned elsewhere
};

struct RepairAction {
  RepairOp op = RepairOp::republish;
  std::string key;
  Version version;  // what the register must still be; else nothing is done
};

// Who does what so that all nodes end alike, from what each node (by number) holds in one range. Deterministic. Keys behind
// the last one of a list that was cut, and keys that are moving, are left for the next time.
//   the highest version wins; its holder with the lowest number publishes it again
//   one version, different rows: the higher hash is published under a new version
//   a live row that some nodes lack altogether, old enough to have been a delete that was pruned: the majority decides, and
//   where there is none it is deleted
std::map<uint64_t, std::vector<RepairAction>> plan_repair(const std::map<uint64_t, RangeKeys>& held);

}  // namespace marmot::replica
