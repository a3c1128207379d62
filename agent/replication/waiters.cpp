#include "agent/replication/waiters.hpp"

#include <utility>

#include "agent/loop/clock.hpp"

namespace marmot::agent {

Waiters::Waiters(uv::Loop& loop) : timer_(loop, [this] { look(); }) {}

void Waiters::add(int64_t deadline_ms, std::function<bool()> reached, std::function<void(bool)> done) {
  waiters_.push_back(Waiter{deadline_ms, std::move(reached), std::move(done)});
  if (!timer_.active()) timer_.start(uv::Milliseconds(0), uv::Milliseconds(kEveryMs));
}

void Waiters::look() {
  if (looking_) return;
  looking_ = true;
  const int64_t now = monotonic_ms();
  std::vector<Waiter> still;
  // A callback may add another, which may be done already.
  for (std::vector<Waiter> asked = std::exchange(waiters_, {}); !asked.empty(); asked = std::exchange(waiters_, {})) {
    for (Waiter& waiter : asked) {
      if (waiter.reached()) waiter.done(true);
      else if (now >= waiter.deadline_ms) waiter.done(false);
      else still.push_back(std::move(waiter));
    }
  }
  waiters_ = std::move(still);
  if (waiters_.empty()) timer_.stop();
  looking_ = false;
}

}  // namespace marmot::agent
