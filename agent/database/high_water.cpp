#include "agent/database/high_water.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/database/file_identity.hpp"
#include "common/node/former_ids.hpp"

namespace marmot::agent {

namespace {
using Entry = std::array<uint64_t, 2>;  // a value and its complement
Entry entry(uint64_t value) { return {value, ~value}; }
bool whole(const Entry& stored) { return stored[0] == ~stored[1]; }
constexpr size_t kPlace = 1, kFirstId = 2, kFirstLife = kFirstId + node::kMostIds, kEnd = kFirstLife + node::kMostLives;
using Stored = std::array<Entry, kEnd>;

Error os_error(const std::string& what) {
  const int code = errno;
  return make_error(code == ENOSPC || code == EDQUOT ? Errc::full : Errc::io, what + ": " + std::strerror(code), code);
}
}  // namespace

Result<HighWater> HighWater::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return os_error("open " + path);
  HighWater file(fd, 0);
  TRY_ASSIGN(const std::string place, place_of(path));
  file.place_ = node::place_number(place);
  Stored stored{};
  const ssize_t got = ::pread(fd, stored.data(), sizeof stored, 0);
  if (got < 0) return os_error("read " + path);
  if (got == 0) return file;
  const size_t entries = static_cast<size_t>(got) / sizeof(Entry);
  if (entries == 0 || !whole(stored[0])) {
    return make_error(Errc::corrupt, path + " does not hold a clock value: remove it when this machine's clock is right");
  }
  file.value_ = Hlc{stored[0][0]};
  if (entries < kFirstId || stored[kPlace] != entry(file.place_)) return file;
  const auto read = [&](size_t first, size_t end, std::vector<NodeId>& out) {
    for (size_t i = first; i < std::min(entries, end) && whole(stored[i]) && stored[i][0] != 0; ++i) out.push_back(NodeId{stored[i][0]});
  };
  read(kFirstId, kFirstLife, file.nodes_);
  read(kFirstLife, kEnd, file.lives_);
  return file;
}

HighWater::~HighWater() {
  if (fd_ >= 0) ::close(fd_);
}

HighWater::HighWater(HighWater&& other) noexcept : fd_(std::exchange(other.fd_, -1)), place_(other.place_), value_(other.value_), nodes_(std::move(other.nodes_)), lives_(std::move(other.lives_)) {}

Result<bool> HighWater::store(Hlc value) {
  if (value <= value_) return false;
  const Entry stored = entry(value.value);
  if (::pwrite(fd_, stored.data(), sizeof stored, 0) != static_cast<ssize_t>(sizeof stored)) {
    return os_error("write the clock's high-water mark");
  }
  value_ = value;
  return true;
}

Status HighWater::lower(Hlc value) {
  if (value >= value_) return ok();
  const Hlc former = std::exchange(value_, Hlc{});
  const auto stored = store(value);
  if (stored) return ok();
  value_ = former;
  return stored.error();
}

Status HighWater::keep(const std::vector<NodeId>& nodes, const std::vector<NodeId>& lives) {
  if (nodes == nodes_ && lives == lives_) return ok();
  Stored stored{};  // what is behind the last one ends them
  stored[0] = entry(value_.value);
  stored[kPlace] = entry(place_);
  for (size_t i = 0; i < nodes.size() && i < node::kMostIds; ++i) stored[kFirstId + i] = entry(nodes[i].value);
  for (size_t i = 0; i < lives.size() && i < node::kMostLives; ++i) stored[kFirstLife + i] = entry(lives[i].value);
  if (::pwrite(fd_, stored.data(), sizeof stored, 0) != static_cast<ssize_t>(sizeof stored)) return os_error("write the node ids and lives that the file had");
  nodes_ = nodes;
  lives_ = lives;
  return ok();
}

Status HighWater::sync() {
  if (::fdatasync(fd_) != 0) return os_error("sync the clock's high-water mark");
  return ok();
}

}  // namespace marmot::agent
