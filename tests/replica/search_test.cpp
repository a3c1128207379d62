// Full-text indexes on the nodes where replication makes them.
#include <doctest/doctest.h>

#include <array>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

constexpr const char* kNote = "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO note VALUES(1, 'the quick marmot'), (2, 'a badger')";

// What a search for the marmot finds.
std::string found(Node& node, const std::string& index = "f") {
  return node.query("SELECT rowid FROM " + index + " WHERE " + index + " MATCH 'marmot'");
}

}  // namespace

TEST_CASE("search: an FTS5 index over a table of its own is filled on every node, however its content option is written") {
  // Every spelling that SQLite takes; sqlite-utils writes the second, most tutorials the third.
  static constexpr std::array kSpellings{
      "fts5(body, content='note', content_rowid='id')",
      "fts5 (\n    [body],\n    content=[note]\n)",
      "fts5(body, content=\"note\")",
      "fts5(body, content=note)",
      "fts5(body, content=`note`)",
      "fts5(body, content = 'note')",
      "fts5(body, content =note)",
      "fts5(body,content= \"note\")",
      "fts5(body, CONTENT='note')",
      "fts5(body, Content=\"Note\")",
      "FTS5(body, content=NOTE)",
      "\"fts5\"(body, content=note)",
      "fts5(content=note, body)",
      "fts5(content_rowid=id, body, content=\"note\")",
      "fts5(body, content_rowid='id', content='note')",
      "fts5(body, content_rowid=\"id\", content=note, tokenize='porter unicode61')",
      "fts5(body, tokenize=\"unicode61 tokenchars '-_'\", content=[note])",
      "fts5(body, content='note', columnsize=0)",
      "fts5(body, content='note', prefix='2 3', detail=full)",
      "fts5(body,  content   =   [note]  )",
      "fts5(body, /* of note */ content='note')",
      "fts5(body, content='note') -- the index",
      "fts4(body, content=\"note\")",
      "fts4(content='note', body)",
      "fts4(content=note, body)",
  };
  for (const char* const spelling : kSpellings) {
    CAPTURE(spelling);
    Three t(kNote);
    t.a.sql(std::string("CREATE VIRTUAL TABLE f USING ") + spelling);
    t.a.sql("INSERT INTO f(f) VALUES('rebuild')");
    CHECK(found(t.a) == "1");
    t.settle();
    CHECK(found(t.b) == "1");
    CHECK(found(t.c) == "1");
    t.c.sql("INSERT INTO f(f) VALUES('integrity-check')");
  }
}

TEST_CASE("search: an index over a table with a quote in its name, or over a view, is filled") {
  Three t(std::string(kNote) + "; CREATE TABLE \"it's \"\"it\"\"\"(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO \"it's \"\"it\"\"\" VALUES(7, 'marmot')");
  t.a.sql("CREATE VIRTUAL TABLE f USING fts5(body, content='it''s \"it\"'); CREATE VIRTUAL TABLE g USING fts5(body, content=\"it's \"\"it\"\"\");"
          "CREATE VIRTUAL TABLE h USING fts5(body, content=shouted, content_rowid=id);"
          "CREATE VIEW shouted AS SELECT id, upper(body) AS body FROM note");
  t.settle();
  for (Node* const node : {&t.b, &t.c}) {
    CHECK(found(*node, "f") == "7");
    CHECK(found(*node, "g") == "7");
    CHECK(found(*node, "h") == "1");
  }
}

TEST_CASE("search: an index without content, with content of its own, or over a table that is not there, is made empty") {
  Three t(kNote);
  t.a.sql("CREATE VIRTUAL TABLE f USING fts5(body, content=''); CREATE VIRTUAL TABLE g USING fts5(body);"
          "CREATE VIRTUAL TABLE h USING fts5(body, content=later); CREATE VIRTUAL TABLE i USING fts5(body, content=\"\", columnsize=0);"
          "CREATE VIRTUAL TABLE j USING fts4(content=\"\", body); INSERT INTO f(rowid, body) VALUES(1, 'marmot')");
  t.settle();
  for (const char* const index : {"f", "g", "i", "j"}) CHECK(found(t.c, index) == "");
  t.same("SELECT count(*) FROM sqlite_schema WHERE name IN ('f', 'g', 'h', 'i', 'j')", "5");
  t.a.sql("INSERT INTO note VALUES(3, 'goes on')");
  t.settle();
  t.same("SELECT count(*) FROM note", "3");
  t.a.sql("CREATE TABLE later(body TEXT); CREATE TRIGGER l AFTER INSERT ON later BEGIN INSERT INTO h(rowid, body) VALUES(new.rowid, new.body); END;"
          "INSERT INTO later VALUES('marmot')");
  t.settle();
  CHECK(found(t.c, "h") == "1");
}

namespace {

// Lines of the log that say so.
size_t told(const Node& node, std::string_view what) {
  size_t lines = 0;
  for (const std::string& line : node.log) lines += line.find(what) != std::string::npos ? size_t{1} : size_t{0};
  return lines;
}

replica::Settings without_local_tables() {
  replica::Settings settings;
  settings.exclude = {"local_*"};
  return settings;
}

// A trigger of each kind writes to a table that is each node's own.
std::string trigger(const std::string& event, const std::string& row) {
  return "CREATE TRIGGER n_" + event + " AFTER " + event + " ON note BEGIN INSERT INTO local_log(what) VALUES('" + event + " ' || " + row + ".id); END;";
}

}  // namespace

TEST_CASE("effects: a constraint of an excluded table hides no row on another node, whatever is done to it") {
  Three t("CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT UNIQUE); INSERT INTO note VALUES(1, 'one'), (2, 'two')", without_local_tables());
  for (Node* const node : {&t.a, &t.b}) node->sql("CREATE TABLE local_log(what TEXT)");
  t.c.sql("CREATE TABLE local_log(what TEXT UNIQUE)");
  t.c.sql("INSERT INTO local_log VALUES('INSERT 3'), ('UPDATE 2'), ('DELETE 1')");
  t.a.sql(trigger("INSERT", "new") + trigger("UPDATE", "new") + trigger("DELETE", "old"));
  t.settle();
  t.a.sql("INSERT INTO note VALUES(3, 'three'), (4, 'four')");
  t.a.sql("UPDATE note SET body = 'second' WHERE id = 2");
  t.a.sql("DELETE FROM note WHERE id = 1");
  t.settle();
  t.same("SELECT * FROM note", "2|second\n3|three\n4|four");
  CHECK(t.b.query("SELECT what FROM local_log ORDER BY what") == "DELETE 1\nINSERT 3\nINSERT 4\nUPDATE 2");
  CHECK(t.c.query("SELECT count(*) FROM local_log WHERE what = 'INSERT 4'") == "1");
  t.same("SELECT count(*) FROM __marmot_shelf", "0");
  t.same("SELECT count(*) FROM __marmot_table WHERE stopped IS NOT NULL", "0");
  CHECK(told(t.c, "trigger n_INSERT failed on a row of table note that came from another node: the row is kept") == 1);
  CHECK(told(t.c, "trigger n_UPDATE failed") == 1);
  CHECK(told(t.c, "trigger n_DELETE failed") == 1);
  CHECK(told(t.b, "failed on a row") == 0);
  CHECK(t.b.engine().failed_effects().different == 0);
  CHECK(t.b.engine().failed_effects().last.empty());
  CHECK(t.c.engine().failed_effects().different == 3);
  CHECK(told(t.c, t.c.engine().failed_effects().last) == 1);
  // Rows that change places are taken out and put in again: the same.
  t.a.sql("UPDATE note SET body = 'x' WHERE id = 3; UPDATE note SET body = 'three' WHERE id = 4; UPDATE note SET body = 'four' WHERE id = 3");
  t.settle();
  t.same("SELECT * FROM note", "2|second\n3|four\n4|three");
  t.same("SELECT count(*) FROM __marmot_shelf", "0");
  // Told once, however often it happens.
  t.a.sql("DELETE FROM note WHERE id = 3; INSERT INTO note VALUES(3, 'again')");
  t.settle();
  CHECK(told(t.c, "trigger n_INSERT failed") == 1);
  CHECK(t.c.engine().failed_effects().different == 3);
  // A row that the table itself refuses is still the row's own affair.
  t.b.sql("INSERT INTO note VALUES(8, 'same')");
  t.c.sql("INSERT INTO note VALUES(9, 'same')");
  t.settle();
  t.same("SELECT count(*) FROM note WHERE body = 'same'", "1");
}

TEST_CASE("search: where another node's definition replaces a search table, the log says what becomes of its content here") {
  Three t(std::string(kNote) + "; CREATE VIRTUAL TABLE f USING fts5(body, content=note, content_rowid=id); CREATE VIRTUAL TABLE g USING fts5(body);"
          "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1)");
  CHECK(told(t.c, "is replaced") == 0);
  t.c.sql("INSERT INTO g VALUES('filled by a script: marmot'); INSERT INTO r VALUES(1, 0, 1)");
  t.a.sql("DROP TABLE f; CREATE VIRTUAL TABLE f USING fts5(body, content=note, content_rowid=id, prefix='2'); INSERT INTO f(f) VALUES('rebuild');"
          "DROP TABLE g; CREATE VIRTUAL TABLE g USING fts5(body, prefix='2'); DROP TABLE r; CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, y0, y1)");
  t.settle();
  CHECK(found(t.c, "f") == "1");
  CHECK(found(t.c, "g") == "");
  CHECK(t.c.query("SELECT count(*) FROM r") == "0");
  CHECK(told(t.c, "virtual table f is replaced by the definition that another node gave it: its content here is made again from the table that it is about") == 1);
  for (const char* const name : {"g", "r"}) {
    CHECK(told(t.c, "virtual table " + std::string(name) + " is replaced by the definition that another node gave it: what it held here is gone, and it is empty until") == 1);
  }
  CHECK(told(t.a, "is replaced") == 0);
  // One that is new is nobody's loss.
  t.b.sql("CREATE VIRTUAL TABLE h USING fts5(body)");
  t.settle();
  CHECK(told(t.c, "is replaced") == 3);
}

TEST_CASE("effects: a full-text index that is out of step holds no row up, and is right again after 'rebuild'") {
  for (const char* const content : {"content=note, content_rowid=id", "content=''"}) {
    CAPTURE(content);
    const bool external = std::string_view(content) != "content=''";
    Three t(kNote);
    t.a.sql("CREATE VIRTUAL TABLE f USING fts5(body, " + std::string(content) + ");"
            "CREATE TRIGGER i AFTER INSERT ON note BEGIN INSERT INTO f(rowid, body) VALUES(new.id, new.body); END;"
            "CREATE TRIGGER d AFTER DELETE ON note BEGIN INSERT INTO f(f, rowid, body) VALUES('delete', old.id, old.body); END;"
            "CREATE TRIGGER u AFTER UPDATE ON note BEGIN INSERT INTO f(f, rowid, body) VALUES('delete', old.id, old.body);"
            " INSERT INTO f(rowid, body) VALUES(new.id, new.body); END");
    t.a.sql(external ? "INSERT INTO f(f) VALUES('rebuild')" : "INSERT INTO f(rowid, body) SELECT id, body FROM note");
    t.settle();
    t.c.sql("INSERT INTO f(f) VALUES('delete-all')");
    t.a.sql("DELETE FROM note WHERE id = 1");
    t.a.sql("UPDATE note SET body = 'the marmot' WHERE id = 2");
    t.a.sql("INSERT INTO note VALUES(5, 'another marmot')");
    t.settle();
    t.same("SELECT * FROM note", "2|the marmot\n5|another marmot");
    CHECK(found(t.b) == (external ? "2\n5" : "5"));  // what stood before an index without content was made is not in it
    CHECK(told(t.c, "INSERT INTO \"f\"(\"f\") VALUES('rebuild')") == 2);
    CHECK(told(t.c, "is stopped") == 0);
    if (!external) continue;
    const int64_t commits = require(t.c.engine().data_version());
    const auto faults = require(t.c.engine().check_full_text(1'000'000));
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].index == "f");
    CHECK(faults[0].out_of_step);
    CHECK(faults[0].reason.find("INSERT INTO \"f\"(\"f\") VALUES('rebuild')") != std::string::npos);
    CHECK(require(t.b.engine().check_full_text(1'000'000)).empty());
    CHECK(require(t.c.engine().check_full_text(-1)).size() <= 1);
    CHECK(require(t.c.engine().data_version()) == commits);
    t.c.sql("INSERT INTO f(f) VALUES('rebuild')");
    CHECK(found(t.c) == "2\n5");
    CHECK(require(t.c.engine().check_full_text(1'000'000)).empty());
    t.b.sql("UPDATE note SET body = 'badger' WHERE id = 2");
    t.settle();
    CHECK(found(t.c) == "5");
    t.c.sql("INSERT INTO f(f, rank) VALUES('integrity-check', 1)");
  }
}

TEST_CASE("effects: of many different failures only the first hundred are told and counted") {
  Three t("CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT)", without_local_tables());
  for (Node* const node : {&t.a, &t.b}) node->sql("CREATE TABLE local_log(what TEXT)");
  t.c.sql("CREATE TABLE local_log(what TEXT UNIQUE); INSERT INTO local_log VALUES('x')");
  std::string triggers;
  for (size_t i = 0; i < replica::FailedEffects::kMost + 5; ++i) {
    triggers += "CREATE TRIGGER n_" + std::to_string(i) + " AFTER INSERT ON note BEGIN INSERT INTO local_log(what) VALUES('x'); END;";
  }
  t.a.sql(triggers);
  t.settle();
  t.a.sql("INSERT INTO note VALUES(1, 'one')");
  t.settle();
  t.same("SELECT count(*) FROM note", "1");
  CHECK(t.c.engine().failed_effects().different == replica::FailedEffects::kMost);
  CHECK(told(t.c, "failed on a row of table note") == replica::FailedEffects::kMost);
}

TEST_CASE("effects: an index whose own pages are damaged holds no row up") {
  Three t(std::string(kNote) + "; CREATE VIRTUAL TABLE f USING fts5(body, content=note, content_rowid=id);"
          "CREATE TRIGGER i AFTER INSERT ON note BEGIN INSERT INTO f(rowid, body) VALUES(new.id, new.body); END");
  t.c.sql("UPDATE f_data SET block = x'deadbeef'");
  t.a.sql("INSERT INTO note VALUES(5, 'another marmot')");
  t.settle();
  t.same("SELECT count(*) FROM note", "3");
  CHECK(told(t.c, "INSERT INTO \"f\"(\"f\") VALUES('rebuild')") == 1);
  CHECK(t.c.engine().failed_effects().different == 1);
  CHECK(t.c.engine().failed_effects().last.find("a virtual table refuses") == 0);
  t.c.sql("INSERT INTO f(f) VALUES('rebuild')");
  t.a.sql("INSERT INTO note VALUES(6, 'a third marmot')");
  t.settle();
  CHECK(found(t.c) == "1\n5\n6");
}
