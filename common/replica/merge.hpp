// Inside of Replica: a snapshot that is being merged (merge.cpp).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/replica/engine.hpp"
#include "common/replica/snapshot.hpp"

namespace marmot::replica {

// A table, in the snapshot and here.
struct MergePair {
  std::unique_ptr<Table> there;
  int64_t here = 0;      // Table::id
  std::vector<SentColumn> map;  // our stored columns among theirs
};

struct Merge {
  explicit Merge(sqlite::Database db) : snapshot(std::move(db)), store(snapshot) {}

  sqlite::Database snapshot;
  Store store;  // the snapshot's
  SnapshotInfo info;
  Floor floor;
  StreamSeq fence = 0;
  Gap gap;
  Replica::Impl::StreamClock clock;
  int64_t total = 0;      // registers to be looked at, there and here
  int64_t looked_at = 0;

  std::vector<MergePair> tables;

  // What differs, by the snapshot's table ids: keys that it has otherwise, and keys that it has not.
  struct Differences {
    std::map<int64_t, std::vector<std::string>> changed, absent;
    int64_t keys = 0;
  } differs;

  // Goes back when a slice rolls back. The comparison holds no write lock.
  enum class Phase : uint8_t { begin, compare_theirs, compare_ours, whole, schema, rows, absent, pruned, finish };
  struct Progress {
    Phase phase = Phase::begin;
    size_t table = 0;            // index into `tables`
    std::string after;           // the last key looked at
    int64_t pruned = 0;          // ... and the last of what the snapshot remembers
    int64_t schema_version = -1; // ours, when `tables` was made
    bool compares() const { return phase == Phase::compare_theirs || phase == Phase::compare_ours; }
  } at;
};

}  // namespace marmot::replica
