#include "agent/shm_readers.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace marmot::agent {

namespace {
constexpr off_t kFirstMark = 123;
constexpr off_t kDeadMansSwitch = 128;
// aReadMark[5] of the WAL index header (walformat.html, "The WAL-Index File Format").
constexpr off_t kReadMarks = 100;
// Two looks further apart say nothing about what happened in between.
constexpr int64_t kLookGapUs = 40'000;
// About a microsecond each: longer than a SELECT by key, shorter than a transaction that does something in between.
constexpr int kLooks = 60;
}  // namespace

Result<ShmReaders> ShmReaders::open(const std::string& shm_path) {
  const int fd = ::open(shm_path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return make_error(Errc::io, "open " + shm_path + ": " + std::strerror(errno), errno);
  return ShmReaders(fd);
}

ShmReaders::~ShmReaders() {
  if (fd_ >= 0) ::close(fd_);
}

ShmReaders::ShmReaders(ShmReaders&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), marks_(other.marks_) {}

bool ShmReaders::others_connected() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = kDeadMansSwitch;
  lock.l_len = 1;
  return ::fcntl(fd_, F_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

pid_t ShmReaders::holder(size_t mark) const {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = kFirstMark + static_cast<off_t>(mark);  // each byte apart: F_GETLK names only the first holder
  lock.l_len = 1;
  return ::fcntl(fd_, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

bool ShmReaders::reading(int64_t now_us) {
  std::array<uint32_t, 5> frames{};
  (void)!::pread(fd_, frames.data(), sizeof frames, kReadMarks);  // all 0: only the holders tell them apart
  bool held = false;
  for (size_t i = 0; i < marks_.size(); ++i) {
    Mark& mark = marks_[i];
    const pid_t pid = holder(i);
    if (pid == 0) {
      mark = Mark{};
      continue;
    }
    if (mark.holder != pid || mark.frame != frames[i]) {
      mark = Mark{pid, frames[i], now_us, now_us, false};
    } else if (!mark.ignored && now_us - mark.seen_us > kLookGapUs) {
      mark.since_us = now_us;
    }
    mark.seen_us = now_us;
    if (now_us - mark.since_us > kIgnoreAfterUs) mark.ignored = true;
    held = held || !mark.ignored;
  }
  // A mark that is let go of within moments is a single SELECT, which nobody can fail.
  for (int look = 0; held && look < kLooks; ++look) {
    held = false;
    for (size_t i = 0; i < marks_.size(); ++i) {
      Mark& mark = marks_[i];
      if (mark.holder == 0 || mark.ignored) continue;
      if (holder(i) == 0) mark = Mark{};
      else held = true;
    }
  }
  return held;
}

}  // namespace marmot::agent
