// A snapshot is a copy at one place of the stream, and is merged by version (common/replica/snapshot.cpp, merge.cpp).
#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

TEST_CASE("snapshot: the copy is of one place of the stream, and is refused while something is not drained") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("INSERT INTO t VALUES(1,'a')");
  const std::string path = t.dir.path / "snapshot";
  const auto early = replica::SnapshotCopy::begin(t.a.engine(), path);
  REQUIRE_FALSE(early);
  CHECK(early.error().code == Errc::busy);
  t.settle();
  auto copy = require(replica::SnapshotCopy::begin(t.a.engine(), path));
  t.a.sql("INSERT INTO t VALUES(2,'while it is copied')");  // no writer waits
  while (!require(copy->step(1))) {}
  CHECK(copy->info().seq == t.stream.messages.size());
  CHECK(copy->info().node == NodeId{1});
  const auto info = require(replica::read_snapshot_info(path));
  CHECK(info.stream_id == t.stream.id);
  CHECK(info.seq == copy->info().seq);
  CHECK(info.msg_id == t.stream.messages.back().msg_id);
  CHECK(info.msg_at == t.stream.messages.back().at);
  auto db = require(sqlite::Database::open(path, SQLITE_OPEN_READONLY));
  CHECK(require(db.query_text("SELECT group_concat(id) FROM t")) == "1");
  CHECK(require(db.query_text("PRAGMA integrity_check")) == "ok");
}

// Seed 15 in the profile of merge_in_pieces: whoever merged it had no row of that table.
TEST_CASE("snapshot: the copy is refused while a schema change is not drained") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("INSERT INTO t VALUES(1,'a')");
  t.settle();
  t.a.sql("ALTER TABLE t RENAME TO u");
  const auto early = replica::SnapshotCopy::begin(t.a.engine(), t.dir.path / "early");
  REQUIRE_FALSE(early);
  CHECK(early.error().code == Errc::busy);
  t.settle();
  take_snapshot(t.a, t.dir.path / "snapshot");
}

// Every slice of it is a state that readers see.
TEST_CASE("snapshot: what differs from a snapshot is seen at once, and what the application writes meanwhile stays") {
  replica::Settings settings;
  settings.slice_us = 0;
  settings.atomic_rows = 1000;
  bool whole = true;
  int rows = 400;
  SUBCASE("up to atomic_rows") {}
  SUBCASE("more than that is merged in slices, and said so") { whole = false, rows = 700; }
  Three t("CREATE TABLE a(id INTEGER PRIMARY KEY, n); CREATE TABLE b(id INTEGER PRIMARY KEY, n)", settings);
  const auto write = [&](Node& node, const std::string& n) {
    const std::string numbers = " WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i < " + std::to_string(rows) + ") SELECT i, " + n + " FROM c";
    node.sql("BEGIN; INSERT OR REPLACE INTO a" + numbers + "; INSERT OR REPLACE INTO b" + numbers + "; COMMIT");
  };
  write(t.a, "1");
  t.settle();
  for (int i = 2; i < 5; ++i) write(t.a, std::to_string(i)), settle(t.stream, {&t.a, &t.b});
  const std::string path = t.dir.path / "snapshot";
  take_snapshot(t.a, path);
  require(t.c.engine().merge_begin(path));
  int torn = 0, slices = 0;
  for (bool done = false; !done; ++slices) {
    done = t.c.merge_slice();
    if (t.c.query("SELECT count(*) FROM (SELECT n FROM a UNION SELECT n FROM b)") != "1") ++torn;
    if (slices == 2) t.c.sql("BEGIN; INSERT INTO a VALUES(5000, 1); INSERT INTO b VALUES(5000, 4); UPDATE a SET n = 4 WHERE id = 5000; COMMIT");
    if (slices == 2) t.c.sql("DELETE FROM a WHERE id = 5000; DELETE FROM b WHERE id = 5000");
  }
  CHECK(slices > 5);
  CHECK((torn == 0) == whole);
  CHECK((require(t.c.engine().counters()).split_units == 0) == whole);
  CHECK(t.c.query("SELECT count(*), min(n), max(n) FROM a") == std::to_string(rows) + "|4|4");
  t.settle();
  t.same("SELECT count(*), min(n), max(n) FROM b", std::to_string(rows) + "|4|4");
}

TEST_CASE("snapshot: an unfinished copy leaves no file") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  const std::string path = t.dir.path / "snapshot";
  { auto copy = require(replica::SnapshotCopy::begin(t.a.engine(), path)); }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("snapshot: a node that was away for longer than the stream keeps what is its own, and loses what was deleted") {
  replica::Settings settings;
  settings.slice_us = 0;  // one piece a slice
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE keyless(v)", settings);
  t.a.sql("INSERT INTO t SELECT value, 'old' FROM json_each('[1,2,3,4,5]'); INSERT INTO keyless VALUES('x'),('y'),('z')");
  t.settle();
  // c goes away with work that nobody has seen.
  t.c.sql("INSERT INTO t VALUES(10,'new on c'); UPDATE t SET v = 'on c' WHERE id = 1; UPDATE t SET v = 'lost' WHERE id = 2;"
          "INSERT INTO keyless VALUES('c')");
  t.a.now += 5000;
  t.a.sql("DELETE FROM t WHERE id IN (2, 3); UPDATE t SET v = 'on a' WHERE id = 4; INSERT INTO t VALUES(11,'new on a');"
          "DELETE FROM keyless WHERE v = 'y'");
  settle(t.stream, {&t.a, &t.b});
  announce(t.b, t.stream);
  settle(t.stream, {&t.a, &t.b});
  settle(t.stream, {&t.a, &t.b});
  CHECK(t.a.query("SELECT count(*) FROM __marmot_version WHERE state = 0") == "0");
  const std::string path = t.dir.path / "snapshot";
  take_snapshot(t.a, path);
  for (auto& message : t.stream.messages) message.bytes.clear();  // none of them can be read any more
  SUBCASE("in one go") {}
  SUBCASE("after a merge that was cut short") {
    require(t.c.engine().merge_begin(path));
    for (int i = 0; i < 3; ++i) CHECK_FALSE(t.c.merge_slice());
    t.c.stop();
    t.c.start();
  }
  merge_snapshot(t.c, path);
  CHECK(t.c.engine().position().seq == t.stream.messages.size());
  CHECK(t.c.query("SELECT * FROM t ORDER BY 1") == "1|on c\n4|on a\n5|old\n10|new on c\n11|new on a");
  t.settle();
  t.same("SELECT * FROM t ORDER BY 1", "1|on c\n4|on a\n5|old\n10|new on c\n11|new on a");
  t.same("SELECT v FROM keyless ORDER BY 1", "c\nx\nz");
  CHECK(t.c.query("SELECT kind, loser_row FROM __marmot_conflict") == "lost-update|{\"id\": 2, \"v\": \"lost\"}");
  CHECK(require(t.c.engine().counters()).outbox_rows == 0);
}

TEST_CASE("snapshot: newer rows here are not overwritten by the snapshot's") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("INSERT INTO t VALUES(1,'a')");
  t.settle();
  t.a.sql("UPDATE t SET v = 'a2'");
  settle(t.stream, {&t.a, &t.b});
  take_snapshot(t.b, t.dir.path / "snapshot");
  t.c.now += 60'000;
  t.c.sql("UPDATE t SET v = 'newest'");
  merge_snapshot(t.c, t.dir.path / "snapshot");
  t.same("SELECT count(*) FROM t", "1");
  CHECK(t.c.query("SELECT v FROM t") == "newest");
  t.settle();
  t.same("SELECT v FROM t", "newest");
}

TEST_CASE("snapshot: a copy becomes the file of a node that had none, under a name of its own") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE keyless(v)");
  t.a.sql("INSERT INTO t VALUES(1,'a'); INSERT INTO keyless VALUES('k')");
  t.settle();
  const std::string path = t.dir.path / "n4.db";
  take_snapshot(t.a, path);
  require(replica::adopt_copy(path));
  Node d(t.dir.path, 4);
  REQUIRE(d.path == path);
  CHECK(d.query("SELECT count(*) FROM __marmot_meta WHERE key = 'node_id'") == "0");
  d.start();
  t.a.sql("UPDATE t SET v = 'a2'; INSERT INTO keyless VALUES('a')");
  d.sql("INSERT INTO t VALUES(2,'d'); INSERT INTO keyless VALUES('d'); DELETE FROM keyless WHERE v = 'k'");
  settle(t.stream, {&t.a, &t.b, &t.c, &d});
  t.same("SELECT * FROM t", "1|a2\n2|d");
  t.same("SELECT v FROM keyless ORDER BY 1", "a\nd");
  CHECK(d.query("SELECT v FROM keyless ORDER BY 1") == "a\nd");
}

TEST_CASE("snapshot: one of another stream, or an older one, is refused") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  const std::string path = t.dir.path / "snapshot";
  take_snapshot(t.a, path);
  t.a.sql("INSERT INTO t VALUES(1,'a')");
  t.settle();
  CHECK(t.b.engine().merge_begin(path).error().code == Errc::refused);
  require(t.b.engine().history_lost(99, 5, Incarnation{700}));
  CHECK(t.b.engine().merge_begin(path).error().message.find("another stream") != std::string::npos);
}

TEST_CASE("engine: a file that is put back to an older state under a running engine is noticed, and healed under a new incarnation") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("INSERT INTO t VALUES(1,'a')");
  t.settle();
  t.b.sql("VACUUM INTO '" + (t.dir.path / "backup").string() + "'");
  t.a.sql("UPDATE t SET v = 'a2'");
  t.b.sql("INSERT INTO t VALUES(2,'b')");
  t.settle();
  t.b.restore(t.dir.path / "backup");
  CHECK(t.b.query("SELECT * FROM t") == "1|a");
  t.b.sql("INSERT INTO t VALUES(3,'after')");
  CHECK(t.b.engine().drain(false).error().code == Errc::stale);
  t.b.stop();
  t.b.start();
  t.settle();
  t.same("SELECT * FROM t ORDER BY 1", "1|a2\n2|b\n3|after");
}

TEST_CASE("snapshot: rows on the shelf come along, and wait where it is merged") {
  replica::Settings keep;
  keep.retire_losers = false;
  Three t("CREATE TABLE u(id INTEGER PRIMARY KEY, v TEXT UNIQUE)", keep);
  t.a.sql("INSERT INTO u VALUES(1,'same')");
  t.a.now += 10'000;
  t.b.now += 20'000;
  t.b.sql("INSERT INTO u VALUES(2,'same')");
  t.settle();
  const std::string path = t.dir.path / "snapshot";
  take_snapshot(t.a, path);
  Node d(t.dir.path, 4, keep);
  d.start();
  require(d.engine().join(t.stream.id, t.stream.messages.size()));
  merge_snapshot(d, path);
  CHECK(d.query("SELECT id FROM u") == "2");
  d.sql("DELETE FROM u");
  settle(t.stream, {&t.a, &t.b, &t.c, &d});
  for (Node* node : {&t.a, &t.b, &t.c, &d}) CHECK(node->query("SELECT id, v FROM u") == "1|same");
}

// Seed 1002 in the profile of merge_in_pieces: the merge was refused again and again, for the table that it had just made.
TEST_CASE("snapshot: rows waited for a table that comes with it") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.a.sql("CREATE TABLE x(id INTEGER PRIMARY KEY, v)");
  const auto schema = t.a.drain();
  t.a.sql("INSERT INTO x VALUES(1, 'waits')");
  const auto rows = t.a.drain();
  t.stream.append(schema.at(0).msg_ids.at(0), "not a message");
  t.stream.append(rows);
  t.c.apply(t.stream);
  REQUIRE(t.c.query("SELECT count(*) FROM __marmot_waiting") == "1");
  t.a.stop();
  t.a.start();
  t.a.sql("INSERT INTO x VALUES(2, 'in the snapshot')");
  settle(t.stream, {&t.a, &t.b});
  const std::string path = t.dir.path / "snapshot";
  take_snapshot(t.a, path);
  merge_snapshot(t.c, path);
  CHECK(t.c.query("SELECT * FROM x") == "1|waits\n2|in the snapshot");
  CHECK(t.c.query("SELECT count(*) FROM __marmot_waiting") == "0");
  CHECK(t.c.engine().stopped().empty());
}

// Simulator seed 385.
TEST_CASE("snapshot: what was in the way of a table of it is gone: the table is tried again, though the file is still entering the stream") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  std::string change;
  SUBCASE("the table could not be made") { change = "CREATE TABLE x(id INTEGER PRIMARY KEY, v)"; }
  SUBCASE("it is stopped") { change = "ALTER TABLE t RENAME TO x"; }
  t.c.sql("CREATE VIEW x AS SELECT 1");
  const auto view_of_c = t.c.drain();  // nobody else has it
  t.a.sql(change);
  settle(t.stream, {&t.a, &t.b});
  t.c.apply(t.stream);
  t.a.sql("INSERT INTO x VALUES(1, 'in the snapshot')");
  settle(t.stream, {&t.a, &t.b});
  const std::string path = t.dir.path / "snapshot";
  take_snapshot(t.a, path);
  require(t.c.engine().merge_begin(path));
  auto refused = t.c.engine().merge_slice(false);
  while (refused && !refused->done) refused = t.c.engine().merge_slice(false);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::schema);
  CHECK(t.c.query("SELECT count(*) FROM x") == "1");  // the view
  t.c.sql("DROP VIEW x");
  merge_snapshot(t.c, path);
  CHECK(t.c.query("SELECT * FROM x") == "1|in the snapshot");
  CHECK(t.c.engine().stopped().empty());
}
