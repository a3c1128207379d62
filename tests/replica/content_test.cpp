// Search indexes whose content cannot be read, or is not there yet: they hold nothing else up, are told, and are filled once it can be.
#include <doctest/doctest.h>

#include <array>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

constexpr std::array kModules{"fts5", "fts4"};
constexpr const char* kNote = "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO note VALUES(1, 'the quick marmot'), (2, 'a badger');"
                              "CREATE TABLE fine(id INTEGER PRIMARY KEY, v); INSERT INTO fine VALUES(1, 'one');";
// A view that fails on one of its rows, and one that works.
constexpr const char* kDoc = "CREATE TABLE doc(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE fine(id INTEGER PRIMARY KEY, v);"
                             "INSERT INTO doc VALUES(1, '{\"a\": \"marmot\"}'), (2, '{');";
constexpr const char* kShown = "CREATE VIEW shown AS SELECT id AS rowid, json_extract(v, '$.a') AS body FROM doc;";

std::string index_over(const std::string& module, const std::string& content) {
  return "CREATE VIRTUAL TABLE f USING " + module + "(body, content=\"" + content + "\");";
}

std::string found(Node& node, const std::string& index = "f") {
  return node.query("SELECT rowid FROM " + index + " WHERE " + index + " MATCH 'marmot' ORDER BY rowid");
}

size_t told(const Node& node, std::string_view what) {
  size_t lines = 0;
  for (const std::string& line : node.log) lines += line.find(what) != std::string::npos ? size_t{1} : size_t{0};
  return lines;
}

replica::Settings without(const std::string& table) {
  replica::Settings settings;
  settings.exclude = {table};
  return settings;
}

struct Two {
  explicit Two(const std::string& schema, const std::string& left_out = "local*", bool of_both = false)
      : a(dir.path, 1, of_both ? without(left_out) : replica::Settings{}), b(dir.path, 2, without(left_out)) {
    a.sql(schema);
    a.found(stream);
    a.publish(stream);
    b.join(stream);
    settle();
  }
  void settle() { test::settle(stream, {&a, &b}); }
  // What agents do by themselves in time; more than once, as time goes by.
  void later() {
    for (Node* const node : {&a, &b}) {
      node->now += 3'600'000;
      (void)require(node->engine().resume_stopped());
    }
    settle();
  }
  // Nothing is held up.
  void check_running() {
    a.sql("INSERT INTO fine(v) VALUES('goes on')");
    settle();
    CHECK(b.query("SELECT v FROM fine ORDER BY id DESC LIMIT 1") == "goes on");
    CHECK(b.query("SELECT count(*) FROM __marmot_waiting") == "0");
    CHECK(b.query("SELECT count(*) FROM __marmot_table WHERE stopped IS NOT NULL") == "0");
    CHECK(b.engine().membership() == replica::Membership::member);
    CHECK(b.engine().stopped().empty());
  }
  TempDir dir;
  Stream stream;
  Node a, b;
};

std::string unfilled(Node& node) {
  const auto all = node.engine().unfilled();
  return all.empty() ? std::string() : all[0].name + ": " + all[0].reason;
}

}  // namespace

TEST_CASE("content: an index that was filled at home before it was sent is filled on a node that joins, with or without triggers") {
  for (const std::string module : kModules) {
    CAPTURE(module);
    for (const bool triggers : {false, true}) {
      CAPTURE(triggers);
      for (const bool view : {false, true}) {
        CAPTURE(view);
        Two t(kNote + std::string(view ? "CREATE VIEW seen AS SELECT id, id AS rowid, body FROM note;" : "") + index_over(module, view ? "seen" : "note") +
              (triggers ? "CREATE TRIGGER i AFTER INSERT ON note BEGIN INSERT INTO f(rowid, body) VALUES(new.id, new.body); END;" : "") +
              "INSERT INTO f(f) VALUES('rebuild')");
        CHECK(found(t.a) == "1");
        t.later();
        CHECK(found(t.b) == "1");
        CHECK_FALSE(t.b.engine().resumes());
        t.b.sql("INSERT INTO f(f) VALUES('integrity-check')");
        t.a.sql("INSERT INTO note VALUES(3, 'another marmot')");
        t.settle();
        t.later();
        CHECK(found(t.b) == (triggers ? "1\n3" : "1"));
        CHECK(unfilled(t.b) == "");
        t.check_running();
      }
    }
  }
}

TEST_CASE("content: a table, its rows and its index that come in one transaction") {
  for (const std::string module : kModules) {
    CAPTURE(module);
    Two t("CREATE TABLE fine(id INTEGER PRIMARY KEY, v)");
    t.a.sql("BEGIN; CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO note VALUES(1, 'marmot');" + index_over(module, "note") +
            "INSERT INTO f(f) VALUES('rebuild'); COMMIT");
    t.settle();
    CHECK(found(t.b) == "1");  // no later than its rows
    t.later();
    CHECK(found(t.b) == "1");
    CHECK_FALSE(t.b.engine().resumes());
    t.check_running();
  }
}

TEST_CASE("content: a view that fails on a row leaves its index unfilled, told, and nothing else stands; cured, the index is filled") {
  for (const std::string module : kModules) {
    CAPTURE(module);
    for (const bool joins : {false, true}) {
      CAPTURE(joins);
      const std::string objects = kShown + index_over(module, "shown");
      Two t(kDoc + (joins ? objects : std::string()));
      if (!joins) {
        t.a.sql(objects + "INSERT INTO fine VALUES(1, 'in the same transaction')");
        t.settle();
      }
      t.check_running();
      t.later();
      CHECK(found(t.b) == "");
      CHECK(unfilled(t.b).find("f: its content cannot be read here: ") == 0);
      CHECK(told(t.b, "full-text index f: its content cannot be read here: ") == 1);
      t.later();
      t.later();
      CHECK(told(t.b, "full-text index f: its content cannot be read here: ") == 1);
      t.b.stop();
      t.b.start();
      t.later();
      CHECK(unfilled(t.b).find("f: its content cannot be read here: ") == 0);
      t.a.sql("UPDATE doc SET v = '{\"a\": \"badger\"}' WHERE id = 2");
      t.settle();
      t.later();
      CHECK(found(t.b) == "1");
      CHECK(unfilled(t.b) == "");
      CHECK(told(t.b, "full-text index f is filled") == 1);
      CHECK_FALSE(t.b.engine().resumes());
      t.check_running();
    }
  }
}

TEST_CASE("content: an excluded table under an index, or under its view, is told on the node that lacks it; made there, the index is filled") {
  for (const std::string module : kModules) {
    CAPTURE(module);
    for (const bool joins : {false, true}) {
      for (const bool view : {false, true}) {
        CAPTURE(joins);
        CAPTURE(view);
        const std::string objects = "CREATE TABLE local(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO local VALUES(1, 'marmot');" +
                                    std::string(view ? "CREATE VIEW seen AS SELECT id AS rowid, body FROM local;" : "") + index_over(module, view ? "seen" : "local");
        Two t(kNote + (joins ? objects : std::string()), "local", true);
        if (!joins) t.a.sql(objects);
        t.settle();
        t.check_running();
        t.later();
        CHECK(unfilled(t.b).find("f: its content cannot be read here: ") == 0);
        CHECK(unfilled(t.a) == "");
        t.b.sql("CREATE TABLE local(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO local VALUES(1, 'badger'), (5, 'marmot')");
        t.settle();
        t.later();
        CHECK(found(t.b) == "5");
        CHECK(unfilled(t.b) == "");
        t.check_running();
      }
    }
  }
}

TEST_CASE("content: a migration that drops or changes the content under a living index is told, and holds nothing up") {
  const std::string triggers = "CREATE TRIGGER i AFTER INSERT ON note BEGIN INSERT INTO f(rowid, body) VALUES(new.id, new.body); END;"
                               "CREATE TRIGGER d AFTER DELETE ON note BEGIN DELETE FROM f WHERE rowid = old.id; END;";
  for (const std::string module : kModules) {
    for (const char* const change : {"DROP TABLE note", "ALTER TABLE note RENAME TO other_note", "DROP TABLE note; CREATE TABLE note(id INTEGER PRIMARY KEY, text)",
                                     "DROP TRIGGER i; DROP TRIGGER d; ALTER TABLE note RENAME COLUMN body TO text"}) {
      CAPTURE(module);
      CAPTURE(change);
      Two t(kNote + index_over(module, "note") + triggers + "INSERT INTO f(f) VALUES('rebuild')");
      t.a.sql(change);
      t.settle();
      t.check_running();
      t.later();
      CHECK(unfilled(t.a).find("f: its content cannot be read here: ") == 0);
      CHECK(unfilled(t.b).find("f: its content cannot be read here: ") == 0);
      t.check_running();
      // A node that joins now gets the index as well.
      Node c(t.dir.path, 3);
      c.join(t.stream);
      settle(t.stream, {&t.a, &t.b, &c});
      (void)require(c.engine().resume_stopped());
      CHECK(c.query("SELECT count(*) FROM fine") == t.a.query("SELECT count(*) FROM fine"));
      CHECK(unfilled(c).find("f: its content cannot be read here: ") == 0);
      t.a.sql("DROP TABLE f");
      settle(t.stream, {&t.a, &t.b, &c});
      t.later();
      for (Node* const node : {&t.a, &t.b, &c}) {
        (void)require(node->engine().resume_stopped());
        CHECK(unfilled(*node) == "");
        CHECK_FALSE(node->engine().resumes());
        CHECK(node->query("SELECT count(*) FROM sqlite_schema WHERE name = 'f'") == "0");
      }
    }
  }
}

TEST_CASE("content: rows whose trigger cannot fill an index are kept, in a unit with others, and no table stops") {
  for (const std::string module : kModules) {
    // 'rebuild' fails inside the index, and what FTS5 is asked next in the transaction fails for that; the others fail by themselves.
    for (const char* const statement : {"INSERT INTO f(f) VALUES('rebuild')", "DELETE FROM f WHERE rowid = new.id", "UPDATE f SET body = new.body WHERE rowid = new.id"}) {
      CAPTURE(module);
      CAPTURE(statement);
      Two t(kNote + std::string("CREATE TABLE local(id INTEGER PRIMARY KEY, body TEXT);") + index_over(module, "local") + "CREATE TRIGGER n_i AFTER INSERT ON note BEGIN " +
            statement + "; END; CREATE TRIGGER f_i AFTER INSERT ON fine BEGIN INSERT INTO f(rowid, body) VALUES(new.id, 'of fine'); END", "local", true);
      t.a.sql("BEGIN; INSERT INTO fine VALUES(10, 'before'); INSERT INTO note VALUES(10, 'x'), (11, 'y'); INSERT INTO fine VALUES(12, 'behind'); COMMIT");
      t.settle();
      CHECK(t.b.query("SELECT count(*) FROM note") == "4");
      CHECK(t.b.query("SELECT group_concat(id) FROM fine") == "1,10,12");
      CHECK(t.b.query("SELECT group_concat(rowid) FROM f WHERE f MATCH 'fine'") == "1,10,12");
      CHECK(told(t.b, "trigger n_i failed on a row of table note") == 1);
      t.check_running();
      t.a.sql("INSERT INTO note VALUES(20, 'x')");
      t.settle();
      CHECK(t.b.query("SELECT count(*) FROM note") == "5");
      CHECK(told(t.b, "trigger n_i failed on a row of table note") == 1);
    }
  }
}

TEST_CASE("content: a trigger that rebuilds an index does so once its content is there") {
  Two t(kNote + std::string("CREATE TABLE local(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO local VALUES(1, 'marmot');") + index_over("fts5", "local") +
        "CREATE TRIGGER n_i AFTER INSERT ON note BEGIN INSERT INTO f(f) VALUES('rebuild'); END", "local", true);
  t.a.sql("INSERT INTO note VALUES(10, 'x')");
  t.settle();
  CHECK(told(t.b, "trigger n_i failed on a row of table note") == 1);
  t.b.sql("CREATE TABLE local(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO local VALUES(7, 'marmot')");
  t.settle();
  t.a.sql("INSERT INTO note VALUES(11, 'y')");
  t.settle();
  CHECK(found(t.b) == "7");
  t.check_running();
}

TEST_CASE("content: views stand before an index that takes its columns from one") {
  Two t(kNote);
  t.a.sql("CREATE VIEW seen AS SELECT id AS rowid, body FROM note; CREATE VIRTUAL TABLE f USING fts4(content=\"seen\"); INSERT INTO f(f) VALUES('rebuild')");
  t.settle();
  t.check_running();
  CHECK(found(t.b) == "1");
  Node c(t.dir.path, 3);
  c.join(t.stream);
  settle(t.stream, {&t.a, &t.b, &c});
  CHECK(c.engine().stopped().empty());
  (void)require(c.engine().resume_stopped());
  CHECK(found(c) == "1");
}

TEST_CASE("content: an index that takes its columns from one that is made after it") {
  Two t("CREATE TABLE fine(id INTEGER PRIMARY KEY, v); CREATE VIRTUAL TABLE own USING fts5(body); INSERT INTO own VALUES('marmot');"
        "CREATE VIRTUAL TABLE f USING fts4(content=\"own\")");
  t.check_running();
  CHECK(t.b.query("SELECT count(*) FROM sqlite_schema WHERE name IN ('f', 'own')") == "2");
}

TEST_CASE("content: a snapshot that is merged brings an index and its content; one without triggers is filled when the merge is done") {
  for (const std::string module : kModules) {
    CAPTURE(module);
    replica::Settings settings;
    settings.slice_us = 0;  // one piece a slice
    TempDir dir;
    Stream stream;
    Node a(dir.path, 1, settings), b(dir.path, 2, settings);
    a.sql(kNote);
    a.found(stream);
    a.publish(stream);
    b.join(stream);
    settle(stream, {&a, &b});
    a.sql(index_over(module, "note") + "INSERT INTO note VALUES(3, 'third marmot'); INSERT INTO f(f) VALUES('rebuild');" + kShown +
          "CREATE TABLE doc(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO doc VALUES(1, '{\"a\": \"marmot\"}'), (2, '{'); CREATE VIRTUAL TABLE g USING " + module +
          "(body, content=\"shown\")");
    settle(stream, {&a});
    const std::string path = dir.path / "snapshot";
    take_snapshot(a, path);
    for (auto& message : stream.messages) message.bytes.clear();  // none of them can be read any more
    merge_snapshot(b, path);
    b.now += 600'000;
    (void)require(b.engine().resume_stopped());
    CHECK(found(b) == "1\n3");
    CHECK(b.query("SELECT count(*) FROM doc") == "2");
    CHECK(unfilled(b).find("g: its content cannot be read here: ") == 0);
    CHECK(b.engine().stopped().empty());
    // A snapshot is taken there all the same.
    take_snapshot(b, dir.path / "another");
  }
}

TEST_CASE("content: one without content and one with content of its own are left alone") {
  for (const char* const spelling : {"fts5(body, content='')", "fts5(body, content=\"\", columnsize=0)", "fts5(content = [], body)", "fts4(body, content=\"\")", "fts4(content='', body)",
                                     "fts5(body)", "fts4(body)", "fts3(body)", "fts5(body, conten=``)"}) {
    CAPTURE(spelling);
    Two t(kNote);
    t.a.sql(std::string("CREATE VIRTUAL TABLE f USING ") + spelling);
    t.settle();
    CHECK(t.b.query("SELECT count(*) FROM sqlite_schema WHERE name = 'f'") == "1");
    t.later();
    CHECK_FALSE(t.b.engine().resumes());
    t.b.sql("INSERT INTO f(rowid, body) VALUES(1, 'a script on this node: marmot')");
    t.later();
    CHECK(found(t.b) == "1");
    CHECK(unfilled(t.b) == "");
    t.check_running();
  }
}

TEST_CASE("content: an R-tree that refuses what triggers write to it holds no row up") {
  Two t("CREATE TABLE fine(id INTEGER PRIMARY KEY, v); CREATE TABLE place(id INTEGER PRIMARY KEY, x, y); CREATE VIRTUAL TABLE r USING rtree(id, x0, x1);"
        "CREATE TRIGGER p AFTER INSERT ON place BEGIN INSERT INTO r VALUES(new.id, new.x, new.y); END");
  t.b.sql("INSERT INTO r VALUES(2, 0, 1)");
  t.a.sql("INSERT INTO place VALUES(1, 1, 2), (2, 1, 2), (3, 3, 4)");
  t.settle();
  CHECK(t.b.query("SELECT count(*) FROM place") == "3");
  CHECK(t.b.query("SELECT group_concat(id) FROM r") == "2,1,3");
  t.check_running();
}

TEST_CASE("content: a view over a table that is not here is in the way of no change of others") {
  for (const char* const change : {"ALTER TABLE note RENAME COLUMN body TO text", "ALTER TABLE note RENAME TO book", "ALTER TABLE note DROP COLUMN body", "ALTER TABLE note ADD COLUMN x",
                                   "ALTER TABLE f RENAME TO g"}) {
    CAPTURE(change);
    Two t(kNote + std::string("CREATE TABLE local(id INTEGER PRIMARY KEY, body TEXT); CREATE VIEW seen AS SELECT id AS rowid, body FROM local;") + index_over("fts5", "seen"), "local", true);
    t.a.sql(change);
    t.settle();
    t.check_running();
    CHECK(t.b.query("SELECT sql FROM sqlite_schema WHERE name IN ('note', 'book')") == t.a.query("SELECT sql FROM sqlite_schema WHERE name IN ('note', 'book')"));
  }
}

TEST_CASE("content: FTS's own check names an index whose content cannot be read") {
  Two t(kNote + index_over("fts5", "note"));
  t.a.sql("DROP TABLE note");
  t.settle();
  const auto faults = require(t.b.engine().check_full_text(1'000'000));
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].index == "f");
  CHECK_FALSE(faults[0].out_of_step);
  CHECK(faults[0].reason.find("not checked: its content cannot be read here: no such table: main.note") == 0);
}
