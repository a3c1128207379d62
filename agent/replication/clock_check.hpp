// Watches this machine's clock (common/node/clock_drift.hpp). It is compared with the server's before anything is published on a connection:
// by when the server made the consumer that reads the stream or, where that is not known soon, by a probe (a message of kind genesis, number
// 0, which every node ignores). While it is wrong a probe is sent every kProbeMs to see when it is over. Loop thread only.
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
  static constexpr int64_t kSoonMs = 2000;  // the consumer is made within that

  ClockCheck(uv::Loop& loop, std::string stream, std::string subject, int64_t max_drift_ms, std::function<void()> changed);
  ~ClockCheck();
  ClockCheck(const ClockCheck&) = delete;
  ClockCheck& operator=(const ClockCheck&) = delete;

  // As node::ClockDrift has it.
  void observe(WallMs sent, WallMs stored, WallMs known);

  void start(nats::Connection& connection, NodeId node);
  void stop();

  bool may_publish() const { return drift_.may_publish(); }
  bool known() const { return drift_.known(); }
  bool beyond() const { return drift_.beyond(); }
  int64_t off_ms() const { return drift_.off_ms(); }
  std::string text() const { return drift_.text(); }

 private:
  void probe();

  const std::string stream_, subject_;
  const std::function<void()> changed_;  // may_publish() or beyond() is another
  uv::Timer timer_;
  nats::Connection* connection_ = nullptr;
  NodeId node_;
  node::ClockDrift drift_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace marmot::agent
