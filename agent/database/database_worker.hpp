// The inside of a DatabaseThread: what runs on the thread itself. Only the four database_*.cpp here use it.
#pragma once

#include <atomic>
#include <optional>
#include <utility>

#include "agent/database/database_thread.hpp"
#include "agent/database/giving_way.hpp"
#include "agent/database/high_water.hpp"

namespace marmot::agent {

// What the loop thread and the database thread share; everything under `mutex` but the sender, the setup and `stop`.
struct DatabaseThread::Shared {
  Shared(DatabaseSetup given, uv::Mailbox::Sender to) : setup(std::move(given)), sender(std::move(to)), hold(setup.hold) {}

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
  explicit Worker(std::shared_ptr<Shared> given) : shared(std::move(given)), setup(shared->setup) {}

  void run();
  void publish(std::vector<replica::OutUnit> units);
  // Somebody is inside a transaction that a commit of ours could make fail.
  bool reading();

 private:
  Result<DatabaseOpened> open();
  // Waits until `until_us` or until something was signalled; takes it over. False: stop.
  bool take(int64_t until_us);
  void take_queue();
  bool run_jobs();
  void run_drained_jobs();

  // Does the next piece of work that is due. Returns when it wants to be called again at the latest.
  int64_t step();
  void look(int64_t now);
  int64_t next_look() const;
  void baseline();
  void compare();
  void merge();
  void end_merge(Status outcome);
  void apply();
  void drain();
  void outbox();
  void resume();
  // database_scrub.cpp
  bool scrub_wanted() const;
  bool scrub_due(int64_t now);
  void scrub();
  void scrubbed();
  bool apply_due(int64_t now) const;
  void finish_after_drain();

  // Retries `attempt(polite)` while another process reads, as the header says. What `may_wait` is not forced in the end: Errc::busy.
  template <class F>
  auto politely(F attempt, bool may_wait = false) -> decltype(attempt(true));
  Backlog backlog();
  void transaction_over();
  static int committed(void* self, sqlite3* db, const char* schema, int pages);
  bool echoes_due(int64_t now) const;
  void consumed(size_t messages);
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

  std::optional<GivingWay> way;  // declared before the engine: closed after SQLite closed the file
  std::optional<HighWater> high_water;
  std::optional<replica::Replica> engine;

  // Taken over from Shared.
  Mode mode = Mode::idle;
  bool publishing = false;
  bool hastened = false;
  std::deque<replica::Incoming> queue;
  struct Tag {
    bool own = false;
    size_t bytes = 0;
    WallMs at = 0;
    int64_t came_us = 0;  // monotonic microseconds
  };
  std::deque<Tag> tags;      // one a message of the queue
  size_t foreign = 0;        // messages of the queue that are not our own echoes
  size_t foreign_bytes = 0;
  std::deque<Job> jobs;
  std::vector<Job> drained_jobs;
  int64_t drained_jobs_at = 0;
  Merge merging;
  std::vector<std::function<void()>> waiting_for_drain;

  bool work = false;          // the log holds something
  bool looked = false;        // since the last request of after_drain()
  bool outbox_due = false;
  bool drained_for_outbox = false;
  bool outbox_last = false;   // the last piece of work was the outbox: the others go first now
  bool contended = false;     // a write had to give way, lately
  int64_t polite_since = 0;   // monotonic microseconds: work has waited since for an application that reads; 0: none does
  int64_t not_before = 0;     // monotonic microseconds: the write lock is left alone until then
  int64_t poll_at = 0;
  int64_t sample_at = 0;      // of who reads
  int64_t recheck_at = 0;     // 0: none
  size_t recheck = 0;         // index into kRechecks
  int64_t echoes_since = 0;   // when the first message of the queue came, or marking was put off
  bool marking = false;       // echoes are being marked: what is left goes on without another wait
  int64_t moved_us = 0;       // when something was last committed here, or a message came
  int64_t resume_at = 0;
  struct Scrub {
    std::vector<std::function<void(ScrubReport)>> asked;  // by whom; answered at the end of the pass that began for them
    bool running = false;     // inside a pass
    int64_t next = 0;         // slice, or pass
    int64_t began = 0;        // the pass
    int64_t version = -1;     // the file's data_version when the last pass began
    int idle = 0;             // passes left out since, because nobody had committed
    int refused = 0;          // slices that found something while others read
    ScrubReport found;
    std::vector<std::string> examples;
  } scrubbing;
  int64_t sync_at = 0;        // 0: the high-water mark is safe
  std::vector<replica::OutUnit> held_units;  // drained; the high-water mark could not be written yet

  DatabaseProgress progress;
  bool progress_changed = false;
  int64_t busy_since = 0;
  int64_t backoff = 0;
  std::string logged_trouble;
  int64_t logged_at = 0;
};

}  // namespace marmot::agent
