#include "common/node/stall_rule.hpp"

#include <algorithm>

namespace marmot::node {

bool StallRule::update(int64_t now_ms, const Facts& facts) {
  if (moved_ms_ == 0 || facts.position != position_ || facts.position >= facts.end) {
    moved_ms_ = now_ms;
    position_ = facts.position;
  }
  const int64_t before = stalled_ms_;
  stalled_ms_ = std::max(facts.undrained_ms, now_ms - moved_ms_);
  // A checkpoint from its start makes a WAL smaller, never larger than it was.
  if (stalled_ms_ <= before || stalled_ms_ == 0) on_ = false;
  if (!on_ && (stalled_ms_ <= before || before == 0)) wal_before_ = facts.wal_bytes;
  if (stalled_ms_ > kStalledMs && facts.wal_bytes > wal_before_) on_ = true;
  return on_;
}

}  // namespace marmot::node
