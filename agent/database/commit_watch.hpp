// Wakes a thread when somebody writes to the WAL of a database: a commit is under way, and its transaction ends within moments. The
// loop's own watch (uv::FsEvent) tells the same, a thread switch too late for the gap between two transactions. Linux: inotify.
// One thread.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.hpp"

namespace marmot::agent {

class CommitWatch {
 public:
  // `wal_path`: "<database>-wal"; it must exist, and is the same file for as long as a connection is open.
  static Result<CommitWatch> open(const std::string& wal_path);
  ~CommitWatch();
  CommitWatch(CommitWatch&& other) noexcept;
  CommitWatch& operator=(CommitWatch&&) = delete;

  // Forgets what was written before, by this process too.
  void forget();
  // Waits for at most `timeout_us`. True: somebody wrote.
  bool wait(int64_t timeout_us);

 private:
  explicit CommitWatch(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace marmot::agent
