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

namespace {

int bad_values = 0;  // that it was asked for

// A function of the agent's that fails for a value: one of another version than the application's.
void failing_same(sqlite3_context* context, int, sqlite3_value** values) {
  const auto* const text = reinterpret_cast<const char*>(sqlite3_value_text(values[0]));
  if (text == nullptr || std::string_view(text) != "bad") return sqlite3_result_value(context, values[0]);
  ++bad_values;
  sqlite3_result_error(context, "same: a bad value", -1);
}

int give_failing_same(sqlite3* db, char**, const sqlite3_api_routines*) {
  return sqlite3_create_function(db, "same", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr, failing_same, nullptr, nullptr);
}

// Every connection that is opened meanwhile has it; the application's own has the one that works.
struct WithFailingSame {
  WithFailingSame() { REQUIRE(sqlite3_auto_extension(reinterpret_cast<void (*)()>(give_failing_same)) == SQLITE_OK); }
  ~WithFailingSame() { sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(give_failing_same)); }
};

constexpr const char* kIndexed = "CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE UNIQUE INDEX i ON t(same(v)); INSERT INTO t VALUES(1, 'x');";
constexpr const char* kReason = "same: a bad value; resolve it in this file, the table then resumes by itself";

// What stopped t is cured by the application.
void check_resumes(Two& t, const std::string& cure, const std::string& rows) {
  REQUIRE(t.application.exec(cure));
  t.a.publish(t.stream);
  t.a.now += 700'000;
  CHECK(require(t.a.engine().resume_stopped()));
  settle(t.stream, {&t.a, &t.b});
  CHECK(t.b.query("SELECT * FROM t ORDER BY id") == rows);
  CHECK(t.a.engine().stopped().empty());
}

}  // namespace

// A drain that failed for a row failed again and again, under the write lock, and nothing of the file went out.
TEST_CASE("unusable: a row that a drain cannot read stops its table alone, is not read again under the write lock, and goes out once it can be read") {
  const WithFailingSame function;
  Two t(kIndexed);
  CHECK(t.a.engine().stopped().empty());
  REQUIRE(t.application.exec("BEGIN; INSERT INTO t VALUES(2, 'good'), (3, 'bad'); INSERT INTO fine VALUES(2, 'two'); COMMIT"));
  CHECK_FALSE(t.a.engine().drain(false));  // Errc::busy: the agent tries again at once
  settle(t.stream, {&t.a, &t.b});
  check_stopped(t.a, kReason);
  CHECK(t.b.query("SELECT * FROM fine") == "1|one\n2|two");
  CHECK(t.b.query("SELECT count(*) FROM t") == "1");
  const int64_t commits = require(t.application.query_integer("PRAGMA data_version"));
  bad_values = 0;
  for (int i = 0; i < 200; ++i) {
    t.a.now += 5'000;
    CHECK_FALSE(require(t.a.engine().resume_stopped()));
  }
  CHECK(require(t.application.query_integer("PRAGMA data_version")) == commits);
  CHECK(bad_values >= 3);
  CHECK(bad_values < 12);  // 5, 10, 20, ... seconds
  CHECK(t.a.query("SELECT count(*) FROM __marmot_parked") == "2");
  check_resumes(t, "UPDATE t SET v = 'fine' WHERE id = 3", "1|x\n2|good\n3|fine");
}

TEST_CASE("unusable: the same for a table that is made with such a row while the agent runs") {
  const WithFailingSame function;
  Two t("");
  REQUIRE(t.application.exec("BEGIN;" + std::string(kIndexed) + "INSERT INTO t VALUES(3, 'bad'); INSERT INTO fine VALUES(2, 'two'); COMMIT"));
  CHECK_FALSE(t.a.engine().drain(false));
  settle(t.stream, {&t.a, &t.b});
  check_stopped(t.a, kReason);
  CHECK(t.b.query("SELECT * FROM fine") == "1|one\n2|two");
  check_resumes(t, "DELETE FROM t WHERE id = 3", "1|x");
}

TEST_CASE("unusable: a row that cannot be read where the file is prepared stops its table alone") {
  const WithFailingSame function;
  Two t(std::string(kIndexed) + "INSERT INTO t VALUES(3, 'bad')");
  check_stopped(t.a, kReason);
  CHECK(t.b.query("SELECT * FROM fine") == "1|one");
  check_resumes(t, "UPDATE t SET v = 'good' WHERE id = 3", "1|x\n3|good");
}

TEST_CASE("unusable: a row that a scrub or a comparison of nodes cannot read stops its table alone") {
  for (const bool scrub : {true, false}) {
    CAPTURE(scrub);
    Two t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'x'), (2, zeroblob(100000))");
    sqlite3_limit(t.a.engine().database().get(), SQLITE_LIMIT_LENGTH, 50'000);  // of this SQLite, less than the application's
    if (scrub) {
      for (int i = 0; i < 10 && t.a.engine().stopped().empty(); ++i) (void)require(t.a.engine().scrub(false));
    } else {
      const auto digests = require(t.a.engine().digests(kSeed));
      CHECK(digests.size() == 1);  // of `fine`
    }
    check_stopped(t.a, "string or blob too big; resolve it in this file");
    REQUIRE(t.application.exec("INSERT INTO fine VALUES(2, 'two')"));
    settle(t.stream, {&t.a, &t.b});
    CHECK(t.b.query("SELECT count(*) FROM fine") == "2");
    sqlite3_limit(t.a.engine().database().get(), SQLITE_LIMIT_LENGTH, 1'000'000);
    t.a.now += 700'000;
    CHECK(require(t.a.engine().resume_stopped()));
    CHECK(t.a.engine().stopped().empty());
  }
}
