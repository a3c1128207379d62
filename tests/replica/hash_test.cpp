// A row's hash stands for the row (docs/decisions/0027-a-hash-for-the-row.md).
#include <doctest/doctest.h>

#include <set>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

const std::string kHashes = "SELECT group_concat(hash) FROM (SELECT hash FROM __marmot_version ORDER BY tbl, key)";
const std::string kUnique = "SELECT group_concat(hash) FROM (SELECT hash FROM __marmot_unique ORDER BY tbl, idx, key)";

std::string key_of(Node& node) { return node.query("SELECT value FROM __marmot_meta WHERE key = 'hash_key'"); }

}  // namespace

TEST_CASE("hash: a value replaced by one that collides without a key leaves the node") {
  // Found in half a minute of search: 48 bits of XXH3 seeded with the column's name say the same of both.
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("INSERT INTO t VALUES(1, '07904313 EUR')");
  t.settle();
  t.same("SELECT v FROM t", "07904313 EUR");
  t.a.sql("UPDATE t SET v = '14912591 EUR'");
  CHECK(t.a.drain().size() == 1);
}

TEST_CASE("hash: ... and reaches the others; an UPDATE that changes nothing sends nothing") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("INSERT INTO t VALUES(1, '07904313 EUR')");
  t.settle();
  t.a.sql("UPDATE t SET v = '14912591 EUR'");
  t.settle();
  t.same("SELECT v FROM t", "14912591 EUR");
  t.a.sql("UPDATE t SET v = v");
  CHECK(t.a.drain().empty());
}

TEST_CASE("hash: ... and is found where capture did not see it") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("INSERT INTO t VALUES(1, '07904313 EUR')");
  t.settle();
  t.b.sql("UPDATE t SET v = '14912591 EUR'; DELETE FROM __marmot_log");
  CHECK(require(t.a.engine().digests(kSeed))[0].buckets != require(t.b.engine().digests(kSeed))[0].buckets);
  CHECK(require(t.b.engine().scrub(false)).units.size() == 1);
}

TEST_CASE("hash: a file's key is the stream's, and what it had is hashed anew when it joins") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1), b(dir.path, 2);
  b.hash_key = HashKey{77, 88};
  for (Node* node : {&a, &b}) node->sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT UNIQUE); INSERT INTO t VALUES(1, 'one'), (2, 'two')");
  a.found(stream);
  a.publish(stream);
  b.start();
  CHECK(key_of(a) == to_text(a.hash_key));
  CHECK(key_of(b) == to_text(b.hash_key));
  CHECK(a.query(kHashes) != b.query(kHashes));
  CHECK(a.query(kUnique) != b.query(kUnique));
  b.stop();
  b.join(stream);
  CHECK(key_of(b) == key_of(a));
  CHECK(a.query(kHashes) == b.query(kHashes));
  CHECK(a.query(kUnique) == b.query(kUnique));
  b.apply(stream);
  CHECK(b.drain().empty());
  CHECK(require(b.engine().scrub(false)).found.empty());
  b.sql("REPLACE INTO t VALUES(3, 'two')");  // its victim is known by its hash
  b.publish(stream);
  a.apply(stream);
  CHECK(a.query("SELECT group_concat(id) FROM t") == "1,3");
}

TEST_CASE("hash: a change that capture missed is not lost where the key changes") {
  TempDir dir;
  Node a(dir.path, 1);
  Stream stream;
  a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1, 'one'), (2, 'two'), (3, 'three')");
  a.found(stream);
  a.publish(stream);
  a.apply(stream);
  a.sql("UPDATE t SET v = 'missed' WHERE id = 2; DELETE FROM __marmot_log; UPDATE t SET v = 'logged' WHERE id = 1");
  const HashKey other{5, 6};
  require(a.engine().history_lost(stream.id + 1, 0, Incarnation{9999}, 0, other));
  CHECK(a.engine().hash_key() == other);
  const auto found = require(a.engine().scrub(false)).found;
  REQUIRE(found.size() == 1);
  CHECK(found[0].key == "2");
  CHECK(require(a.engine().scrub(false)).found.empty());
  a.stop();
  a.start();
  CHECK(a.engine().hash_key() == other);
}

TEST_CASE("hash: a transaction that is rolled back leaves the key as it was") {
  TempDir dir;
  Node a(dir.path, 1);
  a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1, 'one')");
  a.start();
  const std::string before = a.query(kHashes);
  require(a.engine().database().exec("CREATE TEMP TRIGGER no AFTER UPDATE OF hash ON main.__marmot_version BEGIN SELECT raise(ABORT, 'no'); END"));
  sqlite3_db_config(a.engine().database().get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, nullptr);
  CHECK_FALSE(a.engine().join(9, 1, 0, HashKey{5, 6}));
  sqlite3_db_config(a.engine().database().get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  CHECK(key_of(a) == to_text(a.hash_key));
  CHECK(a.engine().hash_key() == a.hash_key);
  CHECK(a.query(kHashes) == before);
}

TEST_CASE("hash: a file of another format is refused") {
  TempDir dir;
  Node a(dir.path, 1);
  a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  a.start();
  a.stop();
  a.sql("UPDATE __marmot_meta SET value = 2 WHERE key = 'format'");
  auto db = require(sqlite::Database::open(a.path, SQLITE_OPEN_READWRITE));
  replica::Environment environment;
  environment.now = [] { return WallMs{1'700'000'000'000}; };
  environment.monotonic_us = [] { return int64_t{0}; };
  const auto opened = replica::Replica::open(std::move(db), {}, environment, {NodeId{1}, Incarnation{5}, Hlc{}, HashKey{1, 2}});
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == Errc::refused);
  CHECK(opened.error().message.find("internal tables of format 2, this one knows 5") != std::string::npos);
}
