// Schema changes of an application on its own file reach the other nodes, and no row is lost or sent without need.
#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

// The same definition everywhere, the order of columns included; and nothing is stopped.
void same_schema(Three& t, const std::string& table) {
  const std::string columns = "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('" + table + "') ORDER BY cid";
  t.same(columns, t.a.query(columns));
  for (Node* node : {&t.a, &t.b, &t.c}) {
    check_at_rest(*node);
  }
}

void same_table(Three& t, const std::string& table) {
  same_schema(t, table);
  const std::string rows = "SELECT * FROM " + table + " ORDER BY 1, 2";
  t.same(rows, t.a.query(rows));
  const auto digest = [&](Node& node) {
    for (auto& one : require(node.engine().digests(kSeed))) {
      if (one.table == table) return one.buckets;
    }
    return std::vector<TableDigest::Bucket>();
  };
  CHECK(digest(t.a) == digest(t.b));
  CHECK(digest(t.a) == digest(t.c));
}

// Every live version's hash is its row's: nothing would look changed to a repair.
void hashes_are_true(Three& t) {
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(require(node->engine().drain(false)).units.empty());
}

}  // namespace

TEST_CASE("schema: a table that gives up its name makes room for the one that is still to be made under it") {
  Three t("CREATE TABLE other(id INTEGER PRIMARY KEY)");
  t.a.sql("CREATE TABLE x(id INTEGER PRIMARY KEY, a)");
  t.a.drain();  // is lost on its way
  t.a.sql("ALTER TABLE x RENAME TO m; INSERT INTO m VALUES(1, 'of a')");
  t.a.drain();
  t.a.stop();
  t.a.start();
  const auto of_a = t.a.drain();  // that the table x is called m, in one message
  t.b.sql("CREATE TABLE m(id INTEGER PRIMARY KEY, b); INSERT INTO m VALUES(2, 'of b')");
  const auto of_b = t.b.drain();
  t.stream.append(of_a);
  t.b.apply(t.stream);
  CHECK(t.b.query("SELECT * FROM m") == "1|of a");  // at once: nothing else has to come first
  CHECK(t.b.engine().stopped().empty());
  t.stream.append(of_b);
  t.settle();
  t.same("SELECT * FROM m", "1|of a");
  t.same("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name GLOB 'm_*'", "1");
}

// Seed 8219: rows that had come before the column were given the file's default; NULL, which they have in the cluster, was refused.
TEST_CASE("schema: a file joins whose column is NOT NULL where the cluster's, which comes later, allows NULL") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1), b(dir.path, 2);
  a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, w); INSERT INTO t VALUES(1, 'one'), (2, 'two')");
  a.found(stream);
  settle(stream, {&a});
  a.sql("ALTER TABLE t ADD COLUMN q TEXT; INSERT INTO t VALUES(3, 'three', 'q')");
  settle(stream, {&a});
  b.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, w, q TEXT NOT NULL DEFAULT 'none')");
  b.join(stream);
  b.apply(stream);
  settle(stream, {&a, &b});
  for (Node* node : {&a, &b}) {
    CHECK(node->query("SELECT id, w, quote(q) FROM t") == "1|one|NULL\n2|two|NULL\n3|three|'q'");
    CHECK(node->query("SELECT \"notnull\" FROM pragma_table_info('t') WHERE name = 'q'") == "0");
    check_at_rest(*node);
  }
}

TEST_CASE("schema: a table made while running, and one dropped, are so everywhere") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.b.sql("CREATE TABLE late(k TEXT PRIMARY KEY, v /* note */ REAL); INSERT INTO late VALUES('k',1.5)");
  t.settle();
  same_table(t, "late");
  t.same("SELECT sql FROM sqlite_schema WHERE name = 'late'", "CREATE TABLE late(k TEXT PRIMARY KEY, v /* note */ REAL)");
  t.c.sql("DROP TABLE late");
  t.settle();
  t.same("SELECT count(*) FROM sqlite_schema WHERE tbl_name = 'late'", "0");
  t.same("SELECT count(*) FROM __marmot_table", "1");
  t.same("SELECT count(*) FROM __marmot_version", "0");
}

TEST_CASE("schema: ADD COLUMN sends no row, and its default stands everywhere") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'x'),(2,'y')");
  t.a.sql("ALTER TABLE t ADD COLUMN n INTEGER NOT NULL DEFAULT 7");
  const auto units = t.a.drain();
  CHECK(rows_in(units) == 0);
  t.stream.append(units);
  t.settle();
  same_table(t, "t");
  t.same("SELECT * FROM t", "1|x|7\n2|y|7");
  t.same("SELECT sql FROM sqlite_schema WHERE name = 't'", t.a.query("SELECT sql FROM sqlite_schema WHERE name = 't'"));
  t.b.sql("UPDATE t SET n = 8 WHERE id = 1");
  t.c.sql("INSERT INTO t(id, v) VALUES(3,'z')");
  t.settle();
  t.same("SELECT * FROM t", "1|x|8\n2|y|7\n3|z|7");
}

TEST_CASE("schema: RENAME COLUMN and RENAME TO send no row, and their indexes, views and triggers follow") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT CHECK(v <> 'bad')); CREATE INDEX i ON t(v); CREATE VIEW w AS SELECT v FROM t;"
          "CREATE TABLE child(id INTEGER PRIMARY KEY, t_id REFERENCES t(id));"
          "CREATE TABLE audit(what); CREATE TRIGGER tr AFTER DELETE ON t BEGIN INSERT INTO audit VALUES(old.v); END; INSERT INTO t VALUES(1,'x')");
  t.a.sql("ALTER TABLE t RENAME COLUMN v TO value; ALTER TABLE t RENAME TO things");
  const auto units = t.a.drain();
  CHECK(rows_in(units) == 0);
  t.stream.append(units);
  t.settle();
  same_table(t, "things");
  for (const char* name : {"things", "i", "w", "tr", "child"}) {
    const std::string sql = std::string("SELECT sql FROM sqlite_schema WHERE name = '") + name + "'";
    t.same(sql, t.a.query(sql));
  }
  t.same("SELECT * FROM things", "1|x");
  t.b.sql("UPDATE things SET value = 'y'");
  t.settle();
  t.same("SELECT * FROM w", "y");
  t.c.sql("DELETE FROM things");
  t.settle();
  t.same("SELECT * FROM audit", "y");
}

TEST_CASE("schema: DROP COLUMN sends no row, keeps versions, and what comes later is right") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, gone TEXT, v TEXT); INSERT INTO t VALUES(1,'g','x'),(2,'h','y')");
  const std::string versions = t.b.query("SELECT hex(key), hlc FROM __marmot_version");
  t.a.sql("ALTER TABLE t DROP COLUMN gone");
  const auto units = t.a.drain();
  CHECK(rows_in(units) == 0);
  t.stream.append(units);
  t.settle();
  same_table(t, "t");
  t.same("SELECT * FROM t", "1|x\n2|y");
  CHECK(t.b.query("SELECT hex(key), hlc FROM __marmot_version") == versions);
  t.b.sql("UPDATE t SET v = v");  // touched, not changed: the hash is the row's
  CHECK(rows_in(t.b.drain()) == 0);
  t.a.sql("UPDATE t SET v = v");
  CHECK(rows_in(t.a.drain()) == 0);
  t.c.sql("UPDATE t SET v = 'z' WHERE id = 2");
  t.settle();
  t.same("SELECT * FROM t", "1|x\n2|z");
}

TEST_CASE("schema: indexes, views and triggers come and go") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v, w)");
  t.a.sql("CREATE INDEX i ON t(v); CREATE UNIQUE INDEX u ON t(w) WHERE w > 0; CREATE VIEW vi AS SELECT v FROM t;"
          "CREATE TABLE log(x); CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES(new.v); END;"
          "CREATE TRIGGER on_view INSTEAD OF INSERT ON vi BEGIN INSERT INTO t(v) VALUES(new.v); END");
  t.settle();
  const std::string all = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT GLOB '__marmot*' AND name NOT GLOB 'sqlite_*' ORDER BY 1, 2";
  t.same(all, t.a.query(all));
  t.b.sql("INSERT INTO vi VALUES('through the view')");
  t.settle();
  t.same("SELECT v FROM t", "through the view");
  t.same("SELECT x FROM log", "through the view");
  t.b.sql("DROP INDEX u; DROP VIEW vi; DROP TRIGGER tr; DROP INDEX i; CREATE INDEX i ON t(w)");
  t.settle();
  t.same(all, t.b.query(all));
  t.same("SELECT type, name FROM sqlite_schema WHERE type <> 'table' AND name NOT GLOB '__marmot*' AND tbl_name NOT GLOB '__marmot*'", "index|i");
}

TEST_CASE("schema: rows in flight across ADD, RENAME and DROP COLUMN land") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b TEXT); INSERT INTO t VALUES(1,'a','b')");
  t.b.sql("INSERT INTO t VALUES(2,'from b','before it knew'); UPDATE t SET a = 'b was here' WHERE id = 1");
  const auto in_flight = t.b.drain();
  t.a.sql("ALTER TABLE t RENAME COLUMN a TO first; ALTER TABLE t DROP COLUMN b; ALTER TABLE t ADD COLUMN c DEFAULT 'new'");
  t.a.publish(t.stream);
  t.stream.append(in_flight);
  t.settle();
  same_table(t, "t");
  t.same("SELECT * FROM t", "1|b was here|new\n2|from b|new");
}

TEST_CASE("schema: the same migration run on every node at start gives one table with all rows") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  for (Node* node : {&t.a, &t.b, &t.c}) node->sql("CREATE TABLE m(id TEXT PRIMARY KEY, v INTEGER DEFAULT 0); CREATE INDEX mi ON m(v)");
  t.a.sql("INSERT INTO m VALUES('a',1)");
  t.b.sql("INSERT INTO m VALUES('b',2)");
  t.c.sql("INSERT INTO m VALUES('c',3)");
  t.settle();
  same_table(t, "m");
  t.same("SELECT * FROM m ORDER BY id", "a|1\nb|2\nc|3");
  t.b.sql("UPDATE m SET v = 20 WHERE id = 'a'");
  t.c.sql("ALTER TABLE m ADD COLUMN w");
  t.settle();
  same_table(t, "m");
  t.same("SELECT * FROM m ORDER BY id", "a|20|\nb|2|\nc|3|");
  t.a.sql("DROP TABLE m");
  t.settle();
  t.same("SELECT count(*) FROM sqlite_schema WHERE tbl_name = 'm'", "0");
}

TEST_CASE("schema: concurrent ADD COLUMNs both stay, in one order") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'x')");
  t.a.sql("ALTER TABLE t ADD COLUMN from_a DEFAULT 'a'; UPDATE t SET from_a = 'A'");
  t.b.sql("ALTER TABLE t ADD COLUMN from_b DEFAULT 'b'; INSERT INTO t(id, v, from_b) VALUES(2,'y','B')");
  t.settle();
  same_table(t, "t");
  t.same("SELECT v, from_a, from_b FROM t", "x|A|b\ny|a|B");
  t.a.sql("UPDATE t SET v = v");
  hashes_are_true(t);
}

TEST_CASE("schema: a column dropped and made again is another column: rows in flight do not fill it") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT, last INT); INSERT INTO t VALUES(1,'old',0)");
  t.b.sql("UPDATE t SET v = 'in flight'");
  const auto in_flight = t.b.drain();
  t.a.sql("ALTER TABLE t DROP COLUMN v");
  t.a.publish(t.stream);
  t.a.sql("ALTER TABLE t ADD COLUMN v TEXT DEFAULT 'new'");
  t.a.publish(t.stream);
  t.stream.append(in_flight);
  t.settle();
  same_table(t, "t");
  t.same("SELECT v FROM t", "new");
}

TEST_CASE("schema: drop on one node, write on another: the table goes, and what came too late is kept") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'x')");
  t.b.sql("INSERT INTO t VALUES(2,'too late')");
  t.a.sql("DROP TABLE t");
  t.settle();
  t.same("SELECT count(*) FROM sqlite_schema WHERE tbl_name = 't'", "0");
  t.same("SELECT kind, tbl, loser_row FROM __marmot_conflict", "dropped-table|t|{\"id\": 2, \"v\": \"too late\"}");
  t.c.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'another table')");
  t.settle();
  same_table(t, "t");
  t.same("SELECT v FROM t", "another table");
}

TEST_CASE("schema: a column that is dropped here and changed elsewhere at the same moment is told once it is in the stream") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, q TEXT)");
  t.b.now += 1000;
  t.b.sql("ALTER TABLE t RENAME COLUMN q TO r");
  t.a.sql("ALTER TABLE t DROP COLUMN q");
  t.b.publish(t.stream);
  t.a.publish(t.stream);
  for (Node* const node : {&t.a, &t.b, &t.c}) node->apply(t.stream);
  t.settle();
  t.same("SELECT group_concat(name) FROM pragma_table_info('t')", "id");
  for (Node* const node : {&t.a, &t.b, &t.c}) {
    CHECK(node->query("SELECT kind, name, hex(id), seq, dropped FROM __marmot_schema WHERE seq IS NULL OR seq = 0") == "");
    CHECK_FALSE(require(node->engine().range_digest(kBy, KeyRange{"t", "", ""}, 100)).pending);
  }
}

// Sequelize's sync({alter: true}) for SQLite, each statement a transaction of its own, published before the next.
TEST_CASE("schema: rows that a node wrote and then dropped with their table are no conflict") {
  Three t("CREATE TABLE x(id INTEGER PRIMARY KEY, v); INSERT INTO x VALUES(1,'one'),(2,'two')");
  for (const char* const statement : {"CREATE TABLE x_backup(id INTEGER PRIMARY KEY, v, w)", "INSERT INTO x_backup SELECT id, v, NULL FROM x", "DROP TABLE x",
                                      "CREATE TABLE x(id INTEGER PRIMARY KEY, v, w)", "INSERT INTO x SELECT * FROM x_backup", "DROP TABLE x_backup"}) {
    t.a.sql(statement);
    t.a.publish(t.stream);
  }
  t.settle();
  same_table(t, "x");
  t.same("SELECT * FROM x ORDER BY id", "1|one|\n2|two|");
  t.same("SELECT count(*) FROM sqlite_schema WHERE tbl_name = 'x_backup'", "0");
  t.same("SELECT count(*) FROM __marmot_conflict", "0");
}

TEST_CASE("schema: who renames a table that another node has dropped did not drop it: what it wrote meanwhile is kept") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'x')");
  t.settle();
  t.a.sql("DROP TABLE t");
  t.b.now += 1000;
  t.b.sql("INSERT INTO t VALUES(2,'before it was renamed')");
  const auto row = t.b.drain();
  t.b.now += 1000;
  t.b.sql("ALTER TABLE t RENAME TO u");
  const auto name = t.b.drain();
  t.a.publish(t.stream);
  for (const auto* units : {&row, &name}) t.stream.append(*units);
  t.settle();
  t.same("SELECT count(*) FROM sqlite_schema WHERE tbl_name IN ('t', 'u')", "0");
  t.same("SELECT DISTINCT kind, loser_row FROM __marmot_conflict", "dropped-table|{\"id\": 2, \"v\": \"before it was renamed\"}");  // by b under both names
}

TEST_CASE("schema: a row that a node wrote in a former life, not knowing that it had dropped the table, is kept") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  const std::string copy = (t.dir.path / "copy.db").string();
  t.a.sql("VACUUM INTO '" + copy + "'");
  t.a.sql("DROP TABLE t");
  t.settle();
  t.a.stop();
  t.a.restore(copy);
  t.a.now += 1000;
  t.a.start();
  t.a.sql("INSERT INTO t VALUES(1,'written after the restore')");
  t.settle();
  t.same("SELECT count(*) FROM sqlite_schema WHERE tbl_name = 't'", "0");
  t.same("SELECT kind, loser_row FROM __marmot_conflict", "dropped-table|{\"id\": 1, \"v\": \"written after the restore\"}");
}

// sqlite-utils transform asks for it where a table without a key loses or renames a column.
TEST_CASE("schema: the index that keeps the rowids of a keyless table is made again when it was dropped, also while the agent was down") {
  Three t("CREATE TABLE keyless(v, w); INSERT INTO keyless VALUES('a', 1),('b', 2),('c', 3); DELETE FROM keyless WHERE v = 'a'");
  const char* const kept = "SELECT count(*) FROM sqlite_schema WHERE name GLOB '__marmot_*_keep' AND tbl_name = 'keyless'";
  t.a.sql("DROP INDEX __marmot_1_keep");
  t.settle();
  t.same(kept, "1");
  t.a.stop();
  t.a.sql("DROP INDEX __marmot_1_keep");
  t.a.start();
  t.a.sql("VACUUM; UPDATE keyless SET v = 'B' WHERE w = 2");
  t.settle();
  t.same(kept, "1");
  t.same("SELECT v FROM keyless ORDER BY w", "B\nc");
  t.a.sql("BEGIN; DROP INDEX __marmot_1_keep; CREATE TABLE keyless_new(v, x); INSERT INTO keyless_new(rowid, v, x) SELECT rowid, v, w FROM keyless;"
          "DROP TABLE keyless; ALTER TABLE keyless_new RENAME TO keyless; COMMIT");
  t.settle();
  t.same(kept, "1");
  same_table(t, "keyless");
  t.same("SELECT v FROM keyless ORDER BY 1", "B\nc");
}

TEST_CASE("schema: a rename followed by VACUUM is a rename; a drop and a new table in one transaction is none") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'x'); CREATE TABLE keyless(v); INSERT INTO keyless VALUES('k')");
  t.a.sql("ALTER TABLE t RENAME TO renamed; ALTER TABLE keyless RENAME TO keyless2; VACUUM");
  const auto units = t.a.drain();
  CHECK(rows_in(units) == 0);
  t.stream.append(units);
  t.b.sql("UPDATE t SET v = 'written under the old name'");
  t.settle();
  same_table(t, "renamed");
  t.same("SELECT v FROM renamed", "written under the old name");
  t.same("SELECT v FROM keyless2", "k");
  t.a.sql("BEGIN; DROP TABLE renamed; CREATE TABLE other(id INTEGER PRIMARY KEY, v); INSERT INTO other VALUES(1,'other'); COMMIT");
  t.settle();
  t.same("SELECT count(*) FROM sqlite_schema WHERE name IN ('renamed', 't')", "0");
  t.same("SELECT v FROM other", "other");
}

TEST_CASE("schema: ATTACH, VACUUM, VACUUM INTO, REINDEX and ANALYZE send nothing and do no harm") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE keyless(v); CREATE INDEX i ON t(v);"
          "INSERT INTO t VALUES(1,'x'); INSERT INTO keyless VALUES('a'),('b'),('c'); DELETE FROM keyless WHERE v = 'a'");
  t.a.sql("ATTACH ':memory:' AS other; CREATE TABLE other.t(x); INSERT INTO other.t VALUES(1); DETACH other;"
          "VACUUM; VACUUM INTO '" + (t.dir.path / "copy.db").string() + "'; REINDEX; ANALYZE");
  CHECK(t.a.drain().empty());
  t.settle();
  t.b.sql("UPDATE keyless SET v = 'B' WHERE v = 'b'");
  t.settle();
  t.same("SELECT v FROM keyless ORDER BY v", "B\nc");
  same_schema(t, "t");
}

TEST_CASE("schema change: rows with a column that is not known here wait apart until it is") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'one'), (2, 'two')");
  t.a.sql("ALTER TABLE t ADD COLUMN x");
  t.a.drain();  // is lost on its way
  t.a.sql("UPDATE t SET x = 'with it' WHERE id = 1");
  t.stream.append(t.a.drain());
  t.a.stop();
  t.a.start();  // nobody waits any longer for what its former life had on the way
  t.b.sql("UPDATE t SET v = 'b' WHERE id = 2");
  t.b.publish(t.stream);
  t.a.sql("INSERT INTO t(id, v) VALUES(3, 'three')");
  t.stream.append(t.a.drain());
  t.b.apply(t.stream);
  CHECK(t.b.query("SELECT count(*) FROM __marmot_waiting") != "0");
  CHECK(require(t.b.engine().untold_units()) == 0);  // it was told behind them, and they wait for their table to be tried again
  t.settle();
  for (Node* const node : {&t.a, &t.b, &t.c}) CHECK(require(node->engine().resume_stopped()) == (node != &t.a));
  t.settle();
  t.same("SELECT id, v, x FROM t", "1|one|with it\n2|b|\n3|three|");
  for (Node* const node : {&t.b, &t.c}) CHECK(node->query("SELECT count(*) FROM __marmot_waiting") == "0");
  for (Node* const node : {&t.b, &t.c}) CHECK(require(node->engine().untold_units()) == 0);
}

TEST_CASE("schema change: ... and where the application makes it here itself") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'one')");
  t.a.sql("ALTER TABLE t ADD COLUMN x");
  t.a.drain();  // is lost on its way
  t.a.sql("UPDATE t SET x = 'with it'");
  t.stream.append(t.a.drain());
  t.a.stop();
  for (Node* const node : {&t.b, &t.c}) node->apply(t.stream);
  announce(t.c, t.stream);
  t.b.apply(t.stream);
  CHECK(t.b.query("SELECT count(*) FROM __marmot_waiting") == "1");
  CHECK(require(t.b.engine().untold_units()) == 1);
  t.b.restart({});
  CHECK(require(t.b.engine().untold_units()) == 1);
  t.b.sql("ALTER TABLE t ADD COLUMN x; INSERT INTO t VALUES(2, 'two', 'of b')");
  t.b.publish(t.stream);
  CHECK(require(t.b.engine().resume_stopped()));
  CHECK(t.b.query("SELECT * FROM t") == "1|one|with it\n2|two|of b");
  CHECK(t.b.query("SELECT count(*) FROM __marmot_waiting") == "0");
  CHECK(require(t.b.engine().untold_units()) == 0);
  t.a.start();
  t.settle();
  for (Node* const node : {&t.a, &t.c}) require(node->engine().resume_stopped());
  t.settle();
  t.same("SELECT * FROM t", "1|one|with it\n2|two|of b");
}

TEST_CASE("schema change: a rebuild into a WITHOUT ROWID table, and back, takes rows away as well") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES(1, 'one'), (2, 'two'), (3, 'three'), (4, 'four'), (5, 'five')");
  const auto rebuild = [&](const std::string& tail, const std::string& without) {
    t.a.sql("BEGIN; CREATE TABLE new(id INTEGER PRIMARY KEY, v)" + tail + "; INSERT INTO new SELECT * FROM t WHERE id <> " + without +
            "; DROP TABLE t; ALTER TABLE new RENAME TO t; COMMIT");
  };
  t.a.sql("DELETE FROM t WHERE id = 5");
  rebuild("", "4");
  t.settle();
  t.same("SELECT * FROM t", "1|one\n2|two\n3|three");
  t.a.sql("DELETE FROM t WHERE id = 3");
  rebuild(" WITHOUT ROWID", "2");
  t.settle();
  t.same("SELECT * FROM t", "1|one");
  t.b.sql("INSERT INTO t VALUES(2, 'again')");
  t.settle();
  t.same("SELECT * FROM t", "1|one\n2|again");
}

TEST_CASE("schema: a table that came along with a joining file and is changed meanwhile is one with what others make under its name") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1), b(dir.path, 2), c(dir.path, 3);
  a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  a.found(stream);
  a.publish(stream);
  c.join(stream);
  c.apply(stream);
  b.sql("CREATE TABLE m(id INTEGER PRIMARY KEY, v)");
  b.join(stream);
  b.sql("INSERT INTO m VALUES(1, 'one'); ALTER TABLE m RENAME TO n");
  (void)require(b.engine().drain(false));  // it sees that while it joins
  b.apply(stream);
  CHECK(b.query("SELECT count(*) FROM __marmot_schema WHERE kind = 1 AND id = ''") == "0");
  // Another node makes the same one, and has not heard of it.
  c.sql("CREATE TABLE n(id INTEGER PRIMARY KEY, v); INSERT INTO n VALUES(2, 'two')");
  c.publish(stream);
  settle(stream, {&a, &b, &c});
  for (Node* const node : {&a, &b, &c}) {
    CHECK(node->query("SELECT id, v FROM n ORDER BY id") == "1|one\n2|two");
    check_at_rest(*node);
  }
}
