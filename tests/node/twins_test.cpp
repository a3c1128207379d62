// Which of two agents of one identity gives way (docs/decisions/0030).
#include <doctest/doctest.h>

#include <utility>
#include <vector>

#include "common/node/twins.hpp"

using namespace marmot;
using node::TwinLife;
using node::Twins;

namespace {

TwinLife life(uint64_t incarnation, bool asking, StreamSeq first) { return {Incarnation{incarnation}, asking, first}; }

// One that has asked, waited, and published message `first`; 0: nothing.
Twins running(uint64_t incarnation, StreamSeq first) {
  Twins twins;
  twins.live(Incarnation{incarnation});
  twins.connected();
  CHECK(twins.asks(1000));
  CHECK(twins.may_publish(1000 + Twins::kAskMs));
  if (first != 0) {
    twins.sent();
    twins.came(first);
  }
  return twins;
}

// `twins` hears what `other` says; in answer to its question, or as a question.
Twins::Then hears(Twins& twins, const Twins& other, bool answer) {
  return twins.heard(other.own(), answer ? twins.own().incarnation : Incarnation{});
}

}  // namespace

TEST_CASE("twins: the later one gives way") {
  struct Case {
    TwinLife stays, yields;
  };
  const Case cases[] = {
      {life(1, false, 0), life(2, true, 0)},      // who runs, and who still asks
      {life(1, false, 900), life(2, true, 0)},
      {life(2, true, 0), life(1, true, 0)},       // both ask: the lower incarnation
      {life(1, false, 900), life(2, false, 0)},   // who has published, and who has not
      {life(1, false, 10), life(2, false, 900)},  // whose first message stands later
      {life(2, false, 0), life(1, false, 0)},     // neither has published: the lower incarnation
  };
  for (const Case& one : cases) {
    CHECK(yields(one.yields, one.stays));
    CHECK_FALSE(yields(one.stays, one.yields));
  }
}

TEST_CASE("twins: never both, however old what one knows of the other is") {
  // All that an agent may ever say, in the order of its life: it asks, it may publish, its first message has come round.
  const auto course = [](uint64_t incarnation, StreamSeq first) {
    return std::vector<TwinLife>{life(incarnation, true, 0), life(incarnation, false, 0), life(incarnation, false, first)};
  };
  for (const auto& [one_first, two_first] : {std::pair<StreamSeq, StreamSeq>{10, 20}, {20, 10}}) {
    const auto one = course(1, one_first), two = course(2, two_first);
    for (size_t one_ends = 0; one_ends < 3; ++one_ends) {
      for (size_t two_ends = 0; two_ends < 3; ++two_ends) {  // where each of them is when it decides; it has said anything up to there
        bool one_may = false, two_may = false;
        for (size_t said = 0; said <= two_ends; ++said) one_may = one_may || yields(one[one_ends], two[said]);
        for (size_t said = 0; said <= one_ends; ++said) two_may = two_may || yields(two[two_ends], one[said]);
        CHECK_FALSE((one_may && two_may));
        // And with what is so now, one of them does.
        CHECK(yields(one[one_ends], two[two_ends]) != yields(two[two_ends], one[one_ends]));
      }
    }
  }
}

TEST_CASE("twins: an agent that is alone asks once, waits a moment and publishes") {
  Twins twins;
  twins.connected();
  CHECK_FALSE(twins.asks(1000));  // the file is not open yet
  twins.live(Incarnation{7});
  CHECK_FALSE(twins.may_publish(1000));
  CHECK(twins.asks(1000));
  CHECK_FALSE(twins.asks(1001));
  CHECK_FALSE(twins.may_publish(1000 + Twins::kAskMs - 1));
  CHECK(twins.may_publish(1000 + Twins::kAskMs));
  twins.disconnected();
  CHECK(twins.may_publish(9000));  // it runs: it asks again, and waits no more
  twins.connected();
  CHECK(twins.asks(9000));
}

TEST_CASE("twins: a connection that is lost before the answer begins the question anew") {
  Twins twins;
  twins.live(Incarnation{7});
  twins.connected();
  CHECK(twins.asks(1000));
  twins.disconnected();
  CHECK_FALSE(twins.may_publish(5000));
  twins.connected();
  CHECK(twins.asks(5000));
  CHECK_FALSE(twins.may_publish(5000));
  CHECK(twins.may_publish(5000 + Twins::kAskMs));
}

TEST_CASE("twins: who starts beside one that runs yields to its answer, not to a message of the dead") {
  Twins one = running(1, 40), two;
  two.live(Incarnation{2});
  two.connected();
  REQUIRE(two.asks(1000));
  CHECK(hears(one, two, false) == Twins::Then::answer);
  CHECK_FALSE(one.asks(5000));                            // it has nothing to fear
  CHECK(two.heard(one.own(), Incarnation{99}) == Twins::Then::nothing);  // an answer to somebody else's question, perhaps of long ago
  CHECK(hears(two, one, false) == Twins::Then::answer);   // a question likewise: it asks back
  CHECK_FALSE(two.may_publish(1000 + Twins::kAskMs));     // what it does not know yet it waits for
  CHECK(two.asks(1000 + Twins::kAskMs));
  CHECK_FALSE(two.may_publish(1000 + 2 * Twins::kAskMs - 1));
  CHECK(hears(two, one, true) == Twins::Then::yield);
  CHECK_FALSE(two.may_publish(9000));
  CHECK(hears(two, one, true) == Twins::Then::nothing);
}

TEST_CASE("twins: two that run settle it, once it is known where their first messages stand") {
  Twins one = running(1, 40), two = running(2, 0);
  two.sent();  // not come round yet: it might stand before the other's
  two.suspect();
  CHECK(two.asks(5000));
  CHECK(hears(two, one, true) == Twins::Then::nothing);
  CHECK(two.asks(5000 + Twins::kAgainMs));
  two.came(39);
  two.came(41);
  CHECK(two.own().first == 39);
  CHECK(hears(two, one, true) == Twins::Then::nothing);
  CHECK(hears(one, two, true) == Twins::Then::yield);
}

TEST_CASE("twins: another incarnation of one agent is another life, and its own words are no twin's") {
  Twins twins = running(3, 40);
  CHECK(hears(twins, twins, true) == Twins::Then::nothing);
  twins.live(Incarnation{4});
  CHECK(twins.own() == life(4, false, 0));
  twins.live(Incarnation{4});
  CHECK(twins.may_publish(5000));
}
