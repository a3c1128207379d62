// Strong types for the numbers that cross layers.
#pragma once

#include <compare>
#include <cstdint>
#include <cstdio>
#include <string>

namespace marmot {

// Wall-clock milliseconds since 1970-01-01 UTC.
using WallMs = int64_t;

// A node's permanent number: 1 to 2^53 - 1 (exact in JSON and JavaScript). 0 is "no node".
struct NodeId {
  uint64_t value = 0;
  auto operator<=>(const NodeId&) const = default;
};
inline constexpr uint64_t kMaxNodeId = (uint64_t{1} << 53) - 1;

// Random, below 2^63; new at every agent start and whenever history was lost, so that one version never names two contents.
struct Incarnation {
  uint64_t value = 0;
  auto operator<=>(const Incarnation&) const = default;
};

// Who wrote: a node in one of its lives.
struct Origin {
  NodeId node;
  Incarnation incarnation;
  auto operator<=>(const Origin&) const = default;
};

// JetStream stream sequence; the first message is 1. 0 is "none".
using StreamSeq = uint64_t;

inline std::string to_hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(value));
  return text;
}

}  // namespace marmot
