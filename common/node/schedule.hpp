// What waits to be done with one database file, and what was done: the facts of turn.hpp, kept up to date. Whoever runs the engine
// asks next(), does that step, and says how it ended; the agent's database thread and the simulator's agent alike.
//
// Pure; times are monotonic microseconds. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "common/base/result.hpp"
#include "common/node/inbox.hpp"
#include "common/node/scrubbing.hpp"
#include "common/node/turn.hpp"
#include "common/replica/types.hpp"

namespace marmot::node {

class Schedule {
 public:
  struct Limits {
    int64_t poll_us = 100'000;           // whether somebody committed is looked at so often; above 0
    int64_t scrub_every_us = 0;          // Scrubbing
    // Our own messages only mark what they acknowledge: they ride along with the next drain or apply. Where something waits for them,
    // or there are many, they wait for so long only:
    int64_t echo_delay_us = 100'000;
    int64_t echo_quiet_us = 2'000'000;   // else until nothing has happened for so long
    int64_t echo_longest_us = 60'000'000;  // then they are written as anything else is
    int64_t resume_every_us = 5'000'000;   // stopped tables are tried again
  };
  static constexpr size_t kMaxEchoes = 10'000;                // are many,
  static constexpr size_t kMaxEchoBytes = size_t{512} << 10;  // or so many bytes: some ten thousand rows

  Schedule(Limits limits, int64_t now) : scrubbing(limits.scrub_every_us, now), limits_(limits) {}

  // How the engine stands.
  struct Standing {
    replica::Membership membership = replica::Membership::none;
    bool stopped_tables = false;
    bool wants_echoes = false;  // Replica::wants_echoes
  };
  Turn next(int64_t now, const Standing& standing);
  // Everything that was committed before the last look_now() is drained and has left, or cannot be.
  bool drained(const Standing& standing) const;

  // -- what others want ------------------------------------------------------------------------------------------------
  void set(Mode mode, bool publishing);
  Mode mode() const { return facts_.mode; }
  void merge(bool on) { facts_.merging = on; }
  void halt() { facts_.halted = true; }
  bool halted() const { return facts_.halted; }
  void wake(int64_t now);  // somebody may have committed: it is looked at several times, for the commit is seen a little later
  void look_now() { looked_ = false; }
  void hasten() { hastened_ = true; }  // something waits for echoes
  void request_outbox();   // what is unacknowledged is to be taken up, after a drain
  bool outbox_due() const { return facts_.outbox_due; }
  bool outbox_done() const { return outbox_asked_ && !facts_.outbox_due; }  // nothing of it is left

  // -- messages of the stream -------------------------------------------------------------------------------------------
  void add(std::deque<replica::Incoming> messages, Origin self, int64_t now);
  void clear();  // what is not applied is dropped
  Inbox& inbox() { return inbox_; }
  const Inbox& inbox() const { return inbox_; }
  // All of them are echoes that nobody waits for: a reader is not disturbed for them.
  bool echoes_only(int64_t now) const;

  // -- what was done ----------------------------------------------------------------------------------------------------
  void looked(int64_t now, bool logged);
  void baselined() { facts_.baseline_done = true; }
  bool baseline_done() const { return facts_.baseline_done; }
  // `only_echoes`: echoes_only() before it. The bytes that it consumed.
  size_t applied(int64_t now, const replica::ApplyResult& result, bool only_echoes);
  void echoes_put_off(int64_t now);
  void drained();
  void sent_outbox(const replica::DrainResult& result);
  void resumed(int64_t now, const Result<bool>& any);
  void scrub_put_off(int64_t began, bool others_read);
  void outbox_again() { outbox_asked_ = facts_.outbox_due = true; }  // Replica::outbox_again

  // The write lock was held for `held_us`. `alone`: no other process has the file open; `contended`: a write had to give way.
  void stay_away(int64_t now, int64_t held_us, bool alone, bool contended);
  // Something went well. `logged`: Replica::has_work.
  void succeeded(bool logged);
  // Something failed, and is tried again later. Errc::busy: for how long that has been so; else 0.
  int64_t failed(int64_t now, Errc code);
  bool locked() const { return busy_since_ != 0; }  // the last attempt failed with Errc::busy
  bool logged() const { return facts_.logged; }
  bool may_write(int64_t now) const { return now >= facts_.not_before; }

  // -- units ------------------------------------------------------------------------------------------------------------
  // No version leaves before the high-water mark of the clock is kept: units wait here until then, and no more are made meanwhile.
  void hold(std::vector<replica::OutUnit> units);
  bool holds() const { return !held_.empty(); }
  std::vector<replica::OutUnit> release();

  Scrubbing scrubbing;

 private:
  int64_t echoes_at(int64_t now, bool wanted) const;

  const Limits limits_;
  TurnFacts facts_ = first_facts();
  static TurnFacts first_facts();
  Inbox inbox_;
  std::vector<replica::OutUnit> held_;
  bool looked_ = false;        // since look_now()
  bool hastened_ = false;
  bool outbox_asked_ = false;
  int64_t poll_at_ = 0;
  int64_t recheck_at_ = 0;     // 0: none
  size_t recheck_ = 0;         // which of them
  int64_t echoes_since_ = 0;   // when the first message of the inbox came, or marking was put off
  bool marking_ = false;       // echoes are being marked: what is left goes on without another wait
  int64_t moved_ = 0;          // when something was last committed here, or a message came
  int64_t busy_since_ = 0;
  int64_t backoff_ = 0;
};

}  // namespace marmot::node
