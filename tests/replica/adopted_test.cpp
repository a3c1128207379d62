// `marmot ids adopt`: tables with a plain INTEGER PRIMARY KEY become AUTOINCREMENT where they stand (docs/decisions/0041-adopted-tables.md).
#include <doctest/doctest.h>

#include "common/replica/autoincrement.hpp"
#include "common/replica/capture.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::replica;
using namespace marmot::test;

namespace {

Settings dealt(bool adopt = false) {
  Settings settings;
  settings.ids.mode = IdMode::compact;
  settings.ids.adopt = adopt;
  return settings;
}

constexpr const char* kPlain = "CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE c(id INTEGER, p INT REFERENCES p(id), name TEXT, PRIMARY KEY (id))";

// As the command does it, on a connection of its own.
template <class Change>
Status by_command(Node& node, Change&& change) {
  sqlite::Database db = require(sqlite::Database::open(node.path, SQLITE_OPEN_READWRITE));
  auto transaction = require(sqlite::Transaction::begin(db, sqlite::Transaction::Kind::immediate));
  TRY(change(db));
  return transaction.commit();
}
Status adopt(Node& node, const std::string& table) { return by_command(node, [&](sqlite::Database& db) { return adopt_table(db, table); }); }
Status release(Node& node, const std::string& table) { return by_command(node, [&](sqlite::Database& db) { return release_table(db, table); }); }

bool counts(Node& node, const std::string& table) {
  return node.query("SELECT sql LIKE '%AUTOINCREMENT%' FROM sqlite_schema WHERE name = '" + table + "'") == "1";
}

void add_families(Three& t, int rounds, const std::string& name) {
  for (int i = 0; i < rounds; ++i) {
    for (Node* node : {&t.a, &t.b, &t.c}) {
      const std::string own = name + std::to_string(i) + (node == &t.a ? "a" : node == &t.b ? "b" : "c");
      node->sql("BEGIN; INSERT INTO p(name) VALUES('" + own + "'); INSERT INTO c(p, name) SELECT max(id), '" + own + "' FROM p WHERE name = '" + own + "'; COMMIT");
    }
    for (Node* node : {&t.a, &t.b, &t.c}) node->publish(t.stream);
    for (Node* node : {&t.a, &t.b, &t.c}) node->apply(t.stream);
  }
  t.settle();
}

void check_families(Three& t, int families) {
  for (Node* node : {&t.a, &t.b, &t.c}) {
    CHECK(node->query("SELECT count(*) FROM c JOIN p ON p.id = c.p AND p.name = c.name") == std::to_string(families));
    CHECK(node->query("SELECT count(*) FROM __marmot_conflict") == "0");
    CHECK(node->query("PRAGMA integrity_check") == "ok");
    check_at_rest(*node);
  }
}

std::string refusal(const char* sql) {
  const auto with = with_autoincrement(sql);
  return with ? *with : with.error().message;
}

}  // namespace

TEST_CASE("adopt: the word is put where SQLite takes it, and taken out again") {
  const std::pair<const char*, const char*> cases[] = {
      {"CREATE TABLE t(id INTEGER PRIMARY KEY, x)", "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, x)"},
      {"create table \"t\" (x, [id] integer primary key)", "create table \"t\" (x, [id] integer primary key AUTOINCREMENT)"},
      {"CREATE TABLE t(id INTEGER NOT NULL PRIMARY KEY ASC ON CONFLICT REPLACE, x)", "CREATE TABLE t(id INTEGER NOT NULL PRIMARY KEY ASC ON CONFLICT REPLACE AUTOINCREMENT, x)"},
      {"CREATE TABLE t(a DEFAULT (1, 2), id INTEGER CONSTRAINT pk PRIMARY KEY /* the id */ NOT NULL)", "CREATE TABLE t(a DEFAULT (1, 2), id INTEGER CONSTRAINT pk PRIMARY KEY AUTOINCREMENT /* the id */ NOT NULL)"},
      {"CREATE TABLE t(a CHECK(a <> 'PRIMARY KEY'), id INTEGER PRIMARY KEY -- the id\n)", "CREATE TABLE t(a CHECK(a <> 'PRIMARY KEY'), id INTEGER PRIMARY KEY AUTOINCREMENT -- the id\n)"},
      // As SQLAlchemy writes it.
      {"CREATE TABLE t (\n\tid INTEGER NOT NULL, \n\tname VARCHAR, \n\tPRIMARY KEY (id)\n)", "CREATE TABLE t (\n\tid INTEGER NOT NULL, \n\tname VARCHAR, \n\tPRIMARY KEY (id AUTOINCREMENT)\n)"},
      {"CREATE TABLE t(\"i d\" INTEGER, x, CONSTRAINT pk PRIMARY KEY(\"i d\" DESC) ON CONFLICT FAIL, UNIQUE(x))", "CREATE TABLE t(\"i d\" INTEGER, x, CONSTRAINT pk PRIMARY KEY(\"i d\" DESC AUTOINCREMENT) ON CONFLICT FAIL, UNIQUE(x))"},
  };
  for (const auto& [plain, counted] : cases) {
    CHECK(refusal(plain) == counted);
    CHECK(without_autoincrement(counted) == plain);
    sqlite::Database db = require(sqlite::Database::open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    const bool odd = std::string(plain).find("(1, 2)") != std::string::npos;  // no default that SQLite takes
    if (!odd) require(db.exec(counted));
  }
  CHECK(refusal("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)") == "it is AUTOINCREMENT already");
  CHECK(refusal("CREATE TABLE t(id INTEGER PRIMARY KEY, x) WITHOUT ROWID").find("WITHOUT ROWID") != std::string::npos);
  CHECK(refusal("CREATE TABLE t(id INTEGER, x, PRIMARY KEY(id, x))").find("several columns") != std::string::npos);
  CHECK(refusal("CREATE TABLE t(id INT, x, PRIMARY KEY(id))").find("not of the type INTEGER") != std::string::npos);
  CHECK(refusal("CREATE TABLE t(id INTEGER PRIMARY KEY DESC, x)").find("DESC") != std::string::npos);
  CHECK(refusal("CREATE TABLE t(id INT PRIMARY KEY, x)").find("not of the type INTEGER") != std::string::npos);
  CHECK(refusal("CREATE TABLE t(id INTEGER UNSIGNED PRIMARY KEY, x)").find("not of the type INTEGER") != std::string::npos);
  CHECK(refusal("CREATE TABLE t(id, x)").find("no primary key") != std::string::npos);
}

TEST_CASE("adopt: on one node, and every node gives out ids of its own; nothing is rebuilt, and a release undoes it") {
  Three t(kPlain, dealt());
  t.a.sql("INSERT INTO p(name) VALUES('first'); INSERT INTO c(p, name) VALUES(1, 'first')");
  t.settle();
  const std::string pages = t.b.query("SELECT name, rootpage FROM sqlite_schema WHERE name IN ('p', 'c') ORDER BY name");
  require(adopt(t.a, "p"));
  require(adopt(t.a, "c"));
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) {
    CHECK(counts(*node, "p"));
    CHECK(counts(*node, "c"));
  }
  CHECK(t.b.query("SELECT name, rootpage FROM sqlite_schema WHERE name IN ('p', 'c') ORDER BY name") == pages);
  add_families(t, 20, "f");
  check_families(t, 61);
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(require(node->engine().ids()).outside == 0);
  require(release(t.c, "p"));
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) {
    CHECK_FALSE(counts(*node, "p"));
    CHECK(counts(*node, "c"));
    CHECK(node->query("SELECT count(*) FROM sqlite_sequence WHERE name = 'p'") == "0");
    node->restart(dealt());
    CHECK_FALSE(counts(*node, "p"));
    CHECK(counts(*node, "c"));
  }
  require(adopt(t.b, "p"));  // and again
  t.settle();
  CHECK(counts(t.a, "p"));
}

TEST_CASE("adopt: migrations go on as before, and a rebuild by the application's own text keeps it") {
  Three t(kPlain, dealt());
  require(adopt(t.a, "p"));
  t.settle();
  t.b.sql("ALTER TABLE p ADD COLUMN note TEXT DEFAULT 'none'");
  t.settle();
  CHECK(counts(t.c, "p"));
  CHECK(t.c.query("SELECT count(*) FROM pragma_table_info('p')") == "3");
  t.b.sql("INSERT INTO p(name) VALUES('gone'); DELETE FROM p");
  t.settle();
  const std::string next = t.c.query("SELECT seq FROM sqlite_sequence WHERE name = 'p'");
  t.b.sql("BEGIN; CREATE TABLE new_p(id INTEGER PRIMARY KEY, name TEXT NOT NULL, note TEXT); INSERT INTO new_p SELECT * FROM p; DROP TABLE p;"
          "ALTER TABLE new_p RENAME TO p; COMMIT");
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) {
    CHECK(counts(*node, "p"));
    CHECK(node->query("SELECT \"notnull\" FROM pragma_table_info('p') WHERE name = 'name'") == "1");
  }
  // An id that was given out and deleted is not given again where the rebuild came from another node.
  t.c.sql("INSERT INTO p(name) VALUES('next')");
  CHECK(std::stoll(t.c.query("SELECT max(id) FROM p")) > std::stoll(next));
  // A table that is renamed is the same table.
  t.a.sql("ALTER TABLE p RENAME TO people");
  t.settle();
  CHECK(counts(t.b, "people"));
  require(release(t.b, "people"));
  t.settle();
  CHECK_FALSE(counts(t.a, "people"));
}

TEST_CASE("adopt: the table that a tool copies into is adopted before it gets the name") {
  Three t(kPlain, dealt());
  t.a.sql("CREATE TABLE new_p(id INTEGER PRIMARY KEY, name TEXT, note TEXT)");
  t.settle();
  require(adopt(t.a, "new_p"));
  t.a.sql("INSERT INTO new_p(id, name) SELECT id, name FROM p; DROP TABLE p; ALTER TABLE new_p RENAME TO p");
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) {
    CHECK(counts(*node, "p"));
    CHECK(node->query("SELECT count(*) FROM __marmot_schema WHERE kind IN (1, 2, 3) AND body LIKE '%AUTOINCREMENT%' AND NOT dropped") == "0");
  }
  require(release(t.b, "p"));
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK_FALSE(counts(*node, "p"));
}

TEST_CASE("adopt: a node that was away, one that joins, and one that adopts at the same moment come to the same") {
  Three t(kPlain, dealt());
  require(adopt(t.a, "p"));
  require(adopt(t.b, "p"));
  t.a.publish(t.stream);
  t.b.publish(t.stream);
  t.settle();
  CHECK(counts(t.c, "p"));
  Node d(t.dir.path, 4, dealt());
  d.join(t.stream);
  settle(t.stream, {&t.a, &t.b, &t.c, &d});
  CHECK(counts(d, "p"));
  CHECK_FALSE(counts(d, "c"));
  // One releases while another changes the table.
  require(release(t.a, "p"));
  d.sql("ALTER TABLE p ADD COLUMN x");
  settle(t.stream, {&t.a, &t.b, &t.c, &d});
  for (Node* node : {&t.a, &t.b, &t.c, &d}) {
    CHECK_FALSE(counts(*node, "p"));
    CHECK(node->query("SELECT count(*) FROM pragma_table_info('p')") == "3");
  }
}

TEST_CASE("adopt: by itself, where the settings say so; what was released stays so") {
  Three t(kPlain, dealt(true));
  for (Node* node : {&t.a, &t.b, &t.c}) {
    CHECK(counts(*node, "p"));
    CHECK(counts(*node, "c"));
  }
  add_families(t, 10, "f");
  check_families(t, 30);
  require(release(t.a, "p"));
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) {
    node->restart(dealt(true));
    CHECK_FALSE(counts(*node, "p"));
  }
  t.b.sql("CREATE TABLE late(id INTEGER PRIMARY KEY, x); CREATE TABLE two(id INTEGER, x, PRIMARY KEY(id, x))");
  t.settle();
  CHECK(counts(t.a, "late"));
  CHECK(counts(t.b, "late"));
  CHECK(t.b.query("SELECT sql FROM sqlite_schema WHERE name = 'two'").find("AUTOINCREMENT") == std::string::npos);
}

TEST_CASE("adopt: cleanup leaves the text as the application wrote it") {
  Three t(kPlain, dealt());
  const std::string before = t.b.query("SELECT sql FROM sqlite_schema WHERE name = 'p'");
  require(adopt(t.a, "p"));
  t.settle();
  t.b.sql("CREATE TABLE own(id INTEGER PRIMARY KEY AUTOINCREMENT)");
  t.settle();
  CHECK(counts(t.b, "p"));
  t.b.stop();
  sqlite::Database db = require(sqlite::Database::open(t.b.path, SQLITE_OPEN_READWRITE));
  require(cleanup(db));
  CHECK(t.b.query("SELECT sql FROM sqlite_schema WHERE name = 'p'") == before);
  CHECK(counts(t.b, "own"));
  CHECK(t.b.query("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%marmot%'") == "0");
  t.b.sql("INSERT INTO p(name) VALUES('x')");
}

TEST_CASE("adopt: while an agent of an earlier Marmot is heard, this file has it and nobody is told") {
  Settings held = dealt();
  held.ids.held = true;
  Three t(kPlain, held);
  require(adopt(t.a, "p"));
  t.settle();
  CHECK(counts(t.a, "p"));
  CHECK_FALSE(counts(t.b, "p"));
  t.a.restart(held);
  CHECK(counts(t.a, "p"));
  for (Node* node : {&t.a, &t.b, &t.c}) node->engine().hold_ids(false);
  t.settle();
  CHECK(counts(t.b, "p"));
}

TEST_CASE("adopt: what cannot be adopted or released is refused with the reason") {
  Three t("CREATE TABLE p(id INTEGER PRIMARY KEY, x); CREATE TABLE w(id INTEGER PRIMARY KEY) WITHOUT ROWID", dealt());
  CHECK(adopt(t.a, "nothere").error().code == Errc::not_found);
  CHECK(adopt(t.a, "w").error().code == Errc::refused);
  CHECK(release(t.a, "p").error().code == Errc::refused);
  require(adopt(t.a, "P"));
  CHECK(adopt(t.a, "p").error().message == "it is AUTOINCREMENT already");
  t.settle();
  CHECK(counts(t.b, "p"));
}

// Simulator, seed 7 of the profile adoption_once: the agent saw the table under its next name, and took the word for the application's.
TEST_CASE("adopt: a table that a tool has just made anew is adopted once the agent has seen it, whatever name it has then") {
  Three t(kPlain, dealt());
  t.a.sql("CREATE TABLE n(id INTEGER PRIMARY KEY, name TEXT); DROP TABLE p; ALTER TABLE n RENAME TO p");
  const Status early = adopt(t.a, "p");
  REQUIRE_FALSE(early);
  CHECK(early.error().message.find("made anew") != std::string::npos);
  CHECK_FALSE(counts(t.a, "p"));
  t.settle();
  require(adopt(t.a, "p"));
  t.a.sql("ALTER TABLE p RENAME TO q");
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) {
    CHECK(counts(*node, "q"));
    CHECK(node->query("SELECT count(*) FROM __marmot_adopted") == "1");
  }
}

TEST_CASE("ids: how high they will be is told from a sample a day, of a week") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, x)", dealt());
  const auto reach = [&] { return require(t.a.engine().ids()).tables.at(0).to_31_bits_ms; };
  CHECK_FALSE(reach());  // not looked at for long enough
  constexpr int64_t kDay = 86'400'000;
  for (int day = 0; day < 20; ++day) {
    t.a.now += kDay;
    t.a.sql("INSERT INTO t(id, x) VALUES(" + std::to_string((day + 1) * 1'000'000) + ", 0)");
    t.a.drain();
    CHECK(t.a.query("SELECT count(*) FROM __marmot_pace") == std::to_string(std::min(day + 2, 8)));
  }
  const int64_t days = reach().value_or(0) / kDay;  // of a million each
  CHECK(days > 2000);
  CHECK(days < 2200);
  t.a.now -= 3 * kDay;  // a clock that is set back
  t.a.sql("INSERT INTO t(x) VALUES(0)");
  t.a.drain();
  (void)reach();
  CHECK(require(t.a.engine().ids()).tables.at(0).largest == 1);
}

TEST_CASE("ids: rows that lost their id are counted") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, x)", dealt());
  for (Node* node : {&t.a, &t.b}) node->sql("INSERT INTO t(x) VALUES('" + node->path + "')");
  t.settle();
  const IdReport report = require(t.c.engine().ids());
  REQUIRE(report.collisions.size() == 1);
  CHECK(report.collisions[0].table == "t");
  CHECK(report.collisions[0].rows == 1);
  CHECK(report.plain.at(0).name == "t");
}
