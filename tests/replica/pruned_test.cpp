// What is kept of pruned tombstones (common/replica/pruned.cpp), and of units that a floor refused (refused.cpp).
#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

constexpr const char* kTable = "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)";
constexpr const char* kTombstones = "SELECT count(*) FROM __marmot_version WHERE state = 0";

// All that is deleted up to now is pruned on `nodes`.
void prune(Stream& stream, const std::vector<Node*>& nodes) {
  settle(stream, nodes);
  announce(*nodes[0], stream);
  settle(stream, nodes);
  for (Node* node : nodes) {
    CHECK(node->drain().empty());
    REQUIRE(node->query(kTombstones) == "0");
  }
}

// The stream that they followed is gone; this one is there, under the name that they know or another.
void lose_history(const std::vector<Node*>& nodes, const Stream& stream) {
  static uint64_t life = 90'000;
  for (Node* node : nodes) require(node->engine().history_lost(stream.id, stream.messages.size(), Incarnation{++life}));
}

}  // namespace

TEST_CASE("pruned: a stream that lost its tail with a deletion brings the row, and it stays deleted") {
  Three t(kTable);
  t.a.sql("INSERT INTO t VALUES(1, 'x'), (2, 'stays')");
  t.settle();
  t.c.sql("UPDATE t SET v = 'newer' WHERE id = 1");
  t.settle();
  Stream cut = t.stream;
  t.b.now += 1000;
  t.b.sql("DELETE FROM t WHERE id = 1");
  prune(t.stream, {&t.a, &t.b, &t.c});
  lose_history({&t.a, &t.b, &t.c}, cut);
  settle(cut, {&t.a, &t.b, &t.c});
  t.same("SELECT * FROM t", "2|stays");
  // It is told again, so that whoever joins hears of it, and pruned again.
  Node d(t.dir.path, 4);
  d.join(cut);
  settle(cut, {&t.a, &t.b, &t.c, &d});
  CHECK(d.query("SELECT * FROM t") == "2|stays");
  prune(cut, {&t.a, &t.b, &t.c, &d});
  // A row of that key that is made now is newer than all of it.
  t.c.sql("INSERT INTO t VALUES(1, 'again')");
  settle(cut, {&t.a, &t.b, &t.c, &d});
  t.same("SELECT * FROM t", "1|again\n2|stays");
}

TEST_CASE("pruned: a change that nobody has seen is beaten by a deletion of its key that was pruned before the stream was lost") {
  Three t(kTable);
  t.a.sql("INSERT INTO t VALUES(2, 'x')");
  t.settle();
  t.c.sql("INSERT INTO t VALUES(1, 'on c'), (3, 'only on c'); UPDATE t SET v = 'on c' WHERE id = 2");  // and it is cut off
  t.a.now += 5000;
  t.a.sql("INSERT INTO t VALUES(1, 'later')");
  settle(t.stream, {&t.a, &t.b});
  t.b.sql("DELETE FROM t WHERE id < 3");
  prune(t.stream, {&t.a, &t.b});
  Stream anew;
  anew.id = 78;
  lose_history({&t.c, &t.a, &t.b}, anew);
  t.c.publish(anew);  // before anybody who knows has told of the deletions
  settle(anew, {&t.c, &t.a, &t.b});
  t.same("SELECT * FROM t", "3|only on c");
}

TEST_CASE("pruned: what a snapshot remembers beats what nobody has seen, which is kept in the conflicts; and is remembered here") {
  Three t(kTable);
  t.a.sql("INSERT INTO t VALUES(2, 'x')");
  t.settle();
  t.c.sql("INSERT INTO t VALUES(1, 'on c'), (3, 'only on c')");
  t.a.now += 5000;
  t.a.sql("INSERT INTO t VALUES(1, 'later')");
  settle(t.stream, {&t.a, &t.b});
  t.b.sql("DELETE FROM t");
  prune(t.stream, {&t.a, &t.b});
  const std::string path = t.dir.path / "snapshot";
  take_snapshot(t.a, path);
  SUBCASE("of this format") {}
  SUBCASE("of the format before, which remembers nothing") {
    auto old = require(sqlite::Database::open(path, SQLITE_OPEN_READWRITE));
    require(old.exec("DROP TABLE __marmot_pruned; DROP TABLE __marmot_refused; UPDATE __marmot_meta SET value = 3 WHERE key = 'format';"
                     "INSERT OR REPLACE INTO __marmot_meta SELECT 'floor_hlc', value FROM __marmot_meta WHERE key = 'pruned_hlc'"));
    old = require(sqlite::Database::open(path, SQLITE_OPEN_READWRITE));
    merge_snapshot(t.c, path);
    CHECK(t.c.query("SELECT * FROM t") == "1|on c\n3|only on c");
    return;
  }
  merge_snapshot(t.c, path);
  CHECK(t.c.query("SELECT * FROM t") == "3|only on c");
  CHECK(t.c.query("SELECT kind, json_extract(loser_row, '$.v') FROM __marmot_conflict") == "lost-update|on c");
  CHECK(t.c.query("SELECT hash, hlc FROM __marmot_pruned ORDER BY 1") == t.a.query("SELECT hash, hlc FROM __marmot_pruned ORDER BY 1"));
  settle(t.stream, {&t.c, &t.a, &t.b});
  t.same("SELECT * FROM t", "3|only on c");
}

TEST_CASE("pruned: a row that only its writer has left is no deleted one because others have pruned later deletions") {
  Three t(kTable);
  t.a.sql("INSERT INTO t VALUES(2, 'x')");
  t.settle();
  Stream anew = t.stream;
  t.c.sql("INSERT INTO t VALUES(1, 'on c')");
  t.c.publish(t.stream);
  t.c.apply(t.stream);  // acknowledged; the stream is lost before anybody else has read it
  lose_history({&t.a, &t.b}, anew);
  settle(anew, {&t.a, &t.b});
  t.b.now += 5000;
  t.b.sql("DELETE FROM t WHERE id = 2");
  prune(anew, {&t.a, &t.b});
  SUBCASE("it reads the new stream") {
    lose_history({&t.c}, anew);
  }
  SUBCASE("it merges a snapshot") {
    const std::string path = t.dir.path / "snapshot";
    take_snapshot(t.a, path);
    lose_history({&t.c}, anew);
    merge_snapshot(t.c, path);
  }
  t.c.apply(anew);
  settle(anew, {&t.c, &t.a, &t.b});
  t.same("SELECT * FROM t", "1|on c");
  CHECK(t.c.query("SELECT count(*) FROM __marmot_conflict") == "0");
}

TEST_CASE("pruned: of what is forgotten the highest version is known, and rows below it that only a file from before has are gone") {
  replica::Settings settings;
  settings.pruned_rows = 1;
  Three t(kTable, settings);
  t.a.sql("INSERT INTO t VALUES(1, 'x'), (2, 'y'), (3, 'stays')");
  t.settle();
  for (const char* id : {"1", "2"}) {
    t.a.now += 1000;
    t.a.sql("DELETE FROM t WHERE id = " + std::string(id));
    prune(t.stream, {&t.a, &t.b});
  }
  t.a.now += 1000;
  t.a.sql("UPDATE t SET v = 'newer' WHERE id = 3");
  settle(t.stream, {&t.a, &t.b});
  SUBCASE("it merges a snapshot") {
    const std::string path = t.dir.path / "snapshot";
    take_snapshot(t.a, path);
    merge_snapshot(t.c, path);
    settle(t.stream, {&t.a, &t.b, &t.c});
    t.same("SELECT * FROM t", "3|newer");
  }
  SUBCASE("it comes to a stream that was made anew") {
    Stream anew;
    anew.id = 78;
    lose_history({&t.a, &t.b}, anew);
    settle(anew, {&t.a, &t.b});
    lose_history({&t.c}, anew);
    t.c.apply(anew);
    settle(anew, {&t.c, &t.a, &t.b});
    t.same("SELECT * FROM t", "3|newer");
  }
}

TEST_CASE("pruned: the newest are remembered, and nothing of a table that is gone or is given another key") {
  replica::Settings settings;
  settings.pruned_rows = 700;
  Three t(kTable, settings);
  const auto delete_rows = [&](const std::string& to) {
    t.a.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + to + ") INSERT INTO t SELECT i, 'x' FROM n");
    t.settle();
    t.b.sql("DELETE FROM t");
    t.settle();
    announce(t.a, t.stream);
    t.settle();
    for (int i = 0; i < 50; ++i) {  // a piece each time
      for (Node* node : {&t.a, &t.b, &t.c}) node->drain();
    }
    t.same(kTombstones, "0");
  };
  delete_rows("1200");
  t.same("SELECT count(*) FROM __marmot_pruned", "700");
  delete_rows("100");
  CHECK(std::stoi(t.c.query("SELECT count(*) FROM __marmot_pruned")) <= 700);
  CHECK(t.a.query("SELECT count(DISTINCT tbl || hash) = count(*) FROM __marmot_pruned") == "1");
  SUBCASE("gone") { t.a.sql("DROP TABLE t"); }
  SUBCASE("another key") { t.a.sql("CREATE TABLE u(id TEXT PRIMARY KEY, v TEXT); DROP TABLE t; ALTER TABLE u RENAME TO t"); }
  t.settle();
  t.same("SELECT count(*) FROM __marmot_pruned", "0");
}

TEST_CASE("pruned: a file of the format before is taken as it is") {
  Three t(kTable);
  t.b.stop();
  t.b.sql("DROP TABLE __marmot_pruned; DROP TABLE __marmot_refused; UPDATE __marmot_meta SET value = 3 WHERE key = 'format'");
  t.b.start();
  CHECK(t.b.query("SELECT value FROM __marmot_meta WHERE key = 'format'") == "5");
  t.b.sql("INSERT INTO t VALUES(1, 'x')");
  t.settle();
  t.a.sql("DELETE FROM t");
  prune(t.stream, {&t.a, &t.b, &t.c});
  t.same("SELECT count(*) FROM __marmot_pruned", "1");
}

namespace {

// c sends changes that come too late for a floor, and loses them with its file.
struct Late : Three {
  Late() : Three(kTable) {
    a.sql("INSERT INTO t VALUES(1, 'deleted'), (2, 'x')");
    settle();
    a.sql("DELETE FROM t WHERE id = 1");
    settle();
    copy = dir.path / "copy";
    c.sql("VACUUM INTO '" + copy + "'");
    c.sql("INSERT INTO t VALUES(3, 'late'); UPDATE t SET v = 'late' WHERE id = 2");
    units = c.drain();
    a.now += 1000;
    b.sql("INSERT INTO t VALUES(9, 'b')");
    test::settle(stream, {&a, &b});
    announce(a, stream);
    stream.append(units);
    test::settle(stream, {&a, &b});
    same_on_a_and_b("2|x\n9|b");  // refused, for now
  }
  void same_on_a_and_b(const std::string& rows) {
    CHECK(a.query("SELECT * FROM t") == rows);
    CHECK(b.query("SELECT * FROM t") == rows);
  }
  std::string copy;
  std::vector<replica::OutUnit> units;
};

}  // namespace

TEST_CASE("refused: their sender repeats them, and nothing of them is there twice") {
  Late t;
  t.settle();
  t.same("SELECT * FROM t", "2|late\n3|late\n9|b");
  t.b.sql("UPDATE t SET v = 'newer' WHERE id = 3; DELETE FROM t WHERE id = 2");
  t.settle();
  announce(t.a, t.stream);
  prune(t.stream, {&t.a, &t.b, &t.c});
  t.same("SELECT * FROM t", "3|newer\n9|b");
  t.same("SELECT count(*) FROM __marmot_refused", "0");
}

TEST_CASE("refused: a sender whose file was put back to a copy that lacks them has not lost them") {
  Late t;
  t.c.stop();
  t.c.restore(t.copy);
  t.c.start();
  t.c.sql("INSERT INTO t VALUES(4, 'another life')");
  t.settle();
  t.same("SELECT * FROM t", "2|late\n3|late\n4|another life\n9|b");
}

TEST_CASE("refused: of a sender that is gone for good they are applied where the next floor passes them") {
  Late t;
  t.b.sql("DELETE FROM t WHERE id = 9");
  settle(t.stream, {&t.a, &t.b});
  CHECK(require(t.b.engine().wants_floor()));
  announce(t.b, t.stream);
  settle(t.stream, {&t.a, &t.b});
  t.same_on_a_and_b("2|late\n3|late");
  CHECK_FALSE(require(t.b.engine().wants_floor()));
}

TEST_CASE("refused: all that wait are applied") {
  Three t(kTable);
  t.a.sql("INSERT INTO t VALUES(1, 'x')");
  t.settle();
  std::vector<replica::OutUnit> units;
  for (const char* id : {"2", "3", "4"}) {
    t.c.sql(std::string("INSERT INTO t VALUES(") + id + ", 'late')");
    for (auto& unit : t.c.drain()) units.push_back(std::move(unit));
  }
  t.a.sql("DELETE FROM t");
  prune(t.stream, {&t.a, &t.b});
  t.stream.append(units);
  settle(t.stream, {&t.a, &t.b});
  CHECK(t.a.query("SELECT count(*) FROM __marmot_refused") == "3");
  t.b.sql("INSERT INTO t VALUES(9, 'b')");
  settle(t.stream, {&t.a, &t.b});
  announce(t.b, t.stream);
  settle(t.stream, {&t.a, &t.b});
  CHECK(t.a.query("SELECT * FROM t") == "2|late\n3|late\n4|late\n9|b");
}

TEST_CASE("refused: they go into a stream that is made anew, and a snapshot carries them") {
  Late t;
  SUBCASE("stream") {
    Stream anew;
    anew.id = 78;
    lose_history({&t.a, &t.b}, anew);
    settle(anew, {&t.a, &t.b});
  }
  SUBCASE("snapshot") {
    const std::string path = t.dir.path / "snapshot";
    take_snapshot(t.a, path);
    t.c.stop();
    t.c.restore(t.copy);
    t.c.start();
    merge_snapshot(t.c, path);
    CHECK(t.c.query("SELECT count(*) FROM __marmot_refused") == "1");
    t.c.sql("INSERT INTO t VALUES(4, 'x')");
    settle(t.stream, {&t.c, &t.a, &t.b});
    t.c.sql("DELETE FROM t WHERE id = 4");
    settle(t.stream, {&t.c, &t.a, &t.b});
    CHECK(t.c.query("SELECT * FROM t") == "2|late\n3|late\n9|b");
  }
  t.same_on_a_and_b("2|late\n3|late\n9|b");
}

TEST_CASE("refused: what a pruned tombstone beats stays deleted when they are applied") {
  Three t(kTable);
  t.a.sql("INSERT INTO t VALUES(1, 'x')");
  t.settle();
  t.c.sql("UPDATE t SET v = 'late'");
  const auto units = t.c.drain();
  t.a.now += 1000;
  t.a.sql("DELETE FROM t");
  prune(t.stream, {&t.a, &t.b});
  t.stream.append(units);
  settle(t.stream, {&t.a, &t.b});
  CHECK(t.a.query("SELECT count(*) FROM __marmot_refused") == "1");
  t.b.sql("INSERT INTO t VALUES(5, 'y')");
  settle(t.stream, {&t.a, &t.b});
  t.b.sql("DELETE FROM t");
  settle(t.stream, {&t.a, &t.b});
  announce(t.b, t.stream);
  settle(t.stream, {&t.a, &t.b});
  CHECK(t.a.query("SELECT count(*) FROM __marmot_refused") == "0");
  t.settle();
  t.same("SELECT * FROM t", "");
}
