// Whose clock differs from the NATS server's, over core NATS:
//
//   marmot.<cluster>.ctl.<db>.clock   ClockState, every second while it does
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "agent/loop/uv.hpp"
#include "agent/nats/transport.hpp"
#include "common/base/ids.hpp"
#include "common/base/result.hpp"

namespace marmot::agent {

class Clocks {
 public:
  struct Events {
    std::function<NodeId()> self;
    std::function<int64_t()> own;   // as node::ClockDrift::off_ms
    std::function<void()> changed;  // off() is another
    std::function<void(std::string_view bytes, const Error& error)> not_understood;
  };
  Clocks(uv::Loop& loop, std::string subject_prefix, Events events);
  ~Clocks();
  Clocks(const Clocks&) = delete;
  Clocks& operator=(const Clocks&) = delete;

  void listen(nats::Connection& connection);
  void say();  // now, besides the regular times

  // By how much those of the others differ that said so a moment ago, in milliseconds; above 0: it is ahead.
  std::map<uint64_t, int64_t> off() const;

 private:
  static constexpr int64_t kEveryMs = 1000;
  static constexpr int64_t kKeepMs = 3000;
  static constexpr size_t kMaxNodes = 4096;

  void on_clock(const nats::Message& message);
  void tick();

  const std::string subject_;
  const Events events_;
  uv::Timer timer_;
  nats::Connection* connection_ = nullptr;
  std::unique_ptr<nats::Subscription> subscription_;
  struct Heard {
    int64_t off_ms = 0;
    int64_t at_ms = 0;
  };
  std::map<uint64_t, Heard> heard_;
};

}  // namespace marmot::agent
