// A migration that gives a table another primary key, and deletions: what it takes away, what was deleted before it, and what other nodes do to
// such rows meanwhile (docs/decisions/0035-deleted-under-a-former-key.md).
#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

const char* const kRows = "SELECT * FROM t ORDER BY code";
const char* const kThree = "CREATE TABLE t(id INTEGER PRIMARY KEY, code TEXT NOT NULL, v); INSERT INTO t VALUES(1,'a','one'),(2,'b','two'),(3,'c','three'),(4,'d','four')";

std::string rebuilt(const std::string& definition, const std::string& copy = "SELECT * FROM t") {
  return "BEGIN; CREATE TABLE n(" + definition + "; INSERT INTO n " + copy + "; DROP TABLE t; ALTER TABLE n RENAME TO t; COMMIT";
}

// The former key's table, what becomes of it, and which rows of t the migration copies.
struct Change {
  std::string what;
  const char* before;
  const char* after;
  const char* columns;
  bool told = true;  // by its key of before, which row it is now
};
const Change kChanges[] = {
    {"another column", kThree, "id INTEGER, code TEXT PRIMARY KEY, v)", "*"},
    {"WITHOUT ROWID", kThree, "id INTEGER, code TEXT PRIMARY KEY, v) WITHOUT ROWID", "*"},
    {"extended", kThree, "id INTEGER, code TEXT, v, PRIMARY KEY(id, code))", "*"},
    {"the key's column goes", kThree, "code TEXT PRIMARY KEY, v)", "code, v", false},
    {"renamed", kThree, "number INTEGER, code TEXT, v, PRIMARY KEY(code, number)) WITHOUT ROWID", "*", false},
    {"dropped", kThree, "id INTEGER, code TEXT, v)", "*"},
    {"reordered", "CREATE TABLE t(id INTEGER, code TEXT, v, PRIMARY KEY(id, code)) WITHOUT ROWID; INSERT INTO t VALUES(1,'a','one'),(2,'b','two'),(3,'c','three'),(4,'d','four')",
     "id INTEGER, code TEXT, v, PRIMARY KEY(code, id))", "*"},
    {"made", "CREATE TABLE t(id INTEGER, code TEXT, v); INSERT INTO t VALUES(1,'a','one'),(2,'b','two'),(3,'c','three'),(4,'d','four')", "id INTEGER, code TEXT PRIMARY KEY, v)", "*", false},
    {"another type", "CREATE TABLE t(id TEXT PRIMARY KEY, code TEXT, v); INSERT INTO t VALUES('1','a','one'),('2','b','two'),('3','c','three'),('4','d','four')",
     "id INTEGER PRIMARY KEY, code TEXT, v)", "*", false},
};

std::string migration(const Change& change, const std::string& where) {
  return rebuilt(change.after, std::string("SELECT ") + change.columns + " FROM t WHERE " + where);
}

void same_everywhere(Three& t, const std::string& codes) {
  t.same("SELECT group_concat(code, '') FROM (SELECT code FROM t ORDER BY code)", codes);
  t.same(kRows, t.a.query(kRows));
  for (Node* node : {&t.a, &t.b, &t.c}) {
    check_at_rest(*node);
    CHECK(require(node->engine().drain(false)).units.empty());
  }
}

}  // namespace

TEST_CASE("rekey: rows that the migration takes away, and one that was deleted just before, are deleted on every node") {
  for (const Change& change : kChanges) {
    CAPTURE(change.what);
    Three t(change.before);
    t.a.now += 1000;
    t.a.sql("DELETE FROM t WHERE code = 'b'");
    t.a.sql(migration(change, "code <> 'c'"));
    t.settle();
    same_everywhere(t, "ad");
  }
}

TEST_CASE("rekey: the agent was away while it happened") {
  for (const Change& change : kChanges) {
    CAPTURE(change.what);
    Three t(change.before);
    t.a.stop();
    t.a.now += 1000;
    t.a.sql("DELETE FROM t WHERE code = 'b'");
    t.a.sql(migration(change, "code <> 'c'"));
    t.a.start();
    t.settle();
    same_everywhere(t, "ad");
  }
}

TEST_CASE("rekey: the agent dies after its drain: nothing, the deletions, or those and the schema have reached the stream") {
  for (const Change& change : kChanges) {
    CAPTURE(change.what);
    for (size_t sent = 0; sent < 3; ++sent) {
      CAPTURE(sent);
      Three t(change.before);
      t.a.now += 1000;
      t.a.sql("DELETE FROM t WHERE code = 'b'");
      t.a.sql(migration(change, "code <> 'c'"));
      const auto units = t.a.drain();
      for (size_t i = 0; i < std::min(sent, units.size()); ++i) t.stream.append(units[i]);
      t.a.stop();
      t.a.start();
      t.settle();
      same_everywhere(t, "ad");
    }
  }
}

TEST_CASE("rekey: another node changed such a row meanwhile: the last writer wins") {
  for (const Change& change : kChanges) {
    if (!change.told) continue;
    CAPTURE(change.what);
    for (const bool later : {true, false}) {
      for (const bool first : {true, false}) {  // in the stream
        CAPTURE(later);
        CAPTURE(first);
        Three t(change.before);
        t.b.now += later ? 2000 : 500;
        t.a.now += 1000;
        t.b.sql("UPDATE t SET v = 'of b' WHERE code IN ('b', 'c')");
        const auto of_b = t.b.drain();
        t.a.sql("DELETE FROM t WHERE code = 'b'");
        t.a.sql(migration(change, "code <> 'c'"));
        const auto of_a = t.a.drain();
        for (const auto* units : {first ? &of_b : &of_a, first ? &of_a : &of_b}) {
          t.stream.append(*units);
        }
        t.settle();
        same_everywhere(t, later ? "abcd" : "ad");
        if (later) t.same("SELECT count(*) FROM t WHERE v = 'of b'", "2");
      }
    }
  }
}

TEST_CASE("rekey: every node runs the migration by itself") {
  for (const Change& change : kChanges) {
    if (!change.told) continue;
    CAPTURE(change.what);
    Three t(change.before);
    t.a.now += 1000;
    t.a.sql("DELETE FROM t WHERE code = 'b'");
    for (Node* node : {&t.a, &t.b, &t.c}) node->sql(migration(change, "code <> 'c'"));
    t.settle();
    same_everywhere(t, "ad");
  }
}

TEST_CASE("rekey: a deletion in flight, and then an older change of that row, which comes later") {
  Three t(kThree);
  t.b.now += 1000;
  t.c.now += 2000;
  t.b.sql("UPDATE t SET v = 'of b', code = 'x' WHERE id = 2");
  t.c.sql("DELETE FROM t WHERE id = 2");
  const auto of_b = t.b.drain(), of_c = t.c.drain();
  t.a.sql(rebuilt("id INTEGER, code TEXT PRIMARY KEY, v)"));
  t.a.publish(t.stream);
  SUBCASE("the row's deletion first") {
    for (const auto* units : {&of_c, &of_b}) t.stream.append(*units);
  }
  SUBCASE("the other way round") {
    for (const auto* units : {&of_b, &of_c}) t.stream.append(*units);
  }
  t.settle();
  same_everywhere(t, "acd");
}

TEST_CASE("rekey: a deletion that comes before it, and that the migration had not heard of: the row is not back under the new key") {
  // Found by the simulator: the migration drops a column, and sends the row, under its new key, with the very next version after the one that it had.
  Three t(kThree);
  t.c.now += 1000;
  t.c.sql("DELETE FROM t WHERE id = 2");
  const auto of_c = t.c.drain();
  t.a.sql(rebuilt("id INTEGER, code TEXT PRIMARY KEY)", "SELECT id, code FROM t"));
  const auto of_a = t.a.drain();
  for (const auto* units : {&of_c, &of_a}) t.stream.append(*units);
  t.settle();
  same_everywhere(t, "acd");
}

TEST_CASE("rekey: a change in flight gives the row another value under what is the key now: it is one row") {
  Three t(kThree);
  t.b.now += 1000;
  t.b.sql("UPDATE t SET code = 'x' WHERE id = 2; UPDATE t SET id = 30 WHERE id = 3");
  const auto of_b = t.b.drain();
  t.a.sql(rebuilt("id INTEGER, code TEXT PRIMARY KEY, v)"));
  t.a.publish(t.stream);
  t.stream.append(of_b);
  t.settle();
  same_everywhere(t, "acdx");
  t.same("SELECT id FROM t WHERE code = 'c'", "30");
}

TEST_CASE("rekey: back to the former key: what was deleted under it stays deleted") {
  Three t(kThree);
  t.b.now += 500;
  t.b.sql("UPDATE t SET v = 'of b' WHERE id IN (2, 3)");
  const auto of_b = t.b.drain();
  t.a.now += 1000;
  t.a.sql("DELETE FROM t WHERE id = 2");
  t.a.sql(rebuilt("id INTEGER, code TEXT PRIMARY KEY, v)", "SELECT * FROM t WHERE id <> 3"));
  t.a.publish(t.stream);
  t.a.apply(t.stream);
  t.a.sql(rebuilt("id INTEGER PRIMARY KEY, code TEXT, v)"));
  t.a.publish(t.stream);
  t.c.apply(t.stream);
  t.stream.append(of_b);
  t.settle();
  same_everywhere(t, "ad");
}

TEST_CASE("rekey: a node that takes a snapshot from after it, and one that joins by the stream") {
  Three t(kThree);
  t.a.now += 1000;
  t.a.sql("DELETE FROM t WHERE id = 2");
  t.a.sql(rebuilt("id INTEGER, code TEXT PRIMARY KEY, v)", "SELECT * FROM t WHERE id <> 3"));
  t.a.publish(t.stream);
  t.a.apply(t.stream);
  const std::string path = t.dir.path / "snapshot";
  take_snapshot(t.a, path);
  merge_snapshot(t.c, path);
  t.settle();
  same_everywhere(t, "ad");
  Node d(t.dir.path, 4);
  d.join(t.stream);
  test::settle(t.stream, {&t.a, &t.b, &t.c, &d});
  CHECK(d.query(kRows) == t.a.query(kRows));
}

TEST_CASE("rekey: a floor passes: what is kept of former keys goes") {
  Three t(kThree);
  t.a.now += 1000;
  t.a.sql(rebuilt("id INTEGER, code TEXT PRIMARY KEY, v)", "SELECT * FROM t WHERE id <> 3"));
  t.settle();
  t.same("SELECT count(*) FROM __marmot_buried", "1");
  announce(t.a, t.stream);
  t.settle();
  t.a.sql("UPDATE t SET v = 1 WHERE id = 1");
  t.settle();
  t.same("SELECT count(*) FROM __marmot_buried", "0");
  same_everywhere(t, "abd");
}

TEST_CASE("rekey: a table that is stopped where the change arrives: what its application wrote is drained when it resumes") {
  Three t(kThree);
  t.b.sql("CREATE TABLE other(id INTEGER PRIMARY KEY)");
  t.settle();
  t.b.sql("UPDATE __marmot_table SET stopped = 'by the test' WHERE name = 't'");
  t.b.stop();
  t.b.start();
  t.b.now += 2000;
  t.b.sql("DELETE FROM t WHERE id = 2; UPDATE t SET v = 'of b' WHERE id = 3; INSERT INTO t VALUES(5,'e','five')");
  t.b.publish(t.stream);
  t.a.now += 1000;
  t.a.sql(rebuilt("id INTEGER, code TEXT PRIMARY KEY, v)"));
  t.a.publish(t.stream);
  t.b.apply(t.stream);
  while (require(t.b.engine().resume_stopped())) {}
  t.settle();
  same_everywhere(t, "acde");
  t.same("SELECT v FROM t WHERE id = 3", "of b");
}

TEST_CASE("rekey: a row whose key the new type refuses waits on the shelf, where the change arrives as where the row does") {
  Three t("CREATE TABLE t(id TEXT PRIMARY KEY, v); INSERT INTO t VALUES('1','one')");
  t.b.now += 1000;
  t.b.sql("INSERT INTO t VALUES('x','of b')");
  t.c.apply(t.stream);
  t.a.now += 2000;
  t.a.sql(rebuilt("id INTEGER PRIMARY KEY, v)"));
  const auto of_a = t.a.drain();
  t.b.publish(t.stream);
  t.c.apply(t.stream);
  t.stream.append(of_a);
  t.settle();
  t.same("SELECT * FROM t", "1|one");
  t.same("SELECT count(*) FROM __marmot_shelf", "1");
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(require(node->engine().drain(false)).units.empty());
}
