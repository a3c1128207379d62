#include "agent/replication/stall_alarm.hpp"

#include <sys/stat.h>

#include <chrono>

#include "agent/loop/clock.hpp"
#include "agent/report/text.hpp"

namespace marmot::agent {

namespace {
constexpr int64_t kLookMs = 1000;
}  // namespace

StallAlarm::StallAlarm(uv::Loop& loop, std::string name, std::string wal_path, LogSink log, std::function<node::StallRule::Facts()> facts,
                       std::function<std::string()> why)
    : name_(std::move(name)),
      wal_path_(std::move(wal_path)),
      log_(std::move(log)),
      facts_(std::move(facts)),
      why_(std::move(why)),
      timer_(loop, [this] { look(); }) {}

void StallAlarm::start() { timer_.start(uv::Milliseconds(kLookMs), uv::Milliseconds(kLookMs)); }

void StallAlarm::look() {
  struct stat facts {};
  wal_bytes_ = ::stat(wal_path_.c_str(), &facts) == 0 ? static_cast<int64_t>(facts.st_size) : 0;
  node::StallRule::Facts now = facts_();
  now.wal_bytes = wal_bytes_;
  const bool was = !text_.empty();
  if (!rule_.update(monotonic_ms(), now)) {
    if (was) log_(LogLevel::info, name_ + ": replication goes on");
    text_.clear();
    return;
  }
  const std::string why = why_();
  text_ = "replication has stood still for " + std::to_string(rule_.stalled_ms() / 1000) + " s while the WAL grows (" +
          grouped(wal_bytes_ / 1024) + " KiB)" + (why.empty() ? "" : ": " + why);
  if (!was) log_(LogLevel::error, name_ + ": " + text_);
}

}  // namespace marmot::agent
