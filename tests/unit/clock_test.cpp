// Stamps that are lowered (core/clock_reset.hpp), and the message that says so (codec/clock.hpp).
#include <doctest/doctest.h>

#include <algorithm>

#include "common/codec/clock.hpp"
#include "common/codec/message.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;

namespace {

constexpr WallMs kBase = 1'700'000'000'000;
constexpr WallMs kHour = 3'600'000;

std::vector<Hlc> sorted(std::vector<Hlc> stamps) {
  std::sort(stamps.begin(), stamps.end());
  stamps.erase(std::unique(stamps.begin(), stamps.end()), stamps.end());
  return stamps;
}

// All of them keep their order, none is raised, none goes below the base.
void check_order(const ClockReset& reset, const std::vector<Hlc>& stamps) {
  REQUIRE(reset.valid());
  Hlc before = Hlc::from_wall(kBase);
  for (size_t i = 0; i < stamps.size(); ++i) {
    const Hlc now = reset.lowered(stamps[i]);
    CHECK(now <= stamps[i]);
    if (i > 0) CHECK(before < now);
    else CHECK(before <= now);
    before = now;
  }
}

}  // namespace

TEST_CASE("clock reset: stamps of an hour ahead keep their order, and the highest is hardly ahead any more") {
  std::vector<Hlc> stamps;
  for (int i = 0; i < 50'000; ++i) stamps.push_back(Hlc{Hlc::from_wall(kBase + kHour).value + static_cast<uint64_t>(i)});
  const ClockReset reset = make_clock_reset(stamps, kBase);
  check_order(reset, stamps);
  CHECK(reset.lowered(stamps.back()) < Hlc::from_wall(kBase + 1000));
  CHECK(reset.lowered(Hlc::from_wall(kBase)) == Hlc::from_wall(kBase));
  CHECK(reset.lowered(Hlc{}) == Hlc{});
  // What came after the last one that was known: likewise.
  CHECK(reset.lowered(Hlc::from_wall(kBase + kHour + 1)) > reset.lowered(stamps.back()));
  CHECK(reset.lowered(Hlc::from_wall(kBase + kHour + 1)) < reset.lowered(Hlc::from_wall(kBase + kHour + 2)));
  CHECK(reset.lowered(Hlc::from_wall(kBase + 2 * kHour)) < Hlc::from_wall(kBase + 1500));
  // And before the first one.
  CHECK(reset.lowered(Hlc::from_wall(kBase + kHour / 2)) < reset.lowered(stamps.front()));
  CHECK(reset.lowered(Hlc{Hlc::from_wall(kBase).value - 1}) == Hlc{Hlc::from_wall(kBase).value - 1});
}

TEST_CASE("clock reset: of what a clock 200 years ahead stamped over a week nothing is equal to another, and all of it is within half a minute") {
  test::Random random(3);
  std::vector<Hlc> stamps;
  const WallMs from = kBase + 200 * 365 * 24 * kHour;
  for (int i = 0; i < 100'000; ++i) stamps.push_back(Hlc{Hlc::from_wall(from + static_cast<WallMs>(random.below(7 * 24 * kHour))).value + random.below(3)});
  for (int i = 0; i < 65'536; ++i) stamps.push_back(Hlc{Hlc::from_wall(from + kHour).value + static_cast<uint64_t>(i)});  // at once
  stamps = sorted(std::move(stamps));
  const ClockReset reset = make_clock_reset(stamps, kBase);
  CHECK(reset.segments.size() <= ClockReset::kMaxSegments);
  check_order(reset, stamps);
  CHECK(reset.lowered(stamps.back()) < Hlc::from_wall(kBase + 30'000));
}

TEST_CASE("clock reset: what was stamped before the stream took it, with a right clock, stays; one that came a minute late lowers nothing") {
  const std::vector<Hlc> stamps{Hlc::from_wall(kBase + kHour)};
  const ClockReset reset = make_clock_reset(stamps, kBase).taken(kBase + 5000, nullptr);
  REQUIRE(reset.valid());
  CHECK(reset.lowered(Hlc::from_wall(kBase + 4999)) == Hlc::from_wall(kBase + 4999));
  CHECK(reset.lowered(Hlc::from_wall(kBase + 5001)) < reset.lowered(stamps[0]));
  CHECK(reset.lowered(stamps[0]) < Hlc::from_wall(kBase + 1000));
  CHECK(reset.lowered_in_flight(Hlc::from_wall(kBase + kHour - 1)) == Hlc::from_wall(kBase + kHour - 1));
  CHECK(reset.lowered_in_flight(stamps[0]) == reset.lowered(stamps[0]));
  CHECK(reset.taken(kBase + 5000, nullptr) == reset);
  CHECK(make_clock_reset(stamps, kBase).taken(kBase - 5000, nullptr) == make_clock_reset(stamps, kBase));
  CHECK(make_clock_reset(stamps, kBase).taken(kBase + ClockReset::kMostLateMs + 1, nullptr).segments.empty());
  CHECK(make_clock_reset({Hlc::from_wall(kBase)}, kBase).taken(kBase + 5000, nullptr).valid());
  CHECK(make_clock_reset(stamps, kBase + 10).taken(kBase + 5000, &reset).segments.empty());
  CHECK(make_clock_reset(stamps, kBase + 1001).taken(kBase + 5000, &reset).valid());
  CHECK_FALSE(make_clock_reset(stamps, kBase + 1001).taken(kBase + 5000, &reset).segments.empty());
}

TEST_CASE("clock reset: any two stamps keep their order, known or not, and what comes out is plausible") {
  test::Random random(4);
  for (int round = 0; round < 300; ++round) {
    std::vector<Hlc> stamps;
    uint64_t at = Hlc::from_wall(kBase).value;
    for (uint64_t i = random.below(3000); i > 0; --i) stamps.push_back(Hlc{at += 1 + random.below(uint64_t{1} << random.below(40))});
    const ClockReset reset = make_clock_reset(stamps, kBase);
    check_order(reset, stamps);
    for (int i = 0; i < 100; ++i) {
      const Hlc a{random.next() >> (1 + random.below(20))}, b{random.chance(2) && !stamps.empty() ? stamps[random.below(stamps.size())].value : random.next() >> 1};
      CHECK((a <= b ? reset.lowered(a) <= reset.lowered(b) : reset.lowered(b) <= reset.lowered(a)));
      CHECK(reset.lowered(a) <= a);
      if (!reset.segments.empty()) CHECK(reset.lowered(a).plausible());
    }
  }
}

TEST_CASE("clock message: it comes back as it was, and whatever bytes come, they are read or refused") {
  test::Random random(13);
  for (int round = 0; round < 300; ++round) {
    const codec::ClockChange change = test::random_clock(random);
    const std::string payload = codec::encode_clock(change);
    const auto back = codec::decode_clock(payload);
    REQUIRE(back);
    CHECK(*back == change);
    std::string broken = payload;
    broken[random.below(broken.size())] ^= static_cast<char>(1 << random.below(8));
    (void)codec::decode_clock(broken);
    CHECK_FALSE(codec::decode_clock(std::string_view(payload).substr(0, random.below(payload.size()))));
  }
}

TEST_CASE("clock message: segments that do not rise, or raise a stamp, are refused") {
  const codec::ClockChange good{0, {{{Hlc{100}, Hlc{50}, 1}, {Hlc{200}, Hlc{60}, 65'536}}}};
  CHECK(codec::decode_clock(codec::encode_clock(good)));
  const auto refused = [&](auto&& change) {
    codec::ClockChange one = good;
    change(one.reset.segments);
    const auto read = codec::decode_clock(codec::encode_clock(one));
    return !read && read.error().code == Errc::corrupt;
  };
  CHECK(refused([](auto& segments) { segments[1].from = Hlc{100}; }));
  CHECK(refused([](auto& segments) { segments[1].to = Hlc{50}; }));
  CHECK(refused([](auto& segments) { segments[0].to = Hlc{101}; }));
  CHECK(refused([](auto& segments) { segments[0].slots = 0; }));
  CHECK(refused([](auto& segments) { segments[1].slots = 65'537; }));
  CHECK(refused([](auto& segments) { segments[1].from.value = segments[1].to.value = INT64_MAX; }));
  CHECK(refused([](auto& segments) {
    for (uint64_t i = 3; segments.size() <= ClockReset::kMaxSegments; ++i) segments.push_back({Hlc{i * 100}, Hlc{i * 60}, 1});
  }));
}
