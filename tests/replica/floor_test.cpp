// Tombstones are forgotten (common/replica/floor.cpp). That nothing deleted comes back, whoever was away meanwhile, and that nothing
// waits for ever: tests/scenarios.
#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

void announce(Node& node, Stream& stream) {
  for (const auto& unit : require(node.engine().announce_floor(stream.messages.size(), false)).units) stream.append(unit);
}

int64_t tombstones(Node& node) { return std::stoll(node.query("SELECT count(*) FROM __marmot_version WHERE state = 0")); }

}  // namespace

TEST_CASE("floor: tombstones that every member has applied are pruned, rows stay") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO t SELECT i, 'x' FROM n");
  t.settle();
  t.b.sql("DELETE FROM t WHERE id > 3");
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(tombstones(*node) == 1997);
  announce(t.a, t.stream);
  t.settle();
  for (int i = 0; i < 5; ++i) {
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
