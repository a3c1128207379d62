// How far is this machine's clock from the one clock that all nodes share, the JetStream server's? Pure.
//
// Last writer wins by wall clock: a node whose clock runs ahead would win over everybody, one that lags would lose what it writes. The
// server's time of something that we asked of it lies between when it was asked and when the answer was known; what lies outside by more than
// max_clock_drift_ms is drift.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/base/ids.hpp"

namespace marmot::node {

class ClockDrift {
 public:
  explicit ClockDrift(int64_t max_ms) : max_ms_(max_ms) {}

  // A new connection: what is known of the clock is of before, and it may have been set since.
  void connected() { known_ = false; }
  // Something was asked at `sent`, the server did it at `stored`, and that was known at `known`.
  void observe(WallMs sent, WallMs stored, WallMs known);

  bool known() const { return known_; }
  bool beyond() const;
  // Nothing is published before the clock was compared with the server's, nor while it is wrong.
  bool may_publish() const;
  // Above 0: this machine's clock is ahead; 0 when not beyond().
  int64_t off_ms() const { return beyond() ? drift_ms_ : 0; }
  // For people, with the cure; empty when not beyond().
  std::string text() const;

 private:
  const int64_t max_ms_;
  int64_t drift_ms_ = 0;  // above 0: this machine's clock is ahead
  bool known_ = false;
};

// Clocks of `off` of the `nodes` that there are differ from the server's. More than half of several: it is the server's that is wrong.
bool server_is_off(size_t off, size_t nodes);
// That, for people.
std::string server_text(size_t off, size_t nodes);

// "3600000 ms ahead of the NATS server's"
std::string off_text(int64_t off_ms);

}  // namespace marmot::node
