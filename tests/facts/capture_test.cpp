#include "tests/facts/support.hpp"

#include "common/replica/capture.hpp"

using namespace marmot;
using namespace marmot::replica;
using marmot::test::Memory;

namespace {

Watched watch_table(Memory& memory, std::string_view name) {
  auto table = read_table(memory.db, name);
  REQUIRE_MESSAGE(static_cast<bool>(table), (table ? std::string() : table.error().message));
  auto watched = watch(memory.db, *table, WatchMode::keys);
  REQUIRE_MESSAGE(static_cast<bool>(watched), (watched ? std::string() : watched.error().message));
  return *watched;
}

std::string dump_schema(Memory& memory) {
  return memory.rows("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid");
}

}  // namespace

TEST_CASE("capture: watching is idempotent, and a second call changes nothing in the schema") {
  Memory memory("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE u(a TEXT, b INT, PRIMARY KEY(a, b)); "
      "CREATE TABLE n(x)");
  for (const char* name : {"t", "u", "n"}) CHECK(watch_table(memory, name).added);
  const std::string before = memory.rows("PRAGMA schema_version");
  for (const char* name : {"t", "u", "n"}) CHECK(!watch_table(memory, name).added);
  CHECK(memory.rows("PRAGMA schema_version") == before);
  CHECK(memory.rows("SELECT id, name, mode FROM __marmot_table") == "1|t|keys 2|u|keys 3|n|keys");
}

TEST_CASE("capture: a trigger that was dropped is put back, under the same id, and said to have been missing") {
  Memory memory("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  watch_table(memory, "t");
  memory.run("DROP TRIGGER __marmot_1_update");
  const Watched again = watch_table(memory, "t");
  CHECK(again.added);
  CHECK(again.id == 1);
  memory.run("INSERT INTO t VALUES(1, 1); UPDATE t SET v = 2");
  CHECK(memory.rows("SELECT tbl, op, k1 FROM __marmot_log") == "1|1|1 1|2|1");
}

TEST_CASE("capture: a table that was dropped and made again keeps its id") {
  Memory memory("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  watch_table(memory, "t");
  memory.run("DROP TABLE t; CREATE TABLE t(id INTEGER PRIMARY KEY, w)");
  const Watched again = watch_table(memory, "t");
  CHECK(again.added);
  CHECK(again.id == 1);
}

TEST_CASE("capture: a renamed table is known by its triggers; the name it left is free for another") {
  Memory memory("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  watch_table(memory, "t");
  memory.run("ALTER TABLE t RENAME TO t_old; CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  CHECK(watch_table(memory, "t").id == 2);
  const Watched old = watch_table(memory, "t_old");
  CHECK(old.id == 1);
  CHECK(!old.added);
  CHECK(memory.rows("SELECT id, name FROM __marmot_table") == "1|t_old 2|t");
}

TEST_CASE("capture: the id of an unwatched table is never used again") {
  Memory memory("CREATE TABLE a(id INTEGER PRIMARY KEY); CREATE TABLE b(id INTEGER PRIMARY KEY)");
  watch_table(memory, "a");
  REQUIRE(unwatch(memory.db, "a"));
  CHECK(watch_table(memory, "b").id == 2);
  CHECK(watch_table(memory, "a").id == 3);
}

TEST_CASE("capture: internal tables that a migration tool dropped are made again, and no id is given twice") {
  Memory memory("CREATE TABLE a(id INTEGER PRIMARY KEY); CREATE TABLE b(id INTEGER PRIMARY KEY)");
  watch_table(memory, "a");
  watch_table(memory, "b");
  memory.run("DROP TABLE __marmot_table; DROP TABLE __marmot_meta; DROP TABLE __marmot_log");
  CHECK(watch_table(memory, "a").id == 3);
  CHECK(watch_table(memory, "b").id == 4);
  memory.run("INSERT INTO a VALUES(1); INSERT INTO b VALUES(1)");
  CHECK(memory.rows("SELECT tbl, op, k1 FROM __marmot_log") == "3|1|1 4|1|1");
  CHECK(memory.rows("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'") == "6");
}

TEST_CASE("capture: a key that can be NULL is logged with the rowid behind it, and the log grows the columns") {
  Memory memory("CREATE TABLE t(a, b, v, PRIMARY KEY(a, b))");
  watch_table(memory, "t");
  memory.run("INSERT INTO t VALUES(NULL, 'x', 1); UPDATE t SET rowid = 9");
  CHECK(memory.rows("SELECT op, k1, k2, k3 FROM __marmot_log") == "1||x|1 2||x|9 3||x|1");
}

TEST_CASE("capture: a key in which NULL is impossible is logged without the rowid") {
  Memory memory("CREATE TABLE t(a TEXT NOT NULL PRIMARY KEY, v); CREATE TABLE w(a TEXT PRIMARY KEY, v) WITHOUT ROWID");
  watch_table(memory, "t");
  watch_table(memory, "w");
  CHECK(memory.rows("SELECT group_concat(name) FROM pragma_table_info('__marmot_log')") == "seq,tbl,op,ts,k1");
}

TEST_CASE("capture: mode full is refused by name, and leaves nothing behind") {
  Memory memory("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  const auto watched = watch(memory.db, *read_table(memory.db, "t"), WatchMode::full);
  REQUIRE(!watched);
  CHECK(watched.error().code == Errc::bad_input);
  CHECK(watched.error().message == "watch t: mode 'full' (old values kept) is not in this version; use 'keys'");
  CHECK(memory.rows("SELECT count(*) FROM sqlite_schema") == "1");
}

TEST_CASE("capture: Marmot's and SQLite's own tables are refused") {
  Memory memory("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)");
  REQUIRE(install(memory.db));
  for (const char* name : {"__marmot_log", "sqlite_sequence"}) {
    const auto watched = watch(memory.db, *read_table(memory.db, name), WatchMode::keys);
    REQUIRE(!watched);
    CHECK(watched.error().code == Errc::bad_input);
  }
}

TEST_CASE("capture: all of it happens inside the caller's transaction, and goes with its rollback") {
  Memory memory("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  const std::string before = dump_schema(memory);
  memory.run("BEGIN");
  watch_table(memory, "t");
  CHECK(memory.db.in_transaction());
  memory.run("ROLLBACK");
  CHECK(dump_schema(memory) == before);
}

TEST_CASE("capture: a watch that fails in a caller's transaction undoes its own part only") {
  Memory memory("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  auto table = *read_table(memory.db, "t");
  memory.run("BEGIN; INSERT INTO t VALUES(1, 1)");
  table.name = "missing";
  CHECK(!watch(memory.db, table, WatchMode::keys));
  CHECK(memory.db.in_transaction());
  memory.run("COMMIT");
  CHECK(memory.rows("SELECT count(*) FROM t") == "1");
  CHECK(memory.rows("SELECT count(*) FROM sqlite_schema") == "1");
}

TEST_CASE("capture: unwatching what is not watched says so") {
  Memory memory("CREATE TABLE t(id INTEGER PRIMARY KEY); CREATE TABLE u(id INTEGER PRIMARY KEY)");
  CHECK(unwatch(memory.db, "t").error().code == Errc::not_found);
  watch_table(memory, "u");
  CHECK(unwatch(memory.db, "t").error().code == Errc::not_found);
}

TEST_CASE("capture: unwatching removes a table's triggers, its empty index and its log rows, and no other's") {
  Memory memory("CREATE TABLE t(x); CREATE TABLE u(id INTEGER PRIMARY KEY)");
  watch_table(memory, "t");
  watch_table(memory, "u");
  memory.run("INSERT INTO t VALUES(1); INSERT INTO u VALUES(1)");
  REQUIRE(unwatch(memory.db, "t"));
  CHECK(memory.rows("SELECT tbl FROM __marmot_log") == "2");
  CHECK(memory.rows("SELECT name FROM sqlite_schema WHERE tbl_name = 't'") == "t");
  CHECK(memory.rows("SELECT id FROM __marmot_table") == "2");
}

TEST_CASE("capture: cleanup leaves the schema as it was, objects made meanwhile included") {
  Memory memory("CREATE TABLE t(x); CREATE TABLE u(a, b, PRIMARY KEY(a, b)); CREATE INDEX ux ON u(b)");
  Memory untouched("CREATE TABLE t(x); CREATE TABLE u(a, b, PRIMARY KEY(a, b)); CREATE INDEX ux ON u(b)");
  watch_table(memory, "t");
  watch_table(memory, "u");
  for (Memory* one : {&memory, &untouched}) one->run("CREATE VIEW v AS SELECT * FROM t; "
      "CREATE TABLE late(id INTEGER PRIMARY KEY)");
  watch_table(memory, "late");
  REQUIRE(cleanup(memory.db));
  CHECK(dump_schema(memory) == dump_schema(untouched));
  CHECK(cleanup(memory.db));
}

TEST_CASE("capture: installed triggers name their table id, event and the table they are on now") {
  Memory memory("CREATE TABLE t(id INTEGER PRIMARY KEY); "
      "CREATE TRIGGER __marmot_x AFTER INSERT ON t BEGIN SELECT 1; END");
  watch_table(memory, "t");
  memory.run("ALTER TABLE t RENAME TO \"new \"\"t\"");
  std::string found;
  const auto triggers = installed_triggers(memory.db);
  REQUIRE(triggers);
  for (const auto& t : *triggers) found += std::to_string(t.table_id) + t.event + "@" + t.table + " ";
  CHECK(found == "1delete@new \"t 1insert@new \"t 1update@new \"t ");
}
