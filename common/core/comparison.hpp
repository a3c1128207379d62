// What nodes tell one another about their rows, so as to find out where they differ and who puts it right:
// digests and keys of rows (`marmot verify`), and digests and keys of registers (anti-entropy, common/node/repair_plan.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/core/version.hpp"

namespace marmot {

// A table's rows in 256 buckets by key hash: equal digests on two nodes mean equal rows.
struct TableDigest {
  std::string table;
  int64_t rows = 0;
  struct Bucket {
    int64_t rows = 0;
    uint64_t sum = 0;
    bool operator==(const Bucket&) const = default;
  };
  std::vector<Bucket> buckets;  // 256
};

// A table's digest in one number.
uint64_t digest_hash(const TableDigest& digest);

struct KeyHash {
  std::string key;  // canonical bytes
  uint64_t hash = 0;
  bool operator==(const KeyHash&) const = default;
};

// What FTS's own check says of a full-text index.
struct FullTextFault {
  std::string index;
  std::string reason;        // with the cure
  bool out_of_step = false;  // else it was not checked
  bool operator==(const FullTextFault&) const = default;
};

// The registers of `table` whose canonical keys are above `after` and not above `upto`.
struct KeyRange {
  std::string table;
  std::string after;  // empty: from the first
  std::string upto;   // empty: to the last
  bool operator==(const KeyRange&) const = default;
};

struct RangeDigest {
  StreamSeq position = 0;  // applied when it was taken
  StreamSeq newest = 0;    // the highest stream sequence that touched a register of the range
  StreamSeq floor = 0;     // tombstones at or below it do not count
  bool pending = false;    // a register is not in the stream yet
  bool cut = false;        // the limit was reached
  int64_t registers = 0;
  uint64_t sum = 0;
  std::string reach;       // the last key that was looked at; meaningful when cut. Not sent
  bool operator==(const RangeDigest&) const = default;
};

struct RangeKey {
  std::string key;
  Version version;
  uint64_t hash = 0;
  StreamSeq seq = 0;  // 0: not in the stream yet
  bool live = false;
  bool operator==(const RangeKey&) const = default;
};

struct RangeKeys {
  StreamSeq position = 0;
  StreamSeq floor = 0;
  Hlc floor_hlc;           // the highest among the tombstones that went at the floor
  std::vector<RangeKey> keys;
  bool cut = false;        // more keys follow behind the last one
  bool operator==(const RangeKeys&) const = default;
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
  bool operator==(const RepairAction&) const = default;
};

}  // namespace marmot
