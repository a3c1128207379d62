// Tables that an agent's SQLite cannot work with: each stops alone, and goes on once it can.
#include <doctest/doctest.h>
#include <sqlite3.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

// An application's connection with a function of its own.
sqlite::Database with_function(const std::string& path) {
  auto db = require(sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  const auto same = [](sqlite3_context* context, int, sqlite3_value** values) { sqlite3_result_value(context, values[0]); };
  REQUIRE(sqlite3_create_function(db.get(), "same", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr, same, nullptr, nullptr) == SQLITE_OK);
  return db;
}

struct Two {
  explicit Two(const std::string& schema) : a(dir.path, 1), b(dir.path, 2), application(with_function(a.path)) {
    REQUIRE(application.exec("CREATE TABLE fine(id INTEGER PRIMARY KEY, v); INSERT INTO fine VALUES(1, 'one');" + schema));
    a.found(stream);
    a.publish(stream);
    b.join(stream);
    settle(stream, {&a, &b});
  }
  TempDir dir;
  Stream stream;
  Node a, b;
  sqlite::Database application;
};

void check_stopped(Node& node, const std::string& words) {
  const auto stopped = node.engine().stopped();
  REQUIRE(stopped.size() == 1);
  CHECK_MESSAGE(stopped[0].reason.find(words) != std::string::npos, stopped[0].reason);
}

}  // namespace

TEST_CASE("unusable: a unique index over a function of the application's stops its table alone, also over a restart; dropped, the rows go out") {
  Two t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE UNIQUE INDEX i ON t(same(v)); INSERT INTO t VALUES(1, 'x')");
  check_stopped(t.a, "its unique index i cannot be used by this agent: no such function: same; drop it, or leave the table out");
  CHECK(t.b.query("SELECT * FROM fine") == "1|one");
  REQUIRE(t.application.exec("INSERT INTO t VALUES(2, 'y'); INSERT INTO fine VALUES(2, 'two')"));
  settle(t.stream, {&t.a, &t.b});
  CHECK(t.b.query("SELECT * FROM fine") == "1|one\n2|two");
  t.a.stop();
  t.a.start();
  check_stopped(t.a, "same");
  CHECK_FALSE(require(t.a.engine().resume_stopped()));
  REQUIRE(t.application.exec("DELETE FROM t WHERE id = 1; INSERT INTO t VALUES(3, 'z'); DROP INDEX i"));
  t.a.publish(t.stream);
  CHECK(require(t.a.engine().resume_stopped()));
  settle(t.stream, {&t.a, &t.b});
  (void)require(t.b.engine().resume_stopped());  // the index could not be made there
  settle(t.stream, {&t.a, &t.b});
  CHECK(t.b.query("SELECT * FROM t") == "2|y\n3|z");
  CHECK(t.a.engine().stopped().empty());
}

TEST_CASE("unusable: the same where the index is made while the agent runs") {
  Two t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'x')");
  CHECK(t.b.query("SELECT * FROM t") == "1|x");
  REQUIRE(t.application.exec("INSERT INTO t VALUES(2, 'y'); CREATE UNIQUE INDEX i ON t(same(v)); INSERT INTO t VALUES(3, 'z'); INSERT INTO fine VALUES(2, 'two')"));
  settle(t.stream, {&t.a, &t.b});
  check_stopped(t.a, "same");
  CHECK(t.b.query("SELECT * FROM fine") == "1|one\n2|two");
  REQUIRE(t.application.exec("DROP INDEX i"));
  t.a.publish(t.stream);
  CHECK(require(t.a.engine().resume_stopped()));
  settle(t.stream, {&t.a, &t.b});
  (void)require(t.b.engine().resume_stopped());  // the index could not be made there
  settle(t.stream, {&t.a, &t.b});
  CHECK(t.b.query("SELECT * FROM t") == "1|x\n2|y\n3|z");
}

TEST_CASE("unusable: a table of as many columns as SQLite has stops alone") {
  std::string columns = "c0";
  for (int i = 1; i < 2000; ++i) columns += ", c" + std::to_string(i);
  Two t("CREATE TABLE wide(" + columns + "); INSERT INTO wide(c1) VALUES(1)");
  check_stopped(t.a, "its 2000 columns cannot be read by this agent: too many columns");
  CHECK(t.b.query("SELECT * FROM fine") == "1|one");
  REQUIRE(t.application.exec("DROP TABLE wide; INSERT INTO fine VALUES(2, 'two')"));
  settle(t.stream, {&t.a, &t.b});
  CHECK(t.b.query("SELECT * FROM fine") == "1|one\n2|two");
  CHECK(t.a.engine().stopped().empty());
}
