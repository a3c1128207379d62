// What rows without a declared key are called (docs/decisions/0044). More of them: twins_test.cpp, copied_test.cpp.
#include <doctest/doctest.h>

#include <functional>

#include "common/core/key.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

constexpr const char* kTable = "CREATE TABLE t(v)";
constexpr const char* kRows = "SELECT group_concat(v, ' ') FROM (SELECT v FROM t ORDER BY v)";
constexpr const char* kTombstones = "SELECT count(*) FROM __marmot_version WHERE state = 0";

// What the log holds was written at that time.
void written_at(Node& node, WallMs at) { node.sql("UPDATE __marmot_log SET ts = " + std::to_string(at)); }

NodeId life(Node& node) { return NodeId{std::stoull(node.query("SELECT value FROM __marmot_meta WHERE key = 'row_life'"))}; }

std::string names(Node& node) { return node.query("SELECT node, there FROM __marmot_rowid ORDER BY here"); }

std::string name(NodeId life, int64_t rowid) { return std::to_string(life.value) + "|" + std::to_string(rowid); }

// Written while no trigger is there, and found.
void write_unseen(Node& node, Stream& stream, const std::string& text) {
  const std::string trigger = "FROM sqlite_schema WHERE name = '__marmot_1_insert'";
  const std::string made = node.query("SELECT sql " + trigger);
  node.sql("DROP TRIGGER __marmot_1_insert; " + text + "; " + made);
  node.publish(stream);
  const auto found = require(node.engine().scrub(false));
  REQUIRE(found.done);
  stream.append(found.units);
}

// c changes the row 'old', later than the others delete it, and is heard last: they have pruned the tombstone, and a row is in its place.
void change_the_former(Three& t, const std::function<void(const std::string&)>& insert) {
  insert("INSERT INTO t VALUES('old')");
  t.settle();
  t.c.now += 5000;
  t.c.sql("UPDATE t SET v = 'changed' WHERE v = 'old'");
  t.a.sql("DELETE FROM t");
  settle(t.stream, {&t.a, &t.b});
  announce(t.a, t.stream);
  settle(t.stream, {&t.a, &t.b});
  CHECK(t.a.drain().empty());
  REQUIRE(t.a.query(kTombstones) == "0");
  insert("INSERT INTO t VALUES('new')");
  REQUIRE(t.a.query("SELECT rowid FROM t") == "1");
  t.settle();
  t.same(kRows, "changed new");
}

}  // namespace

TEST_CASE("keyless: a row is not the one whose rowid it has, when the tombstone of that one is pruned") {
  Three t(kTable);
  change_the_former(t, [&](const std::string& text) { t.a.sql(text); });
}

TEST_CASE("keyless: nor is a row that the scrub has found") {
  Three t(kTable);
  change_the_former(t, [&](const std::string& text) { write_unseen(t.a, t.stream, text); });
}

TEST_CASE("keyless: a row that takes another one's place in one transaction is the next one, at the same rowid everywhere") {
  Three t(kTable);
  t.a.sql("INSERT INTO t VALUES('stays'), ('old')");
  t.settle();
  const std::string former = names(t.b);
  t.a.sql("BEGIN; DELETE FROM t WHERE v = 'old'; INSERT INTO t VALUES('new'); COMMIT");
  written_at(t.a, 1'700'000'000'123);
  t.settle();
  t.same("SELECT rowid, v FROM t ORDER BY rowid", "1|stays\n2|new");
  CHECK(names(t.b) == former.substr(0, former.find('\n')) + "\n" + name(RowLife{life(t.a)}.at(1'700'000'000'123), 2));
  CHECK(t.b.query(kTombstones) == "1");
  t.a.sql("INSERT OR REPLACE INTO t(rowid, v) VALUES(2, 'newer')");
  t.settle();
  t.same("SELECT rowid, v FROM t ORDER BY rowid", "1|stays\n2|newer");
  CHECK(t.b.query(kTombstones) == "2");
}

TEST_CASE("keyless: two rows of one rowid and one millisecond have two names") {
  Three t(kTable);
  for (const char* const text : {"INSERT INTO t VALUES('one')", "DELETE FROM t; INSERT INTO t VALUES('two')"}) {
    t.a.sql(text);
    written_at(t.a, 1'700'000'000'000);
    t.settle();
  }
  t.same(kRows, "two");
  CHECK(names(t.a) == name(RowLife{life(t.a)}.at(1'700'000'000'000), 2));
}

TEST_CASE("keyless: a row written to a file that was put back is none that the forgotten life has named") {
  Three t(kTable);
  t.a.sql("INSERT INTO t VALUES('in the copy')");
  written_at(t.a, 1'700'000'000'000);
  Node copy(t.dir.path, 9);
  copy.restore(t.a.path);
  t.settle();
  t.a.sql("INSERT INTO t VALUES('forgotten')");
  written_at(t.a, 1'700'000'000'001);
  t.settle();
  t.b.now += 5000;
  t.b.sql("UPDATE t SET v = 'changed' WHERE v = 'forgotten'");
  t.settle();
  t.a.stop();
  t.a.restore(copy.path);
  t.a.sql("INSERT INTO t VALUES('new')");
  t.a.sql("UPDATE __marmot_log SET ts = 1700000000002 WHERE seq = (SELECT max(seq) FROM __marmot_log)");
  t.a.start();
  t.settle();
  t.same(kRows, "changed in the copy new");
}

TEST_CASE("keyless: what an old copy holds that takes its file's place is named as before, though its node is another one") {
  Three t(kTable);
  t.a.sql("INSERT INTO t VALUES('twice?'), ('goes')");
  written_at(t.a, 1'700'000'000'000);
  Node copy(t.dir.path, 9);
  copy.restore(t.a.path);
  t.settle();
  t.a.sql("INSERT INTO t VALUES('forgotten')");
  t.settle();
  t.a.stop();
  t.a.restore(copy.path);
  t.a.sql("DELETE FROM t WHERE v = 'goes'; INSERT INTO t VALUES('new')");
  t.a.start_as(8);
  t.settle();
  t.same(kRows, "forgotten new twice?");
}

TEST_CASE("keyless: what the log of an earlier build's life held is named as that build did, and the next life is dated") {
  Three t(kTable);
  t.a.sql("INSERT INTO t VALUES('one')");
  const NodeId former = life(t.a);
  t.a.stop();
  t.a.sql("DELETE FROM __marmot_meta WHERE key = 'dated_life'");
  t.a.start();
  t.settle();
  CHECK(names(t.a) == name(former, 1));
  CHECK(names(t.b) == name(former, 1));
  t.a.sql("INSERT INTO t VALUES('two')");
  written_at(t.a, 1'700'000'000'000);
  t.settle();
  CHECK(life(t.a) != former);
  CHECK(names(t.b) == name(former, 1) + "\n" + name(RowLife{life(t.a)}.at(1'700'000'000'000), 2));
}
