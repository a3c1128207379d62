// Bugs that the simulator's random schema changes found (tests/sim/ddl.hpp), and that no scenario tells as well (tests/scenarios).
#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {
const char* const kTable = "CREATE TABLE t(id INTEGER PRIMARY KEY, p TEXT, q TEXT); INSERT INTO t VALUES(1, 'p1', 'q1'), (2, 'p2', 'q2')";
}

// Whether two tables were one was told from the names they had where they met: each node told it otherwise, and a row that one
// transaction wrote to both was lost without a word, for its two contents had one version.
TEST_CASE("ddl: a table made under a name that another node gives to an older one is another table, and keeps its rows") {
  for (const bool renamed_first : {true, false}) {
    CAPTURE(renamed_first);
    Three t(kTable);
    t.b.sql("ALTER TABLE t RENAME TO n");
    t.c.sql("BEGIN; CREATE TABLE n(id INTEGER PRIMARY KEY, p TEXT); INSERT INTO n VALUES(9, 'of n'); INSERT INTO t VALUES(9, 'of t', ''); COMMIT");
    if (renamed_first) t.b.publish(t.stream);
    t.c.publish(t.stream);
    t.settle();
    t.same("SELECT p FROM n WHERE id = 9", "of t");
    const std::string other = t.c.query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'n_*'");
    REQUIRE(!other.empty());
    t.same("SELECT * FROM " + other, "9|of n");
  }
}

// Likewise: each of two nodes took one of the other's two tables for another of its own.
TEST_CASE("ddl: tables made on two nodes under the same names are the same, though one swapped the names of its own meanwhile") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1), b(dir.path, 2);
  const std::string make = "CREATE TABLE m0(id INTEGER PRIMARY KEY, p TEXT); CREATE TABLE m1(id INTEGER PRIMARY KEY, u)";
  a.sql(make + "; INSERT INTO m0 VALUES(1, 'a'); INSERT INTO m1 VALUES(1, 'a')");
  b.sql(make + "; INSERT INTO m0 VALUES(2, 'b'); INSERT INTO m1 VALUES(2, 'b')");
  a.found(stream);
  b.start();
  require(b.engine().join(stream.id, stream.messages.size()));
  b.apply(stream);
  const auto of_b = b.drain();
  a.now += 1000;
  a.publish(stream);
  a.sql("ALTER TABLE m0 RENAME TO swap; ALTER TABLE m1 RENAME TO m0; ALTER TABLE swap RENAME TO m1");
  a.publish(stream);
  for (const auto& unit : of_b) stream.append(unit);
  settle(stream, {&a, &b});
  for (Node* const node : {&a, &b}) {
    CHECK(node->query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'm*' ORDER BY name") == "m0\nm1");
    CHECK(node->query("SELECT id, u FROM m0 ORDER BY id") == "1|a\n2|b");
    CHECK(node->query("SELECT id, p FROM m1 ORDER BY id") == "1|a\n2|b");
  }
}

TEST_CASE("ddl: a dropped table that two nodes make again is one new table") {
  Three t(kTable);
  t.b.sql("INSERT INTO t VALUES(3, 'late', '')");
  const auto late = t.b.drain();
  t.a.sql("DROP TABLE t");
  t.settle();
  t.b.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, p TEXT); INSERT INTO t VALUES(1, 'b')");
  t.c.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, p TEXT); INSERT INTO t VALUES(2, 'c')");
  t.b.publish(t.stream);
  t.c.publish(t.stream);
  for (const auto& unit : late) t.stream.append(unit);
  t.settle();
  t.same("SELECT * FROM t ORDER BY id", "1|b\n2|c");
}

// A later change of the same column cleared the mark of what was still to be sent: the drop stayed where it was made.
TEST_CASE("ddl: a column dropped here and renamed elsewhere, later, is dropped everywhere, though the drop's message was lost") {
  Three t(kTable);
  t.a.sql("ALTER TABLE t DROP COLUMN q");
  (void)t.a.drain();
  t.b.now += 60'000;
  t.b.sql("ALTER TABLE t RENAME COLUMN q TO qq");
  t.b.publish(t.stream);
  t.a.apply(t.stream);
  t.a.stop();
  t.a.start();
  t.settle();
  t.same("SELECT group_concat(name) FROM pragma_table_info('t')", "id,p");
}
