// Which tables are replicated: the choice of the settings, and another one at the next start.
#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

replica::Settings without(const std::string& glob) {
  replica::Settings settings;
  settings.exclude = {glob};
  return settings;
}

}  // namespace

TEST_CASE("choice: an index or trigger of a table that is not replicated here is neither dropped nor replaced for one of that name") {
  Three t("CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)", without("own"));
  t.c.sql("CREATE TABLE own(a, b); CREATE INDEX i ON own(a); CREATE TRIGGER g AFTER INSERT ON own BEGIN SELECT 1; END");
  t.a.sql("CREATE INDEX i ON note(body); CREATE TRIGGER g AFTER DELETE ON note BEGIN SELECT 2; END");
  t.settle();
  CHECK(t.b.query("SELECT tbl_name FROM sqlite_schema WHERE name = 'i'") == "note");
  CHECK(t.c.query("SELECT tbl_name FROM sqlite_schema WHERE name IN ('i', 'g')") == "own\nown");
  REQUIRE(t.c.engine().stopped().size() == 2);
  CHECK(t.c.engine().stopped()[0].name == "note");
  CHECK(t.c.engine().stopped()[0].reason.find("index i of table own, which is not replicated, has its name; remove what stands in its way") != std::string::npos);
  CHECK(t.c.engine().stopped()[1].name == "trigger g");
  CHECK(t.c.engine().stopped()[1].reason.find("trigger g of table own, which is not replicated, has its name") != std::string::npos);
  t.c.sql("DROP INDEX i; DROP TRIGGER g");
  t.a.sql("INSERT INTO note VALUES(1, 'x')");
  t.settle();
  (void)require(t.c.engine().resume_stopped());
  t.settle();
  CHECK(t.c.engine().stopped().empty());
  CHECK(t.c.query("SELECT tbl_name FROM sqlite_schema WHERE name IN ('i', 'g')") == "note\nnote");
  t.same("SELECT * FROM note", "1|x");
}

TEST_CASE("choice: an index of an excluded table is not made on the table of that name that this node has for itself") {
  Three t("CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); CREATE TABLE own(a)");
  t.c.restart(without("own"));
  t.a.sql("CREATE INDEX i ON own(a); CREATE UNIQUE INDEX u ON own(a); CREATE TRIGGER g AFTER INSERT ON own BEGIN SELECT 1; END");
  t.settle();
  CHECK(t.b.query("SELECT count(*) FROM sqlite_schema WHERE name IN ('i', 'u', 'g')") == "3");
  CHECK(t.c.query("SELECT count(*) FROM sqlite_schema WHERE name IN ('i', 'u', 'g')") == "0");
  CHECK(t.c.engine().stopped().empty());
}

TEST_CASE("choice: a virtual table of another node does not take the place of an ordinary one") {
  Three t("CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)");
  t.a.sql("CREATE VIRTUAL TABLE x USING fts5(body)");
  t.c.sql("CREATE TABLE x(id INTEGER PRIMARY KEY, body); INSERT INTO x VALUES(1, 'of c')");
  t.settle();
  for (Node* const node : {&t.a, &t.b}) {
    CHECK(node->query("SELECT sql FROM sqlite_schema WHERE name = 'x'") == "CREATE VIRTUAL TABLE x USING fts5(body)");
    REQUIRE(node->engine().stopped().size() == 1);
    CHECK(node->engine().stopped()[0].name == "table x");
  }
  CHECK(t.c.query("SELECT * FROM x") == "1|of c");
  REQUIRE(t.c.engine().stopped().size() == 1);
  CHECK(t.c.engine().stopped()[0].name == "virtual x");
  CHECK(t.c.engine().stopped()[0].reason.find("table x already exists") != std::string::npos);
}
