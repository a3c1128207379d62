// What takes a running database a while: to have published, to have applied, to be like the others; and its orderly end.
#include <algorithm>
#include <utility>

#include "agent/loop/clock.hpp"
#include "agent/replication/replicator.hpp"

namespace marmot::agent {

namespace {
constexpr int64_t kRunningMs = 5000;     // for an agent that has just started, or lost its server a moment ago
constexpr int64_t kEchoMs = 1000;        // at the end: for our own messages to come round
constexpr int64_t kLeastVerifyMs = 1000; // a comparison gets so long, whatever is left of its time
}  // namespace

// Everything committed before this call is in the stream.
void Replicator::until_published(int64_t deadline_ms, std::function<void(bool)> done) {
  struct Publishing {
    enum class Stage : uint8_t { wait, drain, publish } stage = Stage::wait;
    uint64_t generation = 0;
    uint64_t mark = 0;
  };
  const auto publishing = std::make_shared<Publishing>();
  const auto reached = [this, publishing] {
    // The stream was left meanwhile: what was drained may have to be published under other numbers.
    if (publishing->generation != generation_) publishing->stage = Publishing::Stage::wait;
    if (publishing->stage == Publishing::Stage::wait) {
      if (state_ != State::running || progress_.membership != replica::Membership::member || !publishing_ || !outbox_complete()) {
        return false;
      }
      publishing->stage = Publishing::Stage::drain;
      publishing->generation = generation_;
      thread_->after_drain([this, publishing, generation = generation_] {
        if (publishing->generation != generation || publishing->stage != Publishing::Stage::drain) return;
        publishing->stage = publishing_ ? Publishing::Stage::publish : Publishing::Stage::wait;
        publishing->mark = publisher_.mark();
        poke();
      });
      return false;
    }
    return publishing->stage == Publishing::Stage::publish && publisher_.stored_through(publishing->mark);
  };
  waiters_.add(deadline_ms, reached, std::move(done));
}

void Replicator::until_applied(StreamSeq seq, int64_t deadline_ms, std::function<void(bool)> done) {
  const auto reached = [this, seq] {
    if (state_ == State::running && applied() >= seq) return true;
    // Our own messages would wait for a drain to ride along with.
    if (state_ == State::running && delivered_.seq >= seq) thread_->hasten();
    return false;
  };
  waiters_.add(deadline_ms, reached, std::move(done));
}

// The file is open and the stream is followed. False: not in time, or nothing is done for this database any more.
void Replicator::until_running(int64_t deadline_ms, std::function<void(bool)> done) {
  const auto running = [this] { return connection_ != nullptr && state_ == State::running; };
  waiters_.add(deadline_ms, [this, running] { return running() || state_ == State::stopped; },
               [running, done = std::move(done)](bool) { done(running()); });
}

void Replicator::stop(int64_t timeout_ms, std::function<void()> done) {
  const int64_t deadline = monotonic_ms() + timeout_ms;
  if (state_ != State::running) return done();
  until_published(deadline, [this, deadline, done = std::move(done)](bool published) {
    if (!published) {
      log_(LogLevel::warn, name() + ": not everything could be published in time: it is kept in the file");
      return done();
    }
    // Seen in the stream, nothing of it is published again at the next start.
    const int64_t until = std::min(deadline, monotonic_ms() + kEchoMs);
    until_applied(publisher_.last_stored(), until, [done](bool) { done(); });
  });
}

void Replicator::wait(WaitLevel level, int64_t timeout_ms, std::function<void(const WaitOutcome&)> done) {
  const int64_t deadline = monotonic_ms() + timeout_ms;
  const auto finish = [this, done = std::move(done)](bool reached) { done(WaitOutcome{reached, publisher_.pending_rows()}); };
  if (level == WaitLevel::ready) return waiters_.add(deadline, [this] { return ready(); }, finish);
  until_published(deadline, [this, level, deadline, finish](bool published) {
    if (!published) return finish(false);
    // Seen in the stream, not only acknowledged.
    const StreamSeq target = std::max(publisher_.last_stored(), applied());
    until_applied(target, deadline, [this, level, target, deadline, finish](bool seen) {
      if (!seen || level == WaitLevel::published) return finish(seen);
      const auto everywhere = [this, target] {
        const std::vector<Peer> peers = peers_->alive();
        return std::all_of(peers.begin(), peers.end(), [target](const Peer& peer) { return peer.applied >= target; });
      };
      waiters_.add(deadline, everywhere, finish);
    });
  });
}

// -- comparing with the other nodes -------------------------------------------------------------------------------------

void Replicator::verify(int64_t timeout_ms, bool repair, Verify::Progress progress, std::function<void(Result<VerifyOutcome>)> done) {
  if (verify_running_) return done(make_error(Errc::busy, "another verify runs: try again when it is done"));
  verify_running_ = true;
  const auto finish = [this, done = std::move(done)](Result<VerifyOutcome> outcome) {
    verify_running_ = false;
    if (outcome) outcome->unreachable = members_but(outcome->report.answered);
    done(std::move(outcome));
  };
  const int64_t deadline = monotonic_ms() + timeout_ms;
  until_running(monotonic_ms() + std::min(timeout_ms, kRunningMs), [this, deadline, repair, progress = std::move(progress), finish](bool running) {
    if (!running) {
      const std::string why = state_text_.empty() ? name_of(shown_state()) : state_text_;
      return finish(make_error(Errc::unavailable, "not connected to the cluster: " + why));
    }
    const int64_t left = std::max(kLeastVerifyMs, deadline - monotonic_ms());
    if (repair) return repair_and_compare(left, progress, finish);
    compare(left, progress, [finish](Result<VerifyReport> report) {
      if (!report) return finish(report.error());
      finish(VerifyOutcome{*std::move(report), std::nullopt});
    });
  });
}

void Replicator::repair_and_compare(int64_t timeout_ms, const Verify::Progress& progress,
                                    std::function<void(Result<VerifyOutcome>)> done) {
  const int64_t deadline = monotonic_ms() + timeout_ms;
  repair_->run(timeout_ms, progress, [this, deadline, progress, done = std::move(done)](Result<RepairReport> repaired) {
    if (!repaired) return done(repaired.error());
    if (state_ != State::running) return done(make_error(Errc::unavailable, "the stream was left meanwhile"));
    compare(std::max(kLeastVerifyMs, deadline - monotonic_ms()), progress, [done, repaired = *std::move(repaired)](Result<VerifyReport> report) {
      if (!report) return done(report.error());
      done(VerifyOutcome{*std::move(report), repaired});
    });
  });
}

void Replicator::compare(int64_t timeout_ms, Verify::Progress progress, Verify::Done done) {
  Verify::Host host{loop_, *connection_, *thread_, *peers_, stream(), prefix_,
                    [this](int64_t deadline, std::function<void(bool)> then) { until_published(deadline, std::move(then)); },
                    [this](StreamSeq seq, int64_t deadline, std::function<void(bool)> then) { until_applied(seq, deadline, std::move(then)); },
                    [this] { return self(); }};
  verify_ = std::make_unique<Verify>(std::move(host), timeout_ms, std::move(progress), std::move(done));
}

}  // namespace marmot::agent
