#include "common/node/snapshot_due.hpp"

#include <algorithm>

namespace marmot::node {

namespace {
constexpr int64_t kQuarter = 4;  // one part in four
constexpr int64_t kLongestLookMs = 10'000;
constexpr int64_t kShortestLookMs = 250;
}  // namespace

std::string snapshot_due(const SnapshotPolicy& policy, const StreamExtent& stream, const std::optional<SnapshotMark>& newest,
                         WallMs now) {
  const StreamSeq held = newest ? newest->seq : 0;
  if (stream.last <= std::max<StreamSeq>(held, 1)) return {};  // nothing since; the first message is only the stream's name
  if (stream.first > held + 1) return "the log no longer holds what the newest snapshot lacks";
  const uint64_t newer = stream.last - held;
  const uint64_t messages = std::max<uint64_t>(stream.messages, 1);
  const auto bytes = static_cast<int64_t>(static_cast<double>(stream.bytes) * static_cast<double>(std::min(newer, messages)) /
                                          static_cast<double>(messages));
  if (policy.max_bytes > 0 && bytes >= policy.max_bytes / kQuarter) return "a quarter of log.max_bytes is newer than the newest snapshot";
  const WallMs since = newest ? newest->at : stream.created;
  if (policy.max_age_ms > 0 && now - since >= policy.max_age_ms / kQuarter) return "a quarter of log.max_age has passed since the newest snapshot";
  if (policy.interval_ms > 0 && now - since >= policy.interval_ms) return "snapshot.interval has passed";
  return {};
}

int64_t snapshot_look_ms(const SnapshotPolicy& policy) {
  int64_t shortest = kLongestLookMs;
  if (policy.interval_ms > 0) shortest = std::min(shortest, policy.interval_ms / kQuarter);
  if (policy.max_age_ms > 0) shortest = std::min(shortest, policy.max_age_ms / kQuarter / kQuarter);
  return std::max(shortest, kShortestLookMs);
}

}  // namespace marmot::node
