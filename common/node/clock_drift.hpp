// How far is this machine's clock from the one clock that all nodes share, the JetStream server's? Pure.
//
// Last writer wins by wall clock: a node whose clock runs ahead would win over everybody, one that lags would lose what it writes. The
// server's time of a message of ours lies between when it was sent and when that was known; what lies outside by more than
// max_clock_drift_ms is drift.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/ids.hpp"

namespace marmot::node {

class ClockDrift {
 public:
  explicit ClockDrift(int64_t max_ms) : max_ms_(max_ms) {}

  // A message of ours was sent at `sent`, the server stored it at `stored`, and that was known at `known`.
  void observe(WallMs sent, WallMs stored, WallMs known);

  bool beyond() const;
  // For people, with the cure; empty when not beyond().
  std::string text() const;

 private:
  const int64_t max_ms_;
  int64_t drift_ms_ = 0;  // above 0: this machine's clock is ahead
};

}  // namespace marmot::node
