// What replication costs on disk once the tombstones are gone. (tests/cluster/test_disk.py: by width and kind of key.)
#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

// Pages on the free list do not count: they are used again.
double used_bytes(sqlite::Database& db) {
  const int64_t pages = require(db.query_integer("PRAGMA page_count")) - require(db.query_integer("PRAGMA freelist_count"));
  return static_cast<double>(pages * require(db.query_integer("PRAGMA page_size")));
}

}  // namespace

TEST_CASE("disk: after pruning, rows of 100 bytes take at most 1.6 times what they take without Marmot") {
  const std::string schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)";
  const auto rows = [](int first, int last) {
    return "WITH RECURSIVE n(i) AS (SELECT " + std::to_string(first) + " UNION ALL SELECT i + 1 FROM n WHERE i < " +
           std::to_string(last) + ") INSERT INTO t SELECT i, substr(hex(zeroblob(60)), 1, 91) FROM n";
  };
  const std::vector<std::string> life = {rows(1, 20000), "DELETE FROM t WHERE id % 3 = 0", rows(20001, 24000),
                                         "UPDATE t SET body = body || 'x' WHERE id % 5 = 0", "DELETE FROM t WHERE id % 7 = 0"};
  Three t(schema);
  auto plain = require(sqlite::Database::open(t.dir.path / "plain.db", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  require(plain.exec(schema));
  for (const std::string& statement : life) {
    t.a.sql(statement);
    require(plain.exec(statement));
    t.a.now += 2000;
    t.settle();
  }
  auto here = require(sqlite::Database::open(t.b.path, SQLITE_OPEN_READWRITE));
  announce(t.a, t.stream);
  t.settle();
  for (int i = 0; i < 400; ++i) CHECK(t.b.drain().empty());  // it prunes a piece each time
  CHECK(t.b.query("SELECT count(*) FROM __marmot_version WHERE state = 0") == "0");
  CHECK(used_bytes(here) <= 1.6 * used_bytes(plain));
  MESSAGE("plain " << used_bytes(plain) / 1024 << " KiB, with Marmot " << used_bytes(here) / used_bytes(plain) << " times");
}
