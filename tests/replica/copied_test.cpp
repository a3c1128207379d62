// Files that a tool made anew without their rowids (docs/decisions/0028): as .dump and load leave them.
#include <algorithm>

#include <doctest/doctest.h>

#include "common/replica/copied_log.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

// Gives the rows of the tables, and the mark that tools treat as one of them, the rowids 1, 2, 3, ...; no trigger fires.
void make_anew(const Node& node, const std::vector<std::string>& tables, bool without_mark = false) {
  auto db = require(sqlite::Database::open(node.path, SQLITE_OPEN_READWRITE));
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  std::vector<std::string> all = tables;
  if (!without_mark) all.emplace_back("__marmot_copied");
  for (const std::string& table : all) {
    require(db.exec("BEGIN; CREATE TEMP TABLE made_anew AS SELECT * FROM main." + table + " ORDER BY rowid; DELETE FROM main." + table + "; INSERT INTO main." + table +
                    " SELECT * FROM temp.made_anew ORDER BY rowid; DROP TABLE temp.made_anew; COMMIT"));
  }
}

constexpr const char* kGaps =
    "CREATE TABLE t(v, n INT); INSERT INTO t(v) VALUES('a'), ('b'), ('c'), ('d'), ('e'), ('f'); DELETE FROM t WHERE v IN ('a', 'd');"
    "CREATE TABLE half(k TEXT PRIMARY KEY, v); INSERT INTO half VALUES(NULL, 'a'), ('key', 'b'), (NULL, 'c'), (NULL, 'd'); DELETE FROM half WHERE v = 'a'";
const std::vector<std::string> kTables = {"t", "half"};

void same_rows(Three& t, const std::string& rows) {
  t.settle();
  t.same("SELECT group_concat(v, ' ') FROM (SELECT v FROM t ORDER BY v)", rows);
  for (Node* node : {&t.a, &t.b, &t.c}) {
    CHECK(node->query("SELECT count(*) FROM t LEFT JOIN __marmot_rowid r ON r.here = t.rowid AND r.tbl = 1 WHERE r.here IS NULL") == "0");
    CHECK(node->query("SELECT rowid FROM __marmot_copied") == "2");
  }
}

}  // namespace

TEST_CASE("copied: rows are who they were, nothing is sent, and changes of other nodes find them") {
  Three t(kGaps);
  t.settle();
  t.b.stop();
  make_anew(t.b, kTables);
  t.a.sql("UPDATE t SET v = 'e2' WHERE v = 'e'; DELETE FROM t WHERE v = 'c'; UPDATE half SET v = 'c2' WHERE v = 'c'");
  t.b.start();
  CHECK(rows_in(t.b.drain()) == 0);
  same_rows(t, "b e2 f");
  t.same("SELECT group_concat(v, ' ') FROM (SELECT v FROM half ORDER BY v)", "b c2 d");
  t.b.sql("UPDATE t SET v = 'f2' WHERE v = 'f'; DELETE FROM half WHERE v = 'd'");
  same_rows(t, "b e2 f2");
  t.same("SELECT group_concat(v, ' ') FROM (SELECT v FROM half ORDER BY v)", "b c2");
}

TEST_CASE("copied: what the log held stays what it was: an update, an insert, a delete") {
  Three t(kGaps);
  t.b.stop();
  t.b.sql("UPDATE t SET v = 'e of b' WHERE v = 'e'; INSERT INTO t(v) VALUES('new'); DELETE FROM t WHERE v = 'b'; UPDATE t SET n = 1 WHERE v = 'f'");
  make_anew(t.b, kTables);
  t.b.sql("UPDATE t SET v = 'c of b' WHERE v = 'c'; INSERT INTO t(v) VALUES('newer')");  // in the copy, before the agent looks
  t.b.start();
  const auto units = t.b.drain();
  CHECK(rows_in(units) == 6);
  t.c.now += 5000;
  t.c.sql("UPDATE t SET v = 'e of c' WHERE v = 'e'");  // later than b's update of the same row: one row comes of it, not two
  t.stream.append(units);
  same_rows(t, "c of b e of c f new newer");
  for (const auto& line : t.b.log) CHECK(line.find("cannot be told") == std::string::npos);
}

TEST_CASE("copied: rows that are changed and deleted in the copy are told apart by the log") {
  Three t(kGaps);
  t.settle();
  t.b.stop();
  make_anew(t.b, kTables);  // b c e f are 1 to 4 now, and were 2, 3, 5, 6
  t.b.sql("DELETE FROM t WHERE v = 'e'; UPDATE t SET v = v || ' of b'");
  t.c.now += 5000;
  t.c.sql("UPDATE t SET v = 'c of c' WHERE v = 'c'; DELETE FROM t WHERE v = 'f'");
  t.b.start();
  same_rows(t, "b of b c of c");
}

TEST_CASE("copied: a log from before and after the copy") {
  Three t(kGaps);
  t.settle();
  t.b.stop();
  t.b.sql("DELETE FROM t WHERE v = 'b'; UPDATE t SET v = 'c2' WHERE v = 'c'; INSERT INTO t(v) VALUES('new'), ('brief')");
  make_anew(t.b, kTables);  // c2 e f new brief
  t.b.sql("DELETE FROM t WHERE v = 'brief'; INSERT INTO t(v) VALUES('newer'); UPDATE t SET v = v || ' of b' WHERE v IN ('c2', 'e', 'new')");
  t.c.now += 5000;
  t.c.sql("UPDATE t SET v = v || ' of c'");
  t.b.start();
  for (const auto& line : t.b.log) CHECK(line.find("cannot be told") == std::string::npos);
  same_rows(t, "b of c c of c e of c f of c new of b newer");
}

TEST_CASE("copied: in a table some of whose rows have a key") {
  Three t(kGaps);
  t.settle();
  t.b.stop();
  t.b.sql("INSERT INTO half VALUES('k2', 'x'), (NULL, 'new')");
  make_anew(t.b, kTables);  // key c d k2 new: 1 to 5, and the first three were 2, 3, 4
  t.b.sql("DELETE FROM half WHERE v = 'new'; UPDATE half SET v = v || ' of b' WHERE v = 'd'; DELETE FROM half WHERE v = 'c'");
  t.c.now += 5000;
  t.c.sql("UPDATE half SET v = v || ' of c'");
  t.b.start();
  t.settle();
  t.same("SELECT group_concat(v, ' ') FROM (SELECT v FROM half ORDER BY v)", "b of c c of c d of c x");
}

TEST_CASE("copied: what the log tells twofold is not taken for one of the two, and that is told") {
  Three t(kGaps);
  t.settle();
  t.b.stop();
  make_anew(t.b, kTables);
  t.b.sql("UPDATE half SET v = v || ' of b' WHERE k IS NULL; DELETE FROM half WHERE v = 'd of b'");
  t.b.start();
  t.settle();
  t.same("SELECT group_concat(v, ' ') FROM (SELECT v FROM half ORDER BY v)", "b c of b");
  CHECK(std::any_of(t.b.log.begin(), t.b.log.end(), [](const auto& line) { return line.find("cannot be told") != std::string::npos; }));
}

TEST_CASE("copied: the point at which the log was copied") {
  using namespace marmot::replica;
  const std::vector<DrainedRow> former{{2, 20}, {5, 50}, {6, 60}};
  const auto here = [](const std::vector<std::pair<int64_t, uint64_t>>& rows) {
    std::vector<RowHere> out;
    for (const auto& [rowid, hash] : rows) out.push_back({rowid, true, hash});
    return out;
  };
  using Found = std::map<int64_t, int>;
  const auto told = [&](const std::vector<LoggedRow>& log, const std::vector<std::pair<int64_t, uint64_t>>& rows) {
    return rows_by_log(former, log, here(rows), false).value_or(Found{{0, 0}});
  };
  const Found none{{0, 0}};
  CHECK(told({}, {{1, 20}, {2, 50}, {3, 60}}) == Found{{1, 0}, {2, 1}, {3, 2}});
  CHECK(told({}, {{1, 20}, {2, 51}, {3, 60}}) == none);            // changed, and the log tells nothing
  CHECK(told({{LogOp::update, 2}}, {{1, 21}, {2, 50}, {3, 60}}) == Found{{1, 0}, {2, 1}, {3, 2}});  // before the copy
  CHECK(told({{LogOp::update, 2}}, {{1, 20}, {2, 51}, {3, 60}}) == Found{{1, 0}, {2, 1}, {3, 2}});  // behind it
  CHECK(told({{LogOp::remove, 2}}, {{1, 50}, {2, 60}}) == Found{{1, 1}, {2, 2}});
  CHECK(told({{LogOp::remove, 2}}, {{1, 20}, {3, 60}}) == Found{{1, 0}, {3, 2}});
  CHECK(told({{LogOp::remove, 6}, {LogOp::insert, 6}}, {{1, 20}, {2, 50}, {3, 61}}) == Found{{1, 0}, {2, 1}, {3, kNewRow}});
  CHECK(told({{LogOp::remove, 3}, {LogOp::insert, 3}}, {{1, 20}, {2, 50}, {3, 61}}) == Found{{1, 0}, {2, 1}, {3, kNewRow}});
  CHECK(told({{LogOp::remove, 9}}, {{1, 20}, {2, 50}}) == none);   // of a row that was never there
  // 3 was deleted before the copy, or what was 4 behind it: all that is left of either was changed.
  CHECK_FALSE(rows_by_log({{2, 20}, {3, 30}, {4, 40}}, {{LogOp::update, 3}, {LogOp::update, 4}, {LogOp::remove, 3}}, here({{1, 20}, {2, 99}}), false));
}

TEST_CASE("copied: where the numbers do not agree what holds nothing known is new, and that is told") {
  Three t(kGaps);
  t.b.stop();
  make_anew(t.b, kTables);
  auto db = require(sqlite::Database::open(t.b.path, SQLITE_OPEN_READWRITE));
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  require(db.exec("UPDATE t SET v = 'unseen'  WHERE v = 'f'; DELETE FROM t WHERE v = 'b'"));
  t.b.start();
  same_rows(t, "c e unseen");
  CHECK(std::any_of(t.b.log.begin(), t.b.log.end(), [](const auto& line) { return line.find("cannot be told") != std::string::npos; }));
}

TEST_CASE("copied: while the agent runs, its index gone and VACUUM run; and a VACUUM that changes nothing compares nothing") {
  Three t(kGaps);
  t.settle();
  t.b.sql("VACUUM");
  CHECK(rows_in(t.b.drain()) == 0);
  CHECK(t.b.query("SELECT rowid FROM __marmot_copied") == "2");
  CHECK(std::none_of(t.b.log.begin(), t.b.log.end(), [](const auto& line) { return line.find("made anew") != std::string::npos; }));
  t.b.sql("DROP INDEX __marmot_1_keep; VACUUM");
  CHECK(t.b.query("SELECT max(rowid) FROM t") == "4");
  CHECK(rows_in(t.b.drain()) == 0);
  t.a.sql("UPDATE t SET v = 'e2' WHERE v = 'e'");
  t.b.sql("UPDATE t SET v = 'f2' WHERE v = 'f'");
  same_rows(t, "b c e2 f2");
}

TEST_CASE("copied: its index gone, and no VACUUM ran: the log's rowids are what they were") {
  Three t(kGaps);
  t.settle();
  t.b.sql("DELETE FROM t WHERE v = 'c'; UPDATE t SET v = v || ' of b'; DROP INDEX __marmot_1_keep");
  const auto units = t.b.drain();
  CHECK(rows_in(units) == 4);
  t.c.now += 5000;
  t.c.sql("UPDATE t SET v = 'f of c' WHERE v = 'f'");
  t.stream.append(units);
  for (const auto& line : t.b.log) CHECK(line.find("cannot be told") == std::string::npos);
  same_rows(t, "b of b e of b f of c");
}

TEST_CASE("copied: the header's numbers are not in a dump, and are put back") {
  Three t(std::string(kGaps) + "; PRAGMA user_version = 7");
  t.settle();
  t.b.stop();
  make_anew(t.b, kTables);
  t.b.sql("PRAGMA user_version = 0");
  t.b.start();
  t.settle();
  t.same("PRAGMA user_version", "7");
}

TEST_CASE("copied: a file without our tables is accepted if its rows are equal, whatever their rowids") {
  Three t(kGaps);
  Node d(t.dir.path, 4);
  d.sql("CREATE TABLE t(v, n INT); INSERT INTO t(v) VALUES('f'), ('e'), ('b'), ('c'); CREATE TABLE half(k TEXT PRIMARY KEY, v);"
        "INSERT INTO half VALUES('key', 'b'), (NULL, 'd'), (NULL, 'c')");
  d.join(t.stream);
  d.apply(t.stream);
  d.apply(t.stream);
  CHECK(rows_in(d.drain()) == 0);
  CHECK(d.query("SELECT group_concat(v, ' ') FROM (SELECT v FROM t ORDER BY v)") == "b c e f");
}
