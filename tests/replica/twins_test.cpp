// Two live agents of one identity: a copied configuration, a cloned disk (docs/decisions/0030).
#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

constexpr const char* kSchema = "CREATE TABLE t(v); INSERT INTO t VALUES('before'); CREATE TABLE half(k TEXT PRIMARY KEY, v)";
constexpr const char* kRows = "SELECT group_concat(v, ' ') FROM (SELECT v FROM t UNION ALL SELECT v FROM half ORDER BY v)";

std::filesystem::path folder(const std::filesystem::path& path) {
  std::filesystem::create_directory(path);
  return path;
}

// b, and another agent under the same name on a copy of its file.
struct Twins : Three {
  Twins() : Three(kSchema), twin(folder(dir.path / "twin"), 2) {
    b.stop();
    twin.restore(b.path);
    b.start();
    twin.lived(50);
    twin.start();
    for (Node* node : {&b, &twin}) node->publish(stream);  // what its log holds is named as before
  }
  void settle() { test::settle(stream, {&a, &b, &c, &twin}); }
  void same(const std::string& query, const std::string& expected) {
    Three::same(query, expected);
    CHECK(twin.query(query) == expected);
  }
  Node twin;
};

}  // namespace

TEST_CASE("twins: the rows without a key of both are there everywhere") {
  Twins t;
  t.b.sql("INSERT INTO t VALUES('b1'), ('b2'); INSERT INTO half VALUES(NULL, 'b3')");
  t.twin.sql("INSERT INTO t VALUES('t1'), ('t2'); INSERT INTO half VALUES(NULL, 't3')");
  t.settle();
  t.same(kRows, "b1 b2 b3 before t1 t2 t3");
  // Each of these rows is one row everywhere.
  t.twin.now += 1000;
  t.twin.sql("UPDATE t SET v = 'b1 of twin' WHERE v = 'b1'; DELETE FROM half WHERE v = 'b3'; DELETE FROM t WHERE v = 'before'");
  t.settle();
  t.same(kRows, "b1 of twin b2 t1 t2 t3");
}

TEST_CASE("twins: in the same life of a file no name is given twice, in another one neither") {
  Three t(kSchema);
  t.b.sql("INSERT INTO t VALUES('one')");
  t.settle();
  t.b.sql("DELETE FROM t WHERE v = 'one'");
  t.settle();
  t.b.sql("INSERT INTO t VALUES('two')");  // under the rowid that 'one' had
  t.settle();
  t.b.restart({});
  t.b.sql("UPDATE t SET v = 'two again' WHERE v = 'two'; INSERT INTO t VALUES('three')");  // an older row keeps its name
  t.settle();
  t.same(kRows, "before three two again");
  t.same("SELECT count(*) FROM __marmot_version WHERE tbl = (SELECT id FROM __marmot_table WHERE name = 't')", "4");
}

TEST_CASE("twins: what a log held is named as before when it is drained again, in a file that was rolled back") {
  Three t(kSchema);
  t.settle();
  t.b.sql("INSERT INTO t VALUES('b1'); INSERT INTO half VALUES(NULL, 'b2')");
  Node before(folder(t.dir.path / "before"), 9);
  before.restore(t.b.path);
  t.settle();
  for (int i = 0; i < 2; ++i) {  // the second time with what came behind the copy gone as well
    t.b.stop();
    t.b.restore(before.path);
    t.b.start();
    t.settle();
    t.same(kRows, i == 0 ? "b1 b2 before" : "b1 b2 b3 before");
    if (i == 0) t.b.sql("INSERT INTO t VALUES('b3')");
    t.settle();
  }
  t.b.sql("INSERT INTO t VALUES('b4')");  // under the rowid that b3 had here before
  t.settle();
  t.same(kRows, "b1 b2 b3 b4 before");
}

TEST_CASE("twins: a copy that is known for one names its log anew") {
  Three t(kSchema);
  t.settle();
  Node copy(folder(t.dir.path / "copy"), 4);
  copy.restore(t.b.path);
  t.b.sql("INSERT INTO t VALUES('b1')");
  copy.sql("INSERT INTO t VALUES('copy1')");  // before its agent has looked
  copy.start_as_copy();
  test::settle(t.stream, {&t.a, &t.b, &t.c, &copy});
  t.same(kRows, "b1 before copy1");
  CHECK(copy.query(kRows) == "b1 before copy1");
}
