// Whether a snapshot is due. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/ids.hpp"

namespace marmot::node {

struct SnapshotPolicy {
  int64_t interval_ms = 3'600'000;  // 0: only when the log's limits ask for one
  int64_t max_age_ms = 0;           // of the log; 0: no limit
  int64_t max_bytes = 0;
};

// What a stream holds.
struct StreamExtent {
  StreamSeq first = 0, last = 0;
  uint64_t messages = 0, bytes = 0;
  WallMs created = 0;
};

struct SnapshotMark {
  StreamSeq seq = 0;
  WallMs at = 0;
};

// Why one is due; empty: none is. `newest`: of this stream, nullopt when there is none.
//
//   - the stream has dropped messages that the newest one does not hold: nobody could join
//   - a quarter of what the log may hold, in bytes or in age, is newer than the newest one, so that the log never drops
//     what no snapshot holds as long as one is taken in the time that the other three quarters last
//   - something changed, and the newest one is older than the interval
std::string snapshot_due(const SnapshotPolicy& policy, const StreamExtent& stream, const std::optional<SnapshotMark>& newest,
                         WallMs now);

// How often to look, so that a quarter is not missed by much.
int64_t snapshot_look_ms(const SnapshotPolicy& policy);

}  // namespace marmot::node
