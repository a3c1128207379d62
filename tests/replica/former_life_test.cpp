// A file that is put back to a copy with a log: what its former life published of that (docs/decisions/0021-what-a-former-life-left.md).
#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

// A copy of node b's file is kept whose log holds row 1 and a change of row 2. Its agent tells the others of both. The copy is put back, and its application
// deletes the one row and changes the other one back before an agent is there again.
struct PutBackWithALog : Three {
  PutBackWithALog() : Three("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(2, 'as it was')") {
    const std::string copy = dir.path / "copy.db";
    b.stop();
    b.sql("INSERT INTO t VALUES(1, 'new'); UPDATE t SET v = 'changed' WHERE id = 2; VACUUM INTO '" + copy + "'");
    b.start();
    settle();
    same(kRows, "1|new\n2|changed");
    b.stop();
    b.restore(copy);
    b.now += 1000;
    b.sql("DELETE FROM t WHERE id = 1; UPDATE t SET v = 'as it was' WHERE id = 2");
  }
  static constexpr const char* kRows = "SELECT * FROM t ORDER BY id";
};

}  // namespace

TEST_CASE("former life: a row that came and went in an old copy's log stays deleted") {
  PutBackWithALog t;
  t.b.start();
  t.settle();
  t.same(PutBackWithALog::kRows, "2|as it was");
}

// Simulator seed 2180.
TEST_CASE("former life: ... though the agent dies between its first drain and the end of catching up") {
  PutBackWithALog t;
  t.b.start();
  t.b.drain();
  t.b.stop();
  t.b.start();
  t.b.engine().follows_to(t.stream.messages.size());
  CHECK(t.b.query("SELECT count(*) FROM __marmot_passed") == "2");
  t.settle();
  t.same(PutBackWithALog::kRows, "2|as it was");
  CHECK(t.b.query("SELECT count(*) FROM __marmot_passed") == "0");
}

// Simulator seed 12217.
TEST_CASE("former life: ... though another agent, which is alive, has the node id by now that it was told under") {
  PutBackWithALog t;
  t.b.start_as_twin_of_the_former(9);
  t.settle();
  t.same(PutBackWithALog::kRows, "2|as it was");
}

TEST_CASE("former life: what another node's file holds in its log takes nothing back of the one that was in its place") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  const std::string copy = t.dir.path / "copy.db";
  t.c.stop();
  t.c.sql("INSERT INTO t VALUES(1, 'for a moment'); VACUUM INTO '" + copy + "'");
  t.c.sql("DELETE FROM t");
  t.c.start();
  t.b.sql("INSERT INTO t VALUES(1, 'of b')");
  t.settle();
  t.b.stop();
  t.b.restore(copy);
  t.b.now += 1000;
  t.b.sql("DELETE FROM t");
  t.b.start_as_twin_of_the_former(9);
  t.settle();
  t.same("SELECT * FROM t", "1|of b");
}
