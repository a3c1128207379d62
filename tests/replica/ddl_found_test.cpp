// Bugs that the simulator's random schema changes found (tests/sim/ddl.hpp), each as small as it gets.
#include <doctest/doctest.h>

#include "common/replica/repair.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {
const char* const kTable = "CREATE TABLE t(id INTEGER PRIMARY KEY, p TEXT, q TEXT); INSERT INTO t VALUES(1, 'p1', 'q1'), (2, 'p2', 'q2')";
}

// The agent was down when a member made the table and wrote to it: its rows were taken for rows from before the cluster, and
// gave way to any other without a word.
TEST_CASE("ddl: rows of a table made while the agent was down are changes, and the later writer wins") {
  Three t(kTable);
  t.b.sql("CREATE TABLE n(id INTEGER PRIMARY KEY, v); INSERT INTO n VALUES(1, 'b, earlier')");
  t.b.publish(t.stream);
  t.a.stop();
  t.a.now += 60'000;
  t.a.sql("CREATE TABLE n(id INTEGER PRIMARY KEY, v); INSERT INTO n VALUES(1, 'a, later')");
  t.a.start();
  t.a.apply(t.stream);
  t.settle();
  t.same("SELECT * FROM n", "1|a, later");
}

// Rows were taken for unchanged wherever a column had gone: whatever had been written since the rebuild, while our triggers were
// absent, stayed on the node for ever.
TEST_CASE("ddl: what is written to a table rebuilt without a column, before the agent looks, reaches the others") {
  Three t(kTable);
  t.a.stop();
  t.a.sql("DROP TABLE t; CREATE TABLE t(id INTEGER PRIMARY KEY, p TEXT); INSERT INTO t VALUES(1, 'another'), (2, 'p2')");
  t.a.start();
  t.settle();
  t.same("SELECT * FROM t ORDER BY id", "1|another\n2|p2");
}

// An index on a table that another node had renamed was kept where it was made, and ignored by all others.
TEST_CASE("ddl: an index made while another node renames its table follows the table everywhere") {
  Three t(kTable);
  t.b.sql("CREATE INDEX i ON t(p)");
  t.a.sql("ALTER TABLE t RENAME TO s");
  t.a.publish(t.stream);
  t.b.publish(t.stream);
  t.settle();
  t.same("SELECT tbl_name FROM sqlite_schema WHERE name = 'i'", "s");
}

// A table under two ids, one of them dropped by a node that did not know of the other: those who had brought the rows of both
// together kept them, those who heard of the second later had only its own.
TEST_CASE("ddl: a table made on two nodes and dropped on one is dropped, and what the other wrote stands in conflicts") {
  Three t(kTable);
  t.a.sql("CREATE TABLE n(id INTEGER PRIMARY KEY, v); INSERT INTO n VALUES(1, 'a')");
  t.a.publish(t.stream);
  t.b.sql("CREATE TABLE n(id INTEGER PRIMARY KEY, v); INSERT INTO n VALUES(2, 'b')");
  t.b.apply(t.stream);
  t.b.publish(t.stream);
  t.b.apply(t.stream);  // acknowledged
  t.a.sql("DROP TABLE n");
  t.a.publish(t.stream);
  t.b.apply(t.stream);
  t.b.publish(t.stream);
  t.settle();
  t.same("SELECT count(*) FROM sqlite_schema WHERE name = 'n'", "0");
  CHECK(t.b.query("SELECT count(*) FROM __marmot_conflict WHERE kind = 'dropped-table' AND loser_row LIKE '%\"b\"%'") == "1");
}

// Such a row was sent again with the next version after its old one, although the log said when it had been written.
TEST_CASE("ddl: a row written before its table was rebuilt without a column, and not drained yet, has its own time") {
  Three t(kTable);
  t.b.sql("UPDATE t SET p = 'b, earlier' WHERE id = 1");
  t.b.publish(t.stream);
  t.a.now += 60'000;
  t.a.sql("UPDATE t SET p = 'a, later' WHERE id = 1");
  t.a.sql("CREATE TABLE n(id INTEGER PRIMARY KEY, p TEXT); INSERT INTO n SELECT id, p FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t");
  t.a.publish(t.stream);
  t.settle();
  t.same("SELECT * FROM t ORDER BY id", "1|a, later\n2|p2");
}

// Only drain() and apply() said so; what a repair had drained first was never sent.
TEST_CASE("ddl: rows to be sent again are told of, whichever call met the rebuilt table") {
  Three t(kTable);
  while (require(t.a.engine().publish_outbox(false)).more) continue;
  CHECK(!t.a.engine().outbox_again());
  t.a.sql("CREATE TABLE n(id INTEGER PRIMARY KEY, p TEXT); INSERT INTO n SELECT id, p FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t");
  int64_t done = 0;
  require(t.a.engine().repair("t", {}, false, &done));
  CHECK(t.a.engine().outbox_again());
  require(t.a.engine().publish_outbox(false));
  CHECK(!t.a.engine().outbox_again());
}

// Its registers got their versions when the file had been made to look like the stream's: each node showed another of the two.
TEST_CASE("ddl: a column dropped and made again before its file met the stream is the stream's column of that name") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1), b(dir.path, 2);
  a.sql(kTable);
  a.found(stream);
  a.publish(stream);
  b.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, p TEXT, q TEXT)");
  b.start();
  b.sql("ALTER TABLE t DROP COLUMN p");
  b.drain();
  b.sql("ALTER TABLE t ADD COLUMN p; INSERT INTO t(id, p) VALUES(3, 'of b')");
  b.drain();
  b.join(stream);
  settle(stream, {&a, &b});
  for (Node* const node : {&a, &b}) {
    CHECK(node->query("SELECT group_concat(name || type) FROM pragma_table_info('t')") == "idINTEGER,pTEXT,qTEXT");
    CHECK(node->query("SELECT * FROM t ORDER BY id") == "1|p1|q1\n2|p2|q2\n3|of b|");
  }
}

// A table rebuilt between the opening of a member's file and its entering the stream was compared there and then; the outbox
// took what that found for sent by a drain, and it stayed on the node for ever.
TEST_CASE("ddl: what changed in a table rebuilt while its agent starts is sent") {
  Three t(kTable);
  t.a.stop();
  t.a.start();
  t.a.now += 1000;
  t.a.sql("CREATE TABLE n(id INTEGER PRIMARY KEY, p TEXT, q TEXT); INSERT INTO n SELECT id, p || '!', q FROM t WHERE id = 1; "
          "DROP TABLE t; ALTER TABLE n RENAME TO t");
  while (!require(t.a.engine().baseline())) continue;
  t.settle();
  t.same("SELECT * FROM t", "1|p1!|q1");
  CHECK(require(t.a.engine().counters()).outbox_rows == 0);
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
