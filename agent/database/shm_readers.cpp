#include "agent/database/shm_readers.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace marmot::agent {

namespace {
constexpr off_t kWriteLock = 120;
constexpr off_t kFirstMark = 123;
constexpr off_t kDeadMansSwitch = 128;
constexpr size_t kIndexBytes = 120;
constexpr size_t kHeaderBytes = 48;
constexpr uint64_t kFrameHeaderBytes = 24;
// Two looks further apart say nothing about what happened in between.
constexpr int64_t kLookGapUs = 40'000;

// The first lock of another process that is in the way of an exclusive one of ours.
std::optional<struct flock> conflict(int fd, off_t byte) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;  // each byte apart: F_GETLK names only the first holder
  lock.l_len = 1;
  if (::fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return std::nullopt;
  return lock;
}

uint32_t number_at(const unsigned char* bytes) {
  uint32_t out = 0;
  std::memcpy(&out, bytes, sizeof out);  // the wal-index is in the machine's own byte order
  return out;
}
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
    : fd_(std::exchange(other.fd_, -1)), marks_(other.marks_), claimed_(std::exchange(other.claimed_, 0U)),
      claimed_since_us_(other.claimed_since_us_), to_tell_(other.to_tell_), told_(std::move(other.told_)) {}

bool ShmReaders::others_connected() { return conflict(fd_, kDeadMansSwitch).has_value(); }
bool ShmReaders::writing() const { return conflict(fd_, kWriteLock).has_value(); }

std::optional<pid_t> ShmReaders::holder(size_t mark) const {
  const auto lock = conflict(fd_, kFirstMark + static_cast<off_t>(mark));
  return lock ? std::optional(lock->l_pid > 0 ? lock->l_pid : pid_t{0}) : std::nullopt;
}

ShmReaders::Index ShmReaders::index() const {
  Index out;
  std::array<unsigned char, kIndexBytes> bytes{};
  if (::pread(fd_, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return out;
  out.valid = std::memcmp(bytes.data(), bytes.data() + kHeaderBytes, kHeaderBytes) == 0;
  uint16_t page = 0;
  std::memcpy(&page, bytes.data() + 14, sizeof page);
  out.page_size = page == 1 ? 65536 : page;
  out.last_frame = number_at(bytes.data() + 16);
  out.backfilled = number_at(bytes.data() + 96);
  for (size_t i = 0; i < kMarks; ++i) out.marks[i] = number_at(bytes.data() + 100 + 4 * i);
  return out;
}

// A reader at mark 0 uses the database file alone, because it has all of the WAL.
bool ShmReaders::Index::current(size_t mark) const {
  if (!valid) return true;  // being written: nobody can tell
  return mark == 0 ? backfilled == last_frame : marks[mark] == last_frame;
}

uint64_t ShmReaders::wal_bytes() const {
  const Index now = index();
  return uint64_t{now.last_frame} * (now.page_size + kFrameHeaderBytes);
}

bool ShmReaders::watched(size_t mark, const Index& now) const {
  return marks_[mark].held && !marks_[mark].ignored && now.current(mark);
}

bool ShmReaders::look(int64_t now_us, int looks) {
  Index now = index();
  bool found = false;
  for (size_t i = 0; i < kMarks; ++i) {
    Mark& mark = marks_[i];
    const auto pid = holder(i);
    if (!pid) {
      mark = Mark{};
      continue;
    }
    if (!mark.held || mark.holder != *pid || mark.frame != now.marks[i]) {
      mark = Mark{true, *pid, now.marks[i], now_us, now_us, false};
    } else if (!mark.ignored && now_us - mark.seen_us > kLookGapUs) {
      mark.since_us = now_us;
    }
    mark.seen_us = now_us;
    if (!mark.ignored && now_us - mark.since_us > kIgnoreAfterUs) {
      mark.ignored = true;
      to_tell_ = *pid;
    }
    found = found || watched(i, now);
  }
  // A mark that is let go of within moments is a single SELECT, which nobody can fail.
  for (int again = 1; found && again < looks; ++again) {
    found = false;
    now = index();
    for (size_t i = 0; i < kMarks; ++i) {
      if (!watched(i, now)) continue;
      if (holder(i)) found = true;
      else marks_[i] = Mark{};
    }
  }
  return found;
}

// Which mark would it take (walTryBeginRead)? 0 where the database file has everything; else the one that is nearest below the last
// frame, the last of equals, where it cannot set one of its own.
bool ShmReaders::leaks(const Index& now) const {
  if (marks_[0].held && now.backfilled == now.last_frame) return true;
  size_t nearest = 0;
  uint32_t value = 0;
  for (size_t i = 1; i < kMarks; ++i) {
    if (now.marks[i] < value || now.marks[i] > now.last_frame) continue;
    nearest = i;
    value = now.marks[i];
  }
  return nearest != 0 && marks_[nearest].held;
}

bool ShmReaders::set_lock(short type, size_t mark) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = kFirstMark + static_cast<off_t>(mark);
  lock.l_len = 1;
  return ::fcntl(fd_, F_SETLK, &lock) == 0;
}

bool ShmReaders::claim(int64_t now_us) {
  if (look(now_us, 1)) return false;
  if (leaks(index())) return true;
  if (claimed_ == 0) claimed_since_us_ = now_us;
  // Those that are held already too: SQLite lets go of one where it begins to read.
  for (size_t i = 0; i < kMarks; ++i) {
    if (marks_[i].held) continue;
    if (!set_lock(F_WRLCK, i)) return false;  // somebody came this moment
    claimed_ |= 1U << i;
  }
  const Index now = index();
  return now.valid && !leaks(now);
}

void ShmReaders::release(bool in_transaction) {
  for (size_t i = 0; i < kMarks; ++i) {
    if ((claimed_ & (1U << i)) != 0) (void)set_lock(static_cast<short>(in_transaction ? F_RDLCK : F_UNLCK), i);
  }
  if (!in_transaction) claimed_ = 0;
}

// A snapshot at the last frame holds back what comes after it; one at mark 0, which needs no WAL, everything.
std::optional<ShmReaders::LongReader> ShmReaders::holds_wal() const {
  const Mark* oldest = nullptr;
  for (const Mark& mark : marks_) {
    if (mark.held && mark.ignored && (oldest == nullptr || mark.frame < oldest->frame)) oldest = &mark;
  }
  return oldest == nullptr ? std::nullopt : std::optional(LongReader{oldest->holder, oldest->since_us});
}

std::optional<pid_t> ShmReaders::recognised() {
  const auto pid = std::exchange(to_tell_, std::nullopt);
  return pid && told_.insert(*pid).second ? pid : std::nullopt;
}

}  // namespace marmot::agent
