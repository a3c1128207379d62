#include "tests/facts/support.hpp"

#include "extension/new_id.hpp"

using marmot::extension::IdSource;
using marmot::extension::kIdEpoch;

TEST_CASE("new_id: the millisecond stands above twelve bits that start at random") {
  IdSource source;
  CHECK(source.next(kIdEpoch + 5, 0xabc) == (5 << 12 | 0xabc));
  CHECK(source.next(kIdEpoch + 6, 0xfffff123) == (6 << 12 | 0x123));
}

TEST_CASE("new_id: ids grow within a millisecond, and borrow from the next when its numbers are used up") {
  IdSource source;
  CHECK(source.next(kIdEpoch + 5, 0xffe) == (5 << 12 | 0xffe));
  CHECK(source.next(kIdEpoch + 5, 0x001) == (5 << 12 | 0xfff));
  CHECK(source.next(kIdEpoch + 5, 0x001) == (6 << 12));
  CHECK(source.next(kIdEpoch + 6, 0x777) == (6 << 12 | 1));
  CHECK(source.next(kIdEpoch + 7, 0x777) == (7 << 12 | 0x777));
}

TEST_CASE("new_id: a clock that goes back does not bring ids back") {
  IdSource source;
  const auto before = source.next(kIdEpoch + 1000, 7);
  CHECK(*source.next(kIdEpoch + 10, 9) == *before + 1);
}

TEST_CASE("new_id: an id fits into 53 bits to the last day, and none is given outside 2020 to 2089") {
  IdSource source;
  CHECK(!source.next(kIdEpoch - 1, 0));
  CHECK(!source.next(kIdEpoch + (marmot::WallMs{1} << 41), 0));
  CHECK(*source.next(kIdEpoch + (marmot::WallMs{1} << 41) - 1, 0xfff) == static_cast<int64_t>(marmot::kMaxNodeId));
}
