#include <doctest/doctest.h>

#include "common/core/hlc.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;

TEST_CASE("hlc: the wall time and the counter come back out of the number") {
  const Hlc hlc{(uint64_t{1700000000123} << 16) + 5};
  CHECK(hlc.wall() == 1700000000123);
  CHECK(hlc.counter() == 5);
  CHECK(Hlc::from_wall(1700000000123).wall() == 1700000000123);
  CHECK(Hlc::from_wall(1700000000123).counter() == 0);
  CHECK(Hlc::from_wall(-1).value == 0);
}

TEST_CASE("hlc: the counter grows while the wall clock stands still") {
  HlcClock clock;
  Hlc last = clock.tick(1000, 1000);
  CHECK(last == Hlc::from_wall(1000));
  for (uint32_t i = 1; i <= 200; ++i) {
    const Hlc next = clock.tick(1000, 1000);
    CHECK(next > last);
    CHECK(next.wall() == 1000);
    CHECK(next.counter() == i);
    last = next;
  }
}

TEST_CASE("hlc: a full counter runs over into the next millisecond and stays monotone") {
  HlcClock clock(Hlc{(uint64_t{1000} << 16) + 0xffff});
  const Hlc next = clock.tick(1000, 1000);
  CHECK(next.wall() == 1001);
  CHECK(next.counter() == 0);
}

TEST_CASE("hlc: it stays monotone while the wall clock goes back") {
  HlcClock clock;
  const Hlc before = clock.tick(5000, 5000);
  const Hlc after = clock.tick(2000, 2000);
  CHECK(after > before);
  CHECK(after.wall() == 5000);
}

TEST_CASE("hlc: a backlog keeps its true times") {
  HlcClock clock;
  const WallMs now = 100000000;
  for (WallMs touched = 1000000; touched < now; touched += 3600000) CHECK(clock.tick(touched, now).wall() == touched);
}

TEST_CASE("hlc: a touch that claims to come from the future is held at now") {
  HlcClock clock;
  CHECK(clock.tick(999999999, 5000) == Hlc::from_wall(5000));
  CHECK(clock.tick(6000, 6000) == Hlc::from_wall(6000));
}

TEST_CASE("hlc: a local change comes after everything that was applied to the file") {
  HlcClock clock;
  const Hlc remote = Hlc::from_wall(9000);
  clock.observe(remote);
  CHECK(clock.tick(5000, 5000) > remote);
  CHECK(clock.tick(20000, 20000).wall() == 20000);
}

TEST_CASE("hlc: observing an older stamp changes nothing") {
  HlcClock clock(Hlc::from_wall(9000));
  clock.observe(Hlc::from_wall(8000));
  CHECK(clock.last() == Hlc::from_wall(9000));
}

TEST_CASE("hlc: whatever the walls do, every stamp is larger than the one before and than what was observed") {
  test::Random random(1);
  HlcClock clock;
  for (int i = 0; i < 20000; ++i) {
    const Hlc floor = clock.last();
    const Hlc seen = Hlc::from_wall(static_cast<WallMs>(random.below(1000000)));
    const auto touched = static_cast<WallMs>(random.below(1000000));
    const auto now = static_cast<WallMs>(random.below(1000000));
    if (random.chance(3)) clock.observe(seen);
    if (clock.last() < floor) FAIL("observe lowered the clock");
    const Hlc before = clock.last();
    if (clock.tick(touched, now) <= before) FAIL("tick did not raise the clock");
  }
}

TEST_CASE("hlc: what a version row holds is six bytes of SQLite's while the counter stands at 0, and leads back to the stamp") {
  CHECK(Hlc::from_wall(1789000000123).stored() == 1789000000123);
  CHECK(Hlc{(uint64_t{1789000000123} << 16) + 5}.stored() == (int64_t{5} << 48) + 1789000000123);
  test::Random random(9);
  for (int i = 0; i < 1000; ++i) {
    const Hlc stamp{random.next()};
    if (Hlc::from_stored(stamp.stored()) != stamp) FAIL("another stamp");
  }
}

TEST_CASE("hlc: it prints as a UTC time with its counter") {
  CHECK(to_string(Hlc{(uint64_t{1700000000123} << 16) + 5}) == "2023-11-14T22:13:20.123Z+5");
  CHECK(to_string(Hlc{}) == "1970-01-01T00:00:00.000Z+0");
  CHECK(to_string(Hlc::from_wall(951782400000)) == "2000-02-29T00:00:00.000Z+0");
  CHECK(to_string(Hlc::from_wall(4107542399999)) == "2100-02-28T23:59:59.999Z+0");
  CHECK(to_string(Hlc::from_wall(4107542400000)) == "2100-03-01T00:00:00.000Z+0");
}

TEST_CASE("hlc: nothing beyond the year 2200 moves the clock: not what was applied, not what a file says, not the machine's own time") {
  CHECK(to_string(Hlc::from_wall(Hlc::kEnd)) == "2200-01-01T00:00:00.000Z+0");
  HlcClock clock(Hlc::from_wall(9000));
  clock.observe(Hlc{INT64_MAX});
  clock.observe(Hlc::from_wall(Hlc::kEnd));
  CHECK(clock.last() == Hlc::from_wall(9000));
  CHECK(HlcClock(Hlc{INT64_MAX}).last() == Hlc{});
  const WallMs in_200_years = 1'700'000'000'000 + 200 * WallMs{31'557'600'000};
  for (int i = 0; i < 3; ++i) CHECK(clock.tick(in_200_years, in_200_years).plausible());
}
