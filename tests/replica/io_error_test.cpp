// What an I/O error leaves behind: nothing in the file, nothing in memory, and of a file with virtual tables no trust in the
// connection (engine.hpp, write()).
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>

#include "common/node/repair_plan.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

// No file of this process grows: SQLite gets EFBIG from write(), which it takes for a fault of the disk. Nothing may be CHECKed
// meanwhile: what doctest prints may go to a file.
class NoGrowth {
 public:
  NoGrowth() {
    former_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &former_);
    rlimit none = former_;
    none.rlim_cur = 1;
    setrlimit(RLIMIT_FSIZE, &none);
  }
  ~NoGrowth() {
    setrlimit(RLIMIT_FSIZE, &former_);
    std::signal(SIGXFSZ, former_handler_);
  }
  NoGrowth(const NoGrowth&) = delete;
  NoGrowth& operator=(const NoGrowth&) = delete;

 private:
  rlimit former_{};
  void (*former_handler_)(int) = nullptr;
};

Errc failed_drain(Node& node) {
  const NoGrowth fault;
  const auto drained = node.engine().drain(false);
  return drained ? Errc::internal : drained.error().code;
}

}  // namespace

TEST_CASE("io error: with virtual tables in the file every later call is refused, until it is opened anew") {
  // The one who was told could be one who only asked for something (a comparison of nodes), and the next drain went on through
  // an FTS5 index in doubt.
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); CREATE VIRTUAL TABLE words USING fts5(v, content='t', content_rowid='id')");
  t.a.sql("INSERT INTO t VALUES(1,'a')");
  CHECK(failed_drain(t.a) == Errc::stale);
  replica::Replica& engine = t.a.engine();
  std::deque<replica::Incoming> queue;
  int64_t done = -1;
  for (int again = 0; again < 2; ++again) {
    const auto drained = engine.drain(false);
    const auto applied = engine.apply(queue, false);
    const auto repaired = engine.repair("t", {}, false, &done);
    const auto work = engine.has_work();
    const Status kept = engine.keep_members({}, 0);
    CHECK(!drained);
    CHECK(!applied);
    CHECK(!repaired);
    CHECK(!work);
    CHECK(!kept);
    for (const Error& error : {drained.error(), applied.error(), repaired.error(), work.error(), kept.error()}) CHECK(error.code == Errc::stale);
  }
  CHECK(done == 0);
  t.a.stop();
  t.a.start();
  t.settle();
  t.same("SELECT * FROM t", "1|a");
}

TEST_CASE("io error: without virtual tables the same call is made again") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("INSERT INTO t VALUES(1,'a')");
  CHECK(failed_drain(t.a) == Errc::io);
  t.settle();
  t.same("SELECT * FROM t", "1|a");
}

// Seed 14954: a query of the engine's that an error left in its middle held its snapshot. BEGIN IMMEDIATE was refused from then on, as soon as the
// application had written, until the agent was started anew.
TEST_CASE("io error: what a failed call left in its middle keeps the next one from nothing") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
  t.a.sql("INSERT INTO t VALUES(1,'a'), (2,'b')");
  auto query = require(t.a.engine().database().prepare("SELECT id FROM t"));
  REQUIRE(require(query.step()));
  CHECK(failed_drain(t.a) == Errc::io);
  t.a.sql("INSERT INTO t VALUES(3,'c')");
  t.settle();
  t.same("SELECT count(*) FROM t", "3");
}

// A COMMIT that is interrupted has committed: left out.
TEST_CASE("io error: wherever a drain is interrupted, nobody has to wait for it, and nothing of it is lost") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT UNIQUE); CREATE TABLE keyless(v)");
  int failures = 0;
  for (int round = 0; round < 150; ++round) {
    const std::string n = std::to_string(round);
    t.c.sql("INSERT INTO t VALUES(" + n + ", 'v" + n + "'); INSERT INTO keyless VALUES(" + n + "); DELETE FROM t WHERE id = " + std::to_string(round - 1) +
            "; DELETE FROM keyless WHERE v < " + n);
    t.settle();
    announce(t.a, t.stream);
    t.a.sql("INSERT INTO keyless VALUES(1000)");
    t.a.publish(t.stream);
    t.b.stop(), t.b.start();  // so that it has to read what it would know
    t.b.apply(t.stream);
    t.b.sql("INSERT INTO keyless VALUES('of b')");
    sqlite3* const engine = t.b.engine().database().get();
    int left = 1 + round * 7;
    sqlite3_progress_handler(engine, 1, [](void* steps) { return --*static_cast<int*>(steps) == 0 ? 1 : 0; }, &left);
    sqlite3_commit_hook(engine, [](void* steps) { return *static_cast<int*>(steps) = 0; }, &left);
    const auto first = t.b.engine().drain(false);
    sqlite3_progress_handler(engine, 0, nullptr, nullptr);
    sqlite3_commit_hook(engine, nullptr, nullptr);
    failures += first ? 0 : 1;
    if (first) t.stream.append(first->units);
    t.b.sql("INSERT INTO keyless VALUES('of b too')");
    const auto drained = t.b.engine().drain(false);
    CAPTURE(left);
    if (!drained) REQUIRE(drained.error().message == "");
    t.stream.append(drained->units);
    t.b.apply(t.stream);
  }
  CHECK(failures > 50);
  t.settle();
  t.same("SELECT count(*) FROM keyless WHERE v GLOB 'of b*'", t.b.query("SELECT count(*) FROM keyless WHERE v GLOB 'of b*'"));
}

TEST_CASE("join: keyless rows that stand under other rowids are the same rows, though the file changes while it joins") {
  // What the file brought along was looked through in every transaction anew. It is kept now, so it has to know what was given
  // out in one that was rolled back, and that rows may have gone meanwhile.
  TempDir dir;
  Stream stream;
  replica::Settings pieces;
  pieces.atomic_rows = 100;
  pieces.slice_us = 0;  // one message a transaction
  Node a(dir.path, 1, pieces), b(dir.path, 2, pieces);
  const std::string numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1999)";
  a.sql("CREATE TABLE keyless(v); " + numbers + " INSERT INTO keyless SELECT i / 2 FROM n");
  b.sql("CREATE TABLE keyless(v); " + numbers + " INSERT INTO keyless SELECT i / 2 FROM n ORDER BY i DESC");
  a.found(stream);
  a.publish(stream);
  REQUIRE(stream.messages.size() > 20);
  b.start();
  require(b.engine().join(stream.id, stream.messages.size()));
  std::deque<replica::Incoming> queue(stream.messages.begin(), stream.messages.end());
  while (queue.size() > 12) require(b.engine().apply(queue, false));
  b.sql("DELETE FROM keyless WHERE rowid = (SELECT min(rowid) FROM keyless WHERE v = 990);"
        "UPDATE keyless SET v = 'of b' WHERE rowid = (SELECT min(rowid) FROM keyless WHERE v = 980)");
  Errc failed{};
  {
    const NoGrowth fault;
    const auto applied = b.engine().apply(queue, false);
    if (!applied) failed = applied.error().code;
  }
  CHECK(failed == Errc::io);
  b.apply(stream);
  CHECK(b.engine().membership() == replica::Membership::member);
  settle(stream, {&a, &b});
  for (Node* node : {&a, &b}) {
    CHECK(node->query("SELECT count(*), count(DISTINCT v) FROM keyless") == "2001|1001");
    CHECK(node->query("SELECT count(*) FROM (SELECT v FROM keyless GROUP BY v HAVING count(*) > 2)") == "0");
  }
}
