#include "common/node/untold.hpp"

#include <algorithm>

namespace marmot::node {

bool Untold::asks(int64_t now_ms, int64_t units) {
  if (units == 0) {
    pause_ms_ = 0;
    return false;
  }
  if (pause_ms_ == 0) {
    pause_ms_ = first_ms_;
    at_ms_ = now_ms + pause_ms_;
  }
  if (now_ms < at_ms_) return false;
  pause_ms_ = std::min(2 * pause_ms_, kLongestMs);
  at_ms_ = now_ms + pause_ms_;
  return true;
}

}  // namespace marmot::node
