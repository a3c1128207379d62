// Replica::take_schema_changes(): whose schema changed here because of another node.
#include <doctest/doctest.h>

#include "common/replica/snapshot.hpp"
#include "common/sqlite/database.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;
using namespace marmot::replica;

namespace {

using Names = std::set<std::string>;

// Three nodes on which what was told of the beginning is forgotten.
struct Told : Three {
  explicit Told(const std::string& schema) : Three(schema) {
    for (Node* node : {&a, &b, &c}) (void)node->engine().take_schema_changes();
  }
  // On node a, delivered to all.
  void on_a(const std::string& text) {
    a.sql(text);
    settle();
  }
  // Nodes b and c are told the same, a nothing.
  void others(const Names& expected) {
    CHECK(a.engine().take_schema_changes() == Names{});
    CHECK(b.engine().take_schema_changes() == expected);
    CHECK(c.engine().take_schema_changes() == expected);
    CHECK(b.engine().take_schema_changes() == Names{});  // once
  }
};

}  // namespace

TEST_CASE("schema told: what another node made, changed or dropped is told by name, one's own and its echo never") {
  Told t("CREATE TABLE users(id INTEGER PRIMARY KEY, name); CREATE TABLE old(id INTEGER PRIMARY KEY)");
  t.on_a("ALTER TABLE users ADD COLUMN city");
  t.others({"users"});
  t.on_a("CREATE TABLE \"my 'notes'\"(id INTEGER PRIMARY KEY); DROP TABLE old");
  t.others({"my 'notes'", "old"});
  t.on_a("CREATE INDEX by_city ON users(city); CREATE VIEW cities AS SELECT city FROM users; "
         "CREATE TRIGGER users AFTER INSERT ON users BEGIN SELECT 1; END");
  t.others({"by_city", "cities", "users"});
  t.on_a("DROP TRIGGER users; DROP INDEX by_city; DROP VIEW cities; CREATE VIEW cities AS SELECT DISTINCT city FROM users");
  t.others({"by_city", "cities", "users"});
}

TEST_CASE("schema told: a rename tells both names, and the index and the view that follow it") {
  Told t("CREATE TABLE users(id INTEGER PRIMARY KEY, name); CREATE INDEX by_name ON users(name); CREATE VIEW names AS SELECT name FROM users; CREATE TABLE other(id INTEGER PRIMARY KEY)");
  t.on_a("ALTER TABLE users RENAME TO people");
  t.others({"by_name", "names", "people", "users"});
}

TEST_CASE("schema told: a search table is told, the tables that SQLite keeps for it are not") {
  Told t("CREATE TABLE note(id INTEGER PRIMARY KEY, body)");
  t.on_a("CREATE VIRTUAL TABLE note_fts USING fts5(body, content=note)");
  t.others({"note_fts"});
  t.on_a("DROP TABLE note_fts");
  t.others({"note_fts"});
}

TEST_CASE("schema told: rows and a user_version alone tell nothing") {
  Told t("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v)");
  t.on_a("INSERT INTO t(v) VALUES(1); PRAGMA user_version = 4; ANALYZE");
  CHECK(t.b.query("PRAGMA user_version") == "4");
  t.others({});
}

TEST_CASE("schema told: of one migration run on every node nobody is told where all made the same") {
  Told t("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  for (Node* node : {&t.a, &t.b, &t.c}) node->sql("ALTER TABLE t ADD COLUMN v");
  t.settle();
  t.others({});
}

TEST_CASE("schema told: a table that cannot be made yet is told when it is made, not when its message comes, also after a restart") {
  Told t("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  t.b.sql("CREATE VIEW late AS SELECT 1");
  t.on_a("CREATE TABLE late(id INTEGER PRIMARY KEY); CREATE TABLE free(id INTEGER PRIMARY KEY); PRAGMA user_version = 3");
  CHECK(t.b.engine().take_schema_changes() == Names{"free"});
  t.b.sql("DROP VIEW late");
  SUBCASE("while it runs") {
    CHECK(t.b.engine().take_schema_changes() == Names{});
    while (require(t.b.engine().resume_stopped())) {}
  }
  SUBCASE("at its next start") {
    t.b.stop();
    t.b.start();
  }
  CHECK(t.b.query("SELECT type FROM sqlite_schema WHERE name = 'late'") == "table");
  CHECK(t.b.engine().take_schema_changes() == Names{"late"});
}

TEST_CASE("schema told: what was rolled back is not told, and is told once it is committed") {
  Told t("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  const StreamSeq seen = t.b.engine().position().seq;
  t.b.stop();
  t.a.sql("ALTER TABLE t ADD COLUMN v");
  t.a.publish(t.stream);
  bool reading = false;  // another process, from the moment before COMMIT
  Environment environment;
  environment.now = [&] { return t.b.now; };
  environment.monotonic_us = [] { return int64_t{0}; };
  environment.others_reading = [&](Environment::Moment moment) { return reading && moment == Environment::Moment::before_commit; };
  auto db = require(sqlite::Database::open(t.b.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX));
  Replica engine = require(Replica::open(std::move(db), {}, environment, {NodeId{2}, Incarnation{2099}, Hlc{}, HashKey{5, 6}}));
  std::deque<Incoming> queue;
  for (const Incoming& message : t.stream.messages) {
    if (message.seq > seen) queue.push_back(message);
  }
  reading = true;
  const auto refused = engine.apply(queue, true);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::busy);
  CHECK(engine.take_schema_changes() == Names{});
  reading = false;
  (void)require(engine.apply(queue, true));
  CHECK(engine.take_schema_changes() == Names{"t"});
}

TEST_CASE("schema told: a merged snapshot tells what it brought") {
  Told t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.a.sql("ALTER TABLE t ADD COLUMN w; CREATE TABLE u(id INTEGER PRIMARY KEY)");
  t.a.publish(t.stream);
  t.a.apply(t.stream);
  const std::string copy = (t.dir.path / "copy.db").string();
  {
    const auto snapshot = require(SnapshotCopy::begin(t.a.engine(), copy));
    while (!require(snapshot->step(100))) {}
  }
  require(t.b.engine().merge_begin(copy));
  while (!t.b.merge_slice()) {}
  CHECK(t.b.engine().take_schema_changes() == Names{"t", "u"});
  CHECK(t.a.engine().take_schema_changes() == Names{});
}
