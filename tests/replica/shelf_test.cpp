#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

replica::Settings keep() {
  replica::Settings settings;
  settings.retire_losers = false;
  return settings;
}

// Trio nodes with one schema. Clocks stand apart, so that a's writes are the oldest and c's the newest.
struct Trio : Three {
  explicit Trio(const std::string& schema, replica::Settings settings = {}) : Three(schema, std::move(settings)) {
    a.now += 10'000;
    b.now += 20'000;
    c.now += 30'000;
  }
  std::vector<Node*> all() { return {&a, &b, &c}; }
  void shelved(int64_t count) {
    for (Node* node : all()) {
      const auto counters = require(node->engine().counters());
      CHECK(counters.shelved == count);
      CHECK(counters.outbox_rows == 0);
      CHECK(node->engine().stopped().empty());
    }
  }
};

const char* const kUsers = "CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE, v)";

}  // namespace

TEST_CASE("shelf: one value on two nodes: the newer row is visible everywhere, the older one is retired and kept in full") {
  Trio t(kUsers);
  t.a.sql("INSERT INTO t VALUES(1,'same',x'00ff')");
  t.b.sql("INSERT INTO t VALUES(2,'same',0.1)");
  t.settle();
  t.same("SELECT id, u FROM t", "2|same");
  t.same("SELECT kind, tbl, loser_node, winner_node, loser_row, winner_row FROM __marmot_conflict",
         "unique|t|1|2|{\"id\": 1, \"u\": \"same\", \"v\": {\"hex\": \"00FF\"}}|{\"id\": 2, \"u\": \"same\", \"v\": 0.1}");
  t.shelved(0);
}

TEST_CASE("shelf: a kept loser returns when the winner's value changes, and when the winner goes") {
  Trio t(kUsers, keep());
  t.a.sql("INSERT INTO t VALUES(1,'same','a')");
  t.b.sql("INSERT INTO t VALUES(2,'same','b')");
  t.c.sql("INSERT INTO t VALUES(3,'same','c')");
  t.settle();
  t.same("SELECT id FROM t", "3");
  t.shelved(2);
  t.a.sql("UPDATE t SET u = 'other' WHERE id = 3");
  t.settle();
  t.same("SELECT id, u FROM t ORDER BY id", "2|same\n3|other");
  t.c.sql("DELETE FROM t WHERE id = 2");
  t.settle();
  t.same("SELECT id, u, v FROM t ORDER BY id", "1|same|a\n3|other|c");
  t.shelved(0);
  t.same("SELECT count(*) FROM __marmot_conflict", "0");
}

TEST_CASE("shelf: a chain: a row that is displaced gives its other values back") {
  Trio t("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT UNIQUE, y TEXT UNIQUE)", keep());
  t.a.sql("INSERT INTO t VALUES(1,NULL,'y')");    // blocked by 2
  t.b.sql("INSERT INTO t VALUES(2,'x','y')");     // blocked by 3
  t.settle();
  t.same("SELECT id FROM t", "2");
  t.c.sql("INSERT INTO t VALUES(3,'z',NULL); UPDATE t SET x = 'w' WHERE id = 3");
  t.settle();
  t.same("SELECT id FROM t ORDER BY id", "2\n3");
  // Written on c without its knowing that 2 holds x: 2 goes, and 1 returns.
  t.c.sql("DELETE FROM t WHERE id = 2");
  t.b.now += 20'000;  // b is the newest now, and writes 2 again
  t.b.sql("UPDATE t SET x = 'w2' WHERE id = 2");
  t.settle();
  t.same("SELECT id, x, y FROM t ORDER BY id", "2|w2|y\n3|w|");
  t.c.now += 40'000;
  t.c.sql("UPDATE t SET x = 'w2' WHERE id = 3 AND NOT EXISTS(SELECT 1 FROM t WHERE x = 'w2')");
  t.a.now += 90'000;
  t.a.sql("UPDATE t SET x = 'free' WHERE id = 3");
  t.b.sql("UPDATE t SET y = 'w' WHERE id = 2");
  t.settle();
  t.same("SELECT id, x, y FROM t ORDER BY id", "1||y\n2|w2|w\n3|free|");
}

TEST_CASE("shelf: partial and expression indexes, NULLs and collations collide as SQLite says") {
  Trio t("CREATE TABLE t(id INTEGER PRIMARY KEY, e TEXT, n TEXT COLLATE NOCASE, on_sale INT);"
          "CREATE UNIQUE INDEX t_e ON t(lower(e)) WHERE on_sale; CREATE UNIQUE INDEX t_n ON t(n)", keep());
  t.a.sql("INSERT INTO t VALUES(1,'Cap',NULL,1), (2,'Hat',NULL,0), (3,NULL,'Ann',0)");
  t.b.sql("INSERT INTO t VALUES(4,'cap',NULL,1), (5,'hat',NULL,0), (6,NULL,'ANN',0)");
  t.settle();
  t.same("SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id)", "2,4,5,6");
  t.shelved(2);
  t.c.sql("UPDATE t SET on_sale = 0 WHERE id = 4; UPDATE t SET n = NULL WHERE id = 6");
  t.settle();
  t.same("SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id)", "1,2,3,4,5,6");
}

TEST_CASE("shelf: generated columns and qualified names in the table's own text") {
  Trio t("CREATE TABLE t(id INTEGER PRIMARY KEY, first TEXT, last TEXT, full TEXT AS (first || ' ' || last) STORED,"
          " CHECK(t.first <> ''), UNIQUE(full))");
  t.a.sql("INSERT INTO t(id, first, last) VALUES(1,'Ann','Lee')");
  t.b.sql("INSERT INTO t(id, first, last) VALUES(2,'Ann','Lee')");
  t.settle();
  t.same("SELECT id, full FROM t", "2|Ann Lee");
}

TEST_CASE("shelf: values swapped on one node while another takes one of them") {
  Trio t("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE); INSERT INTO t VALUES(1,'x'),(2,'y')", keep());
  t.b.sql("BEGIN; UPDATE t SET u = '~' WHERE id = 1; UPDATE t SET u = 'x' WHERE id = 2; UPDATE t SET u = 'y' WHERE id = 1; COMMIT");
  t.c.sql("DELETE FROM t WHERE id = 1; INSERT INTO t VALUES(3,'x')");
  t.settle();
  // c deleted 1 last, and took x last: 2 waits for x.
  t.same("SELECT * FROM t ORDER BY id", "3|x");
  t.shelved(1);
}

TEST_CASE("shelf: a key that changes takes its values along") {
  Trio t(std::string(kUsers) + "; INSERT INTO t VALUES(1,'x',NULL)", keep());
  t.a.sql("UPDATE t SET id = 10 WHERE id = 1");
  t.b.sql("UPDATE t SET id = 20 WHERE id = 1");
  t.settle();
  t.same("SELECT id, u FROM t", "20|x");
  t.shelved(1);
}

TEST_CASE("shelf: the key of a shelved row, taken by an insert that could not see it: the insert stands, the shelved row is kept") {
  Trio t(kUsers, keep());
  t.a.sql("INSERT INTO t VALUES(1,'same','older')");
  t.b.sql("INSERT INTO t VALUES(2,'same','newer')");
  t.settle();
  t.c.sql("INSERT INTO t VALUES(1,'free','by c')");
  t.settle();
  t.same("SELECT * FROM t ORDER BY id", "1|free|by c\n2|same|newer");
  t.same("SELECT kind, loser_row, winner_row FROM __marmot_conflict",
         "insert|{\"id\": 1, \"u\": \"same\", \"v\": \"older\"}|{\"id\": 1, \"u\": \"free\", \"v\": \"by c\"}");
  t.shelved(0);
}

TEST_CASE("shelf: the same row inserted under a shelved key once the winner is gone is no conflict") {
  Trio t(kUsers, keep());
  t.a.sql("INSERT INTO t VALUES(1,'same','v')");
  t.b.sql("INSERT INTO t VALUES(2,'same','v')");
  t.settle();
  t.c.sql("BEGIN; DELETE FROM t; INSERT INTO t VALUES(1,'same','v'); COMMIT");
  t.settle();
  t.same("SELECT * FROM t", "1|same|v");
  t.same("SELECT count(*) FROM __marmot_conflict", "0");
  t.shelved(0);
}

TEST_CASE("shelf: a shelved holder is no victim of REPLACE") {
  Trio t(kUsers, keep());
  t.a.sql("INSERT INTO t VALUES(1,'same','a')");
  t.b.sql("INSERT INTO t VALUES(2,'same','b')");
  t.settle();
  t.c.sql("INSERT OR REPLACE INTO t VALUES(3,'same','c')");  // 2 is its victim
  t.settle();
  t.same("SELECT id FROM t", "3");
  t.shelved(1);
  t.c.sql("DELETE FROM t");
  t.settle();
  t.same("SELECT id FROM t", "1");
}

TEST_CASE("shelf: an unacknowledged row goes out of the shelf after a restart, as the insert it was") {
  Trio t(kUsers, keep());
  t.b.sql("INSERT INTO t VALUES(2,'same','newer')");
  t.b.publish(t.stream);
  t.a.sql("INSERT INTO t VALUES(1,'same','drained, never sent')");
  t.a.drain();
  t.a.apply(t.stream);
  CHECK(t.a.query("SELECT id FROM t") == "2");
  t.a.stop();
  t.a.start();
  t.settle();
  t.shelved(1);
  t.c.sql("DELETE FROM t");
  t.settle();
  t.same("SELECT * FROM t", "1|same|drained, never sent");
}

TEST_CASE("shelf: a loser is retired only once its message has come round") {
  Trio t(kUsers);
  t.b.sql("INSERT INTO t VALUES(2,'same','newer')");
  t.b.publish(t.stream);
  t.a.sql("INSERT INTO t VALUES(1,'same','older')");
  const auto units = t.a.drain();
  t.a.apply(t.stream);
  CHECK(t.a.drain().empty());
  t.stream.append(units.at(0));
  t.a.apply(t.stream);
  CHECK(require(t.a.engine().has_work()));
  REQUIRE(t.a.drain().size() == 1);
  CHECK(!require(t.a.engine().has_work()));
  CHECK(t.a.query("SELECT count(*) FROM __marmot_conflict") == "1");
}

TEST_CASE("shelf: rows that a changed definition refuses wait, wherever they were written, and come in when they fit") {
  Trio t("CREATE TABLE t(id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES(5,50)", keep());
  t.b.sql("INSERT INTO t VALUES(1,'no number'),(2,7)");
  const auto in_flight = t.b.drain();
  t.a.sql("BEGIN; CREATE TABLE x(id INTEGER PRIMARY KEY, n INT) STRICT; INSERT INTO x SELECT id, n FROM t; DROP TABLE t; ALTER TABLE x RENAME TO t; COMMIT");
  t.a.publish(t.stream);
  t.stream.append(in_flight);
  t.settle();
  t.same("SELECT * FROM t", "2|7\n5|50");
  t.same("SELECT kind FROM __marmot_shelf", "refused");
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(node->engine().stopped().empty());
  t.a.sql("BEGIN; CREATE TABLE x(id INTEGER PRIMARY KEY, n); INSERT INTO x SELECT id, n FROM t; DROP TABLE t; ALTER TABLE x RENAME TO t; COMMIT");
  t.settle();
  t.same("SELECT * FROM t", "1|no number\n2|7\n5|50");
  t.same("SELECT count(*) FROM __marmot_shelf", "0");
}

TEST_CASE("shelf: ON CONFLICT clauses of the table do not act on rows of other nodes") {
  Trio t("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE ON CONFLICT REPLACE, w TEXT UNIQUE ON CONFLICT IGNORE)", keep());
  t.a.sql("INSERT INTO t VALUES(1,'u',NULL),(2,NULL,'w')");
  t.b.sql("INSERT INTO t VALUES(3,'u',NULL),(4,NULL,'w')");
  t.settle();
  t.same("SELECT id FROM t ORDER BY id", "3\n4");
  t.shelved(2);
  t.c.sql("DELETE FROM t");
  t.settle();
  t.same("SELECT id FROM t ORDER BY id", "1\n2");
}

TEST_CASE("shelf: keyless rows collide, wait and return as the rows they were") {
  Trio t("CREATE TABLE t(u TEXT UNIQUE, v)", keep());
  t.a.sql("INSERT INTO t VALUES('x','a'),('only a',1)");
  t.b.sql("INSERT INTO t VALUES('x','b'),('only b',1)");
  t.settle();
  t.same("SELECT u, v FROM t ORDER BY u, v", "only a|1\nonly b|1\nx|b");
  t.c.sql("DELETE FROM t WHERE u = 'x'");
  t.settle();
  t.same("SELECT u, v FROM t ORDER BY u, v", "only a|1\nonly b|1\nx|a");
  t.b.sql("UPDATE t SET v = 'by b' WHERE u = 'x'");
  t.settle();
  t.same("SELECT v FROM t WHERE u = 'x'", "by b");
}

TEST_CASE("shelf: a row without a key does not take the rowid of a row that is out for a moment") {
  Trio t("CREATE TABLE t(k TEXT PRIMARY KEY, u TEXT UNIQUE); INSERT INTO t VALUES('a','1'),('b','2')", keep());
  // The NULL row's number at home is that of 'a' everywhere, and 'a' has to be taken out for the swap.
  t.b.sql("DELETE FROM t WHERE k = 'a'; INSERT INTO t(rowid, k, u) VALUES(1, NULL, 'n')");
  t.b.publish(t.stream);
  t.c.sql("BEGIN; UPDATE t SET u = '~' WHERE k = 'a'; UPDATE t SET u = '1' WHERE k = 'b'; UPDATE t SET u = '2' WHERE k = 'a'; COMMIT");
  t.settle();
  t.same("SELECT coalesce(k, '-'), u FROM t ORDER BY 1", "-|n\na|2\nb|1");
  t.shelved(0);
}

TEST_CASE("shelf: a new row under the rowid of a keyless row that waits is another row") {
  Trio t("CREATE TABLE t(u TEXT UNIQUE)", keep());
  t.a.sql("INSERT INTO t(rowid, u) VALUES(1, 'x')");
  t.b.sql("INSERT INTO t(rowid, u) VALUES(7, 'x')");
  t.settle();
  t.shelved(1);
  t.a.sql("INSERT INTO t(rowid, u) VALUES(1, 'y')");
  t.settle();
  t.same("SELECT u FROM t ORDER BY u", "x\ny");
  t.shelved(1);
  t.same("SELECT count(*) FROM __marmot_conflict", "0");
  t.c.sql("UPDATE t SET u = 'z' WHERE u = 'x'");
  t.settle();
  t.same("SELECT u FROM t ORDER BY u", "x\ny\nz");
}

TEST_CASE("shelf: a row keeps its rowid when its neighbours are settled, and an FTS5 index follows") {
  Trio t("CREATE TABLE t(k TEXT PRIMARY KEY, u TEXT UNIQUE, body TEXT);"
          "CREATE VIRTUAL TABLE f USING fts5(body, content='t', content_rowid='rowid');"
          "CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO f(rowid, body) VALUES(new.rowid, new.body); END;"
          "CREATE TRIGGER d AFTER DELETE ON t BEGIN INSERT INTO f(f, rowid, body) VALUES('delete', old.rowid, old.body); END;"
          "CREATE TRIGGER u AFTER UPDATE ON t BEGIN INSERT INTO f(f, rowid, body) VALUES('delete', old.rowid, old.body);"
          " INSERT INTO f(rowid, body) VALUES(new.rowid, new.body); END;"
          "INSERT INTO t VALUES('p','1','plum'),('q','2','quince')", keep());
  const std::string before = t.c.query("SELECT k, rowid FROM t ORDER BY k");
  t.a.sql("INSERT INTO t VALUES('r','same','raisin')");
  t.b.sql("BEGIN; UPDATE t SET u = '~' WHERE k = 'p'; UPDATE t SET u = '1' WHERE k = 'q'; UPDATE t SET u = '2' WHERE k = 'p';"
          "INSERT INTO t VALUES('s','same','sloe'); COMMIT");
  t.settle();
  CHECK(t.c.query("SELECT k, rowid FROM t WHERE k < 'r' ORDER BY k") == before);
  t.same("SELECT k, u FROM t ORDER BY k", "p|2\nq|1\ns|same");
  t.same("SELECT count(*) FROM f WHERE f MATCH 'raisin'", "0");
  t.same("SELECT count(*) FROM f WHERE f MATCH 'sloe OR quince OR plum'", "3");
  for (Node* node : t.all()) node->sql("INSERT INTO f(f) VALUES('integrity-check')");
}

TEST_CASE("shelf: a unique index that is dropped lets the shelved rows in, one that is made new rejudges them") {
  Trio t("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT, w TEXT); CREATE UNIQUE INDEX t_u ON t(u)", keep());
  t.a.sql("INSERT INTO t VALUES(1,'same','a')");
  t.b.sql("INSERT INTO t VALUES(2,'same','b')");
  t.settle();
  t.shelved(1);
  for (Node* node : t.all()) node->sql("DROP INDEX t_u");
  t.settle();
  t.same("SELECT id FROM t ORDER BY id", "1\n2");
  for (Node* node : t.all()) node->sql("CREATE UNIQUE INDEX t_w ON t(w)");
  t.settle();
  t.c.sql("INSERT INTO t VALUES(3,'x','c')");
  t.a.sql("INSERT INTO t VALUES(4,'x','c')");
  t.settle();
  t.same("SELECT id FROM t ORDER BY id", "1\n2\n3");
  t.shelved(1);
  for (Node* node : t.all()) node->sql("DROP INDEX t_w; CREATE UNIQUE INDEX t_w ON t(w, id)");
  t.settle();
  t.same("SELECT id FROM t ORDER BY id", "1\n2\n3\n4");
}

TEST_CASE("shelf: an update of a row that waits here is found on the shelf, and its new values may let it in") {
  Trio t(kUsers, keep());
  t.a.sql("INSERT INTO t VALUES(1,'same','a')");
  t.a.publish(t.stream);
  t.a.apply(t.stream);
  t.b.sql("INSERT INTO t VALUES(2,'same','b')");
  t.b.publish(t.stream);
  t.c.apply(t.stream);
  CHECK(t.c.query("SELECT id FROM t") == "2");
  t.a.sql("UPDATE t SET u = 'moved' WHERE id = 1");  // it is visible there
  t.settle();
  t.same("SELECT id, u, v FROM t ORDER BY id", "1|moved|a\n2|same|b");
  t.shelved(0);
}

TEST_CASE("shelf: rows that a joining file brings along lose to the cluster's, and are kept") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1), b(dir.path, 2);
  a.sql(std::string(kUsers) + "; INSERT INTO t VALUES(1,'same','cluster')");
  a.found(stream);
  a.publish(stream);
  b.sql(std::string(kUsers) + "; INSERT INTO t VALUES(2,'same','brought'),(3,'extra','brought')");
  b.start();
  require(b.engine().join(stream.id, stream.messages.size()));
  settle(stream, {&a, &b});
  for (Node* node : {&a, &b}) CHECK(node->query("SELECT * FROM t ORDER BY id") == "1|same|cluster\n3|extra|brought");
  CHECK(b.query("SELECT kind, loser_row FROM __marmot_conflict") == "unique|{\"id\": 2, \"u\": \"same\", \"v\": \"brought\"}");
  CHECK(b.query("SELECT count(*) FROM __marmot_shelf") == "0");
}

TEST_CASE("shelf: what waits survives a lost stream") {
  Trio t(kUsers, keep());
  t.a.sql("INSERT INTO t VALUES(1,'same','a')");
  t.b.sql("INSERT INTO t VALUES(2,'same','b')");
  t.settle();
  t.stream.messages.clear();
  t.stream.id = 78;
  t.stream.append("genesis", "");
  uint64_t life = 5000;
  for (Node* node : t.all()) require(node->engine().history_lost(78, 1, Incarnation{++life}));
  t.settle();
  Node d(t.dir.path, 4, keep());
  d.join(t.stream);
  test::settle(t.stream, {&t.a, &t.b, &t.c, &d});
  CHECK(d.query("SELECT id FROM t") == "2");
  d.sql("DELETE FROM t");
  test::settle(t.stream, {&t.a, &t.b, &t.c, &d});
  for (Node* node : {&t.a, &t.b, &t.c, &d}) CHECK(node->query("SELECT * FROM t") == "1|same|a");
}

TEST_CASE("shelf: a discarded row is deleted everywhere, whoever wrote it") {
  Trio t(kUsers, keep());
  t.a.sql("INSERT INTO t VALUES(1,'same','a')");
  t.b.sql("INSERT INTO t VALUES(2,'same','b')");
  t.settle();
  t.c.sql("UPDATE __marmot_shelf SET discard = 1");
  CHECK(require(t.c.engine().has_work()));
  t.settle();
  t.shelved(0);
  CHECK(!require(t.c.engine().has_work()));
  t.b.sql("DELETE FROM t");
  t.settle();
  t.same("SELECT count(*) FROM t", "0");
}

TEST_CASE("conflict: only the newest conflict_log_rows are kept, and the others are counted") {
  replica::Settings few;
  few.conflict_log_rows = 3;
  Trio t(kUsers, few);
  t.a.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8) INSERT INTO t SELECT i, i, 'a' FROM n");
  t.b.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8) INSERT INTO t SELECT i + 100, i, 'b' FROM n");
  t.settle();
  t.same("SELECT count(*), min(id), sum(v = 'b') FROM t", "8|101|8");
  for (Node* node : t.all()) {
    const auto counters = require(node->engine().counters());
    CHECK(counters.conflicts == 3);
    CHECK(counters.conflicts_dropped == 5);
  }
}

TEST_CASE("conflict: the kept row says exactly what was lost") {
  Trio t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.a.sql("INSERT INTO t VALUES(1,0.1),(2,1.0),(3,9e999),(4,-9223372036854775808),(5,'q\"\\\n'),(6,CAST(x'ff61' AS TEXT)),(7,NULL)");
  t.b.sql("INSERT INTO t SELECT value, 'b' FROM json_each('[1,2,3,4,5,6,7]')");
  t.settle();
  t.same("SELECT group_concat(json_extract(loser_row, '$.id') || '=' || (loser_row ->> '$.v'), ' ') FROM __marmot_conflict WHERE id NOT IN (5, 7)",
         "1=0.1 2=1.0 3={\"real\":\"inf\"} 4=-9223372036854775808 6={\"text_hex\":\"FF61\"}");
  t.same("SELECT hex(loser_row ->> '$.v') FROM __marmot_conflict WHERE id = 5", "71225C0A");
}
