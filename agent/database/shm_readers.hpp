// Who reads a WAL-mode database at this moment, and a way to commit when nobody does.
//
// A deferred transaction that has read and then writes fails with SQLITE_BUSY at once, whatever its timeout, when anyone
// committed since its snapshot (docs/decisions/0008-giving-way.md). So the agent writes between the transactions of the application.
// What it looks at is SQLite's (walformat.html, "WAL locks" and "The WAL-Index File Format"), in the `-shm` file:
//
//   byte 16        mxFrame: the last frame of the WAL that is committed       byte 48  the header once more: equal, or being written
//   byte 96        nBackfill: frames that the database file has too           byte 100 aReadMark[5]: where a reader's snapshot ends
//   bytes 123-127  locks: shared by whoever reads at aReadMark[i], exclusive for whoever changes it
//   byte 120       lock: exclusive for whoever writes                         byte 128 lock: shared by every connection
//
// Only a reader whose snapshot ends at mxFrame can fail: an older snapshot cannot be written from any more, whatever we do. (One that
// found every mark taken shares an older one and is not seen for what it is; that takes more readers at once than there are marks.)
//
// claim() takes the marks exclusively. SQLite's readers then try again by themselves, microseconds to milliseconds later, for 10 s
// at most (walTryBeginRead): they wait for our commit, and do not fail by it. SQLite itself takes them so to restart the WAL.
//
// Closing ANY descriptor of that file drops every POSIX lock this process has on it, SQLite's too (fcntl(2)). So this one
// is opened once, after SQLite has opened the database, and must be destroyed only after the connection was closed.
// POSIX locks are the process's: a claim also takes what SQLite holds in this process, so nothing but the caller's own connection may
// read the database in this process while it lasts. One thread: the database thread.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "common/base/result.hpp"

namespace marmot::agent {

class ShmReaders {
 public:
  // A mark held at one position of the WAL for longer than this is a cursor that was left open, a long report, or a backup
  // program: it is ignored until it moves.
  static constexpr int64_t kIgnoreAfterUs = 1'000'000;

  // `shm_path`: "<database>-shm"; it exists once a transaction has run in WAL mode.
  static Result<ShmReaders> open(const std::string& shm_path);
  ~ShmReaders();
  ShmReaders(ShmReaders&& other) noexcept;
  ShmReaders& operator=(ShmReaders&&) = delete;

  // True: another process reads what was committed last, for longer than a single SELECT takes, and not for kIgnoreAfterUs yet. Looks
  // for up to about a tenth of a millisecond. `now_us`: a monotonic clock. An error of the operating system counts as "nobody":
  // politeness must never stop the agent.
  bool reading(int64_t now_us) { return look(now_us, kLooks); }

  // False: somebody reads, as above, but told at the first look. True: nobody does, and nobody can begin to until release(); where
  // a reader that is ignored stands in the way of that, somebody still can. Inside a transaction of ours as well.
  // release() must follow in every case, within moments.
  bool claim(int64_t now_us);
  // True: this object holds the marks.
  bool claimed() const { return claimed_ != 0; }
  int64_t claimed_since_us() const { return claimed_since_us_; }
  // `in_transaction`: our connection still reads (sqlite3_txn_state); its own mark then stays shared.
  void release(bool in_transaction);

  // True: another process is inside a write transaction.
  bool writing() const;

  // True: another process has the database open (byte 128, the "dead man's switch" that every connection in WAL mode
  // holds shared). Nobody else: there is no application to stay away for.
  bool others_connected();

  // Bytes of the WAL that are in use; the file may be longer.
  uint64_t wal_bytes() const;

  // Who was found to hold a mark for long since the last call, and was not told before; 0: a process in another PID namespace.
  std::optional<pid_t> recognised();

  // Who keeps the WAL from being emptied: of those who have read for kIgnoreAfterUs, as the last look found them, the one with the oldest
  // snapshot, and since when.
  struct LongReader {
    pid_t pid = 0;  // 0: of another PID namespace
    int64_t since_us = 0;
  };
  std::optional<LongReader> holds_wal() const;

 private:
  static constexpr size_t kMarks = 5;
  // About a microsecond each: longer than a SELECT by key, shorter than a transaction that does something in between.
  static constexpr int kLooks = 60;

  struct Index {  // the parts of the wal-index that are looked at
    bool valid = false;
    uint32_t last_frame = 0, page_size = 0, backfilled = 0;
    std::array<uint32_t, kMarks> marks{};
    bool current(size_t mark) const;
  };
  struct Mark {
    bool held = false;
    pid_t holder = 0;      // 0: of another PID namespace
    uint32_t frame = 0;    // the last frame of its snapshot
    int64_t since_us = 0;  // seen held by `holder` at that frame, at every look since then
    int64_t seen_us = 0;
    bool ignored = false;  // held for long; until it is seen free, or with another holder or frame
  };

  explicit ShmReaders(int fd) : fd_(fd) {}
  Index index() const;
  bool look(int64_t now_us, int looks);
  bool watched(size_t mark, const Index& now) const;  // held, not ignored, at the last frame
  std::optional<pid_t> holder(size_t mark) const;
  bool set_lock(short type, size_t mark);
  // Would a reader that finds our marks taken begin at a mark of somebody else?
  bool leaks(const Index& now) const;

  int fd_ = -1;
  std::array<Mark, kMarks> marks_;
  unsigned claimed_ = 0;  // bits: marks that this object holds exclusively
  int64_t claimed_since_us_ = 0;
  std::optional<pid_t> to_tell_;
  std::set<pid_t> told_;
};

}  // namespace marmot::agent
