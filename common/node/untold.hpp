// When the other nodes are asked to tell their schema, because rows wait here for a table or column that no schema message has told of: what the
// stream had before was lost or is unreadable, and no gap shows it (docs/decisions/0038-rows-of-an-untold-table.md). Pure.
#pragma once

#include <cstdint>

namespace marmot::node {

class Untold {
 public:
  static constexpr int64_t kFirstMs = 10'000;      // a schema message may be on its way
  static constexpr int64_t kLongestMs = 3'600'000;

  explicit Untold(int64_t first_ms = kFirstMs) : first_ms_(first_ms) {}

  // `units`: Replica::untold_units. True: they are asked now; then after twice the time each.
  bool asks(int64_t now_ms, int64_t units);
  void forget() { pause_ms_ = 0; }

 private:
  const int64_t first_ms_;
  int64_t pause_ms_ = 0;  // 0: nothing waits
  int64_t at_ms_ = 0;     // when they are asked
};

}  // namespace marmot::node
