#include "agent/database/commit_watch.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace marmot::agent {

Result<CommitWatch> CommitWatch::open(const std::string& wal_path) {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return make_error(Errc::io, std::string("inotify: ") + std::strerror(errno), errno);
  CommitWatch watch(fd);
  if (::inotify_add_watch(fd, wal_path.c_str(), IN_MODIFY) < 0) {
    return make_error(Errc::io, "watch " + wal_path + ": " + std::strerror(errno), errno);
  }
  return watch;
}

CommitWatch::~CommitWatch() {
  if (fd_ >= 0) ::close(fd_);
}

CommitWatch::CommitWatch(CommitWatch&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

void CommitWatch::forget() {
  std::array<char, 4096> events{};
  while (::read(fd_, events.data(), events.size()) > 0) {
  }
}

bool CommitWatch::wait(int64_t timeout_us) {
  if (timeout_us < 0) timeout_us = 0;
  struct pollfd descriptor {fd_, POLLIN, 0};
  const struct timespec timeout {timeout_us / 1'000'000, (timeout_us % 1'000'000) * 1000};
  if (::ppoll(&descriptor, 1, &timeout, nullptr) <= 0) return false;
  forget();
  return true;
}

}  // namespace marmot::agent
