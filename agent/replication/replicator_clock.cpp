// This machine's clock against the server's, and what it has stamped (docs/decisions/0032-a-clock-that-was-wrong.md).
#include <algorithm>
#include <utility>

#include "agent/loop/clock.hpp"
#include "agent/loop/random.hpp"
#include "agent/replication/replicator.hpp"
#include "common/codec/envelope.hpp"

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

Status Replicator::may_change_clocks() const {
  if (state_ != State::running) return make_error(Errc::unavailable, "not in the stream: " + state_text_);
  if (clock_.beyond()) return make_error(Errc::refused, clock_trouble());
  if (!may_publish()) return make_error(Errc::unavailable, "this machine's clock was not compared with the NATS server's yet: try again in a moment");
  for (const Peer& peer : peers_->alive()) {
    if (peer.data_format >= codec::kFormatOfClock) continue;
    return make_error(Errc::refused, "node " + std::to_string(peer.node.value) + " runs Marmot " + peer.marmot + ", which could not read the message: upgrade it first");
  }
  return ok();
}

void Replicator::clock(ClockOrder order, std::function<void(Result<ClockStatus>)> done) {
  const bool changes = order.reset || order.bound_ms != 0;
  if (const Status may = changes ? may_change_clocks() : ok(); !may) return done(may.error());
  const auto answer = [this, order, done](Result<replica::ClockReport> report) {
    if (!report) return done(report.error());
    ClockStatus status;
    status.known = connected_ && clock_.known();
    status.off_ms = clock_.off_ms();
    for (const auto& [node, off] : clocks_->off()) status.others.emplace_back(NodeId{node}, off);
    status.bound_ms = report->bound_ms;
    status.ahead_ms = report->ahead_ms;
    status.versions = report->versions;
    status.poisoned = report->ahead_ms > report->bound_ms;
    if (order.bound_ms == 0 && !(order.reset && status.poisoned)) return done(status);
    change_clocks(order, *report, [status, done](const Status& changed) { changed ? done(status) : done(changed.error()); });
  };
  const auto question = [now = wall_now()](replica::Replica& replica) { return replica.clock_report(now); };
  if (const Status asked = thread_->ask<replica::ClockReport>(question, answer); !asked) done(asked.error());
}

void Replicator::change_clocks(const ClockOrder& order, const replica::ClockReport& report, std::function<void(Status)> done) {
  if (const Status may = may_change_clocks(); !may) return done(may);
  const ClockReset reset = order.reset ? report.reset : ClockReset{};
  const auto write = [bound = order.bound_ms, reset](replica::Replica& replica, bool polite) { return replica.change_clocks(bound, reset, polite); };
  const auto told = [done](const Result<size_t>& written) { done(written ? ok() : Status(written.error())); };
  if (const Status asked = thread_->write(write, told); !asked) done(asked);
}

}  // namespace marmot::agent
