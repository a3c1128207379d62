// One name for objects of different kinds: made apart by nodes that did not know of each other's.
#include <doctest/doctest.h>

#include <array>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

constexpr const char* kNote = "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO note VALUES(1, 'one')";

// A table, view or index `x`, and what `x` holds. No other tables stand in it but those that belong to it.
struct Kind {
  const char* name;
  const char* make;
  const char* drop;
  const char* is;  // as messages call it
};
constexpr Kind kTable{"table", "CREATE TABLE x(id INTEGER PRIMARY KEY, body); INSERT INTO x VALUES(1, 'row'), (2, 'row')", "DROP TABLE x", "a table"};
constexpr std::array kOthers{
    Kind{"virtual", "CREATE VIRTUAL TABLE x USING fts5(body); INSERT INTO x VALUES('row')", "DROP TABLE x", "a virtual table"},
    Kind{"virtual", "CREATE VIRTUAL TABLE x USING fts3(body); INSERT INTO x VALUES('row')", "DROP TABLE x", "a virtual table"},
    Kind{"virtual", "CREATE VIRTUAL TABLE x USING rtree(id, a, b); INSERT INTO x VALUES(1, 0, 1)", "DROP TABLE x", "a virtual table"},
    Kind{"view", "CREATE VIEW x AS SELECT * FROM note", "DROP VIEW x", "a view"},
    Kind{"index", "CREATE INDEX x ON note(body)", "DROP INDEX x", "an index of table note"},
};

std::string stopped(Node& node) {
  std::string out;
  for (const auto& one : node.engine().stopped()) out += one.name + ": " + one.reason + "\n";
  return out;
}

bool told(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

bool logged(const Node& node, const std::string& what) {
  for (const std::string& line : node.log) {
    if (told(line, what)) return true;
  }
  return false;
}

void resume(Three& t) {
  for (int round = 0; round < 2; ++round) {
    for (Node* const node : {&t.a, &t.b, &t.c}) (void)require(node->engine().resume_stopped());
    t.settle();
  }
  for (Node* const node : {&t.a, &t.b, &t.c}) CHECK(stopped(*node) == "");
  t.same("SELECT count(*) FROM __marmot_waiting", "0");
}

}  // namespace

TEST_CASE("kinds: a table and an object of another kind that were given one name apart both stay where they are, and it is told") {
  for (const Kind& other : kOthers) {
    CAPTURE(other.make);
    for (const bool table_first : {true, false}) {
      Three t(kNote);
      Node& with_table = table_first ? t.a : t.c;
      Node& with_other = table_first ? t.c : t.a;
      with_table.sql(kTable.make);
      with_other.sql(other.make);
      t.settle();
      CHECK(with_table.query("SELECT count(*) FROM x") == "2");
      CHECK(with_other.query("SELECT count(*) FROM sqlite_schema WHERE name = 'x' AND sql LIKE 'CREATE TABLE%'") == "0");
      CHECK(told(stopped(with_other), "table x: its change cannot be made here: " + std::string(other.is) + " has the name x here"));
      if (std::string_view(other.name) == "index") CHECK(told(stopped(with_table), "there is already a table named x"));
      else CHECK(told(stopped(with_table), std::string(other.name) + " x: its change cannot be made here: a table has the name x here; drop or rename"));
    }
  }
}

TEST_CASE("kinds: once one of two objects of one name is dropped, wherever that is done, all nodes have the other one") {
  for (const Kind& other : kOthers) {
    CAPTURE(other.make);
    for (const bool drop_table : {true, false}) {
      Three t(kNote);
      t.a.sql(other.make);
      t.c.sql(kTable.make);
      t.settle();
      t.c.sql("UPDATE x SET body = 'later' WHERE id = 2");
      t.settle();
      if (drop_table) t.c.sql(kTable.drop);
      else t.a.sql(other.drop);
      t.settle();
      resume(t);
      if (drop_table) t.same("SELECT type FROM sqlite_schema WHERE name = 'x' AND sql NOT LIKE 'CREATE TABLE%'", std::string(other.name) == "virtual" ? "table" : other.name);
      else t.same("SELECT * FROM x", "1|row\n2|later");
    }
  }
}

TEST_CASE("kinds: a table that is renamed out of the way gives its name to the virtual table, and keeps its rows") {
  Three t(kNote);
  t.a.sql(kOthers[0].make);
  t.c.sql(kTable.make);
  t.settle();
  t.c.sql("ALTER TABLE x RENAME TO y");
  t.settle();
  resume(t);
  t.same("SELECT * FROM y", "1|row\n2|row");
  t.same("SELECT sql FROM sqlite_schema WHERE name = 'x'", "CREATE VIRTUAL TABLE x USING fts5(body)");
  CHECK(t.a.query("SELECT count(*) FROM x") == "1");
}

TEST_CASE("kinds: a table becomes a virtual table or a view in one transaction, and the other way round") {
  Three t(std::string(kNote) + "; CREATE TABLE x(id INTEGER PRIMARY KEY, body)");
  for (const Kind& other : kOthers) {
    if (std::string_view(other.name) == "index") continue;
    CAPTURE(other.make);
    t.a.sql("BEGIN; DROP TABLE x; " + std::string(other.make) + "; COMMIT");
    t.settle();
    t.same("SELECT count(*) FROM sqlite_schema WHERE name = 'x' AND sql NOT LIKE 'CREATE TABLE%'", "1");
    t.b.sql("BEGIN; " + std::string(other.drop) + "; " + kTable.make + "; COMMIT");
    t.settle();
    t.same("SELECT * FROM x", "1|row\n2|row");
    for (Node* const node : {&t.a, &t.b, &t.c}) CHECK(stopped(*node) == "");
  }
}

TEST_CASE("kinds: a replicated table with the name of a backing table is not lost with the virtual table of another node") {
  // FTS3 makes neither x_stat nor x_docsize, and drops both.
  for (const bool virtual_first : {true, false}) {
    for (const char* const name : {"x_stat", "x_docsize"}) {
      CAPTURE(name);
      Three t(kNote);
      Node& with_virtual = virtual_first ? t.a : t.c;
      Node& with_table = virtual_first ? t.c : t.a;
      with_virtual.sql("CREATE VIRTUAL TABLE x USING fts3(body)");
      with_table.sql("CREATE TABLE " + std::string(name) + "(id INTEGER PRIMARY KEY, body); INSERT INTO " + name + " VALUES(1, 'row')");
      t.settle();
      CHECK(told(stopped(with_virtual), "table " + std::string(name) + ": its change cannot be made here: table " + name + " would be taken for a backing table"));
      CHECK(told(stopped(with_table), "virtual x: its change cannot be made here: table " + std::string(name) + " would be taken for a backing table"));
      with_virtual.sql("DROP TABLE x");
      t.settle();
      resume(t);
      t.same("SELECT * FROM " + std::string(name), "1|row");
    }
  }
}

TEST_CASE("kinds: a table that is renamed to the name of a backing table stays where that virtual table is") {
  Three t(std::string(kNote) + "; CREATE VIRTUAL TABLE x USING fts3(body); CREATE TABLE y(id INTEGER PRIMARY KEY)");
  t.a.sql("INSERT INTO y VALUES(1)");
  t.b.sql("DROP TABLE x");
  t.b.sql("ALTER TABLE y RENAME TO x_stat");
  t.c.sql("DROP TABLE x; CREATE VIRTUAL TABLE x USING fts3(body, note)");
  t.settle();
  for (Node* const node : {&t.a, &t.b, &t.c}) {
    CHECK(node->query("SELECT count(*) FROM sqlite_schema WHERE name IN ('y', 'x_stat')") == "1");
    CHECK(node->engine().watched().size() == 2);
  }
  t.c.sql("DROP TABLE x");
  t.settle();
  resume(t);
  t.same("SELECT * FROM x_stat", "1");
}

TEST_CASE("kinds: tables that change places do not get lost where one of the names is another object's") {
  for (const Kind& other : kOthers) {
    CAPTURE(other.make);
    Three t(std::string(kNote) + "; CREATE TABLE p(id INTEGER PRIMARY KEY, v); INSERT INTO p VALUES(1, 'p'); CREATE TABLE q(id INTEGER PRIMARY KEY, v); INSERT INTO q VALUES(1, 'q')");
    t.c.sql(other.make);
    t.a.sql("BEGIN; ALTER TABLE q RENAME TO x; ALTER TABLE p RENAME TO q; COMMIT; UPDATE x SET v = 'q later'");
    t.settle();
    CHECK(t.c.engine().watched().size() == 3);
    CHECK(t.c.query("SELECT v FROM q") == "p");
    CHECK(t.c.query("SELECT count(*) FROM sqlite_schema WHERE name GLOB '__marmot_aside*'") == "0");
    CHECK(told(stopped(t.c), std::string(other.is) + " has the name x here"));
    CHECK(told(stopped(t.c), "its rows are in x_"));
    t.c.sql(other.drop);
    t.settle();
    resume(t);
    t.same("SELECT v FROM x", "q later");
    t.same("SELECT v FROM q", "p");
  }
}

TEST_CASE("kinds: a virtual table that another node renames keeps what it holds here") {
  Three t(std::string(kNote) + "; CREATE VIRTUAL TABLE f USING fts5(body); CREATE VIRTUAL TABLE r USING rtree(id, a, b)");
  t.a.sql("CREATE TRIGGER g AFTER INSERT ON note BEGIN INSERT INTO f VALUES(new.body); END");
  t.settle();
  for (Node* const node : {&t.a, &t.b, &t.c}) node->sql("INSERT INTO f VALUES('here'); INSERT INTO r VALUES(1, 0, 1)");
  t.a.sql("ALTER TABLE f RENAME TO \"new f\"; ALTER TABLE r RENAME TO s");
  t.settle();
  t.same("SELECT * FROM \"new f\"", "here");
  t.same("SELECT count(*) FROM s", "1");
  t.same("SELECT count(*) FROM sqlite_schema WHERE name IN ('f', 'r')", "0");
  CHECK(logged(t.c, "virtual table f is new f now: another node renamed it"));
  t.b.sql("INSERT INTO note VALUES(2, 'two')");
  t.settle();
  t.same("SELECT * FROM \"new f\"", "here\ntwo");
  t.c.sql("DROP TABLE \"new f\"; DROP TRIGGER g");
  t.settle();
  t.same("SELECT count(*) FROM sqlite_schema WHERE name IN ('new f', 'g')", "0");
  CHECK(logged(t.a, "dropped virtual table new f: another node dropped it"));
}
