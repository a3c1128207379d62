// How far is this machine's clock from the one clock all nodes share, the JetStream server's?
//
// Last writer wins by wall clock: a node whose clock runs ahead would win over everybody, one that lags would lose what it
// writes. The server's time of a message of ours lies between when it was sent and when that was known; what lies outside by
// more than max_clock_drift_ms is drift. While it lasts nothing is published, and a probe (a message of kind genesis, number
// 0, which every node ignores) is sent every kProbeMs to see when it is over. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/loop/uv.hpp"
#include "agent/nats/transport.hpp"
#include "common/base/ids.hpp"

namespace marmot::agent {

class ClockCheck {
 public:
  static constexpr int64_t kProbeMs = 10'000;

  ClockCheck(uv::Loop& loop, std::string stream, std::string subject, int64_t max_drift_ms, std::function<void()> changed);
  ~ClockCheck();
  ClockCheck(const ClockCheck&) = delete;
  ClockCheck& operator=(const ClockCheck&) = delete;

  // A message of ours was sent at `sent`, the server stored it at `stored`, and that was known at `known`.
  void observe(WallMs sent, WallMs stored, WallMs known);

  void start(nats::Connection& connection, NodeId node);
  void stop();

  bool beyond() const { return beyond_; }
  // For people; empty when not beyond().
  std::string text() const;

 private:
  void probe();

  const std::string stream_, subject_;
  const int64_t max_drift_ms_;
  const std::function<void()> changed_;
  uv::Timer timer_;
  nats::Connection* connection_ = nullptr;
  NodeId node_;
  int64_t drift_ms_ = 0;  // above 0: this machine's clock is ahead
  bool beyond_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace marmot::agent
