#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "common/codec/message.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

TEST_CASE("engine: schema and rows that stood there before reach nodes with empty files") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX i ON t(v); CREATE VIEW w AS SELECT v FROM t;"
          "INSERT INTO t VALUES(1,'one'),(2,'two')");
  t.same("SELECT * FROM w ORDER BY 1", "one\ntwo");
  CHECK(t.b.query("SELECT count(*) FROM sqlite_schema WHERE name = 'i'") == "1");
}

TEST_CASE("engine: inserts, updates and deletes of any node reach the others, and an acknowledged row leaves the outbox") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("INSERT INTO t VALUES(1,'a')");
  t.b.sql("INSERT INTO t VALUES(2,'b')");
  t.settle();
  t.same("SELECT * FROM t", "1|a\n2|b");
  t.c.sql("UPDATE t SET v = 'c' WHERE id = 1; DELETE FROM t WHERE id = 2");
  CHECK(require(t.c.engine().counters()).log_rows == 2);
  t.settle();
  t.same("SELECT * FROM t", "1|c");
  for (Node* node : {&t.a, &t.b, &t.c}) {
    const auto counters = require(node->engine().counters());
    CHECK(counters.outbox_rows == 0);
    CHECK(counters.log_rows == 0);
  }
}

TEST_CASE("engine: concurrent updates of one row end the same everywhere, the later one wins") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1,'start')");
  // The triggers read the real clock; what counts for this test is that both are written before either is seen.
  t.a.sql("UPDATE t SET v = 'from a' WHERE id = 1");
  t.b.sql("UPDATE t SET v = 'from b' WHERE id = 1");
  t.settle();
  const std::string winner = t.a.query("SELECT v FROM t");
  CHECK(winner != "start");
  t.same("SELECT v FROM t", winner);
}

TEST_CASE("engine: a delete and a concurrent update end the same everywhere") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1,'start')");
  t.a.sql("DELETE FROM t WHERE id = 1");
  t.b.sql("UPDATE t SET v = 'kept?' WHERE id = 1");
  t.settle();
  t.same("SELECT count(*) FROM t", t.a.query("SELECT count(*) FROM t"));
}

TEST_CASE("engine: two nodes insert one id: one row wins everywhere, the other stands in conflicts in full") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT, b BLOB)");
  t.a.sql("INSERT INTO t VALUES(7,'from a',x'00ff')");
  t.b.sql("INSERT INTO t VALUES(7,'from b',x'00ff')");
  t.settle();
  const std::string winner = t.a.query("SELECT v FROM t");
  const std::string loser = winner == "from a" ? "from b" : "from a";
  t.same("SELECT v FROM t", winner);
  t.same("SELECT loser_row FROM __marmot_conflict", "{\"id\": 7, \"v\": \"" + loser + "\", \"b\": {\"hex\": \"00FF\"}}");
}

TEST_CASE("engine: a changed key is a delete of the old and an insert of the new") {
  Three t("CREATE TABLE t(a TEXT, b INT, v, PRIMARY KEY(a, b)) WITHOUT ROWID; INSERT INTO t VALUES('x',1,'v')");
  t.b.sql("UPDATE t SET a = 'y', b = 2");
  t.settle();
  t.same("SELECT * FROM t", "y|2|v");
}

TEST_CASE("engine: values swapped across a UNIQUE index arrive") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE); INSERT INTO t VALUES(1,'x'),(2,'y'),(3,'z')");
  t.b.sql("BEGIN; UPDATE t SET u = 'tmp' WHERE id = 1; UPDATE t SET u = 'x' WHERE id = 2; UPDATE t SET u = 'y' WHERE id = 1; COMMIT");
  t.settle();
  t.same("SELECT * FROM t", "1|y\n2|x\n3|z");
}

TEST_CASE("engine: rows that REPLACE deleted by a unique index, firing no trigger, go on the other nodes too") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE, e TEXT); CREATE UNIQUE INDEX x ON t(lower(e)) WHERE e <> '';"
          "INSERT INTO t VALUES(1,'x','E1'),(2,'y','e2'),(3,'z','')");
  t.b.sql("INSERT OR REPLACE INTO t VALUES(9,'x','E2')");  // deletes 1 and 2
  t.settle();
  t.same("SELECT * FROM t", "3|z|\n9|x|E2");
}

// Nothing is left there that tells whom REPLACE put out, and the row that comes next stands where that one stood. An update of it stopped the
// agent (simulator, seed 1539).
TEST_CASE("engine: an update of a keyless row that REPLACE put out unseen, whose rowid another row has, is there again") {
  Three t("CREATE TABLE t(v, u TEXT UNIQUE); INSERT INTO t VALUES('a','x')");
  t.a.sql("INSERT INTO t VALUES('b','y')");
  t.a.publish(t.stream);
  t.b.apply(t.stream);
  t.b.sql("INSERT OR REPLACE INTO t VALUES('for a moment','y'); DELETE FROM t WHERE u = 'y'");
  t.b.publish(t.stream);
  t.c.sql("INSERT INTO t VALUES('c','z')");
  t.settle();
  CHECK(t.b.query("SELECT rowid, v FROM t ORDER BY v") == "1|a\n2|c");
  t.a.sql("UPDATE t SET v = 'later' WHERE u = 'y'");
  t.settle();
  for (bool done = false; !done;) {
    auto slice = require(t.b.engine().scrub(false));
    t.stream.append(slice.units);
    done = slice.done;
  }
  t.settle();
  t.same("SELECT v, u FROM t ORDER BY v", "a|x\nc|z\nlater|y");
}

// SQLite fires the youngest first, and node c got the table from a, before its trigger; b's trigger came later than the agent (seed 227).
TEST_CASE("engine: a change is seen though a trigger of the application's ends the statement: RAISE(IGNORE), a constraint under OR FAIL") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'a'),(2,'b'),(3,'c');"
          "CREATE TRIGGER ends AFTER UPDATE ON t WHEN new.v = 'ends' BEGIN SELECT RAISE(IGNORE); END");
  t.b.sql("CREATE TRIGGER fails AFTER INSERT ON t BEGIN INSERT INTO gone VALUES(new.id); END;"
          "CREATE TABLE gone(id INTEGER UNIQUE); INSERT INTO gone VALUES(7)");
  t.settle();
  t.c.sql("UPDATE t SET v = 'ends' WHERE id < 3");
  const auto insert = [](Node& node, const std::string& row) {
    auto db = require(sqlite::Database::open(node.path, SQLITE_OPEN_READWRITE));
    CHECK_FALSE(db.exec("INSERT OR FAIL INTO t VALUES" + row));  // and keeps it
  };
  insert(t.b, "(7,'b')");
  t.settle();
  t.same("SELECT * FROM t", "1|ends\n2|ends\n3|c\n7|b");
}

TEST_CASE("engine: keyless rows of two nodes under one rowid both live, across VACUUM, and are updated and deleted apart") {
  Three t("CREATE TABLE t(v TEXT)");
  t.a.sql("INSERT INTO t VALUES('a1'),('a2')");
  t.b.sql("INSERT INTO t VALUES('b1'),('b2')");
  t.settle();
  t.same("SELECT v FROM t ORDER BY v", "a1\na2\nb1\nb2");
  t.c.sql("DELETE FROM t WHERE v = 'a1'");
  t.settle();
  t.c.sql("VACUUM");
  t.c.sql("UPDATE t SET v = 'b1 by c' WHERE v = 'b1'");
  t.settle();
  t.same("SELECT v FROM t ORDER BY v", "a2\nb1 by c\nb2");
}

TEST_CASE("engine: a row with NULL in its key is known by its rowid until it gets a key") {
  Three t("CREATE TABLE t(k TEXT PRIMARY KEY, v)");
  t.a.sql("INSERT INTO t VALUES(NULL,'a')");
  t.b.sql("INSERT INTO t VALUES(NULL,'b')");
  t.settle();
  t.same("SELECT k IS NULL, v FROM t ORDER BY v", "1|a\n1|b");
  t.c.sql("UPDATE t SET k = 'key' WHERE v = 'a'");
  t.settle();
  t.same("SELECT coalesce(k, 'none'), v FROM t ORDER BY v", "key|a\nnone|b");
  t.a.sql("UPDATE t SET k = NULL WHERE v = 'a'; DELETE FROM t WHERE v = 'b'");
  t.settle();
  t.same("SELECT coalesce(k, 'none'), v FROM t ORDER BY v", "none|a");
}

TEST_CASE("engine: a table created while running reaches the others with its rows") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  t.b.sql("CREATE TABLE late(k TEXT PRIMARY KEY, v); INSERT INTO late VALUES('k',1.5); CREATE INDEX late_v ON late(v)");
  t.settle();
  t.same("SELECT k, v FROM late", "k|1.5");
  CHECK(t.c.query("SELECT count(*) FROM sqlite_schema WHERE name = 'late_v'") == "1");
  t.c.sql("INSERT INTO late VALUES('from c', NULL)");
  t.settle();
  t.same("SELECT count(*) FROM late", "2");
}

TEST_CASE("engine: a killed agent publishes what nobody saw, in its next life") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.a.sql("INSERT INTO t VALUES(1,'drained, never sent'); INSERT INTO t VALUES(2,'gone')");
  t.a.drain();
  t.a.sql("DELETE FROM t WHERE id = 2");
  t.a.drain();
  t.a.stop();
  t.a.sql("INSERT INTO t VALUES(3,'written while it was away')");
  t.a.start();
  t.settle();
  t.same("SELECT * FROM t", "1|drained, never sent\n3|written while it was away");
}

TEST_CASE("engine: a unit in parts is applied once it is whole, and delivering anything again changes nothing") {
  replica::Settings small;
  small.max_message = 400;
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)", small);
  t.a.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<50) INSERT INTO t SELECT i, randomblob(100) FROM n");
  const auto units = t.a.drain();
  REQUIRE(units.size() == 1);
  REQUIRE(units[0].messages.size() > 3);
  for (size_t part = 0; part < units[0].messages.size(); ++part) {
    CHECK(t.b.query("SELECT count(*) FROM t") == "0");
    t.stream.append(units[0].msg_ids[part], units[0].messages[part]);
    t.stream.append(units[0].msg_ids[part], units[0].messages[part]);
    t.b.apply(t.stream);
  }
  CHECK(t.b.query("SELECT count(*) FROM t") == "50");
  t.settle();
  const std::string sum = t.a.query("SELECT count(*), hex(group_concat(v)) FROM t");
  t.same("SELECT count(*), hex(group_concat(v)) FROM t", sum);
}

TEST_CASE("engine: units of one origin are applied in their order, whatever the stream did to them") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.a.sql("INSERT INTO t VALUES(1,'first')");
  const auto first = t.a.drain();
  t.a.sql("INSERT INTO t VALUES(2,'second')");
  const auto second = t.a.drain();
  t.stream.append(second[0]);
  t.b.apply(t.stream);
  CHECK(t.b.query("SELECT count(*) FROM t") == "0");
  t.stream.append(first[0]);
  t.b.apply(t.stream);
  CHECK(t.b.query("SELECT * FROM t") == "1|first\n2|second");
}

// An early piece reads rows as they are at the log's end, and gives them the early time; a late piece finds them as it was told (simulator, seed 3743).
TEST_CASE("engine: of a backlog that is drained in pieces a row's last change has its own time") {
  replica::Settings few;
  few.atomic_rows = 4;
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)", few);
  t.a.sql("INSERT INTO t VALUES(1, 'changed'), (2, 'deleted'), (3, 'kept')");
  t.settle();
  t.a.sql("UPDATE t SET v = 'early' WHERE id = 1");
  t.a.sql("UPDATE t SET v = 'early' WHERE id = 2");
  for (int id = 10; id < 20; ++id) t.a.sql("INSERT INTO t VALUES(" + std::to_string(id) + ", 'filler')");
  t.a.sql("UPDATE t SET v = 'late' WHERE id = 1");
  t.a.sql("DELETE FROM t WHERE id = 2");
  t.b.sql("UPDATE t SET v = 'between' WHERE id < 4");
  for (Node* node : {&t.a, &t.b}) node->now += 100'000;
  const std::string base = std::to_string(t.a.now - 90'000);
  t.a.sql("UPDATE __marmot_log SET ts = " + base + " + 5000 * (seq - (SELECT min(seq) FROM __marmot_log))");
  t.b.sql("UPDATE __marmot_log SET ts = " + base + " + 30000");
  t.settle();
  t.same("SELECT id, v FROM t WHERE id < 10", "1|late\n3|between");
}

TEST_CASE("engine: a large backlog goes out in units of atomic_rows, and all of it arrives") {
  replica::Settings few;
  few.atomic_rows = 100;
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)", few);
  t.a.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1234) INSERT INTO t SELECT i, i FROM n");
  t.settle();
  t.same("SELECT count(*), sum(v) FROM t", "1234|761995");
}

TEST_CASE("engine: a local change made before a message is applied is never overwritten unseen") {
  replica::Settings few;
  few.atomic_rows = 10;
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)", few);
  t.a.sql("INSERT INTO t VALUES(100,'older')");
  t.a.publish(t.stream);
  // More than one unit's worth stands in b's log when a's message arrives; the newer write to 100 is at its end.
  t.b.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<50) INSERT INTO t SELECT i, i FROM n;"
          "INSERT INTO t VALUES(100,'newer')");
  t.b.apply(t.stream);
  CHECK(t.b.query("SELECT v FROM t WHERE id = 100") == "newer");
  t.settle();
  t.same("SELECT v FROM t WHERE id = 100", "newer");
}

TEST_CASE("engine: what cannot be applied stops that table only, loses nothing, and the cure lets it go on") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT); CREATE TABLE other(id INTEGER PRIMARY KEY)");
  t.b.sql("CREATE VIEW renamed AS SELECT 1");  // takes the name
  t.a.sql("ALTER TABLE t RENAME TO renamed; INSERT INTO renamed VALUES(1,'waits')");
  t.a.publish(t.stream);
  t.b.apply(t.stream);
  REQUIRE(t.b.engine().stopped().size() == 1);
  CHECK(t.b.engine().stopped()[0].reason.find("renamed") != std::string::npos);
  t.a.sql("INSERT INTO other VALUES(5)");
  t.a.publish(t.stream);
  t.b.apply(t.stream);
  CHECK(t.b.query("SELECT * FROM other") == "5");
  t.b.sql("INSERT INTO t(id, u) VALUES(2, 'mine'); DROP VIEW renamed");
  CHECK(require(t.b.engine().has_work()));
  t.b.publish(t.stream);
  CHECK(require(t.b.engine().resume_stopped()));
  CHECK(t.b.engine().stopped().empty());
  CHECK(require(t.b.engine().counters()).waiting_units == 0);
  t.settle();
  t.same("SELECT * FROM renamed ORDER BY id", "1|waits\n2|mine");
}

TEST_CASE("engine: what waited for a table overwrites nothing that its application has written and no drain has seen") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT); INSERT INTO t VALUES(1, 'old')");
  t.b.sql("CREATE VIEW renamed AS SELECT 1");  // takes the name
  t.a.sql("ALTER TABLE t RENAME TO renamed; UPDATE renamed SET u = 'of a'");
  t.a.publish(t.stream);
  t.b.apply(t.stream);
  REQUIRE(t.b.engine().stopped().size() == 1);
  t.b.now += 5000;
  t.b.sql("DROP VIEW renamed; UPDATE t SET u = 'of b'");
  CHECK(require(t.b.engine().resume_stopped()));
  t.settle();
  t.same("SELECT * FROM renamed", "1|of b");
}

TEST_CASE("engine: rows of a table that cannot be made here wait until it is there, whatever else resumes meanwhile") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT)");
  t.b.sql("CREATE VIEW late AS SELECT 1");  // takes the name
  t.a.sql("CREATE TABLE late(id INTEGER PRIMARY KEY, v); INSERT INTO late VALUES(1,'waits')");
  t.a.publish(t.stream);
  t.b.apply(t.stream);
  REQUIRE(t.b.engine().stopped().size() == 1);
  CHECK(t.b.engine().stopped()[0].name == "table late");
  CHECK_FALSE(require(t.b.engine().resume_stopped()));
  CHECK(require(t.b.engine().counters()).waiting_units >= 1);
  CHECK(require(t.b.engine().untold_units()) == 0);  // it is known: somebody must make room
  t.b.sql("BEGIN IMMEDIATE");
  CHECK_FALSE(require(t.b.engine().resume_stopped()));  // it pauses, and does not ask for the lock
  t.b.now += 5000;
  CHECK_FALSE(t.b.engine().resume_stopped());
  t.b.sql("ROLLBACK");
  for (int pause : {0, 10'000, 20'000, 40'000, 60'000, 60'000}) {  // milliseconds
    t.b.now += pause - 1;
    t.b.sql("BEGIN IMMEDIATE");
    CHECK((pause == 0 || require(t.b.engine().resume_stopped()) == false));
    t.b.sql("ROLLBACK");
    t.b.now += 1;
    CHECK_FALSE(require(t.b.engine().resume_stopped()));
  }
  t.b.sql("DROP VIEW late; CREATE TABLE late(id INTEGER PRIMARY KEY, v)");
  t.b.publish(t.stream);
  CHECK(require(t.b.engine().resume_stopped()));
  CHECK(t.b.query("SELECT * FROM late") == "1|waits");
  CHECK(require(t.b.engine().counters()).waiting_units == 0);
}

TEST_CASE("engine: an identical copy joins without sending a row, and its keyless rows are the same rows") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1), b(dir.path, 2);
  const std::string content = "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'x'),(2,'y');"
                              "CREATE TABLE keyless(v); INSERT INTO keyless VALUES('p'),('q')";
  a.sql(content);
  b.sql(content);
  a.found(stream);
  a.publish(stream);
  b.join(stream);
  b.apply(stream);
  const size_t before = stream.messages.size();
  settle(stream, {&a, &b});
  CHECK(stream.messages.size() == before);
  CHECK(b.query("SELECT * FROM keyless") == "p\nq");
  a.sql("UPDATE keyless SET v = 'changed' WHERE v = 'p'");
  settle(stream, {&a, &b});
  CHECK(b.query("SELECT * FROM keyless") == "changed\nq");
}

TEST_CASE("engine: a file with other data is told apart, row by row") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1), b(dir.path, 2);
  a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'same'),(2,'a'),(4,'only a')");
  b.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'same'),(2,'b'),(3,'only b')");
  a.found(stream);
  a.publish(stream);
  b.start();
  for (const auto& message : stream.messages) require(b.engine().compare(message));
  const auto comparison = require(b.engine().comparison());
  CHECK(!comparison.accepted());
  CHECK(comparison.equal == 1);
  CHECK(comparison.differing == 1);
  CHECK(comparison.only_here == 1);
  CHECK(comparison.only_there == 1);
  SUBCASE("adopt = merge: the cluster wins on equal keys, local extras are published") {
    require(b.engine().join(stream.id, stream.messages.size()));
    settle(stream, {&a, &b});
    for (Node* node : {&a, &b}) CHECK(node->query("SELECT * FROM t") == "1|same\n2|a\n3|only b\n4|only a");
  }
  SUBCASE("adopt = replace: the cluster's rows only") {
    require(b.engine().discard_rows());
    require(b.engine().join(stream.id, stream.messages.size()));
    settle(stream, {&a, &b});
    for (Node* node : {&a, &b}) CHECK(node->query("SELECT * FROM t") == "1|same\n2|a\n4|only a");
  }
}

TEST_CASE("engine: a stream that is lost is rebuilt from the nodes") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.a.sql("INSERT INTO t VALUES(1,'a'),(2,'gone'); DELETE FROM t WHERE id = 2");
  t.settle();
  t.b.sql("INSERT INTO t VALUES(3,'only b has seen this')");
  t.b.drain();  // sent, and lost with the stream
  t.stream.messages.clear();
  t.stream.id = 78;
  t.stream.append("genesis", "");
  uint64_t life = 5000;
  for (Node* node : {&t.a, &t.b, &t.c}) require(node->engine().history_lost(78, 1, Incarnation{++life}));
  t.settle();
  t.same("SELECT * FROM t", "1|a\n3|only b has seen this");
  Node d(t.dir.path, 4);
  d.join(t.stream);
  test::settle(t.stream, {&t.a, &t.b, &t.c, &d});
  CHECK(d.query("SELECT * FROM t") == "1|a\n3|only b has seen this");
}

// 99,000 rows of 1,400 columns made a unit that could not be written: each drain failed, and the next one too, under the write lock.
TEST_CASE("engine: a transaction of more values than a unit may hold goes in several, and is counted") {
  replica::Settings settings;
  settings.unit_cells = 1000;
  std::string columns;
  for (int i = 0; i < 50; ++i) columns += ", c" + std::to_string(i);
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY" + columns + ")", settings);
  t.a.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO t(id) SELECT i FROM n");
  const auto units = t.a.drain();
  CHECK(units.size() == 6);  // 55 cells a row, 19 rows a unit
  t.stream.append(units);
  t.settle();
  t.same("SELECT count(*) FROM t", "100");
  CHECK(require(t.b.engine().counters()).split_units == 5);
}

TEST_CASE("engine: a corrupt message is put aside, and what follows it from the same node goes on") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.a.sql("INSERT INTO t VALUES(1,'lost on the wire')");
  auto units = t.a.drain();
  units[0].messages[0].back() ^= 1;
  t.stream.append(units[0]);
  t.stream.append("not ours", "nonsense");
  t.a.sql("INSERT INTO t VALUES(2,'fine')");
  t.a.publish(t.stream);
  t.b.apply(t.stream);
  CHECK(t.b.query("SELECT * FROM t") == "2|fine");
  CHECK(require(t.b.engine().counters()).quarantined == 2);
}

TEST_CASE("engine: a message of a later format stops before it, and keeps it") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.a.sql("INSERT INTO t VALUES(1,'known')");
  t.a.publish(t.stream);
  t.a.sql("INSERT INTO t VALUES(2,'later')");
  auto units = t.a.drain();
  REQUIRE(units.size() == 1);
  const auto known = require(codec::open(units[0].messages[0]));
  units[0].messages[0] = codec::seal(known.kind, known.origin, known.number, std::string(known.slice), 4096, 99)[0];
  t.stream.append(units[0]);
  std::deque<replica::Incoming> queue(t.stream.messages.end() - 2, t.stream.messages.end());
  require(t.b.engine().apply(queue, false));
  REQUIRE(queue.size() == 1);
  const auto refused = t.b.engine().apply(queue, false);
  REQUIRE(!refused);
  CHECK(refused.error().code == Errc::newer_format);
  CHECK(queue.size() == 1);
  CHECK(t.b.query("SELECT * FROM t") == "1|known");
}

TEST_CASE("engine: a message, or a schema change, of a kind that a later Marmot brought stops before it, and is read after the upgrade") {
  SchemaRegister later;
  later.kind = static_cast<SchemaKind>(200);
  later.id = later.name = std::string(600, 'x');
  const std::string schema = require(codec::encode_schema({later}));
  const struct {
    codec::Kind kind;
    std::string payload;
    std::string told;
  } cases[] = {{static_cast<codec::Kind>(200), "anything", "message of kind 200"}, {codec::Kind::schema, schema, "schema change of kind 200"}};
  for (const auto& one : cases) {
    Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
    t.a.sql("INSERT INTO t VALUES(1,'known')");
    t.a.publish(t.stream);
    const Origin origin{NodeId{9}, Incarnation{5}};
    const auto sealed = codec::seal(one.kind, origin, 1, one.payload, 4096);
    REQUIRE(sealed.size() == 1);
    t.stream.append(codec::message_id(origin, 1, 0), sealed[0]);
    t.a.sql("INSERT INTO t VALUES(2,'behind it')");
    t.a.publish(t.stream);
    const StreamSeq stops_at = t.stream.messages.size() - 1;
    std::deque<replica::Incoming> queue;
    for (const replica::Incoming& message : t.stream.messages) {
      if (message.seq > t.b.engine().position().seq) queue.push_back(message);
    }
    for (int attempt = 0; attempt < 3; ++attempt) {
      const auto applied = t.b.engine().apply(queue, false);
      if (attempt == 0) continue;  // what stands before it
      REQUIRE_FALSE(applied);
      CHECK(applied.error().code == Errc::newer_format);
      CHECK(applied.error().message.find(one.told) != std::string::npos);
    }
    CHECK(t.b.engine().position().seq == stops_at - 1);
    CHECK(t.b.query("SELECT * FROM t") == "1|known");
    CHECK(require(t.b.engine().counters()).quarantined == 0);
    // The upgraded one knows it.
    t.stream.messages[stops_at - 1].bytes = codec::seal(codec::Kind::schema, origin, 1, require(codec::encode_schema({})), 4096)[0];
    t.b.apply(t.stream);
    CHECK(t.b.query("SELECT * FROM t") == "1|known\n2|behind it");
  }
}

TEST_CASE("engine: an FTS5 index fed by triggers finds what another node wrote, and an audit trigger does not double") {
  Three t("CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); CREATE TABLE audit(id INTEGER PRIMARY KEY, what TEXT);"
          "CREATE VIRTUAL TABLE note_fts USING fts5(body, content='note', content_rowid='id');"
          "CREATE TRIGGER n1 AFTER INSERT ON note BEGIN INSERT INTO note_fts(rowid, body) VALUES(new.id, new.body);"
          " INSERT INTO audit(what) VALUES('insert ' || new.id); END;"
          "CREATE TRIGGER n2 AFTER UPDATE ON note BEGIN INSERT INTO note_fts(note_fts, rowid, body) VALUES('delete', old.id, old.body);"
          " INSERT INTO note_fts(rowid, body) VALUES(new.id, new.body); END");
  t.a.sql("INSERT INTO note VALUES(1,'the quick marmot')");
  t.settle();
  t.same("SELECT rowid FROM note_fts WHERE note_fts MATCH 'marmot'", "1");
  t.same("SELECT what FROM audit", "insert 1");
  t.b.sql("UPDATE note SET body = 'a slow badger' WHERE id = 1");
  t.settle();
  t.same("SELECT count(*) FROM note_fts WHERE note_fts MATCH 'marmot'", "0");
  t.same("SELECT rowid FROM note_fts WHERE note_fts MATCH 'badger'", "1");
  for (Node* node : {&t.a, &t.b, &t.c}) node->sql("INSERT INTO note_fts(note_fts) VALUES('integrity-check')");
}

TEST_CASE("engine: digests are equal on equal nodes and name the bucket that differs") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.a.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500) INSERT INTO t SELECT i, i FROM n");
  t.settle();
  const auto a = require(t.a.engine().digests(kSeed));
  CHECK(a[0].rows == 500);
  CHECK(a[0].buckets == require(t.b.engine().digests(kSeed))[0].buckets);
  require(t.b.engine().database().exec("UPDATE t SET v = 'unseen' WHERE id = 77"));  // triggers are off here
  const auto b = require(t.b.engine().digests(kSeed));
  int differing = -1;
  for (int i = 0; i < 256; ++i) {
    if (a[0].buckets[static_cast<size_t>(i)] == b[0].buckets[static_cast<size_t>(i)]) continue;
    CHECK(differing == -1);
    differing = i;
  }
  REQUIRE(differing >= 0);
  CHECK(require(t.b.engine().bucket_keys(kSeed, "t", differing)).size() == static_cast<size_t>(a[0].buckets[static_cast<size_t>(differing)].rows));
}
