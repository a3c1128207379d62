// Does another process hold a snapshot of a WAL-mode database at this moment?
//
// A deferred transaction that has read and then writes fails with SQLITE_BUSY at once, whatever its timeout, when anyone
// committed since its snapshot (DESIGN.md, promise 5). So the agent asks before it begins and just before it commits.
// A snapshot is a shared lock on one of the five read marks: bytes 123 to 127 of the `-shm` file (SQLite's walformat.html,
// "WAL locks"; UNIX_SHM_BASE 120, WAL_READ_LOCK(i) 3 + i).
//
// Closing ANY descriptor of that file drops every POSIX lock this process has on it, SQLite's too (fcntl(2)). So this one
// is opened once, after SQLite has opened the database, and must be destroyed only after the connection was closed.
// One thread: the database thread.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>

#include "common/base/result.hpp"

namespace marmot::agent {

class ShmReaders {
 public:
  // A mark held by one process at one position of the WAL for longer than this is an application that keeps a cursor open:
  // waiting for it is idle. (One that runs transaction after transaction moves its mark with each of its commits.)
  static constexpr int64_t kIgnoreAfterUs = 50'000;

  // `shm_path`: "<database>-shm"; it exists once a transaction has run in WAL mode.
  static Result<ShmReaders> open(const std::string& shm_path);
  ~ShmReaders();
  ShmReaders(ShmReaders&& other) noexcept;
  ShmReaders& operator=(ShmReaders&&) = delete;

  // True: another process holds a mark, for longer than a single SELECT takes, and not for kIgnoreAfterUs yet. Looks for up
  // to about a tenth of a millisecond. `now_us`: a monotonic clock. An error of the operating system counts as "nobody":
  // politeness must never stop the agent.
  bool reading(int64_t now_us);

  // True: another process has the database open (byte 128, the "dead man's switch" that every connection in WAL mode
  // holds shared). Nobody else: there is no application to stay away for.
  bool others_connected();

 private:
  explicit ShmReaders(int fd) : fd_(fd) {}
  pid_t holder(size_t mark) const;  // 0: nobody

  struct Mark {
    pid_t holder = 0;      // 0: free when last looked at
    uint32_t frame = 0;    // the last frame of its snapshot
    int64_t since_us = 0;  // seen held by `holder` at that frame, at every look since then
    int64_t seen_us = 0;
    bool ignored = false;  // held for long; until it is seen free or with another holder
  };
  int fd_ = -1;
  std::array<Mark, 5> marks_;
};

}  // namespace marmot::agent
