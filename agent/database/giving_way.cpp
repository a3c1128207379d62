#include "agent/database/giving_way.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <utility>

#include "agent/loop/clock.hpp"

namespace marmot::agent {

namespace {

// Readers that come while the marks are held wait: for a transaction no longer than this, then it gives up.
constexpr int64_t kHoldUs = 50'000;
// From the first byte in the WAL to the end of the commit; longer where the writer still holds its lock, for it syncs.
constexpr int64_t kGapUs = 1'000;
constexpr int64_t kSlowGapUs = 10'000;
constexpr int64_t kShareMs = 60'000;
constexpr uint64_t kLargeWal = 64 << 20;  // bytes

std::string name_of_reader(pid_t pid) { return pid == 0 ? "a process of another container" : "process " + std::to_string(pid); }

}  // namespace

GivingWay::GivingWay(const std::string& path, std::string name, LogSink log) : name_(std::move(name)), log_(std::move(log)) {
  auto readers = ShmReaders::open(path + "-shm");
  if (readers) readers_.emplace(*std::move(readers));
  else log_(LogLevel::warn, name_ + ": cannot see other readers: " + readers.error().message);
  auto commits = CommitWatch::open(path + "-wal");
  if (commits) commits_.emplace(*std::move(commits));
  else log_(LogLevel::warn, name_ + ": cannot see commits at once: " + commits.error().message);
}

bool GivingWay::free(int64_t now_us, bool hold) {
  if (!readers_) return true;
  bool nobody = !readers_->reading(now_us);
  tell();
  if (!nobody || !hold) return nobody;
  nobody = readers_->claim(now_us);
  if (!nobody) readers_->release(false);
  return nobody;
}

bool GivingWay::wait_for_gap(int64_t until_us, bool hold) {
  if (!commits_ || !readers_) {
    std::this_thread::sleep_for(std::chrono::microseconds(std::max<int64_t>(0, until_us - monotonic_us())));
    return false;
  }
  const bool wrote = commits_->wait(until_us - monotonic_us());
  if (!wrote || !hold) return false;
  const int64_t began = monotonic_us();
  for (int64_t now = began;; now = monotonic_us()) {
    if (readers_->claim(now) && readers_->claimed()) return true;
    readers_->release(false);
    const bool writing = readers_->writing();
    if (now - began > (writing ? kSlowGapUs : kGapUs)) return false;
    if (writing && now - began > kGapUs) std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

bool GivingWay::others_reading(int64_t now_us, bool before_commit, bool copying) {
  if (!readers_) return false;
  if (!readers_->claimed() && (!before_commit || copying)) return readers_->reading(now_us);
  if (!before_commit && now_us - readers_->claimed_since_us() > kHoldUs) return true;
  return !readers_->claim(now_us);
}

void GivingWay::release(bool in_transaction) {
  if (readers_) readers_->release(in_transaction);
  if (commits_) commits_->forget();  // what this process wrote
}

void GivingWay::sample(int64_t now_us, int64_t interval_ms) {
  if (!readers_) return;
  const double weight = std::min(1.0, static_cast<double>(interval_ms) / static_cast<double>(kShareMs));
  share_ += ((readers_->reading(now_us) ? 1.0 : 0.0) - share_) * weight;
  facts_.read_percent = std::lround(share_ * 100);
  tell_of_wal(now_us);
}

// Nothing that we could do: SQLite keeps what a reader may still ask for. Told again once the WAL has been emptied in between.
void GivingWay::tell_of_wal(int64_t now_us) {
  const uint64_t bytes = readers_->wal_bytes();
  if (bytes < kLargeWal) {
    told_of_wal_ = false;
    return;
  }
  const auto reader = readers_->holds_wal();
  if (!reader || std::exchange(told_of_wal_, true)) return;
  log_(LogLevel::warn, name_ + ": the WAL has grown to " + std::to_string(bytes >> 20) + " MiB, and cannot be emptied: " + name_of_reader(reader->pid) +
                           " has kept a read transaction open for " + std::to_string((now_us - reader->since_us) / 1'000'000) + " s; end it");
}

// Litestream, a long report, a cursor that somebody forgot.
void GivingWay::tell() {
  const auto pid = readers_->recognised();
  if (!pid) return;
  log_(LogLevel::info, name_ + ": " + name_of_reader(*pid) + " has kept a read transaction open for over a second: writes do not wait for it");
}

}  // namespace marmot::agent
