// What waits until one database has come somewhere: each is a condition, a deadline, and who is told. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "agent/loop/uv.hpp"

namespace marmot::agent {

class Waiters {
 public:
  explicit Waiters(uv::Loop& loop);

  // `done` once, never from within this call, unless this is destroyed first: true when `reached` said so, false when
  // `deadline_ms` (of monotonic_ms()) passed first. Both may add others.
  void add(int64_t deadline_ms, std::function<bool()> reached, std::function<void(bool reached)> done);

  // Something changed: asks every condition. Without a call that happens every kEveryMs, for the deadlines.
  void look();

 private:
  static constexpr int64_t kEveryMs = 50;

  struct Waiter {
    int64_t deadline_ms = 0;
    std::function<bool()> reached;
    std::function<void(bool)> done;
  };
  uv::Timer timer_;
  std::vector<Waiter> waiters_;
  bool looking_ = false;
};

}  // namespace marmot::agent
