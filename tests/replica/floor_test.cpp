// Tombstones are forgotten, and nothing deleted comes back (common/replica/floor.cpp).
#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

void announce(Node& node, Stream& stream) {
  for (const auto& unit : require(node.engine().announce_floor(stream.messages.size(), false)).units) stream.append(unit);
}

int64_t tombstones(Node& node) { return std::stoll(node.query("SELECT count(*) FROM __marmot_version WHERE state = 0")); }

// A new stream in place of one that is lost: every node reads it from its start.
void lose_history(Node& node, Stream& stream, uint64_t incarnation) {
  require(node.engine().history_lost(stream.id, stream.messages.size(), Incarnation{incarnation}));
  node.apply(stream);
}

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

TEST_CASE("floor: a unit of a node that did not know of pruned deletions is refused by all, and what is left is sent again") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("INSERT INTO t VALUES(1,'a'),(2,'b')");
  t.settle();
  // c is away: it changes a row that the others delete a little later, and inserts one.
  t.c.sql("UPDATE t SET v = 'old' WHERE id = 1; INSERT INTO t VALUES(3, 'mine')");
  const auto late = t.c.drain();
  t.a.now += 5000;
  t.a.sql("DELETE FROM t WHERE id = 1");
  settle(t.stream, {&t.a, &t.b});
  announce(t.b, t.stream);
  settle(t.stream, {&t.a, &t.b});
  for (Node* node : {&t.a, &t.b}) {
    CHECK(node->drain().empty());
    CHECK(tombstones(*node) == 0);
  }
  for (const auto& unit : late) t.stream.append(unit);
  for (Node* node : {&t.a, &t.b, &t.c}) node->apply(t.stream);
  CHECK(t.a.query("SELECT id FROM t") == "2");
  CHECK(require(t.c.engine().counters()).outbox_rows == 1);
  t.settle();
  t.same("SELECT * FROM t ORDER BY 1", "2|b\n3|mine");
}

TEST_CASE("floor: rows that were deleted while a node was away stay deleted when the stream is lost as well") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("INSERT INTO t VALUES(1,'a'),(2,'b'),(3,'c')");
  t.settle();
  t.c.sql("INSERT INTO t VALUES(9, 'never sent')");
  t.a.now += 5000;
  t.a.sql("DELETE FROM t WHERE id <= 2");
  settle(t.stream, {&t.a, &t.b});
  announce(t.b, t.stream);
  settle(t.stream, {&t.a, &t.b});
  for (Node* node : {&t.a, &t.b}) {
    CHECK(node->drain().empty());
    CHECK(tombstones(*node) == 0);
  }

  Stream fresh;
  fresh.id = 78;
  lose_history(t.a, fresh, 501);
  lose_history(t.b, fresh, 502);
  settle(fresh, {&t.a, &t.b});
  lose_history(t.c, fresh, 503);
  settle(fresh, {&t.a, &t.b, &t.c});
  t.same("SELECT * FROM t ORDER BY 1", "3|c\n9|never sent");
}

TEST_CASE("floor: a row that somebody has told the new stream of was not deleted, whatever its version") {
  // A newer change to it, never sent, was taken for one that a forgotten deletion would have beaten (simulator, seeds 3959, 4237).
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("INSERT INTO t VALUES(1,'a'),(2,'b')");
  t.settle();
  t.c.sql("UPDATE t SET v = 'of c' WHERE id = 1");
  t.a.now += 5000;
  t.a.sql("DELETE FROM t WHERE id = 2");
  settle(t.stream, {&t.a, &t.b});
  announce(t.b, t.stream);
  settle(t.stream, {&t.a, &t.b});

  Stream fresh;
  fresh.id = 78;
  lose_history(t.a, fresh, 501);
  lose_history(t.b, fresh, 502);
  settle(fresh, {&t.a, &t.b});
  lose_history(t.c, fresh, 503);
  settle(fresh, {&t.a, &t.b, &t.c});
  t.same("SELECT * FROM t", "1|of c");
}
