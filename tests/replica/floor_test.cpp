// Tombstones are forgotten (common/replica/floor.cpp). That nothing deleted comes back, whoever was away meanwhile: tests/scenarios.
#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

void announce(Node& node, Stream& stream) {
  for (const auto& unit : require(node.engine().announce_floor(stream.messages.size(), false)).units) stream.append(unit);
}

int64_t tombstones(Node& node) { return std::stoll(node.query("SELECT count(*) FROM __marmot_version WHERE state = 0")); }

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

// Members of the new stream already when they heard of the floor, nodes had published, or were about to, what had been deleted while
// they were away (simulator, seed 5720).
TEST_CASE("floor: a member of the new stream that hears of a former one's floor late sends nothing that was deleted, and keeps the rest") {
  for (const bool on_its_way : {false, true}) {
    for (const bool changes : {false, true}) {
      Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
      t.a.sql("INSERT INTO t VALUES(1,'a'),(2,'b'),(3,'c')");
      t.settle();
      t.c.sql("INSERT INTO t VALUES(9, 'never sent')");
      t.a.now += 5000;
      t.a.sql("DELETE FROM t WHERE id <= 2");
      settle(t.stream, {&t.a, &t.b});
      announce(t.b, t.stream);
      settle(t.stream, {&t.a, &t.b});
      for (Node* node : {&t.a, &t.b}) CHECK(node->drain().empty());

      Stream fresh;
      fresh.id = 78;
      uint64_t incarnation = 500;
      for (Node* node : {&t.a, &t.b, &t.c}) lose_history(*node, fresh, ++incarnation);  // it holds nothing yet: they are members
      std::vector<replica::OutUnit> early;
      if (on_its_way) early = t.c.drain();
      const auto units = t.a.drain();
      CHECK(units.size() >= 2);  // its rows, then its floor
      for (size_t i = 0; i + 1 < units.size(); ++i) fresh.append(units[i]);
      t.c.apply(fresh);
      if (changes) t.c.sql("UPDATE t SET v = 'of c' WHERE id = 3");  // known to the new stream
      if (changes) t.c.drain();                                      // lost on its way
      fresh.append(units.back());
      for (const auto& unit : early) fresh.append(unit);
      t.c.apply(fresh);
      if (changes) {
        t.c.stop();
        t.c.start();
      }
      settle(fresh, {&t.a, &t.b, &t.c});
      t.same("SELECT * FROM t ORDER BY 1", changes ? "3|of c\n9|never sent" : "3|c\n9|never sent");
      for (Node* node : {&t.a, &t.b, &t.c}) CHECK(require(node->engine().counters()).outbox_rows == 0);
    }
  }
}

// The second half of a unit was cut off with the stream's end, and its node came back under another name: the first half stayed
// staged on every node for good, and in every snapshot (simulator, seed 1889).
TEST_CASE("floor: what waits for a message of a node that is gone waits no longer") {
  for (const bool gone : {true, false}) {
    for (const bool deletes : {true, false}) {
      replica::Settings settings;
      settings.max_message = 300;
      Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)", settings);
      t.a.sql("INSERT INTO t VALUES(1,'a')");
      t.settle();
      t.c.sql("INSERT INTO t VALUES(2, randomblob(1000))");
      const auto half = t.c.drain();
      CHECK(half[0].messages.size() > 1);
      t.c.sql("INSERT INTO t VALUES(3, 'whole')");
      const auto whole = t.c.drain();
      t.stream.append(half[0].msg_ids[0], half[0].messages[0]);
      for (const auto& unit : whole) t.stream.append(unit);
      if (deletes) t.a.sql("DELETE FROM t WHERE id = 1");
      settle(t.stream, {&t.a, &t.b});
      CHECK(require(t.b.engine().counters()).staged_parts > 1);
      announce(t.a, t.stream);
      settle(t.stream, {&t.a, &t.b});
      if (!gone) t.stream.append(half[0].msg_ids[1], half[0].messages[1]);  // too late: it is sent again
      if (!gone) t.settle();
      for (Node* node : {&t.a, &t.b}) {
        CHECK(require(node->engine().counters()).staged_parts == 0);
        CHECK(node->query("SELECT v FROM t WHERE id = 3") == "whole");
        CHECK(node->query("SELECT count(*) FROM t WHERE id = 2") == (gone ? "0" : "1"));
      }
      if (gone) continue;
      t.same("SELECT id FROM t ORDER BY 1", deletes ? "2\n3" : "1\n2\n3");
      CHECK(require(t.c.engine().counters()).staged_parts == 0);
      CHECK(require(t.c.engine().counters()).outbox_rows == 0);
    }
  }
}
