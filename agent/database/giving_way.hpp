// How the agent's writes give way to the application (docs/decisions/0008-giving-way.md): whom they wait for, how long, and how they
// find the gap between two transactions of an application that never rests.
//
// For how long is common/node/patience.hpp's to say. This is the operating system's part: who reads (ShmReaders), who commits
// (CommitWatch). One thread: the database thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/database/commit_watch.hpp"
#include "agent/database/shm_readers.hpp"
#include "common/base/log.hpp"

namespace marmot::agent {

class GivingWay {
 public:
  // Counted since the agent started.
  struct Facts {
    uint64_t gave_way = 0;   // writes that waited for an application
    uint64_t forced = 0;     // writes done all the same beside a reader, at the end of all patience
    int64_t read_percent = 0;  // of the last minute, about: somebody was inside a transaction
    bool operator==(const Facts&) const = default;
  };

  // After SQLite has opened the database at `path` in WAL mode, and destroyed after it was closed. Where the operating system refuses,
  // nobody is given way to, and the log says so.
  GivingWay(const std::string& path, std::string name, LogSink log);

  // Nobody reads at this moment: write now. `hold`: and nobody begins to until release(), which must follow within milliseconds. (An
  // application that begins to read while we have the write lock, and comes to write before we are done, fails as well.)
  bool free(int64_t now_us, bool hold);
  // Waits until `until_us` for an application to commit; then takes the moment before that application begins again. True: as free().
  bool wait_for_gap(int64_t until_us, bool hold);
  // Inside a polite transaction: replica::Environment::others_reading. `hold`: just before COMMIT, and nobody may hold the marks
  // for another reason (`copying`: another connection of this process reads).
  bool others_reading(int64_t now_us, bool before_commit, bool copying);
  // A transaction is over. `in_transaction`: sqlite3_txn_state.
  void release(bool in_transaction);

  // No other process has the database open.
  bool alone() { return readers_ && !readers_->others_connected(); }
  uint64_t wal_bytes() const { return readers_ ? readers_->wal_bytes() : 0; }

  void count_gave_way() { ++facts_.gave_way; }
  void count_forced() { ++facts_.forced; }
  // One look for the share of time; call it every `interval_ms`.
  void sample(int64_t now_us, int64_t interval_ms);
  const Facts& facts() const { return facts_; }

 private:
  void tell();
  void tell_of_wal(int64_t now_us);

  const std::string name_;
  const LogSink log_;
  std::optional<ShmReaders> readers_;
  std::optional<CommitWatch> commits_;
  Facts facts_;
  double share_ = 0;
  bool told_of_wal_ = false;
};

}  // namespace marmot::agent
