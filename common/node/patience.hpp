// For how long what a node has to write may wait for an application that reads (docs/decisions/0008-giving-way.md). Pure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace marmot::node {

// What waits meanwhile.
struct Backlog {
  int64_t oldest_us = 0;    // since when the oldest row of another node is here and not applied; 0: there is none
  int64_t rows = 0;         // logged here and not drained, and messages of other nodes, each at least a row
  uint64_t bytes = 0;       // of messages of other nodes
  uint64_t wal_bytes = 0;   // of the WAL that are in use
};

inline constexpr int64_t kPatienceUs = 1'000'000;    // at rest
inline constexpr int64_t kLatePatienceUs = 100'000;  // of each transaction,
inline constexpr int64_t kOldestUs = 2'000'000;      // where a row of another node has waited for so long
inline constexpr int64_t kMostRows = 10'000;         // none, where so many rows wait,
inline constexpr uint64_t kMostBytes = 8 << 20;      // or so many bytes of messages,
inline constexpr uint64_t kMostWalBytes = 64 << 20;  // or the WAL has so many

inline int64_t patience_us(const Backlog& backlog) {
  if (backlog.rows >= kMostRows || backlog.bytes >= kMostBytes || backlog.wal_bytes >= kMostWalBytes) return 0;
  return backlog.oldest_us >= kOldestUs ? kLatePatienceUs : kPatienceUs;
}

// Little enough to be written while applications that begin to read are kept waiting.
inline bool is_little(const Backlog& backlog) { return backlog.rows <= 2000 && backlog.bytes <= size_t{1} << 20; }

}  // namespace marmot::node
