// A table that a joining file brought along, and that its application changes before the stream's one of that name was read: they are one.
#include <doctest/doctest.h>

#include <string>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

constexpr const char* kTable = "CREATE TABLE t(id INTEGER PRIMARY KEY, p, q); INSERT INTO t VALUES(1, 'of a', 'q1')";

// Node b joins with the same table. What its application does then is noticed by a drain, before anything of the stream is applied.
struct Joining {
  Joining(const std::string& changes, const std::string& theirs = "", const std::string& schema = kTable) : a(dir.path, 1), b(dir.path, 2) {
    a.sql(kTable);
    a.found(stream);
    a.publish(stream);
    if (!theirs.empty()) a.sql(theirs);
    a.publish(stream);
    b.sql(schema);
    b.join(stream);
    b.sql(changes);
    CHECK(b.drain().empty());
    settle(stream, {&a, &b});
  }
  void same(const std::string& query, const std::string& expected) {
    for (Node* const node : {&a, &b}) {
      CHECK(node->query(query) == expected);
      CHECK(node->drain().empty());
      check_at_rest(*node);
    }
  }

  TempDir dir;
  Stream stream;
  Node a, b;
};

constexpr const char* kTables = "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_\\_%' ESCAPE '\\' ORDER BY name)";

}  // namespace

TEST_CASE("adoption: a table that is rebuilt while its file joins is the stream's one of its name, and its change counts") {
  Joining j("CREATE TABLE n(id INTEGER PRIMARY KEY, p, q, UNIQUE(p, q)); INSERT INTO n SELECT * FROM t; INSERT INTO n VALUES(2, 'of b', 'q2');"
            "DROP TABLE t; ALTER TABLE n RENAME TO t");
  j.same(kTables, "t");
  j.same("SELECT * FROM t ORDER BY id", "1|of a|q1\n2|of b|q2");
  j.same("SELECT count(*) FROM pragma_index_list('t') WHERE origin = 'u'", "1");
  j.a.sql("UPDATE t SET p = 'of a again' WHERE id = 2");
  settle(j.stream, {&j.a, &j.b});
  j.same("SELECT * FROM t ORDER BY id", "1|of a|q1\n2|of a again|q2");
}

TEST_CASE("adoption: a table that gets the name of the stream's one while its file joins is that one") {
  Joining j("ALTER TABLE u RENAME TO t", "", "CREATE TABLE u(id INTEGER PRIMARY KEY, p, q)");
  j.same(kTables, "t");
  j.same("SELECT * FROM t ORDER BY id", "1|of a|q1");
}

TEST_CASE("adoption: of what was changed in the stream and in a file that joins, the later change counts") {
  Joining j("CREATE TABLE n(id INTEGER PRIMARY KEY, p, q, UNIQUE(p, q)); INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t",
            "ALTER TABLE t ADD COLUMN s DEFAULT 5");
  j.same(kTables, "t");
  j.same("SELECT id, p, q, s FROM t", "1|of a|q1|5");
  j.same("SELECT count(*) FROM pragma_index_list('t') WHERE origin = 'u'", "1");
}

TEST_CASE("adoption: a column that is dropped while its file joins is dropped") {
  Joining j("ALTER TABLE t DROP COLUMN q");
  j.same(kTables, "t");
  j.same("SELECT * FROM t", "1|of a");
}

TEST_CASE("adoption: a column that is renamed, and one that is added, while its file joins") {
  Joining j("ALTER TABLE t RENAME COLUMN q TO x; ALTER TABLE t ADD COLUMN s DEFAULT 5");
  j.same(kTables, "t");
  j.same("SELECT id, p, x, s FROM t", "1|of a|q1|5");
}

TEST_CASE("adoption: a column that was dropped before the file met a stream is nothing to tell") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1), b(dir.path, 2);
  a.sql(kTable);
  a.found(stream);
  a.publish(stream);
  b.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, p, q)");
  b.start();
  b.sql("ALTER TABLE t DROP COLUMN q");
  b.join(stream);
  settle(stream, {&a, &b});
  for (Node* const node : {&a, &b}) CHECK(node->query("SELECT id, p, q FROM t") == "1|of a|q1");
}
