// Scrub and anti-entropy at engine level: damage done behind the triggers' back is found and ends alike everywhere.
#include <doctest/doctest.h>

#include "common/node/repair_plan.hpp"
#include "tests/replica/cluster.hpp"
#include "tests/replica/collision.hpp"

using namespace marmot;
using namespace marmot::test;
using node::comparable;
using node::equal;

namespace {

struct Pair {
  explicit Pair(const std::string& schema, const replica::Settings& settings = {}) : a(dir.path, 1, settings), b(dir.path, 2, settings) {
    a.sql(schema);
    a.found(stream);
    a.publish(stream);
    b.join(stream);
    settle();
  }
  void settle() { test::settle(stream, {&a, &b}); }
  void same(const std::string& query, const std::string& expected) {
    CHECK(a.query(query) == expected);
    CHECK(b.query(query) == expected);
  }

  // A whole pass; what it found is published.
  size_t scrub(Node& node) {
    size_t found = 0;
    for (bool done = false; !done;) {
      auto slice = require(node.engine().scrub(false));
      if (slice.not_now) {
        node.publish(stream);
        continue;
      }
      stream.append(slice.units);
      found += slice.found.size();
      done = slice.done;
    }
    return found;
  }

  // One comparison of a table, and what it takes to make it equal. The number of actions.
  int64_t anti_entropy(const std::string& table, const CompareBy& by = kBy) {
    const KeyRange all{table, "", ""};
    const RangeDigest here = require(a.engine().range_digest(by, all, 1000)), there = require(b.engine().range_digest(by, all, 1000));
    CHECK(comparable(here, there));
    if (equal(here, there)) return 0;
    std::map<uint64_t, RangeKeys> held{{1, require(a.engine().range_keys(by, all, 1000, 1 << 20))},
                                       {2, require(b.engine().range_keys(by, all, 1000, 1 << 20))}};
    int64_t total = 0;
    for (const auto& [node, actions] : node::plan_repair(held)) {
      Node& who = node == 1 ? a : b;
      int64_t done = 0;
      const auto result = require(who.engine().repair(table, actions, false, &done));
      stream.append(result.units);
      total += done;
    }
    settle();
    return total;
  }

  TempDir dir;
  Stream stream;
  Node a, b;
};

// What a tool does that knows nothing of triggers: they are gone while it writes, and there again after it.
void behind_our_back(Node& node, const std::string& text) {
  const std::string triggers = node.query("SELECT group_concat(sql, ';') FROM sqlite_schema WHERE type = 'trigger' AND name GLOB '__marmot_*'");
  std::string drops;
  const std::string names = node.query("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB '__marmot_*'");
  for (size_t at = 0; at < names.size();) {
    const size_t end = std::min(names.find('\n', at), names.size());
    drops += "DROP TRIGGER \"" + names.substr(at, end - at) + "\";";
    at = end + 1;
  }
  node.sql("BEGIN;" + drops + text + ";" + triggers + ";COMMIT");
}

}  // namespace

TEST_CASE("repair: a row changed, one deleted and one inserted without triggers are found by a scrub and reach the others") {
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1,'one'),(2,'two'),(3,'three')");
  behind_our_back(t.b, "UPDATE t SET v = 'changed' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES(9,'new')");
  CHECK(require(t.b.engine().counters()).log_rows == 0);
  CHECK(t.scrub(t.b) == 3);
  t.settle();
  t.same("SELECT * FROM t", "1|changed\n3|three\n9|new");
  CHECK(t.scrub(t.b) == 0);
  CHECK(t.scrub(t.a) == 0);
}

TEST_CASE("repair: a scrub reports nothing that is merely waiting to be drained") {
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1,'one')");
  t.a.sql("UPDATE t SET v = 'x'; INSERT INTO t VALUES(2,'two')");
  CHECK(require(t.a.engine().scrub(false)).not_now);
  CHECK(t.scrub(t.a) == 0);
  t.settle();
  t.same("SELECT * FROM t", "1|x\n2|two");
}

TEST_CASE("repair: keyless rows, WITHOUT ROWID tables and composite keys are scrubbed too") {
  Pair t("CREATE TABLE k(v TEXT); CREATE TABLE w(a TEXT, b INT, v, PRIMARY KEY(a, b)) WITHOUT ROWID;"
         "INSERT INTO k VALUES('one'),('two'),('three'); INSERT INTO w VALUES('x',1,1),('x',2,2),('y',1,3)");
  behind_our_back(t.a, "DELETE FROM k WHERE v = 'two'; UPDATE k SET v = 'THREE' WHERE v = 'three'; INSERT INTO k VALUES('four');"
                       "UPDATE w SET v = 20 WHERE b = 2; DELETE FROM w WHERE a = 'y'; INSERT INTO w VALUES('z',1,9)");
  CHECK(t.scrub(t.a) == 6);
  t.settle();
  t.same("SELECT v FROM k ORDER BY v", "THREE\nfour\none");
  t.same("SELECT * FROM w", "x|1|1\nx|2|20\nz|1|9");
  CHECK(t.scrub(t.b) == 0);
}

TEST_CASE("repair: a scrub of many rows goes on where the slice before it ended, and starts again behind the last") {
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE u(id TEXT PRIMARY KEY, v);"
         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t SELECT i, 'row' || i FROM n;"
         "INSERT INTO u SELECT v, id FROM t");
  behind_our_back(t.a, "UPDATE t SET v = 'x' WHERE id IN (1, 1500, 3000); DELETE FROM u WHERE v IN (7, 2999)");
  t.a.publish(t.stream);  // the triggers were gone: the engine looks at the schema again first
  const auto first = require(t.a.engine().scrub(false));
  CHECK_FALSE(first.done);
  CHECK(first.rows <= 550);
  CHECK(first.rows > 0);
  t.stream.append(first.units);
  CHECK(first.found.size() + t.scrub(t.a) == 5);
  t.settle();
  t.same("SELECT count(*), sum(v = 'x') FROM t", "3000|3");
  t.same("SELECT count(*) FROM u", "2998");
}

// As a tool does that edits sqlite_schema, and does not change PRAGMA schema_version: no connection that is open hears of it.
TEST_CASE("repair: triggers that went without SQLite's noticing are put back by a scrub, and what was written meanwhile is found") {
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1,'one')");
  CHECK(t.scrub(t.b) == 0);
  t.b.sql("PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name GLOB '__marmot_1_*' AND type = 'trigger'; PRAGMA writable_schema = OFF");
  auto later = require(sqlite::Database::open(t.b.path, SQLITE_OPEN_READWRITE));  // it has read the schema without them
  REQUIRE(later.exec("INSERT INTO t VALUES(2,'two')"));
  CHECK(require(t.b.engine().counters()).log_rows == 0);
  t.scrub(t.b);
  t.settle();
  t.same("SELECT * FROM t", "1|one\n2|two");
  CHECK(t.b.query("SELECT count(*) FROM sqlite_schema WHERE name GLOB '__marmot_1_*' AND type = 'trigger'") == "3");
  REQUIRE(later.exec("INSERT INTO t VALUES(3,'three')"));
  CHECK(require(t.b.engine().counters()).log_rows == 1);
  t.settle();
  t.same("SELECT count(*) FROM t", "3");
  CHECK(t.b.query("PRAGMA integrity_check") == "ok");
  CHECK(t.scrub(t.b) == 0);
}

TEST_CASE("repair: a REPLACE victim that was written again at once is found") {
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE, v); INSERT INTO t VALUES(1,'a',1),(2,'b',2)");
  // Row 1 is deleted by REPLACE without a trigger, and the value that says so is gone again before the drain.
  t.a.sql("INSERT OR REPLACE INTO t VALUES(3,'a',3); UPDATE t SET u = 'c' WHERE id = 3");
  t.a.publish(t.stream);
  t.b.apply(t.stream);
  CHECK(t.a.query("SELECT id FROM t") == "2\n3");
  t.scrub(t.a);
  t.settle();
  t.same("SELECT id, u FROM t", "2|b\n3|c");
}

TEST_CASE("repair: registers that differ are published again by whoever holds the higher version") {
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1,'one'),(2,'two'),(3,'three')");
  t.a.sql("UPDATE t SET v = 'TWO' WHERE id = 2; DELETE FROM t WHERE id = 3");
  t.settle();
  CHECK(t.anti_entropy("t") == 0);
  // b loses one row with its register, and falls back to an older state of two others: nothing of it looks wrong from inside.
  const std::string old = "UPDATE __marmot_version SET hlc = hlc - 1000 WHERE key IN (SELECT key FROM __marmot_version ORDER BY key LIMIT 2 OFFSET 1);";
  behind_our_back(t.b, "DELETE FROM t WHERE id = 1; DELETE FROM __marmot_version WHERE key = (SELECT min(key) FROM __marmot_version);" + old +
                           "UPDATE t SET v = 'two' WHERE id = 2; INSERT INTO t VALUES(3, 'three')");
  // (Their hashes are not what they were either.)
  t.b.sql("UPDATE __marmot_version SET state = 1, hash = 0");
  CHECK(t.anti_entropy("t") == 3);
  t.same("SELECT * FROM t", "1|one\n2|TWO");
  CHECK(t.anti_entropy("t") == 0);
}

TEST_CASE("repair: one version with two contents: the higher hash is published under a new version") {
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1,'one')");
  const int64_t hash = std::stoll(t.a.query("SELECT hash FROM __marmot_version"));
  behind_our_back(t.b, "UPDATE t SET v = 'other'; UPDATE __marmot_version SET hash = " + std::to_string(hash) + " + 1");
  CHECK(t.anti_entropy("t") == 1);
  t.scrub(t.b);
  t.settle();
  const std::string row = t.a.query("SELECT v FROM t");
  t.same("SELECT v FROM t", row);
  t.same("SELECT hash FROM __marmot_version", t.a.query("SELECT hash FROM __marmot_version"));
  CHECK(t.anti_entropy("t") == 0);
}

TEST_CASE("repair: a row that waits on the shelf is neither missing nor different") {
  replica::Settings keep;
  keep.retire_losers = false;
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE)", keep);
  t.a.sql("INSERT INTO t VALUES(1, 'same')");
  t.b.sql("INSERT INTO t VALUES(2, 'same')");
  t.settle();
  t.same("SELECT count(*) FROM t", "1");
  t.same("SELECT count(*) FROM __marmot_shelf", "1");
  CHECK(t.scrub(t.a) == 0);
  CHECK(t.scrub(t.b) == 0);
  CHECK(t.anti_entropy("t") == 0);
}

TEST_CASE("repair: after a schema change every row still fits its version") {
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT, w INT, x); INSERT INTO t VALUES(1,'one',1,2),(2,'two',3,NULL)");
  for (const char* change : {"ALTER TABLE t ADD COLUMN y INT DEFAULT 5", "ALTER TABLE t RENAME COLUMN v TO name", "ALTER TABLE t DROP COLUMN w",
                             "ALTER TABLE t RENAME TO u"}) {
    CAPTURE(change);
    t.a.sql(change);
    t.settle();
    CHECK(t.scrub(t.a) == 0);
    CHECK(t.scrub(t.b) == 0);
    const std::string table = t.b.query("SELECT name FROM __marmot_table WHERE id = 1");
    CHECK(t.anti_entropy(table) == 0);
  }
  t.same("SELECT id, name, x, y FROM u", "1|one|2|5\n2|two||5");
}

TEST_CASE("repair: a row that is back behind the floor is deleted again") {
  replica::Settings settings;
  std::string kept;
  SUBCASE("as the one that the deletion beats, which is remembered") {}
  SUBCASE("though no deletion is remembered, and kept among the conflicts") {
    settings.pruned_rows = 0;
    kept = "repair|{\"id\": 1, \"v\": \"one\"}";
  }
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1,'one'),(2,'two')", settings);
  const std::string old = t.b.query("SELECT quote(key) || ',' || hlc || ',' || origin || ',' || seq || ',' || hash || ',' || state "
                                    "FROM __marmot_version ORDER BY key LIMIT 1");
  t.a.sql("DELETE FROM t WHERE id = 1");
  t.settle();
  announce(t.a, t.stream);
  t.settle();
  t.settle();
  t.same("SELECT count(*) FROM __marmot_version", "1");
  behind_our_back(t.b, "INSERT INTO t VALUES(1, 'one'); INSERT INTO __marmot_version(tbl, key, hlc, origin, seq, hash, state) VALUES(1," + old + ")");
  CHECK(t.scrub(t.b) == 0);  // it fits its version
  CHECK(t.anti_entropy("t") == 1);
  t.same("SELECT * FROM t", "2|two");
  CHECK(t.b.query("SELECT kind, loser_row FROM __marmot_conflict") == kept);
  CHECK(t.anti_entropy("t") == 0);
}

TEST_CASE("repair: what one node cannot know yet is not compared, what no node has to say is not divergent") {
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1,'one')");
  const KeyRange all{"t", "", ""};
  t.a.sql("INSERT INTO t VALUES(2,'two')");
  t.a.publish(t.stream);
  CHECK(require(t.a.engine().range_digest(kBy, all, 100)).pending);
  CHECK_FALSE(comparable(require(t.a.engine().range_digest(kBy, all, 100)), require(t.b.engine().range_digest(kBy, all, 100))));
  t.a.apply(t.stream);
  CHECK_FALSE(comparable(require(t.a.engine().range_digest(kBy, all, 100)), require(t.b.engine().range_digest(kBy, all, 100))));
  t.settle();
  const auto here = require(t.a.engine().range_digest(kBy, all, 100)), there = require(t.b.engine().range_digest(kBy, all, 100));
  CHECK(comparable(here, there));
  CHECK(equal(here, there));
  CHECK(here.registers == 2);
  CHECK(t.a.engine().range_digest(kBy, {"nothing", "", ""}, 100).error().code == Errc::not_found);
}

TEST_CASE("repair: ranges that follow one another cover a table once") {
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);"
         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO t SELECT i, 'row' FROM n");
  const auto whole = require(t.a.engine().range_digest(kBy, {"t", "", ""}, 10'000));
  CHECK(whole.registers == 1000);
  CHECK_FALSE(whole.cut);
  int64_t registers = 0;
  Hash128 sum;
  std::string after;
  for (bool cut = true; cut;) {
    const auto part = require(t.a.engine().range_digest(kBy, {"t", after, ""}, 300));
    cut = part.cut;
    if (cut) {
      const auto same = require(t.b.engine().range_digest(kBy, {"t", after, part.reach}, 10'000));
      CHECK(equal(RangeDigest{0, 0, 0, false, false, part.registers, part.sum, ""}, same));
    }
    registers += part.registers;
    add(sum, part.sum);
    after = part.reach;
  }
  CHECK(registers == 1000);
  CHECK(sum == whole.sum);
  const auto keys = require(t.a.engine().range_keys(kBy, {"t", "", ""}, 10, 1 << 20));
  CHECK(keys.keys.size() == 10);
  CHECK(keys.cut);
  CHECK(require(t.a.engine().range_keys(kBy, {"t", "", ""}, 1000, 1)).keys.size() == 1);
}

TEST_CASE("repair: the plan is what the versions say, and moves nothing that is still moving") {
  const Version old{Hlc{10}, {NodeId{1}, Incarnation{1}}}, young{Hlc{20}, {NodeId{2}, Incarnation{1}}};
  const auto keys = [](std::vector<RangeKey> list, Hlc floor = {}) { return RangeKeys{100, 0, floor, std::move(list), false}; };
  using Key = RangeKey;
  {
    const auto plan = node::plan_repair({{1, keys({Key{"k", old, 7, 5, true}})}, {2, keys({Key{"k", young, 8, 6, true}})},
                                            {3, keys({Key{"k", young, 8, 6, true}})}});
    REQUIRE(plan.size() == 1);
    CHECK(plan.at(2).size() == 1);
    CHECK(plan.at(2)[0].op == RepairOp::republish);
    CHECK(plan.at(2)[0].version == young);
  }
  CHECK(node::plan_repair({{1, keys({Key{"k", old, 7, 0, true}})}, {2, keys({Key{"k", young, 8, 6, true}})}}).empty());
  CHECK(node::plan_repair({{1, keys({Key{"k", old, 7, 5, true}})}, {2, keys({Key{"k", young, 8, 101, true}})}}).empty());
  CHECK(node::plan_repair({{1, keys({Key{"k", young, 7, 5, true}})}, {2, keys({Key{"k", young, 7, 9, true}})}}).empty());
  {
    const auto plan = node::plan_repair({{1, keys({Key{"k", young, 9, 5, true}})}, {2, keys({Key{"k", young, 8, 5, true}})}});
    CHECK(plan.at(1)[0].op == RepairOp::restamp);
  }
  // Older than what was pruned: one against one it is a delete, two against one it is a loss.
  {
    const auto plan = node::plan_repair({{1, keys({}, Hlc{15})}, {2, keys({Key{"k", old, 8, 5, true}}, Hlc{15})}});
    CHECK(plan.at(2)[0].op == RepairOp::remove);
    const auto kept = node::plan_repair({{1, keys({}, Hlc{15})}, {2, keys({Key{"k", old, 8, 5, true}}, Hlc{15})},
                                            {3, keys({Key{"k", old, 8, 5, true}}, Hlc{15})}});
    CHECK(kept.at(2)[0].op == RepairOp::republish);
    const auto newer = node::plan_repair({{1, keys({}, Hlc{15})}, {2, keys({Key{"k", young, 8, 5, true}}, Hlc{15})}});
    CHECK(newer.at(2)[0].op == RepairOp::republish);
  }
  // Behind the last key of a list that was cut nothing is known.
  {
    auto cut = keys({Key{"a", old, 7, 5, true}});
    cut.cut = true;
    CHECK(node::plan_repair({{1, cut}, {2, keys({Key{"a", old, 7, 5, true}, Key{"b", old, 7, 5, true}})}}).empty());
  }
}

TEST_CASE("repair: a row changed into one of the same hash is seen by a comparison of rows, and reaches the others") {
  // The cluster's secret is out, and somebody has looked for such a pair: capture's drain, the scrub and the registers say "the same".
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, c, d, e, f, g, h); INSERT INTO t VALUES(1, -1, -1, -1, -1, -1, -1, -1, -1), (2, 0, 0, 0, 0, 0, 0, 0, 0)");
  const Colliding row = colliding_row(t.a.hash_key);  // test_repair.py has it too
  std::string set, all;
  for (size_t i = 0; i < kColliding; ++i) {
    set += (i == 0 ? "" : ", ") + std::string(1, static_cast<char>('a' + i)) + " = " + std::to_string(row[i]);
  }
  t.a.sql("UPDATE t SET " + set + " WHERE id = 1");
  INFO(to_text(t.a.hash_key), " ", set);
  CHECK(t.a.drain().empty());
  CHECK(t.scrub(t.a) == 0);
  const std::string rows = "SELECT * FROM t";
  CHECK(t.a.query(rows) != t.b.query(rows));

  CHECK(require(t.a.engine().digests(kSeed))[0].buckets != require(t.b.engine().digests(kSeed))[0].buckets);  // `marmot verify`
  CHECK(t.anti_entropy("t") == 0);                         // by registers
  CHECK(t.anti_entropy("t", CompareBy{kSeed, true}) == 1);  // `verify --repair`
  CHECK(t.a.query(rows) == t.b.query(rows));
  CHECK(require(t.a.engine().digests(kSeed))[0].buckets == require(t.b.engine().digests(kSeed))[0].buckets);
  CHECK(t.anti_entropy("t", CompareBy{{5, 6}, true}) == 0);
}

TEST_CASE("repair: where rows are compared, one that capture did not see is left to the scrub") {
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1, 'one'), (2, 'two')");
  behind_our_back(t.b, "UPDATE t SET v = 'changed' WHERE id = 1; DELETE FROM t WHERE id = 2");
  const KeyRange all{"t", "", ""};
  CHECK(require(t.b.engine().range_digest({kSeed, true}, all, 100)).pending);
  CHECK(node::plan_repair({{1, require(t.a.engine().range_keys({kSeed, true}, all, 100, 1000))},
                           {2, require(t.b.engine().range_keys({kSeed, true}, all, 100, 1000))}}).empty());
  CHECK(t.scrub(t.b) == 2);
  t.settle();
  CHECK(t.anti_entropy("t", {kSeed, true}) == 0);
  t.same("SELECT * FROM t", "1|changed");
}

TEST_CASE("repair: a row that went unseen was deleted before what others did to it since") {
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE k(v TEXT); INSERT INTO t VALUES(1, 'one'), (2, 'two'); INSERT INTO k VALUES('one')");
  behind_our_back(t.b, "DELETE FROM t; DELETE FROM k");
  t.a.now += 1000;
  t.a.sql("UPDATE t SET v = 'later' WHERE id = 1; UPDATE k SET v = 'later'");
  t.a.publish(t.stream);
  t.b.now += 60'000;
  CHECK(t.scrub(t.b) == 3);  // before the change arrives
  t.settle();
  t.same("SELECT * FROM t", "1|later");
  t.same("SELECT * FROM k", "later");

  behind_our_back(t.b, "DELETE FROM t; DELETE FROM k");
  t.a.now += 60'000;
  t.a.sql("UPDATE t SET v = 'latest'; UPDATE k SET v = 'latest'");
  t.settle();  // after it has arrived
  CHECK(t.scrub(t.b) == 0);
  t.same("SELECT * FROM t", "1|latest");
  t.same("SELECT * FROM k", "latest");
  t.a.sql("UPDATE k SET v = 'known'");
  t.settle();
  t.same("SELECT * FROM k", "known");
  CHECK(t.scrub(t.a) + t.scrub(t.b) == 0);
}

TEST_CASE("repair: a table is not compared with another one that had its name, nor with what it was, by a node that has yet to hear of the change") {
  Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT, w TEXT); INSERT INTO t VALUES(1,'one','1'),(2,'two','2')");
  const auto look = [&](Node& node) { return require(node.engine().range_digest(kBy, KeyRange{"t", "", ""}, 1000)); };
  t.a.sql("ALTER TABLE t DROP COLUMN w");
  t.a.publish(t.stream);
  t.a.apply(t.stream);
  CHECK_FALSE(equal(look(t.a), look(t.b)));
  CHECK_FALSE(comparable(look(t.a), look(t.b)));
  t.settle();
  CHECK(t.anti_entropy("t") == 0);
  t.a.sql("DROP TABLE t");
  t.a.publish(t.stream);
  t.a.apply(t.stream);
  t.a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.publish(t.stream);
  CHECK_FALSE(comparable(look(t.a), look(t.b)));  // nobody has seen it in the stream
  t.a.apply(t.stream);
  CHECK_FALSE(equal(look(t.a), look(t.b)));
  CHECK_FALSE(comparable(look(t.a), look(t.b)));
  t.settle();
  CHECK(t.anti_entropy("t") == 0);
}

TEST_CASE("repair: a row that changed unseen just before another node's change of its table arrives is found all the same") {
  const auto rebuilt = [](const std::string& definition, const std::string& copy) {
    return "BEGIN; CREATE TABLE n(" + definition + "); INSERT INTO n SELECT " + copy + " FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t; COMMIT";
  };
  for (const std::string& change : {std::string("ALTER TABLE t DROP COLUMN w"), rebuilt("id INTEGER PRIMARY KEY, code TEXT, v, w INT DEFAULT 9", "*"),
                                    rebuilt("id INT, code TEXT PRIMARY KEY, v, w INT", "*"), rebuilt("id INT, code TEXT, v, w INT", "*")}) {
    CAPTURE(change);
    for (const bool stopped : {false, true}) {  // a table that is stopped: what its log says is drained when it resumes
      CAPTURE(stopped);
      Pair t("CREATE TABLE t(id INTEGER PRIMARY KEY, code TEXT, v, w INT); INSERT INTO t VALUES(1,'a','one',1),(2,'b','two',2),(3,'c','three',3)");
      t.b.sql("CREATE TABLE other(id INTEGER PRIMARY KEY)");
      t.settle();
      t.b.now += 1000;
      const std::string write = "UPDATE t SET v = 'unseen' WHERE id = 2; INSERT INTO t VALUES(4,'d','four',4)";
      if (stopped) {
        t.b.sql("UPDATE __marmot_table SET stopped = 'by the test' WHERE name = 't'");
        t.b.stop();
        t.b.start();
        t.b.sql(write);
        t.b.publish(t.stream);
      } else {
        behind_our_back(t.b, write);
      }
      t.a.now += 500;
      t.a.sql(change);
      t.a.publish(t.stream);
      t.b.apply(t.stream);
      if (stopped) {
        while (require(t.b.engine().resume_stopped())) {}
      } else {
        CHECK(t.scrub(t.b) == 2);
      }
      t.settle();
      t.same("SELECT code, v FROM t ORDER BY code", "a|one\nb|unseen\nc|three\nd|four");
      CHECK(t.scrub(t.a) + t.scrub(t.b) == 0);
    }
  }
}
