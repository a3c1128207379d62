// The inside of a DatabaseThread: what runs on the thread itself. common/node/schedule.hpp says what is done next; here it is done.
// Only the three database_*.cpp here use it.
#pragma once

#include <atomic>
#include <optional>
#include <utility>

#include "agent/database/database_thread.hpp"
#include "agent/database/giving_way.hpp"
#include "agent/database/high_water.hpp"
#include "agent/database/sharing.hpp"
#include "common/node/schedule.hpp"

namespace marmot::agent {

// What the loop thread and the database thread share; everything under `mutex` but the sender, the setup and `stop`.
struct DatabaseThread::Shared {
  Shared(DatabaseSetup given, uv::Mailbox::Sender to) : setup(std::move(given)), sender(std::move(to)), hold(setup.hold), max_message(setup.settings.max_message), hold_ids(setup.settings.ids.held) {}

  const DatabaseSetup setup;
  const uv::Mailbox::Sender sender;
  std::weak_ptr<DatabaseEvents> events;  // gone: the DatabaseThread is being destroyed
  std::atomic<bool> stop{false};
  std::atomic<int64_t> stalled_since{0};  // monotonic microseconds: something has been due since; 0: nothing is
  Worker* worker = nullptr;               // for jobs, which run on its thread

  std::mutex mutex;
  std::condition_variable changed;
  bool hold;               // until go()
  bool signalled = false;  // something below changed since the thread looked
  bool wake = false;
  bool publishing = false;
  bool outbox = false;
  bool hasten = false;
  Mode mode = Mode::idle;
  size_t max_message;
  bool hold_ids;
  StreamSeq follows_to = 0;
  bool tracing = false;
  std::deque<replica::Incoming> inbox;
  size_t queued_bytes = 0, queued_messages = 0;  // the inbox, and what the thread took from it and has not applied
  bool full = false;                             // told the loop to pause
  std::optional<std::function<void(const DatabaseProgress&)>> reset;
  std::deque<Job> jobs;
  size_t unanswered_jobs = 0;  // those, and what the thread took over and could not do yet
  std::vector<Job> drained_jobs;
  std::optional<Merge> merge;  // to be taken over
  std::vector<std::function<void()>> after_drain;
  std::vector<std::function<void(ScrubReport)>> scrubs;  // who wants all rows compared now

  // Runs `work` on the loop unless the DatabaseThread is gone by then. Waits while the mailbox is full.
  void post(std::function<void(DatabaseEvents&)> work);
};

struct DatabaseThread::Worker {
  explicit Worker(std::shared_ptr<Shared> given);

  void run();
  void publish(std::vector<replica::OutUnit> units);
  // Nobody is inside a transaction that a commit of ours could make fail; with `hold` nobody begins one before transaction_over().
  bool free_to_write(bool hold);
  void transaction_over();

 private:
  Result<DatabaseOpened> open();
  // Waits until `until_us` (0: not at all) or until something was signalled; takes it over. False: stop.
  bool take(int64_t until_us);
  void take_settings();
  void take_queue();
  bool run_jobs();
  void run_drained_jobs();

  // Does the next step that is due. Returns when it wants to be called again at the latest.
  int64_t turn();
  void chores(int64_t now);
  node::Schedule::Standing standing();
  void note_stopped();
  void look();
  void watch_sharing(int64_t now);
  void baseline();
  void compare();
  void merge();
  void end_merge(Status outcome);
  void apply();
  void drain();
  void outbox();
  void resume();
  // database_scrub.cpp
  void scrub();
  void scrubbed();
  void finish_after_drain();

  // Retries `attempt(polite)` while another process reads, as the header says. What `may_wait` is not forced in the end: Errc::busy.
  template <class F>
  auto politely(F attempt, bool may_wait = false) -> decltype(attempt(true));
  node::Backlog backlog();
  static int committed(void* self, sqlite3* db, const char* schema, int pages);
  void tell_position(replica::Replica& replica);
  void consumed(size_t messages, size_t bytes);
  void flush_units();
  void trace(std::vector<replica::Change> changes);
  void tell_schema_changes();

  void stay_away(int64_t held_us);
  void succeeded();
  void failed(const char* verb, const Error& error);
  void halt(const std::string& why);
  void post_progress();

  std::shared_ptr<Shared> shared;
  const DatabaseSetup& setup;

  SharingWatch sharing;
  int64_t sharing_at = 0;     // when it is looked at again

  std::optional<GivingWay> way;  // declared before the engine: closed after SQLite closed the file
  std::optional<HighWater> high_water;
  std::optional<replica::Replica> engine;
  node::Schedule schedule;

  // Taken over from Shared.
  std::deque<Job> jobs;
  std::vector<Job> drained_jobs;
  int64_t drained_jobs_at = 0;
  Merge merging;
  std::vector<std::function<void()>> waiting_for_drain;
  std::vector<std::function<void(ScrubReport)>> waiting_for_scrub;  // answered at the end of the pass that began for them

  bool contended = false;     // a write had to give way, lately
  int64_t polite_since = 0;   // monotonic microseconds: work has waited since for an application that reads; 0: none does
  int64_t sample_at = 0;      // of who reads
  int64_t sync_at = 0;        // 0: the high-water mark is safe

  DatabaseProgress progress;
  bool progress_changed = false;
  std::string logged_trouble;
  int64_t logged_at = 0;
};

}  // namespace marmot::agent
