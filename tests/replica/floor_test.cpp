// Tombstones are forgotten (common/replica/floor.cpp). That nothing deleted comes back, whoever was away meanwhile, and that nothing
// waits for ever: tests/scenarios.
#include <doctest/doctest.h>

#include "common/codec/message.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

int64_t tombstones(Node& node) { return std::stoll(node.query("SELECT count(*) FROM __marmot_version WHERE state = 0")); }

}  // namespace

// Simulator, seed range 5405: what ends the waiting of a floor is a floor, and that one's end came to the same unit again, for ever.
TEST_CASE("floor: floors that wait themselves, for messages at and after their own, end it once") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  const auto tell = [&](uint64_t node, uint64_t number, StreamSeq seq) {
    const Origin origin{NodeId{node}, Incarnation{7}};
    const std::string payload = codec::encode_floor(Floor{seq, {}});
    t.stream.append("floor of " + std::to_string(node), codec::seal(codec::Kind::floor, origin, number, payload, 1000)[0]);
  };
  tell(77, 3, 1000);  // their first units are missing
  tell(77, 2, 2000);
  tell(88, 2, 1500);
  t.a.sql("INSERT INTO t VALUES(1, 'x')");
  t.settle();
  CHECK(require(t.c.engine().counters()).staged_parts == 3);
  tell(99, 1, 500);
  t.settle();
  t.same("SELECT * FROM t", "1|x");
  for (Node* node : {&t.a, &t.b, &t.c}) {
    CHECK(require(node->engine().counters()).staged_parts == 0);
    CHECK(node->engine().floor() == 2000);
  }
}

TEST_CASE("floor: tombstones that every member has applied are pruned, rows stay") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO t SELECT i, 'x' FROM n");
  t.settle();
  t.b.sql("DELETE FROM t WHERE id > 3");
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(tombstones(*node) == 1997);
  announce(t.a, t.stream);
  t.settle();
  for (int i = 0; i < 50; ++i) {
    for (Node* node : {&t.a, &t.b, &t.c}) CHECK(node->drain().empty());  // a piece each time
  }
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(tombstones(*node) == 0);
  t.same("SELECT count(*) FROM t", "3");
  announce(t.a, t.stream);
  const size_t before = t.stream.messages.size();
  announce(t.a, t.stream);
  CHECK(t.stream.messages.size() == before);  // nothing to prune: nothing is said
  t.c.sql("INSERT INTO t VALUES(7, 'again')");
  t.settle();
  t.same("SELECT id, v FROM t WHERE id > 3", "7|again");
}
