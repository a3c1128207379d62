// When replication has stalled while the WAL grows: something waits to be drained, or the stream is not followed, for more than
// five seconds, and meanwhile the application's -wal file became larger (nobody checkpoints it, or it is being filled). It clears by
// itself. Pure.
#pragma once

#include <cstdint>

#include "common/base/ids.hpp"

namespace marmot::node {

class StallRule {
 public:
  static constexpr int64_t kStalledMs = 5000;

  struct Facts {
    int64_t undrained_ms = 0;  // for how long something has been waiting to be drained or applied, untouched
    StreamSeq position = 0;    // of this file in the stream
    StreamSeq end = 0;         // of the stream, as far as known
    int64_t wal_bytes = 0;
  };
  // True: the alarm is on.
  bool update(int64_t now_ms, const Facts& facts);
  int64_t stalled_ms() const { return stalled_ms_; }

 private:
  StreamSeq position_ = 0;
  int64_t moved_ms_ = 0;      // when the position moved last, or was at the end
  int64_t stalled_ms_ = 0;
  int64_t wal_before_ = 0;    // when it stood still first
  bool on_ = false;
};

}  // namespace marmot::node
