// Which tables are replicated: the choice of the settings, and another one at the next start.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

replica::Settings without(const std::string& glob) {
  replica::Settings settings;
  settings.exclude = {glob};
  return settings;
}

std::string watched(Node& node) {
  std::string out;
  for (const std::string& name : node.engine().watched()) out += (out.empty() ? "" : " ") + name;
  return out;
}

}  // namespace

TEST_CASE("choice: a table that is excluded at a restart is replicated no more at once, and again after one without") {
  Three t("CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); CREATE TABLE job(id INTEGER PRIMARY KEY, what TEXT);"
          "INSERT INTO job VALUES(1, 'shared'), (2, 'shared')");
  t.c.restart(without("job"));
  CHECK(watched(t.c) == "note");
  CHECK(t.c.query("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'") == "3");
  t.c.sql("INSERT INTO job VALUES(3, 'of c'); UPDATE job SET what = 'changed by c' WHERE id = 1; INSERT INTO note VALUES(1, 'of c')");
  t.a.sql("INSERT INTO job VALUES(4, 'of a'); DELETE FROM job WHERE id = 2; INSERT INTO note VALUES(2, 'of a')");
  t.settle();
  t.same("SELECT * FROM note", "1|of c\n2|of a");
  for (Node* const node : {&t.a, &t.b}) CHECK(node->query("SELECT * FROM job") == "1|shared\n4|of a");
  CHECK(t.c.query("SELECT * FROM job") == "1|changed by c\n2|shared\n3|of c");
  t.c.restart({});
  CHECK(watched(t.c) == "note job");
  t.c.sql("INSERT INTO job VALUES(5, 'of c again')");
  t.settle();
  // Its rows count as written at that start: they win over changes, and are there again where they had been deleted. What
  // others wrote meanwhile comes with the repair.
  for (Node* const node : {&t.a, &t.b}) CHECK(node->query("SELECT * FROM job") == "1|changed by c\n2|shared\n3|of c\n4|of a\n5|of c again");
  CHECK(t.c.query("SELECT * FROM job") == "1|changed by c\n2|shared\n3|of c\n5|of c again");
  t.a.sql("UPDATE job SET what = 'both' WHERE id = 1");
  t.settle();
  t.same("SELECT what FROM job WHERE id = 1", "both");
}

TEST_CASE("choice: another sidecar's table that a former version replicated is this file's own from the next start on") {
  replica::Settings former;
  former.include = {"*", "_litestream_*"};
  Three t("CREATE TABLE note(id INTEGER PRIMARY KEY); CREATE TABLE _litestream_seq(id INTEGER PRIMARY KEY, seq); INSERT INTO _litestream_seq VALUES(1, 1)", former);
  t.c.restart({});
  CHECK(watched(t.c) == "note");
  t.c.sql("UPDATE _litestream_seq SET seq = 30");
  t.a.sql("UPDATE _litestream_seq SET seq = 10");
  t.settle();
  CHECK(t.b.query("SELECT seq FROM _litestream_seq") == "10");
  CHECK(t.c.query("SELECT seq FROM _litestream_seq") == "30");
}

// As a file looks in which an application made one, to an agent that has not loaded the module.
const char* const kForeign = "CREATE TABLE f_chunks(id INTEGER PRIMARY KEY, data); PRAGMA writable_schema = ON;"
                             "INSERT INTO sqlite_schema VALUES('table', 'f', 'f', 0, 'CREATE VIRTUAL TABLE f USING vec0(v float[4])');"
                             "PRAGMA writable_schema = RESET; CREATE TABLE note(id INTEGER PRIMARY KEY)";

TEST_CASE("choice: backing tables of a module that is none of SQLite's own are each file's own, also where a former version replicated them") {
  replica::Settings former;
  former.include = {"*", "f_chunks"};
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1, former), b(dir.path, 2, former), c(dir.path, 3);
  for (Node* const node : {&a, &b, &c}) node->sql(kForeign);
  a.found(stream);
  a.publish(stream);
  b.join(stream);
  c.join(stream);
  const auto settle = [&] { test::settle(stream, {&a, &b, &c}); };
  settle();
  CHECK(watched(a) == "f_chunks note");
  CHECK(watched(c) == "note");
  a.sql("INSERT INTO f_chunks VALUES(1, 'of a'); INSERT INTO note VALUES(1)");
  c.sql("INSERT INTO f_chunks VALUES(1, 'of c')");
  settle();
  CHECK(b.query("SELECT data FROM f_chunks") == "of a");  // its name is spelled out
  CHECK(c.query("SELECT data FROM f_chunks") == "of c");
  b.restart({});
  CHECK(watched(b) == "note");
  CHECK(b.query("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'") == "3");
  const auto says = [&](const Node& node, const std::string& text) {
    return std::count_if(node.log.begin(), node.log.end(), [&](const std::string& line) { return line.find(text) != std::string::npos; });
  };
  CHECK(says(b, "table f_chunks is taken for a backing table of the virtual table f, whose module is none of SQLite's own "
                "(name the table in `tables` to replicate it all the same): no longer watched") == 1);
  b.sql("UPDATE f_chunks SET data = 'of b'");
  a.sql("UPDATE f_chunks SET data = 'of a again'; INSERT INTO note VALUES(2)");
  settle();
  CHECK(b.query("SELECT data FROM f_chunks") == "of b");
  c.sql("CREATE TABLE f_vector_chunks00(id INTEGER PRIMARY KEY)");  // one more comes: only that one is told of
  settle();
  CHECK(says(c, "table f_chunks is not watched: taken for a backing table") == 1);
  CHECK(says(c, "table f_vector_chunks00 is not watched: taken for a backing table") == 1);
  CHECK(a.query("SELECT count(*) FROM sqlite_schema WHERE name = 'f_vector_chunks00'") == "0");
  for (Node* const node : {&a, &b, &c}) CHECK(node->query("SELECT id FROM note") == "1\n2");
}

TEST_CASE("choice: what became of a table's definition while it was excluded is made up for at the start that chooses it again") {
  Three t("CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); CREATE TABLE job(id INTEGER PRIMARY KEY, what TEXT); INSERT INTO job VALUES(1, 'one')");
  t.c.restart(without("job*"));
  t.a.sql("ALTER TABLE job ADD COLUMN at INT DEFAULT 5; CREATE INDEX job_at ON job(at); CREATE TABLE job_log(id INTEGER PRIMARY KEY, at INT)");
  t.settle();
  CHECK(t.c.query("SELECT name FROM sqlite_schema WHERE name IN ('job_log', 'job_at')") == "");
  t.c.restart({});
  CHECK(watched(t.c) == "note job job_log");
  CHECK(t.c.query("SELECT name FROM sqlite_schema WHERE name IN ('job_log', 'job_at')") == "job_log\njob_at");
  t.a.sql("UPDATE job SET at = 7; INSERT INTO job_log VALUES(1, 1)");
  t.settle();
  t.same("SELECT * FROM job", "1|one|7");
  t.same("SELECT * FROM job_log", "1|1");
}

TEST_CASE("choice: what hangs on a table that is excluded at a restart stays on the other nodes, and here") {
  Three t("CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); CREATE TABLE job(id INTEGER PRIMARY KEY, what TEXT);"
          "CREATE INDEX job_what ON job(what); CREATE VIRTUAL TABLE job_search USING fts5(what, content=job, content_rowid=id);"
          "CREATE TRIGGER job_note AFTER INSERT ON job BEGIN INSERT INTO note VALUES(new.id, new.what); END");
  const std::string objects = "SELECT name FROM sqlite_schema WHERE name IN ('job_what', 'job_search', 'job_note') ORDER BY name";
  const std::string all = "job_note\njob_search\njob_what";
  t.same(objects, all);
  t.c.restart(without("job*"));
  t.settle();
  t.same(objects, all);
  t.b.sql("DROP INDEX job_what; DROP TRIGGER job_note; DROP TABLE job_search");
  t.settle();
  CHECK(t.a.query(objects) == "");
  CHECK(t.c.query(objects) == all);
  t.b.sql("CREATE INDEX job_what ON job(what, id)");
  t.settle();
  CHECK(t.c.query("SELECT sql FROM sqlite_schema WHERE name = 'job_what'") == "CREATE INDEX job_what ON job(what)");
}

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
  CHECK(t.c.engine().stopped()[0].reason.find("a table has the name x here; drop or rename what stands in its way here") != std::string::npos);
}
