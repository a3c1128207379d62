#include "agent/database/high_water.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace marmot::agent {

namespace {
Error os_error(const std::string& what) {
  const int code = errno;
  return make_error(code == ENOSPC || code == EDQUOT ? Errc::full : Errc::io, what + ": " + std::strerror(code), code);
}
}  // namespace

Result<HighWater> HighWater::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return os_error("open " + path);
  HighWater file(fd, Hlc{});
  std::array<uint64_t, 2> stored{};
  const ssize_t got = ::pread(fd, stored.data(), sizeof stored, 0);
  if (got < 0) return os_error("read " + path);
  if (got == 0) return file;
  if (got != static_cast<ssize_t>(sizeof stored) || stored[0] != ~stored[1]) {
    return make_error(Errc::corrupt, path + " does not hold a clock value: remove it when this machine's clock is right");
  }
  file.value_ = Hlc{stored[0]};
  return file;
}

HighWater::~HighWater() {
  if (fd_ >= 0) ::close(fd_);
}

HighWater::HighWater(HighWater&& other) noexcept : fd_(std::exchange(other.fd_, -1)), value_(other.value_) {}

Result<bool> HighWater::store(Hlc value) {
  if (value <= value_) return false;
  const std::array<uint64_t, 2> stored{value.value, ~value.value};
  if (::pwrite(fd_, stored.data(), sizeof stored, 0) != static_cast<ssize_t>(sizeof stored)) {
    return os_error("write the clock's high-water mark");
  }
  value_ = value;
  return true;
}

Status HighWater::sync() {
  if (::fdatasync(fd_) != 0) return os_error("sync the clock's high-water mark");
  return ok();
}

}  // namespace marmot::agent
