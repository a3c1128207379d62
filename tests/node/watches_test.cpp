// What a node watches itself by: how far it is behind (common/node/change_count.hpp), whether it stands still (stall_rule.hpp), and
// whether its clock is right (clock_drift.hpp), and whether rows wait for a table that nobody has told of (untold.hpp).
#include <doctest/doctest.h>

#include "common/codec/message.hpp"
#include "common/node/change_count.hpp"
#include "common/node/clock_drift.hpp"
#include "common/node/stall_rule.hpp"
#include "common/node/untold.hpp"

using namespace marmot;
using namespace marmot::node;

namespace {

// A second at a time.
struct Watched {
  StallRule rule;
  int64_t now = 1'000'000;
  StallRule::Facts facts;
  bool second(int64_t wal) {
    now += 1000;
    facts.wal_bytes = wal;
    return rule.update(now, facts);
  }
};

}  // namespace

TEST_CASE("stall: undrained for more than five seconds while the WAL grows is an alarm, and clears once it is drained") {
  Watched w;
  CHECK_FALSE(w.second(100));
  for (int i = 1; i <= 5; ++i) {
    w.facts.undrained_ms = i * 1000;
    CHECK_FALSE(w.second(100 + i));
  }
  w.facts.undrained_ms = 6000;
  CHECK(w.second(106));
  w.facts.undrained_ms = 7000;
  CHECK(w.second(106));  // until replication moves again
  w.facts.undrained_ms = 0;
  CHECK_FALSE(w.second(106));
  w.facts.undrained_ms = 900;
  CHECK_FALSE(w.second(500));
}

TEST_CASE("stall: a WAL that does not grow is no alarm, however long it takes, until it does") {
  Watched w;
  for (int i = 1; i <= 60; ++i) {
    w.facts.undrained_ms = i * 1000;
    CHECK_FALSE(w.second(4096));
  }
  w.facts.undrained_ms = 61'000;
  CHECK(w.second(8192));
}

TEST_CASE("stall: a stream that is not followed is an alarm too; one that is being caught up with is none") {
  Watched w;
  w.facts.end = 100;
  for (int i = 0; i < 30; ++i) {
    w.facts.position = static_cast<StreamSeq>(i);
    CHECK_FALSE(w.second(1000 + i));
  }
  bool on = false;
  for (int i = 0; i < 7; ++i) on = w.second(2000 + i);
  CHECK(on);
  w.facts.position = 30;
  CHECK_FALSE(w.second(3000));
  w.facts.position = 100;
  for (int i = 0; i < 20; ++i) CHECK_FALSE(w.second(4000 + i));
}

TEST_CASE("change count: the agents' own messages between two places are no changes") {
  const Origin origin{NodeId{1}, Incarnation{1}};
  const std::string floor = codec::seal(codec::Kind::floor, origin, 1, codec::encode_floor({}), 1 << 20).front();
  const std::string rows = codec::seal(codec::Kind::rows, origin, 2, "x", 1 << 20).front();
  ChangeCount count;
  count.restart();
  count.delivered(11, rows);
  count.delivered(12, floor);
  count.delivered(13, floor);
  count.delivered(14, "not of ours");
  CHECK(count.between(10, 14) == 2);
  CHECK(count.between(11, 13) == 0);
  CHECK(count.between(13, 14) == 1);
  CHECK(count.between(14, 16) == 2);  // not delivered yet: counted
  CHECK(count.between(14, 10) == 0);
  count.restart();
  CHECK(count.between(10, 14) == 4);
}

TEST_CASE("clock: what lies between sending and knowing is right; what lies outside by more than the limit is not, and says which way") {
  ClockDrift drift(500);
  drift.observe(1000, 1010, 1020);
  CHECK_FALSE(drift.beyond());
  CHECK(drift.text().empty());
  drift.observe(1000, 500, 1020);
  CHECK_FALSE(drift.beyond());
  drift.observe(1000, 499, 1020);
  CHECK(drift.beyond());
  CHECK(drift.text().find("501 ms ahead of") != std::string::npos);
  drift.observe(1000, 1521, 1020);
  CHECK(drift.text().find("501 ms behind") != std::string::npos);
  drift.observe(1000, 1000, 1000);
  CHECK_FALSE(drift.beyond());
}

TEST_CASE("untold: the others are asked after a while, then less and less often, for as long as something waits") {
  Untold untold(1000);
  CHECK_FALSE(untold.asks(0, 0));
  CHECK_FALSE(untold.asks(100, 2));
  CHECK_FALSE(untold.asks(1099, 2));
  CHECK(untold.asks(1100, 2));
  CHECK_FALSE(untold.asks(1101, 3));
  CHECK_FALSE(untold.asks(3099, 3));
  CHECK(untold.asks(3100, 3));
  CHECK_FALSE(untold.asks(7099, 3));
  CHECK(untold.asks(7100, 3));
  CHECK_FALSE(untold.asks(7200, 0));
  CHECK_FALSE(untold.asks(7300, 1));
  CHECK(untold.asks(8300, 1));
  int asked = 0;
  for (int64_t now = 8301; now < 8301 + 24 * Untold::kLongestMs; now += 1000) asked += untold.asks(now, 1) ? 1 : 0;
  CHECK(asked >= 23);
  CHECK(asked < 40);
}

// An agent an hour ahead published once before it noticed, and every clock followed.
TEST_CASE("clock: nothing is published before it was compared with the server's, on each connection anew, nor while it is wrong") {
  ClockDrift drift(500);
  CHECK_FALSE(drift.may_publish());
  CHECK(drift.off_ms() == 0);
  drift.observe(1000, 1010, 1020);
  CHECK(drift.may_publish());
  drift.connected();
  CHECK_FALSE(drift.may_publish());
  drift.observe(3'601'000, 1010, 3'601'020);
  CHECK_FALSE(drift.may_publish());
  CHECK(drift.off_ms() == 3'599'990);
  drift.connected();
  CHECK(drift.off_ms() == 3'599'990);  // until it is known that it was set right
  drift.observe(2000, 2010, 2020);
  CHECK(drift.may_publish());
  CHECK(drift.off_ms() == 0);
  drift.observe(1000, 9000, 1020);
  CHECK(drift.off_ms() == -7980);
}

TEST_CASE("clock: where more than half of the nodes differ from the server, it is the server's clock that is wrong; one node alone cannot tell") {
  CHECK_FALSE(server_is_off(1, 1));
  CHECK_FALSE(server_is_off(1, 2));
  CHECK(server_is_off(2, 2));
  CHECK_FALSE(server_is_off(1, 3));
  CHECK(server_is_off(2, 3));
  CHECK_FALSE(server_is_off(2, 4));
}
