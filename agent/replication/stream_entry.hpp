// One attempt to find out where a database file stands in its stream, and to get it in (docs/design.md, "Joining"):
//
//   ensure the stream -> empty: publish the genesis, found it
//                     -> the file never met a stream: compare what it holds, then join
//                     -> the stream no longer holds what comes next: the newest snapshot is merged, or asked for
//                     -> the file has a position: does the stream still hold that message? else history was lost
//
// It runs on the loop, answers once, and may be destroyed at any time (a lost connection). It writes to the file only
// through Replica::found, join, history_lost and discard_rows, so an attempt cut short is simply made again.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/database/database_thread.hpp"
#include "agent/loop/uv.hpp"
#include "agent/nats/transport.hpp"
#include "agent/report/progress.hpp"
#include "agent/snapshot/snapshots.hpp"
#include "common/base/log.hpp"
#include "common/base/long_work.hpp"
#include "common/node/stream_entry.hpp"

namespace marmot::agent {

struct EntryPlan {
  nats::StreamConfig stream;
  int64_t clock_bound_ms = 0;  // of a stream that this agent makes (codec::Genesis)
  bool may_found = true;    // --join: a stream that is empty is waited for, not founded
  Adopt adopt = Adopt::refuse;
  std::string name;         // of the database, for people
  std::string path;
  bool installed_now = false;  // this run put the internal tables into the file: refusing takes them out again
  std::function<node::EntryFacts::Company()> company;  // the other nodes, as this one hears of them
};

struct EntryOutcome {
  enum class Kind : uint8_t {
    enter,    // subscribe behind the file's position
    wait,     // not yet: try again in retry_ms, `text` says why
    merged,   // a snapshot was merged: enter again, from where it stands
    behind,   // what comes next for this file is neither in the stream nor in a snapshot; others were asked for one
    refused,  // the file may not join: `text` is for the user; the agent gives up
  } kind = Kind::wait;
  std::string text;
  bool error = false;      // wait: `text` is a fault, not the ordinary course
  int64_t retry_ms = 1000;
  StreamSeq end = 0;       // enter: the stream's last sequence
  bool history_lost = false;
  bool founded = false;
};

class StreamEntry {
 public:
  // `progress`: as the database thread just told it. All references outlive the StreamEntry.
  StreamEntry(uv::Loop& loop, nats::Connection& connection, DatabaseThread& thread, Snapshots& snapshots,
              EntryPlan plan, DatabaseProgress progress, LogSink log, std::function<void(EntryOutcome)> done);
  ~StreamEntry();
  StreamEntry(const StreamEntry&) = delete;
  StreamEntry& operator=(const StreamEntry&) = delete;

  // The owner passes on what the database thread says while this runs.
  void on_progress(const DatabaseProgress& progress);
  void on_room();

  LongWork work() const;

 private:
  void on_stream(Result<nats::StreamState> state);
  void proceed();
  void publish_genesis();
  void drop_before();
  void on_genesis(Result<nats::StoredMessage> message);
  void on_position(Result<nats::StoredMessage> message);
  void join_or_compare();
  void start_compare();
  void check_compared();
  void on_comparison(Result<replica::Comparison> comparison);
  void look_again();
  void refuse(const replica::Comparison& comparison);
  void back_up();
  void found();
  void join();
  void follow();
  void lose_history(const std::string& why);
  // stream_entry_snapshot.cpp
  void learn_stream();
  void need_snapshot(const std::string& what);
  void on_chosen(const std::string& what, Result<std::optional<SnapshotRecord>> record);
  void ask_for_snapshot(const std::string& what);
  void fetch_snapshot(bool compare_first);
  void compare_snapshot();
  void use_snapshot();
  void join_snapshot();
  void merge_snapshot();
  void drop_snapshot();
  void finish(EntryOutcome outcome);
  void wait(std::string text, int64_t retry_ms, bool error);
  // Wraps a callback so that it does nothing once this object is gone or done.
  template <class F>
  auto guarded(F callback) {
    return [this, alive = std::weak_ptr<int>(alive_), callback = std::move(callback)](auto&&... values) {
      if (!alive.expired() && done_) callback(std::forward<decltype(values)>(values)...);
    };
  }

  nats::Connection& connection_;
  DatabaseThread& thread_;
  Snapshots& snapshots_;
  const EntryPlan plan_;
  DatabaseProgress progress_;
  const LogSink log_;
  std::function<void(EntryOutcome)> done_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);

  nats::StreamState state_;
  node::EntryFacts facts_;
  std::unique_ptr<nats::LogSubscription> comparing_;
  uint64_t from_ = 0;  // what is compared begins behind it
  uint64_t fed_ = 0;  // sequence of the last message given to the thread for comparing
  replica::Comparison comparison_;
  uv::Timer again_;
  int quiet_ = 0;     // looks at a stream that did not grow, one after another
  std::optional<SnapshotRecord> snapshot_;  // that is taken instead of the stream's beginning
  bool merging_ = false;
  bool lost_ = false;                       // history was lost on the way
  LongWork work_;
};

}  // namespace marmot::agent
