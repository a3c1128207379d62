// This machine's clock against the server's, and what it has stamped (docs/decisions/0032-a-clock-that-was-wrong.md).
#include <algorithm>
#include <utility>

#include "agent/loop/clock.hpp"
#include "agent/loop/random.hpp"
#include "agent/replication/replicator.hpp"

namespace marmot::agent {

namespace {
constexpr int64_t kStampsAgainMs = 1000;  // a change of them failed
}  // namespace

void Replicator::on_clock() {
  const std::string trouble = clock_trouble();
  if (const bool told = std::exchange(clock_told_, trouble) != trouble; told) {
    if (!trouble.empty()) log_(LogLevel::error, name() + ": " + trouble);
    else log_(LogLevel::info, name() + ": the clock is right again: publishing goes on");
    clocks_->say();
  }
  publisher_.hold(!may_publish());
  update_flow();
  look_at_stamps();
  poke();
}

// Of this machine's clock, or of the server's where most nodes differ from it.
std::string Replicator::clock_trouble() const {
  if (!clock_.beyond()) return {};
  const size_t off = clocks_->off().size() + 1;
  const size_t nodes = std::max(members_->all().size(), off);
  return node::server_is_off(off, nodes) ? node::server_text(off, nodes) : clock_.text();
}

// Before anything is published: what a clock that was wrong has stamped would be refused everywhere, or win against later writes.
void Replicator::look_at_stamps() {
  if (state_ != State::running || !clock_.may_publish() || stamps_right_) return;
  const Status asked = thread_->ask<int64_t>(
      [now = wall_now()](replica::Replica& replica) { return replica.misdated(now); },
      [this, generation = generation_](Result<int64_t> ahead) {
        if (generation != generation_ || state_ != State::running || !clock_.may_publish() || stamps_right_) return;
        if (ahead && *ahead != 0) return redate();
        if (!ahead) return retry_stamps_.start(uv::Milliseconds(kStampsAgainMs));
        stamps_right_ = true;
        on_clock();
      });
  if (!asked) retry_stamps_.start(uv::Milliseconds(kStampsAgainMs));
}

void Replicator::redate() {
  leave(State::waiting);
  state_text_ = "giving changes the right time that a wrong clock had stamped";
  redating_ = true;
  const auto done = [this](const Status& redated) {
    redating_ = false;
    if (redated) publisher_.clear();
    else report(LogLevel::error, "give changes the right time: " + redated.error().message + " (trying again)");
    if (connected_) retry_.start(uv::Milliseconds(redated ? 0 : kStampsAgainMs));
  };
  const Incarnation incarnation{random_incarnation()};
  const auto make = [now = wall_now(), incarnation](replica::Replica& replica) { return replica.redate(now, incarnation); };
  if (const Status asked = thread_->change(make, done, DatabaseThread::Lasts::longer); !asked) done(asked);
}

}  // namespace marmot::agent
