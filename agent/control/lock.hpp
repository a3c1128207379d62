// One agent a database file: `<db>-marmot/agent.lock`, flock'ed while the agent runs, says who and where its socket is.
// data_dir is locked likewise. The database file itself is only ever stat()ed here: closing any descriptor of it would drop
// the POSIX locks that SQLite holds in this process.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/result.hpp"

namespace marmot::agent {

// Holds the lock of one directory. Move-only; released by the destructor or by the end of the process.
class AgentLock {
 public:
  // Makes the directory when it is missing. Errc::refused: another agent holds it; the message names its pid. Errc::io:
  // the directory cannot be written.
  static Result<AgentLock> acquire(const std::string& directory, const std::string& socket_path);
  ~AgentLock();
  AgentLock(AgentLock&& other) noexcept;
  AgentLock& operator=(AgentLock&& other) noexcept;

  const std::string& directory() const { return directory_; }

 private:
  AgentLock(int fd, std::string directory) : fd_(fd), directory_(std::move(directory)) {}
  int fd_ = -1;
  std::string directory_;
};

// The folders that an agent locks: of all database files, and data_dir; sorted, each once.
std::vector<std::string> lock_folders(const std::vector<std::string>& database_paths, const std::string& data_dir);

// Their locks, added to `locks`. On an error those taken before it are in `locks` all the same: the caller still has to take
// away what it made in their folders.
Status acquire_locks(const std::vector<std::string>& database_paths, const std::string& data_dir, const std::string& socket_path,
                     std::vector<AgentLock>& locks);

struct RunningAgent {
  int pid = 0;
  std::string socket;  // absolute path
};

// Who runs for a database file, or for a data_dir (`directory` is where its agent.lock stands). nullopt: nobody.
Result<std::optional<RunningAgent>> find_agent(const std::string& directory);

}  // namespace marmot::agent
