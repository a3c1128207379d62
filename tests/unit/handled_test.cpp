// The handled message (codec/handled.hpp).
#include <doctest/doctest.h>

#include "common/codec/handled.hpp"
#include "common/codec/message.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;

TEST_CASE("handled message: conflicts come back as they were, and whatever bytes come, they are read or refused") {
  test::Random random(12);
  for (int round = 0; round < 300; ++round) {
    std::vector<codec::HandledConflict> conflicts;
    for (uint64_t i = random.below(5); i > 0; --i) conflicts.push_back(test::random_handled(random));
    const std::string payload = codec::encode_handled(conflicts);
    const auto back = codec::decode_handled(payload);
    REQUIRE(back);
    CHECK(*back == conflicts);
    std::string broken = payload;
    broken[random.below(broken.size())] ^= static_cast<char>(1 << random.below(8));
    (void)codec::decode_handled(broken);
    CHECK_FALSE(codec::decode_handled(std::string_view(payload).substr(0, random.below(payload.size()))));
  }
}

TEST_CASE("handled message: a conflict that cannot be one is refused") {
  const codec::HandledConflict good{"t", "k", Version{Hlc{5}, {NodeId{6}, Incarnation{7}}}, NodeId{8}, 9};
  CHECK(codec::decode_handled(codec::encode_handled({good})));
  const auto refused = [&](auto&& change) {
    codec::HandledConflict one = good;
    change(one);
    const auto read = codec::decode_handled(codec::encode_handled({good, one, good}));
    return !read && read.error().code == Errc::corrupt;
  };
  CHECK(refused([](auto& one) { one.table.clear(); }));
  CHECK(refused([](auto& one) { one.loser.hlc = {}; }));
  CHECK(refused([](auto& one) { one.loser.origin.node.value = kMaxNodeId + 1; }));
  CHECK(refused([](auto& one) { one.by.value = kMaxNodeId + 1; }));
  CHECK(refused([](auto& one) { one.at = -1; }));
}
