#include "tests/facts/support.hpp"

#include <cstdlib>
#include <filesystem>
#include <set>

#include "common/replica/effects.hpp"

using namespace marmot;
using namespace marmot::replica;
using marmot::test::Memory;

namespace {

// As the agent's connection: the application's triggers are off. Answers "trigger: reason" for what was left out.
std::string install(Memory& memory, const std::set<std::string>& replicated) {
  sqlite3_db_config(memory.db.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  const auto skipped = Effects().install(memory.db, [&](const std::string& name) { return replicated.count(name) != 0; });
  REQUIRE_MESSAGE(static_cast<bool>(skipped), (skipped ? std::string() : skipped.error().message));
  int enabled = -1;
  sqlite3_db_config(memory.db.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, -1, &enabled);
  CHECK(enabled == 0);
  std::string out;
  for (const SkippedEffect& effect : *skipped) out += effect.trigger + ": " + effect.reason + "\n";
  return out;
}

constexpr const char* kNotes = "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT, n INT DEFAULT 0);";

}  // namespace

TEST_CASE("effects: an external-content FTS5 index follows inserts, updates and deletes") {
  Memory memory(std::string(kNotes) +
                "CREATE VIRTUAL TABLE note_fts USING fts5(body, content='note', content_rowid='id');"
                "CREATE TRIGGER note_ai AFTER INSERT ON note BEGIN INSERT INTO note_fts(rowid, body) VALUES "
                "(new.id, new.body); END;"
                "CREATE TRIGGER note_ad AFTER DELETE ON note BEGIN"
                "  INSERT INTO note_fts(note_fts, rowid, body) VALUES('delete', old.id, old.body); END;"
                "CREATE TRIGGER note_au AFTER UPDATE ON note BEGIN"
                "  INSERT INTO note_fts(note_fts, rowid, body) VALUES('delete', old.id, old.body);"
                "  INSERT INTO note_fts(rowid, body) VALUES (new.id, new.body); END;");
  CHECK(install(memory, {"note"}) == "");
  memory.run("INSERT INTO note(id, body) VALUES(1, 'hello world'), (2, 'good night'); "
      "UPDATE note SET body = 'hello moon' WHERE id = 2;"
             "DELETE FROM note WHERE id = 1");
  CHECK(memory.rows("SELECT rowid FROM note_fts WHERE note_fts MATCH 'hello'") == "2");
  CHECK(memory.rows("SELECT rowid FROM note_fts WHERE note_fts MATCH 'night OR world'") == "");
  memory.run("INSERT INTO note_fts(note_fts) VALUES('integrity-check')");
}

TEST_CASE("effects: an R-tree follows") {
  Memory memory("CREATE TABLE place(id INTEGER PRIMARY KEY, x REAL); "
      "CREATE VIRTUAL TABLE place_tree USING rtree(id, x0, x1);"
                "CREATE TRIGGER p AFTER INSERT ON place BEGIN INSERT INTO place_tree VALUES(new.id, new.x, new.x); "
                "END");
  CHECK(install(memory, {"place"}) == "");
  memory.run("INSERT INTO place VALUES(7, 3.5)");
  CHECK(memory.rows("SELECT id FROM place_tree WHERE x0 > 3") == "7");
}

TEST_CASE("effects: only the statements that write to tables not replicated are copied") {
  Memory memory(std::string(kNotes) + "CREATE TABLE total(n); INSERT INTO total VALUES(0); CREATE TABLE audit(what);"
                "CREATE TRIGGER t AFTER INSERT ON note BEGIN UPDATE total SET n = n + 1; "
                "INSERT INTO Audit VALUES('note ' || NEW.id);"
                "  UPDATE NOTE SET n = 5; END");
  CHECK(install(memory, {"note", "total"}) == "");
  memory.run("INSERT INTO note(id) VALUES(1)");
  CHECK(memory.rows("SELECT what FROM audit") == "note 1");
  CHECK(memory.rows("SELECT n FROM total") == "0");
  CHECK(memory.rows("SELECT n FROM note") == "0");
}

TEST_CASE("effects: WHEN, UPDATE OF, BEFORE, CASE and odd names are carried over") {
  Memory memory("CREATE TABLE \"my \"\"t\"\"\"(id INTEGER PRIMARY KEY, [a b], c); CREATE TABLE [au dit](what, was);"
                "CREATE TRIGGER \"tr ig\" BEFORE UPDATE OF [a b] ON \"my \"\"t\"\"\" WHEN NEW.[a b] > 10 -- only "
                "large ones\n"
                " BEGIN INSERT INTO [au dit] VALUES(CASE WHEN NEW.[a b] > 20 THEN CASE 1 WHEN 1 THEN 'huge;' END "
                "ELSE 'large' END,"
                " (SELECT [a b] FROM \"my \"\"t\"\"\" WHERE id = NEW.id)) -- the old one\n; END");
  CHECK(install(memory, {"my \"t\""}) == "");
  memory.run("INSERT INTO \"my \"\"t\"\"\" VALUES(1, 1, 1); UPDATE \"my \"\"t\"\"\" SET c = 99; "
      "UPDATE \"my \"\"t\"\"\" SET [a b] = 5;"
             "UPDATE \"my \"\"t\"\"\" SET [a b] = 15; UPDATE \"my \"\"t\"\"\" SET [a b] = 25");
  CHECK(memory.rows("SELECT * FROM [au dit]") == "large|5 huge;|15");
}

TEST_CASE("effects: what is set off in a table that is not replicated runs too") {
  Memory memory(std::string(kNotes) + "CREATE TABLE audit(what); CREATE TABLE audit_count(n); "
      "INSERT INTO audit_count VALUES(0);"
                "CREATE TRIGGER a AFTER INSERT ON note BEGIN INSERT INTO audit VALUES(NEW.body); END;"
                "CREATE TRIGGER b AFTER INSERT ON audit BEGIN UPDATE audit_count SET n = n + 1; "
                "UPDATE note SET n = 1; END");
  CHECK(install(memory, {"note"}) == "");
  memory.run("INSERT INTO note(body) VALUES('x'), ('y')");
  CHECK(memory.rows("SELECT n FROM audit_count") == "2");
  CHECK(memory.rows("SELECT DISTINCT n FROM note") == "0");
}

TEST_CASE("effects: writing through a view works, also where nothing behind the view is wanted") {
  Memory memory(std::string(kNotes) + "CREATE TABLE audit(what); CREATE TABLE other(x); "
      "CREATE VIEW av AS SELECT what FROM audit;"
                "CREATE VIEW ov AS SELECT x FROM other;"
                "CREATE TRIGGER a AFTER INSERT ON note BEGIN INSERT INTO av VALUES(NEW.body); "
                "INSERT INTO ov VALUES(NEW.body); END;"
                "CREATE TRIGGER b INSTEAD OF INSERT ON av BEGIN INSERT INTO audit VALUES(NEW.what); END;"
                "CREATE TRIGGER c INSTEAD OF INSERT ON ov WHEN nope(1) BEGIN INSERT INTO other VALUES(NEW.x); END;");
  CHECK(install(memory, {"note", "other"}) == "");
  memory.run("INSERT INTO note(body) VALUES('x')");
  CHECK(memory.rows("SELECT what FROM audit") == "x");
  CHECK(memory.rows("SELECT count(*) FROM other") == "0");
}

TEST_CASE("effects: a check alone is dropped in silence; one that guards effects is reported") {
  Memory memory(std::string(kNotes) + "CREATE TABLE audit(what);"
                "CREATE TRIGGER pure BEFORE INSERT ON note BEGIN SELECT RAISE(ABORT, 'no') WHERE NEW.n < 0; END;"
                "CREATE TRIGGER guarded AFTER INSERT ON note BEGIN SELECT RAISE(IGNORE) WHERE NEW.n = 1; "
                "INSERT INTO audit VALUES(NEW.n); END;"
                "CREATE TRIGGER inside AFTER INSERT ON note BEGIN INSERT INTO audit SELECT RAISE(ABORT, 'x') WHERE "
                "NEW.n > 5; END");
  CHECK(install(memory, {"note"}) ==
        "guarded: has RAISE, left out: SELECT RAISE(IGNORE) WHERE NEW.n = 1\n"
        "inside: has RAISE, left out: INSERT INTO audit SELECT RAISE(ABORT, 'x') WHERE NEW.n > 5\n");
  memory.run("INSERT INTO note(n) VALUES(-1), (1), (6)");
  CHECK(memory.rows("SELECT what FROM audit") == "-1 1 6");
}

TEST_CASE("effects: a statement that does not compile is reported, and the table can still be written; "
    "its neighbours run") {
  Memory memory(std::string(kNotes) + "CREATE TABLE audit(what);"
                "CREATE TRIGGER t AFTER INSERT ON note BEGIN INSERT INTO audit VALUES(app_function(NEW.n)); "
                "INSERT INTO audit VALUES('ok');"
                "  DELETE FROM gone; END;"
                "CREATE TRIGGER u AFTER DELETE ON note WHEN app_function(1) BEGIN DELETE FROM audit; END;");
  CHECK(install(memory, {"note"}) ==
        "t: does not compile: no such function: app_function: "
        "INSERT INTO audit VALUES(app_function(NEW.n))\n"
        "t: does not compile: no such table: gone: DELETE FROM gone\n"
        "u: does not compile: no such function: app_function: DELETE FROM audit\n");
  memory.run("INSERT INTO note(id, n) VALUES(1, 1); UPDATE note SET n = 2; DELETE FROM note");
  CHECK(memory.rows("SELECT what FROM audit") == "ok");
}

TEST_CASE("effects: generated columns and NOT NULL columns do not stand in the way") {
  Memory memory("CREATE TABLE t(g AS (a + 1) STORED, a INT NOT NULL, k TEXT PRIMARY KEY) WITHOUT ROWID; "
      "CREATE TABLE audit(what);"
                "CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO audit VALUES(NEW.g); END;"
                "CREATE TRIGGER u AFTER UPDATE ON t BEGIN INSERT INTO audit VALUES(NEW.g); END;");
  CHECK(install(memory, {"t"}) == "");
  memory.run("INSERT INTO t(a, k) VALUES(1, 'x'); UPDATE t SET a = 5");
  CHECK(memory.rows("SELECT what FROM audit") == "2 6");
}

TEST_CASE("effects: our own triggers are not copied, and what writes our tables is none of an application's effects") {
  Memory memory(std::string(kNotes) + "CREATE TABLE __marmot_log(x); "
      "CREATE TRIGGER __marmot_1_insert AFTER INSERT ON note BEGIN"
                " INSERT INTO __marmot_log VALUES(1); END; "
                "CREATE TRIGGER app AFTER INSERT ON note BEGIN INSERT INTO __marmot_log VALUES(2); END");
  CHECK(install(memory, {"note"}) == "");
  CHECK(memory.rows("SELECT count(*) FROM temp.sqlite_schema") == "0");
}

TEST_CASE("effects: a second call replaces the first, inside a transaction too") {
  Memory memory(std::string(kNotes) + "CREATE TABLE audit(what); "
      "CREATE TRIGGER t AFTER INSERT ON note BEGIN INSERT INTO audit VALUES(1); END");
  install(memory, {"note"});
  memory.run("DROP TRIGGER t; CREATE TRIGGER t AFTER INSERT ON note BEGIN INSERT INTO audit VALUES(2); END; BEGIN");
  install(memory, {"note"});
  install(memory, {"note"});
  memory.run("INSERT INTO note(id) VALUES(1); COMMIT");
  CHECK(memory.rows("SELECT what FROM audit") == "2");
  CHECK(install(memory, {"note", "audit"}) == "");
  CHECK(memory.rows("SELECT count(*) FROM temp.sqlite_schema") == "0");
}

TEST_CASE("effects: a table that another connection drops and makes again has its effects once") {
  char directory[] = "/tmp/marmot_effects_XXXXXX";
  REQUIRE(mkdtemp(directory) != nullptr);
  const std::string path = std::string(directory) + "/x.db";
  {
    auto app = sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    REQUIRE(app);
    const std::string make = std::string(kNotes) + "CREATE TRIGGER t AFTER INSERT ON note BEGIN INSERT INTO audit "
        "VALUES(NEW.id); END";
    REQUIRE(app->exec("CREATE TABLE audit(what);" + make));
    Memory agent;
    agent.db = *sqlite::Database::open(path, SQLITE_OPEN_READWRITE);
    install(agent, {"note"});
    REQUIRE(app->exec("DROP TABLE note"));
    install(agent, {"note"});
    REQUIRE(app->exec(make));
    install(agent, {"note"});
    agent.run("INSERT INTO note(id) VALUES(1)");
    CHECK(agent.rows("SELECT what FROM audit") == "1");
  }
  std::filesystem::remove_all(directory);
}

TEST_CASE("effects: one that fails is left out, told with its cure, and the statement is done; its neighbours run") {
  Memory memory(std::string(kNotes) + "CREATE TABLE audit(what UNIQUE); CREATE TABLE seen(id); INSERT INTO audit VALUES('full');"
                "CREATE TRIGGER a AFTER INSERT ON note BEGIN INSERT INTO seen VALUES(NEW.id); END;"
                "CREATE TRIGGER b AFTER INSERT ON note WHEN NEW.n = 1 BEGIN INSERT INTO audit VALUES('full'); END;"
                "CREATE TRIGGER c BEFORE INSERT ON note BEGIN INSERT INTO seen VALUES(-NEW.id); END;");
  sqlite3_db_config(memory.db.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  Effects effects;
  std::string told;
  effects.left_out = [&](const Effects::LeftOut& one) { told += one.trigger + " " + one.table + ": " + one.reason + " [" + one.cure + "]\n"; };
  REQUIRE(effects.install(memory.db, [](const std::string& name) { return name == "note"; }));
  int runs = 0;
  const auto write = [&](const char* sql) {
    runs = 0;
    return effects.write([&] {
      ++runs;
      return memory.db.exec(sql);
    });
  };
  memory.run("BEGIN");
  CHECK(write("INSERT INTO note(id, n) VALUES(1, 1)"));
  CHECK(runs == 2);
  CHECK(write("INSERT INTO note(id, n) VALUES(2, 2)"));
  CHECK(runs == 1);
  memory.run("COMMIT");
  CHECK(told == "b note: UNIQUE constraint failed: audit.what []\n");
  CHECK(memory.rows("SELECT id FROM note") == "1 2");
  CHECK(memory.rows("SELECT id FROM seen ORDER BY id") == "-2 -1 1 2");
  // The row's own fault stays its own, though an effect ran before it was found.
  const Status refused = write("INSERT INTO note(id, n) VALUES(2, 2)");
  REQUIRE(!refused);
  CHECK(refused.error().message == "UNIQUE constraint failed: note.id");
  CHECK(told == "b note: UNIQUE constraint failed: audit.what []\n");
  CHECK(write("INSERT INTO note(id, n) VALUES(3, 1)"));
  CHECK(memory.rows("SELECT count(*) FROM seen") == "6");
}

TEST_CASE("effects: a full-text index that is out of step keeps no delete from being done") {
  Memory memory(std::string(kNotes) + "CREATE VIRTUAL TABLE \"f\"\"1\" USING fts5(body, content='');"
                "CREATE TRIGGER d AFTER DELETE ON note BEGIN INSERT INTO \"f\"\"1\"(\"f\"\"1\", rowid, body) VALUES('delete', old.id, old.body); END;"
                "INSERT INTO note(id, body) VALUES(1, 'x'), (2, 'y')");
  sqlite3_db_config(memory.db.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  Effects effects;
  std::string told;
  effects.left_out = [&](const Effects::LeftOut& one) { told += one.reason + " [" + one.cure + "]\n"; };
  REQUIRE(effects.install(memory.db, [](const std::string& name) { return name == "note"; }));
  CHECK(effects.write([&] { return memory.db.exec("DELETE FROM note WHERE id = 1"); }));
  CHECK(told == "database disk image is malformed [a full-text index over a table of its own is made whole by "
                "INSERT INTO \"f\"\"1\"(\"f\"\"1\") VALUES('rebuild')]\n");
  CHECK(memory.rows("SELECT id FROM note") == "2");
  effects.leave_out_all(true);
  int runs = 0;
  CHECK(effects.write([&] { return ++runs, memory.db.exec("DELETE FROM note WHERE id = 2"); }));
  CHECK(runs == 1);
}
