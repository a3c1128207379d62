// Tables whose rebuild drops the primary key: a row is known by a hash of the key it had, the same on every node (decision 0012).
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "common/replica/snapshot.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

const char* const kRows = "SELECT * FROM t ORDER BY 1, 2, 3";

void same_everywhere(Three& t, const std::string& expected) {
  t.same(kRows, expected);
  const std::string names = "SELECT hex(key), hash, state > 0 FROM __marmot_version WHERE tbl = (SELECT id FROM __marmot_table WHERE name = 't') AND state > 0 ORDER BY 1";
  t.same(names, t.a.query(names));
  for (Node* node : {&t.a, &t.b, &t.c}) {
    check_at_rest(*node);
    node->sql("UPDATE t SET v = v");  // every live version's hash is its row's
    CHECK(rows_in(node->drain()) == 0);
  }
}

// What each node does to each row afterwards befalls that row everywhere, and no other.
void rows_are_one_another(Three& t, int64_t rows) {
  const std::string count = "SELECT count(*) FROM t";
  t.same(count, std::to_string(rows));
  for (Node* node : {&t.a, &t.b, &t.c}) node->sql("VACUUM");
  t.settle();
  t.same(count, std::to_string(rows));
  for (Node* node : {&t.c, &t.a, &t.b}) {
    node->now += 5000;
    node->sql("UPDATE t SET v = v || '+'");
    t.settle();
    t.same(kRows, t.a.query(kRows));
    t.same(count, std::to_string(rows));
  }
  t.b.sql("DELETE FROM t WHERE rowid = (SELECT min(rowid) FROM t)");
  t.settle();
  t.same(kRows, t.a.query(kRows));
  t.same(count, std::to_string(rows - 1));
}

std::string rebuilt(const std::string& columns, const std::string& copy) {
  return "BEGIN; CREATE TABLE n(" + columns + "); INSERT INTO n " + copy + "; DROP TABLE t; ALTER TABLE n RENAME TO t; COMMIT";
}

// b and c write before they hear of what a did. The order of their units and a's in the stream is one of six.
void in_every_order(const std::string& schema, const std::string& on_a, const std::string& on_b, const std::string& on_c, const std::string& expected,
                    int64_t rows) {
  std::vector<int> order = {0, 1, 2};
  do {
    CAPTURE(order[0]);
    CAPTURE(order[1]);
    Three t(schema);
    t.b.now += 1000;
    t.c.now += 2000;
    t.b.sql(on_b);
    t.c.sql(on_c);
    t.a.sql(on_a);
    std::vector<std::vector<replica::OutUnit>> units;
    for (Node* node : {&t.a, &t.b, &t.c}) units.push_back(node->drain());
    for (const int node : order) {
      t.stream.append(units[static_cast<size_t>(node)]);
      t.a.apply(t.stream);
      if (node != 1) t.b.apply(t.stream);
    }
    t.settle();
    same_everywhere(t, expected);
    rows_are_one_another(t, rows);
  } while (std::next_permutation(order.begin(), order.end()));
}

const char* const kThree = "CREATE TABLE t(id INTEGER PRIMARY KEY, v, w); INSERT INTO t VALUES(1,'one',1),(2,'two',2),(3,'three',3),(4,'four',4),(50,'same',5),(51,'same',5)";
const char* const kOnB = "UPDATE t SET v = 'one of b' WHERE id = 1; INSERT INTO t VALUES(10,'b',10); DELETE FROM t WHERE id = 3";
const char* const kOnC = "UPDATE t SET v = 'one of c' WHERE id = 1; INSERT INTO t VALUES(11,'c',11); DELETE FROM t WHERE id = 4";

}  // namespace

TEST_CASE("lost key: the column stays: rows are the same rows on every node, what is in flight finds them") {
  in_every_order(kThree, rebuilt("id INTEGER, v, w", "SELECT * FROM t"), kOnB, kOnC, "1|one of c|1\n2|two|2\n10|b|10\n11|c|11\n50|same|5\n51|same|5", 6);
}

TEST_CASE("lost key: the migration changes rows, adds some and leaves some out") {
  in_every_order(kThree, rebuilt("id INTEGER, v, w", "SELECT 2, 'twin', 0 UNION ALL SELECT id, CASE id WHEN 2 THEN 'TWO' WHEN 1 THEN 'ONE' ELSE v END, w FROM t WHERE id <> 50"),
                 kOnB, kOnC, "1|one of c|1\n2|TWO|2\n2|twin|0\n10|b|10\n11|c|11\n51|same|5", 6);
}

TEST_CASE("lost key: the column goes: rows are told by what else they hold") {
  in_every_order(kThree, rebuilt("v, w, x", "SELECT v, w, NULL FROM t"), kOnB, kOnC, "b|10|\nc|11|\none of c|1|\nsame|5|\nsame|5|\ntwo|2|", 6);
}

TEST_CASE("lost key: of a WITHOUT ROWID table with a key of two columns, one of which goes") {
  const std::string schema =
      "CREATE TABLE t(k TEXT COLLATE NOCASE, n REAL, v, PRIMARY KEY(n, k)) WITHOUT ROWID; INSERT INTO t VALUES('a',1,'one'),('B',1,'two'),('b',2,'three'),('c',3,'four')";
  const std::string on_b = "UPDATE t SET v = 'one of b' WHERE k = 'A' AND n = 1; INSERT INTO t VALUES('x',1,'b')";
  const std::string on_c = "DELETE FROM t WHERE k = 'b' AND n = 2; INSERT INTO t VALUES('y',1,'c')";
  in_every_order(schema, rebuilt("k TEXT, n REAL, v", "SELECT * FROM t"), on_b, on_c, "B|1.0|two\na|1.0|one of b\nc|3.0|four\nx|1.0|b\ny|1.0|c", 5);
  in_every_order(schema, rebuilt("k TEXT, v, w", "SELECT k, v, NULL FROM t"), on_b, on_c, "B|two|\na|one of b|\nc|four|\nx|b|\ny|c|", 5);
}

TEST_CASE("lost key: rows with NULL in it stay who they are") {
  in_every_order("CREATE TABLE t(k TEXT PRIMARY KEY, v, w); INSERT INTO t VALUES('a','one',1),(NULL,'two',2),(NULL,'three',3),(NULL,'three',3)",
                 rebuilt("k TEXT, v, w", "SELECT * FROM t ORDER BY v"),
                 "UPDATE t SET v = 'TWO' WHERE w = 2", "INSERT INTO t VALUES(NULL,'c',4)", "|TWO|2\n|c|4\n|three|3\n|three|3\na|one|1", 5);
}

TEST_CASE("lost key: the same migration on every node at start, while all of them write") {
  for (const bool stays : {true, false}) {
    Three t(kThree);
    t.b.sql(kOnB);
    t.c.now += 1000;
    t.c.sql(kOnC);
    std::vector<replica::OutUnit> in_flight;
    for (Node* node : {&t.b, &t.c}) {
      if (stays) continue;  // the log is drained after the migration
      for (auto& unit : node->drain()) in_flight.push_back(std::move(unit));
    }
    for (Node* node : {&t.a, &t.b, &t.c}) node->sql(stays ? rebuilt("id INTEGER, v, w", "SELECT * FROM t") : rebuilt("v, w, x", "SELECT v, w, 0 FROM t"));
    t.a.publish(t.stream);
    t.stream.append(in_flight);
    t.settle();
    same_everywhere(t, t.a.query(kRows));
    rows_are_one_another(t, stays ? 6 : 7);  // c's migration wrote row 3 after b had deleted it
  }
}

TEST_CASE("lost key: both took one id: one of them shows, the other is listed") {
  Three t(kThree);
  t.b.sql("INSERT INTO t VALUES(10,'b',10)");
  t.c.now += 1000;
  t.c.sql("INSERT INTO t VALUES(10,'c',10)");
  t.a.sql(rebuilt("id INTEGER, v, w", "SELECT * FROM t"));
  const auto of_b = t.b.drain(), of_c = t.c.drain();
  t.a.publish(t.stream);
  for (const auto& units : {of_b, of_c}) {
    t.stream.append(units);
  }
  t.settle();
  t.same("SELECT v FROM t WHERE id = 10", "c");
  t.same("SELECT kind, json_extract(loser_row, '$.v') FROM __marmot_conflict", "insert|b");
}

TEST_CASE("lost key: a row that waited on the shelf, and one that collides under the new definition") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v, w); INSERT INTO t VALUES(1,'one',1),(2,'two',2)");
  t.b.sql("INSERT INTO t VALUES(10,'one',10)");
  t.c.sql("INSERT INTO t VALUES(11,NULL,11)");
  t.a.sql(rebuilt("id INTEGER, v NOT NULL UNIQUE, w", "SELECT * FROM t"));
  const auto units = t.a.drain();
  t.b.publish(t.stream);
  t.c.publish(t.stream);
  t.b.apply(t.stream);
  t.c.apply(t.stream);
  t.stream.append(units);
  t.settle();
  t.same("SELECT id, w FROM t ORDER BY w", t.a.query("SELECT id, w FROM t ORDER BY w"));
  t.same("SELECT count(DISTINCT id) = count(*) FROM t", "1");
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(node->engine().stopped().empty());
}

TEST_CASE("lost key: what waits on the shelf waits on, and comes back when its winner goes") {
  replica::Settings settings;
  settings.retire_losers = false;
  for (const bool unique_stays : {true, false}) {
    Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT UNIQUE, w); INSERT INTO t VALUES(1,'one',1),(2,'two',2)", settings);
    t.b.sql("INSERT INTO t VALUES(10,'same',10)");
    t.c.now += 1000;
    t.c.sql("INSERT INTO t VALUES(11,'same',11)");
    t.settle();
    t.same("SELECT id FROM t WHERE v = 'same'", "11");
    t.b.sql("INSERT INTO t VALUES(12,'late',12)");
    t.c.sql("INSERT INTO t VALUES(13,'late',13)");
    const auto of_b = t.b.drain(), of_c = t.c.drain();
    t.a.sql(rebuilt(std::string("id INTEGER, v TEXT") + (unique_stays ? " UNIQUE" : "") + ", w", "SELECT * FROM t"));
    const auto of_a = t.a.drain();
    for (const auto& units : {of_b, of_a, of_c}) {
      t.stream.append(units);
    }
    t.settle();
    if (unique_stays) same_everywhere(t, "1|one|1\n2|two|2\n11|same|11\n13|late|13");
    t.a.sql("DELETE FROM t WHERE id IN (11, 13)");
    t.settle();
    same_everywhere(t, "1|one|1\n2|two|2\n10|same|10\n12|late|12");
    rows_are_one_another(t, 4);
  }
}

TEST_CASE("lost key: a snapshot from after it is merged where the key was still there, one from before it where it is gone") {
  for (const bool later : {true, false}) {
    Three t(kThree);
    const std::string path = t.dir.path / "snapshot";
    const auto take = [&] {
      auto copy = require(replica::SnapshotCopy::begin(t.a.engine(), path));
      while (!require(copy->step(100))) {}
    };
    t.a.sql("UPDATE t SET v = 'by a' WHERE id = 2; INSERT INTO t VALUES(12,'a',12)");
    t.a.publish(t.stream);
    t.a.apply(t.stream);
    const std::string rebuild = rebuilt("id INTEGER, v, w", "SELECT * FROM t");
    if (later) t.a.sql(rebuild);
    t.a.publish(t.stream);
    t.a.apply(t.stream);
    take();
    t.c.sql(kOnC);
    if (!later) t.c.sql(rebuild);
    require(t.c.engine().merge_begin(path));
    while (!t.c.merge_slice()) {}
    t.settle();
    same_everywhere(t, "1|one of c|1\n2|by a|2\n3|three|3\n11|c|11\n12|a|12\n50|same|5\n51|same|5");
    rows_are_one_another(t, 7);
  }
}

TEST_CASE("lost key: a node that joins later, by the stream") {
  Three t(kThree);
  t.b.sql(kOnB);
  const auto in_flight = t.b.drain();
  t.a.sql(rebuilt("id INTEGER, v, w", "SELECT * FROM t"));
  t.a.publish(t.stream);
  t.stream.append(in_flight);
  t.settle();
  Node d(t.dir.path, 4);
  d.join(t.stream);
  test::settle(t.stream, {&t.a, &t.b, &t.c, &d});
  CHECK(d.query(kRows) == t.a.query(kRows));
  d.sql("UPDATE t SET v = v || ' of d'; INSERT INTO t VALUES(1, 'another', 1)");
  test::settle(t.stream, {&t.a, &t.b, &t.c, &d});
  CHECK(d.query("SELECT count(*) FROM t") == "7");
  same_everywhere(t, d.query(kRows));
}

TEST_CASE("lost key: a key again, and none again") {
  Three t(kThree);
  t.a.sql(rebuilt("id INTEGER, v, w", "SELECT * FROM t"));
  t.settle();
  t.b.sql(kOnB);
  t.c.now += 1000;
  t.c.sql(kOnC);
  const auto of_b = t.b.drain();
  t.settle();
  t.stream.append(of_b);
  t.settle();
  const std::string rows = "1|one of c|1\n2|two|2\n10|b|10\n11|c|11\n50|same|5\n51|same|5";
  same_everywhere(t, rows);
  t.a.now += 5000;
  t.a.sql(rebuilt("id INTEGER PRIMARY KEY, v, w", "SELECT * FROM t"));
  t.c.sql("INSERT INTO t VALUES(12,'c',12)");
  const auto units = t.a.drain();
  t.c.publish(t.stream);
  t.stream.append(units);
  t.settle();
  same_everywhere(t, rows.substr(0, rows.find("50|")) + "12|c|12\n50|same|5\n51|same|5");
  t.b.sql(rebuilt("v, id INTEGER, w", "SELECT v, id, w FROM t"));
  t.a.sql("UPDATE t SET v = 'a' WHERE id = 12");
  t.settle();
  t.same("SELECT v FROM t WHERE id = 12", "a");
  rows_are_one_another(t, 7);
}

TEST_CASE("lost key: two rows that can no longer be told apart stop the table, and nothing else") {
  Three t(std::string(kThree) + "; CREATE TABLE other(id INTEGER PRIMARY KEY)");
  t.b.sql("DELETE FROM t WHERE id = 4");
  t.settle();
  t.a.sql(rebuilt("id INTEGER, v, w", "SELECT * FROM t"));
  const auto units = t.a.drain();
  // As if a row that b deleted had a key of the same hash: nobody has found two such keys.
  const std::string name = t.a.query("SELECT hex(min(key)) FROM __marmot_version WHERE tbl = 1 AND state > 0");
  t.b.sql("UPDATE __marmot_version SET key = x'" + name + "' WHERE tbl = 1 AND state = 0");
  t.stream.append(units);
  t.b.apply(t.stream);
  REQUIRE(t.b.engine().stopped().size() == 1);
  CHECK(t.b.engine().stopped()[0].reason.find("can no longer be told apart") != std::string::npos);
  CHECK(t.b.query("SELECT count(*) FROM t") == "5");
  t.c.sql("INSERT INTO other VALUES(1); UPDATE t SET v = 'by c' WHERE id = 50");
  t.c.publish(t.stream);
  t.b.apply(t.stream);
  CHECK(t.b.query("SELECT count(*) FROM other") == "1");
  // Its application goes on with the key, until the cause is gone.
  t.b.sql("UPDATE t SET v = 'by b' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES(77,'b',7)");
  SUBCASE("what it wrote is drained before the table resumes") { t.b.publish(t.stream); }
  SUBCASE("or after") {}
  t.b.sql("DELETE FROM __marmot_version WHERE tbl = 1 AND state = 0");
  while (require(t.b.engine().resume_stopped())) {}
  t.settle();
  same_everywhere(t, "1|by b|1\n3|three|3\n50|by c|5\n51|same|5\n77|b|7");
  rows_are_one_another(t, 5);
}

TEST_CASE("lost key: its column changes its type with it") {
  in_every_order("CREATE TABLE t(id TEXT PRIMARY KEY, v, w); INSERT INTO t VALUES('1','one',1),('2','two',2),('x','ix',3)", rebuilt("id INTEGER, v, w", "SELECT * FROM t"),
                 "UPDATE t SET v = 'ONE' WHERE id = '1'; INSERT INTO t VALUES('10','b',10)", "DELETE FROM t WHERE id = '2'", "1|ONE|1\n10|b|10\nx|ix|3", 3);
}

TEST_CASE("lost key: with the column and another one") {
  // What rows held in w is gone, and with it what tells them: those are new rows, once.
  Three t(std::string(kThree) + ",(60,'nothing',NULL)");
  t.b.sql("UPDATE t SET v = 'something' WHERE id = 60; INSERT INTO t VALUES(61,'more',NULL)");
  const auto in_flight = t.b.drain();
  t.a.now += 1000;
  t.a.sql(rebuilt("v, x, y", "SELECT v, NULL, NULL FROM t"));
  t.a.publish(t.stream);
  t.stream.append(in_flight);
  t.settle();
  same_everywhere(t, "four||\nmore||\none||\nsame||\nsame||\nsomething||\nthree||\ntwo||");
  CHECK(std::any_of(t.a.log.begin(), t.a.log.end(), [](const std::string& line) { return line.find("cannot be told; they are new ones") != std::string::npos; }));
  rows_are_one_another(t, 8);
}

TEST_CASE("lost key: the column goes, and the migration changes the rows: they are new ones, once") {
  Three t(kThree);
  t.a.now += 1000;
  t.b.sql("UPDATE t SET v = 'TWO' WHERE id = 2; INSERT INTO t VALUES(9,'nine',9)");
  const auto in_flight = t.b.drain();
  t.a.sql(rebuilt("v, w, x", "SELECT upper(v), w, NULL FROM t"));
  t.a.publish(t.stream);
  t.stream.append(in_flight);
  t.settle();
  same_everywhere(t, "FOUR|4|\nONE|1|\nSAME|5|\nSAME|5|\nTHREE|3|\nTWO|2|\nnine|9|");
  rows_are_one_another(t, 7);
}

// w tells which row it was made as, for ever: no two rows with one w, whatever was on the way when a node dropped the key.
TEST_CASE("lost key: at any moment, on any node, in any order of delivery") {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    const char* const keys[] = {"k INTEGER PRIMARY KEY, v, w)", "k TEXT PRIMARY KEY, v, w)", "k TEXT NOT NULL, v, w, PRIMARY KEY(k)) WITHOUT ROWID"};
    Three t("CREATE TABLE t(" + std::string(keys[seed % 3]));
    Node* const nodes[] = {&t.a, &t.b, &t.c};
    const bool null_keys = seed % 3 == 1;
    int made = 0;
    const auto insert = [&](Node& node) {
      ++made;
      const bool null = null_keys && below(5) == 0;
      node.sql("INSERT INTO t(k, v, w) VALUES(" + (null ? "NULL" : std::to_string(made)) + ", 'v" + std::to_string(below(3)) + "', " + std::to_string(made) + ")");
    };
    for (int i = 0; i < 8; ++i) insert(t.a);
    t.settle();
    std::vector<std::vector<replica::OutUnit>> on_the_way(3);
    const uint32_t rebuild_at = below(30), rebuild_by = below(3), again_by = below(6);
    const std::string rebuild = rebuilt("k, v, w, x DEFAULT 7", "SELECT k, v, w, 7 FROM t");
    for (uint32_t step = 0; step < 60; ++step) {
      const uint32_t at = below(3);
      Node& node = *nodes[at];
      node.now += below(400);
      for (uint32_t by = 0; by < 3 && step == rebuild_at; ++by) {
        if (by != rebuild_by && by != again_by) continue;
        const auto look = [&] {  // a row with NULL that was changed while nobody looked is a new one
          for (auto& unit : nodes[by]->drain()) on_the_way[by].push_back(std::move(unit));
        };
        if (null_keys) look();
        nodes[by]->sql(rebuild);
        if (null_keys) look();
      }
      const std::string one = " WHERE w = " + std::to_string(1 + below(static_cast<uint32_t>(made)));
      switch (below(8)) {
        case 0: insert(node); break;
        case 1: node.sql("UPDATE t SET v = 'u" + std::to_string(step) + "'" + one); break;
        case 2: node.sql("UPDATE t SET v = 'v" + std::to_string(below(3)) + "'" + one); break;
        case 3: node.sql("DELETE FROM t" + one); break;
        case 4:
          for (auto& unit : node.drain()) on_the_way[at].push_back(std::move(unit));
          break;
        case 5:
          t.stream.append(on_the_way[at]);
          on_the_way[at].clear();
          break;
        case 6: node.apply(t.stream); break;
        default:
          if (below(3) == 0 && on_the_way[at].empty()) {
            node.stop();
            node.start();
          }
          if (step > rebuild_at) node.sql("VACUUM");
      }
    }
    for (size_t at = 0; at < 3; ++at) {
      t.stream.append(on_the_way[at]);
    }
    t.settle();
    t.same("SELECT count(*) - count(DISTINCT w) FROM t", "0");
    same_everywhere(t, t.a.query(kRows));
    rows_are_one_another(t, std::stoll(t.a.query("SELECT count(*) FROM t")));
  }
}
