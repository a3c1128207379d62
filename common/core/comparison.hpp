// What nodes tell one another about their rows, so as to find out where they differ and who puts it right:
// digests and keys of rows (`marmot verify`), and digests and keys of registers (anti-entropy, common/node/repair_plan.hpp). Digests are
// made under a random seed, which whoever asks draws anew for each comparison (decision 0027).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/core/siphash.hpp"
#include "common/core/version.hpp"

namespace marmot {

// A table's rows in 256 buckets by key hash: equal digests on two nodes mean equal rows.
struct TableDigest {
  std::string table;
  int64_t rows = 0;
  struct Bucket {
    int64_t rows = 0;
    Hash128 sum;
    bool operator==(const Bucket&) const = default;
  };
  std::vector<Bucket> buckets;  // 256
};

// A table's digest in one number, under the seed that it was made with.
Hash128 digest_hash(const HashKey& seed, const TableDigest& digest);

// Adds to a sum of hashes.
inline void add(Hash128& sum, const Hash128& one) {
  sum.low += one.low;
  sum.high += one.high;
}

struct KeyHash {
  std::string key;  // canonical bytes
  Hash128 hash;
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

// How ranges are compared.
struct CompareBy {
  HashKey seed;
  bool rows = false;  // by the rows themselves, which takes as long as reading them; else by what their registers keep of them
  bool operator==(const CompareBy&) const = default;
};

struct RangeDigest {
  StreamSeq position = 0;  // applied when it was taken
  StreamSeq newest = 0;    // the highest stream sequence that touched a register of the range, or of the table's schema
  StreamSeq floor = 0;     // tombstones at or below it do not count
  bool pending = false;    // a register is not in the stream yet, or a row is not its register's
  bool cut = false;        // the limit was reached
  int64_t registers = 0;
  Hash128 sum;
  std::string reach;       // the last key that was looked at; meaningful when cut. Not sent
  bool operator==(const RangeDigest&) const = default;
};

struct RangeKey {
  std::string key;
  Version version;
  uint64_t hash = 0;  // of the row, under the cluster's key
  StreamSeq seq = 0;  // 0: not in the stream yet; or rows are compared, and this one is not its register's
  bool live = false;
  Hash128 row = {};   // of the row under the seed, where rows are compared
  bool operator==(const RangeKey&) const = default;
};

struct RangeKeys {
  StreamSeq position = 0;
  StreamSeq floor = 0;
  Hlc floor_hlc;           // Floor::hlc: a row below it that others lack may be one that was deleted
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
