// When a snapshot is due (common/node/snapshot_due.hpp).
#include "common/node/snapshot_due.hpp"

#include <doctest/doctest.h>

using namespace marmot;
using namespace marmot::node;

namespace {

constexpr WallMs kNow = 1'700'000'000'000;
constexpr WallMs kHour = 3'600'000;

StreamExtent stream(StreamSeq first, StreamSeq last, uint64_t bytes = 1000, WallMs created = kNow - 100 * kHour) {
  return StreamExtent{first, last, last - first + 1, bytes, created};
}

bool due(const SnapshotPolicy& policy, const StreamExtent& state, std::optional<SnapshotMark> newest) {
  return !snapshot_due(policy, state, newest, kNow).empty();
}

}  // namespace

TEST_CASE("snapshot schedule: none is due while nothing changed, whatever the time; the first message alone is no change") {
  const SnapshotPolicy policy{1, 1, 1};
  CHECK_FALSE(due(policy, stream(1, 0), std::nullopt));
  CHECK_FALSE(due(policy, stream(1, 1), std::nullopt));
  CHECK_FALSE(due(policy, stream(1, 40, 1'000'000), SnapshotMark{40, kNow - 50 * kHour}));
  CHECK_FALSE(due(policy, stream(41, 40, 0), SnapshotMark{40, kNow - 50 * kHour}));
  CHECK(due(policy, stream(1, 2), std::nullopt));
}

TEST_CASE("snapshot schedule: the interval counts from the newest snapshot, or from the stream's making; 0 turns it off") {
  const SnapshotPolicy hourly{kHour, 0, 0}, never{0, 0, 0};
  CHECK_FALSE(due(hourly, stream(1, 40), SnapshotMark{39, kNow - kHour + 1}));
  CHECK(due(hourly, stream(1, 40), SnapshotMark{39, kNow - kHour}));
  CHECK_FALSE(due(hourly, stream(1, 40, 1000, kNow - kHour + 1), std::nullopt));
  CHECK(due(hourly, stream(1, 40, 1000, kNow - kHour), std::nullopt));
  CHECK_FALSE(due(never, stream(1, 40), std::nullopt));
}

TEST_CASE("snapshot schedule: a quarter of the log's age or bytes behind the newest snapshot is enough") {
  const SnapshotPolicy age{0, 24 * kHour, 0}, size{0, 0, 4000};
  CHECK_FALSE(due(age, stream(1, 40), SnapshotMark{39, kNow - 6 * kHour + 1}));
  CHECK(due(age, stream(1, 40), SnapshotMark{39, kNow - 6 * kHour}));
  // 40 messages of 100 bytes: 9 of them are 900 bytes, 10 are 1,000.
  CHECK_FALSE(due(size, stream(1, 40, 4000), SnapshotMark{31, kNow}));
  CHECK(due(size, stream(1, 40, 4000), SnapshotMark{30, kNow}));
}

TEST_CASE("snapshot schedule: what the log dropped and no snapshot holds makes one due at once") {
  const SnapshotPolicy policy{kHour, 24 * kHour, 1'000'000'000};
  CHECK_FALSE(due(policy, stream(31, 40), SnapshotMark{30, kNow}));
  CHECK(due(policy, stream(32, 40), SnapshotMark{30, kNow}));
  CHECK(due(policy, stream(2, 40, 1000, kNow), std::nullopt));
}

TEST_CASE("snapshot schedule: it looks often enough for its shortest limit, and never without a pause") {
  CHECK(snapshot_look_ms({kHour, 24 * kHour, 0}) == 10'000);
  CHECK(snapshot_look_ms({4000, 0, 0}) == 1000);
  CHECK(snapshot_look_ms({0, 16'000, 0}) == 1000);
  CHECK(snapshot_look_ms({1, 1, 1}) == 250);
}
