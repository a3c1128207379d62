// Watches this machine's clock (common/node/clock_drift.hpp). While it is wrong nothing is published, and a probe (a message of kind
// genesis, number 0, which every node ignores) is sent every kProbeMs to see when it is over. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/loop/uv.hpp"
#include "agent/nats/transport.hpp"
#include "common/base/ids.hpp"
#include "common/node/clock_drift.hpp"

namespace marmot::agent {

class ClockCheck {
 public:
  static constexpr int64_t kProbeMs = 10'000;

  ClockCheck(uv::Loop& loop, std::string stream, std::string subject, int64_t max_drift_ms, std::function<void()> changed);
  ~ClockCheck();
  ClockCheck(const ClockCheck&) = delete;
  ClockCheck& operator=(const ClockCheck&) = delete;

  void observe(WallMs sent, WallMs stored, WallMs known);

  void start(nats::Connection& connection, NodeId node);
  void stop();

  bool beyond() const { return beyond_; }
  std::string text() const { return drift_.text(); }

 private:
  void probe();

  const std::string stream_, subject_;
  const std::function<void()> changed_;
  uv::Timer timer_;
  nats::Connection* connection_ = nullptr;
  NodeId node_;
  node::ClockDrift drift_;
  bool beyond_ = false;   // as `changed` was told
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace marmot::agent
