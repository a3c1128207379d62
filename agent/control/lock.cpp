#include "agent/control/lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "agent/config/paths.hpp"

namespace marmot::agent {

namespace {

constexpr const char* kFileName = "/agent.lock";

// A reader holds the lock for microseconds to see whether it is free; so an agent that meets it held asks again.
constexpr int kTries = 20;
constexpr std::chrono::milliseconds kBetweenTries{10};

Error os_error(const std::string& verb, const std::string& path) {
  const int error = errno;
  return make_error(error == ENOSPC ? Errc::full : Errc::io, verb + " " + path + ": " + std::strerror(error), error);
}

std::string read_all(int fd) {
  char text[4096];
  const ssize_t got = ::pread(fd, text, sizeof text, 0);
  return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
}

std::optional<RunningAgent> parse(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("pid") || !json["pid"].is_number_integer()) return std::nullopt;
  RunningAgent agent;
  agent.pid = json["pid"].get<int>();
  if (json.contains("socket") && json["socket"].is_string()) agent.socket = json["socket"].get<std::string>();
  return agent;
}

Status lock_exclusively(int fd, const std::string& path) {
  for (int i = 0; ::flock(fd, LOCK_EX | LOCK_NB) != 0; ++i) {
    if (errno != EWOULDBLOCK && errno != EINTR) return os_error("lock", path);
    if (i < kTries) {
      std::this_thread::sleep_for(kBetweenTries);
      continue;
    }
    const auto holder = parse(read_all(fd));
    return make_error(Errc::refused, "another agent runs here already" +
                                         (holder ? " (pid " + std::to_string(holder->pid) + ")" : std::string()) +
                                         ": " + path + " is locked; stop it first");
  }
  return ok();
}

}  // namespace

Result<AgentLock> AgentLock::acquire(const std::string& directory, const std::string& socket_path) {
  std::error_code made;
  std::filesystem::create_directories(directory, made);
  if (made) {
    errno = made.value();
    return os_error("make", directory);
  }
  const std::string path = directory + kFileName;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return os_error("open", path);
  if (Status locked = lock_exclusively(fd, path); !locked) {
    ::close(fd);  // only: what the file says belongs to its holder
    return std::move(locked).error();
  }
  // A holder that goes may take the file with it (a start that failed, a cleanup): a lock of a file without a name holds nobody off.
  struct stat facts {};
  if (::fstat(fd, &facts) != 0 || facts.st_nlink == 0) {
    ::close(fd);
    return make_error(Errc::refused, path + " was removed by another marmot just now: try again");
  }
  AgentLock lock(fd, directory);
  const std::string text = nlohmann::json{{"pid", ::getpid()}, {"socket", socket_path}}.dump(
                               -1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return os_error("write", path);
  }
  return lock;
}

AgentLock::~AgentLock() {
  if (fd_ < 0) return;
  // The file stays: unlinking it would let two agents lock two files of one name.
  [[maybe_unused]] const int rc = ::ftruncate(fd_, 0);
  ::close(fd_);
}

AgentLock::AgentLock(AgentLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), directory_(std::move(other.directory_)) {}

AgentLock& AgentLock::operator=(AgentLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(directory_, other.directory_);
  return *this;
}

std::vector<std::string> lock_folders(const std::vector<std::string>& database_paths, const std::string& data_dir) {
  std::vector<std::string> directories{data_dir};
  for (const std::string& path : database_paths) directories.push_back(marmot_dir(path));
  std::sort(directories.begin(), directories.end());
  directories.erase(std::unique(directories.begin(), directories.end()), directories.end());
  return directories;
}

Status acquire_locks(const std::vector<std::string>& database_paths, const std::string& data_dir, const std::string& socket_path,
                     std::vector<AgentLock>& locks) {
  for (const std::string& directory : lock_folders(database_paths, data_dir)) {
    TRY_ASSIGN(AgentLock lock, AgentLock::acquire(directory, socket_path));
    locks.push_back(std::move(lock));
  }
  return ok();
}

Result<std::optional<RunningAgent>> find_agent(const std::string& directory) {
  const std::string path = directory + kFileName;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<RunningAgent>();
    return os_error("open", path);
  }
  std::optional<RunningAgent> agent;
  std::optional<Error> failed;
  bool held = true;
  // The holder writes its line right after it got the lock: an empty file that is locked is an agent in its first instant.
  for (int i = 0; i < kTries; ++i) {
    if (::flock(fd, LOCK_SH | LOCK_NB) == 0) {
      held = false;
      break;
    }
    if (errno != EWOULDBLOCK && errno != EINTR) {
      failed = os_error("lock", path);
      break;
    }
    agent = parse(read_all(fd));
    if (agent) break;
    std::this_thread::sleep_for(kBetweenTries);
  }
  ::close(fd);
  if (failed) return *std::move(failed);
  if (held && !agent) return make_error(Errc::io, path + " is locked, but does not say by whom");
  return agent;
}

}  // namespace marmot::agent
