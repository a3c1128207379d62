// One thread a database file. It owns the only connection that writes and the replication engine; nothing else of the
// agent touches either. The loop feeds it messages, wakes it, and asks; it answers by posting to the loop.
//
// What it does when is decided in common/node/schedule.hpp, and how its writes give way to the application in
// docs/decisions/0008-giving-way.md: before BEGIN it looks whether another process is inside a transaction that it could make fail,
// and waits for the gap behind that one; just before COMMIT it makes sure that none begins (giving_way.hpp). At the end of its patience
// (common/node/patience.hpp) it writes all the same, until it got the lock.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "agent/database/giving_way.hpp"
#include "agent/loop/uv.hpp"
#include "common/base/log.hpp"
#include "common/base/result.hpp"
#include "common/node/turn.hpp"
#include "common/replica/replica.hpp"

namespace marmot::agent {

struct DatabaseSetup {
  std::string path;
  std::string name;                     // in the log
  bool may_create = true;
  std::vector<std::string> extensions;
  replica::Settings settings;
  uint64_t node_id = 0;                 // configured; 0: the file's own
  std::string high_water_path;
  int64_t poll_interval_ms = 100;
  int64_t scrub_interval_ms = 30'000;   // rows are compared with their versions so often; 0: only when asked
  bool hold = false;                    // do not open the file before go()
  LogSink log;
};

// A whole comparison of rows with their versions: what capture had not seen, by table.
using ScrubReport = std::map<std::string, int64_t>;

// What the thread found when it opened the file.
struct DatabaseOpened {
  bool created = false;    // there was no file
  bool installed = false;  // there were no internal tables
  uint64_t device = 0, inode = 0;
  Origin origin;
  replica::Membership membership = replica::Membership::none;
  replica::Position position;
};

// How things stand; posted whenever something of it changed.
struct DatabaseProgress {
  replica::Membership membership = replica::Membership::none;
  replica::Position position;
  Origin origin;
  HashKey hash_key;             // Replica::hash_key
  bool baseline_done = false;
  bool outbox_done = false;     // nothing unacknowledged from before this incarnation is left to be published
  uint64_t compared = 0;        // stream sequence fed to compare()
  uint64_t rows_in = 0;         // of messages applied, in this run
  uint64_t rows_changed = 0;    // of those, the ones that won
  uint64_t rows_out = 0;        // drained or published again, in this run
  WallMs applied_at = 0;        // JetStream's time of the last message applied in this run
  size_t waiting = 0;           // messages taken over from the stream, not yet applied
  uint64_t scrub_passes = 0;    // rows compared with their versions, all of them
  uint64_t scrub_found = 0;     // rows found so that capture had not seen
  GivingWay::Facts giving_way;
  std::vector<replica::StoppedTable> stopped, unfilled;
  replica::FailedEffects failed_effects;
  bool ids_ready = false;       // Replica::ids_ready
  std::string trouble;          // what keeps failing and is tried again; empty: nothing
  int64_t merged = 0, to_merge = 0;  // registers of a snapshot looked at, and all of them; 0, 0: none is merged
  uint64_t own_units = 0;       // at `position`: the last unit of this incarnation that has come round
  replica::Gap gap;             // Replica::gap
  bool wants_floor = false;     // Replica::wants_floor
  int64_t untold_units = 0;     // Replica::untold_units
  StreamSeq begins_anew = 0;    // ApplyResult::begins_anew; cleared once reset_queue() has told it
  bool stale = false;           // the file was rolled back or replaced: make the DatabaseThread anew; `halted` says so
  std::string halted;           // why nothing more is done for this database; empty: it runs
};

// All are called on the loop, never after the DatabaseThread is gone.
struct DatabaseEvents {
  std::function<void(Result<DatabaseOpened>)> opened;                // once, first; an error: the thread has ended
  std::function<void(std::vector<replica::OutUnit>)> units;          // to be published in this order
  std::function<void(const DatabaseProgress&)> progress;
  std::function<void(std::vector<replica::Change>)> changes;         // while tracing
  std::function<void()> room;                                        // feed() has room again
  std::function<void()> misdated;                                    // ApplyResult::misdated
  std::function<void(std::set<std::string>)> schema_changed;         // Replica::take_schema_changes(), not empty; may be left out
};

class DatabaseThread {
 public:
  static constexpr size_t kMaxQueueBytes = size_t{64} << 20;
  static constexpr size_t kMaxQueueMessages = 16384;
  static constexpr size_t kMaxJobs = 1024;

  // `sender`: the loop's mailbox.
  DatabaseThread(DatabaseSetup setup, DatabaseEvents events, uv::Mailbox::Sender sender);
  // close()
  ~DatabaseThread();
  DatabaseThread(const DatabaseThread&) = delete;
  DatabaseThread& operator=(const DatabaseThread&) = delete;

  // Loop thread, all of them; none blocks but close().

  // With DatabaseSetup::hold: the file may be opened now.
  void go();

  // Ends the thread and waits for it: a transaction that runs is finished first, SQLite closes the file.
  void close();

  // The WAL file changed: somebody may have committed.
  void wake();

  // Settings: the last one counts, none is refused, and each holds for every message that is fed after it.
  using Mode = node::Mode;
  void set_mode(Mode mode);
  void set_max_message(size_t bytes);      // Replica::set_max_message
  void set_hold_ids(bool on);              // Replica::hold_ids
  void set_follows_to(StreamSeq end);      // Replica::follows_to
  void set_tracing(bool on);               // Replica::trace, for DatabaseEvents::changes

  // Drain, and publish the outbox. `outbox`: take up what is unacknowledged from before this incarnation.
  void set_publishing(bool allowed);
  void publish_outbox();

  // Takes a message of the stream over. False: the queue is full now, pause until DatabaseEvents::room.
  bool feed(replica::Incoming message);
  // Drops every message that is not applied yet; then calls `done` with how things stand.
  void reset_queue(std::function<void(const DatabaseProgress&)> done);

  // Merges the snapshot at `path` in short slices between drains; `done` comes on the loop, unless abandon_merge() or
  // another merge() came first. Nothing is applied meanwhile. An error: what was merged so far stays, and does no harm.
  void merge(std::string path, std::function<void(Status)> done);
  void abandon_merge();

  // Marks what has come round at once instead of waiting for a drain to ride along with.
  void hasten();
  // Once everything committed before this call is drained (or cannot be: publishing is not allowed) calls `done` on the
  // loop, behind the units event.
  void after_drain(std::function<void()> done);

  // A question to the engine, which only reads. Runs between transactions. `then` runs on the loop with the answer.
  // Errc::busy: too many are waiting.
  template <class T>
  Status ask(std::function<Result<T>(replica::Replica&)> question, std::function<void(Result<T>)> then) {
    return add_job([this, question = std::move(question), then = std::move(then)](replica::Replica& engine) {
      auto answer = std::make_shared<Result<T>>(question(engine));
      to_loop([answer, then] { then(std::move(*answer)); });
      return true;
    });
  }

  // A question that wants an empty log: asked right behind a drain, where a writer that waits for its turn has not had it yet,
  // and again until the answer is another than Errc::busy, for at most `limit_ms`.
  template <class T>
  void ask_drained(std::function<Result<T>(replica::Replica&)> question, int64_t limit_ms, std::function<void(Result<T>)> then) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
    add_drained_job([this, question = std::move(question), then = std::move(then), until](replica::Replica& engine) {
      auto answer = std::make_shared<Result<T>>(question(engine));
      if (!*answer && answer->error().code == Errc::busy && std::chrono::steady_clock::now() < until) return false;
      to_loop([answer, then] { then(std::move(*answer)); });
      return true;
    });
  }

  // A write: tried again while the database is busy, politely for a while. `then` runs on the loop. Whoever begins to read is kept waiting
  // while it lasts, but for one that takes its time.
  enum class Lasts { milliseconds, longer };
  Status change(std::function<Status(replica::Replica&)> write, std::function<void(Status)> then, Lasts lasts = Lasts::milliseconds);
  // A write that drains: its units are published. Tried politely for a while, as `change` while the database is busy.
  // `then`, on the loop, behind the units event, is told how many rows they hold.
  using DrainingWrite = std::function<Result<replica::DrainResult>(replica::Replica&, bool polite)>;
  Status write(DrainingWrite write, std::function<void(Result<size_t>)> then);

  // Compares all rows with their versions now, without the pauses between slices. What is found is published.
  void scrub(std::function<void(ScrubReport)> done);

  // For how long there has been something to drain or to apply, and nothing of it was done. Any thread.
  int64_t stalled_ms() const;

 private:
  // Returns false: busy, try again.
  using Job = std::function<bool(replica::Replica&)>;
  struct Shared;
  struct Worker;
  struct Merge {
    std::string path;  // empty: none
    std::function<void(Status)> done;
    bool begun = false;
  };

  void signal(const std::function<void(Shared&)>& change);
  Status add_job(Job job);
  void add_drained_job(Job job);
  void to_loop(std::function<void()> work);

  std::shared_ptr<DatabaseEvents> events_;
  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace marmot::agent
