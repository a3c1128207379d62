// "Replication has stalled while the WAL grows" (common/node/stall_rule.hpp), looked at every second. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "agent/loop/uv.hpp"
#include "common/base/log.hpp"
#include "common/node/stall_rule.hpp"

namespace marmot::agent {

class StallAlarm {
 public:
  StallAlarm(uv::Loop& loop, std::string name, std::string wal_path, LogSink log, std::function<node::StallRule::Facts()> facts,
             std::function<std::string()> why);
  void start();

  const std::string& text() const { return text_; }  // empty: all is well
  int64_t wal_bytes() const { return wal_bytes_; }

 private:
  void look();

  const std::string name_, wal_path_;
  const LogSink log_;
  const std::function<node::StallRule::Facts()> facts_;
  const std::function<std::string()> why_;
  uv::Timer timer_;
  node::StallRule rule_;
  int64_t wal_bytes_ = 0;
  std::string text_;
};

}  // namespace marmot::agent
