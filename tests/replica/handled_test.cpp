// A conflict that was restored or discarded on one node is handled on all (docs/decisions/0040-handled-on-all-nodes.md).
#include <doctest/doctest.h>

#include "common/codec/handled.hpp"
#include "common/codec/message.hpp"
#include "common/replica/review.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::replica;
using namespace marmot::test;

namespace {

constexpr const char* kTable = "CREATE TABLE t(id INTEGER PRIMARY KEY, v)";
constexpr const char* kListed = "SELECT count(*) FROM __marmot_conflict";

// As `marmot conflicts discard` does it: on a connection of its own.
void discard(Node& node, size_t most = SIZE_MAX) {
  auto db = require(sqlite::Database::open(node.path, SQLITE_OPEN_READWRITE));
  require(db.exec("INSERT OR IGNORE INTO __marmot_meta VALUES('node_id', " + std::to_string(node.engine().origin().node.value) + ")"));
  const auto lost = require(lost_rows(db));
  for (size_t i = 0; i < lost.size() && i < most; ++i) {
    if (!lost[i].shelved) require(forget_conflict(db, lost[i]));
  }
}

// Rows with ids from `first` on, on a and on b at one moment.
void collide(Three& t, int first, int count) {
  for (int id = first; id < first + count; ++id) {
    t.a.sql("INSERT INTO t VALUES(" + std::to_string(id) + ",'a')");
    t.b.sql("INSERT INTO t VALUES(" + std::to_string(id) + ",'b')");
  }
}

void lose_history(Three& t, Stream& anew) {
  static uint64_t life = 7000;
  for (Node* node : {&t.c, &t.a, &t.b}) require(node->engine().history_lost(anew.id, anew.messages.size(), Incarnation{++life}));
}

}  // namespace

TEST_CASE("handled: a conflict discarded on one node is listed on none, and every node knows who did it") {
  Three t(kTable);
  collide(t, 1, 2);
  t.settle();
  t.same(kListed, "2");
  const size_t before = t.stream.messages.size();
  discard(t.b, 1);
  CHECK(require(t.b.engine().has_work()));
  t.settle();
  t.same(kListed, "1");
  t.same("SELECT tbl, by_node, seq > 0 FROM __marmot_handled", "t|2|1");
  CHECK(t.stream.messages.size() == before + 1);
  CHECK_FALSE(require(t.b.engine().has_work()));
  t.c.restart({});
  t.settle();
  CHECK(t.stream.messages.size() == before + 1);  // it is not told again
  t.same(kListed, "1");
  for (Node* node : {&t.a, &t.b, &t.c}) check_at_rest(*node);
  const auto& log = t.c.log;
  CHECK(std::count_if(log.begin(), log.end(), [](const std::string& line) { return line.find("1 conflict was restored or discarded on node 2, and forgotten here too") != std::string::npos; }) == 1);
}

TEST_CASE("handled: of two nodes that discard one conflict at the same moment both are content") {
  Three t(kTable);
  collide(t, 1, 1);
  t.settle();
  discard(t.a);
  discard(t.b);
  t.settle();
  t.same(kListed, "0");
  CHECK(t.a.query("SELECT by_node, at FROM __marmot_handled") == t.b.query("SELECT by_node, at FROM __marmot_handled"));
  CHECK(t.a.query("SELECT by_node, at FROM __marmot_handled") == t.c.query("SELECT by_node, at FROM __marmot_handled"));
}

TEST_CASE("handled: it holds where it is heard of before the conflict is") {
  Three t(kTable);
  t.a.sql("INSERT INTO t VALUES(1,'a')");
  t.a.publish(t.stream);
  t.b.now += 100;
  t.b.sql("INSERT INTO t VALUES(1,'b')");
  std::vector<OutUnit> later = t.b.drain();
  const auto db = require(sqlite::Database::open(t.a.path, SQLITE_OPEN_READWRITE));
  codec::HandledConflict handled{"T", "", {}, NodeId{9}, 5};  // under another spelling of the table's name
  {
    auto row = require(const_cast<sqlite::Database&>(db).prepare("SELECT v.key, v.hlc, o.node, o.incarnation FROM __marmot_version v JOIN __marmot_origin o ON o.id = v.origin"));
    REQUIRE(require(row.step()));
    handled.key = row.blob(0);
    handled.loser = {Hlc::from_stored(row.integer(1)), {NodeId{static_cast<uint64_t>(row.integer(2))}, Incarnation{static_cast<uint64_t>(row.integer(3))}}};
  }
  const Origin origin{NodeId{9}, Incarnation{5}};
  t.stream.append(codec::message_id(origin, 1, 0), codec::seal(codec::Kind::handled, origin, 1, codec::encode_handled({handled}), 4096, codec::kFormatOfHandled)[0]);
  t.stream.append(later);
  t.settle();
  t.same("SELECT v FROM t", "b");
  t.same(kListed, "0");
  t.same("SELECT tbl, by_node FROM __marmot_handled", "t|9");
  collide(t, 2, 1);
  t.settle();
  t.same(kListed, "1");
}

TEST_CASE("handled: a snapshot brings it") {
  Three t(kTable);
  collide(t, 1, 2);
  t.settle();
  discard(t.a, 1);
  settle(t.stream, {&t.a, &t.b});
  CHECK(t.c.query(kListed) == "2");
  const std::string path = t.dir.path / "snapshot";
  take_snapshot(t.a, path);
  for (auto& message : t.stream.messages) message.bytes.clear();
  merge_snapshot(t.c, path);
  CHECK(t.c.query(kListed) == "1");
  t.settle();
  t.same(kListed, "1");
}

TEST_CASE("handled: what the stream lost is told again, by whoever knows it") {
  Three t(kTable);
  collide(t, 1, 2);
  t.settle();
  discard(t.a, 1);
  t.a.publish(t.stream);
  SUBCASE("before anybody else has read it") {}
  SUBCASE("and the one who did it is away") {
    settle(t.stream, {&t.a, &t.b});
  }
  const bool away = t.b.query(kListed) == "1";
  CHECK(t.c.query(kListed) == "2");
  Stream anew;
  anew.id = 78;
  lose_history(t, anew);
  std::vector<Node*> there{&t.b, &t.c};
  if (!away) there.push_back(&t.a);
  settle(anew, there);
  CHECK(t.c.query(kListed) == "1");
  settle(anew, {&t.a, &t.b, &t.c});
  t.same(kListed, "1");
}

TEST_CASE("handled: no more are kept than conflicts are, and many go out in several messages") {
  Settings few;
  few.conflict_log_rows = 2500;
  Three t(kTable, few);
  std::string rows;
  for (int id = 1; id <= 2600; ++id) rows += (id == 1 ? "(" : ",(") + std::to_string(id) + ")";
  t.a.sql("INSERT INTO t(id) VALUES" + rows + "; UPDATE t SET v = 'a'");
  t.b.sql("INSERT INTO t(id) VALUES" + rows + "; UPDATE t SET v = 'b'");
  t.settle();
  t.same(kListed, "2500");
  const size_t before = t.stream.messages.size();
  discard(t.b);
  t.settle();
  t.same(kListed, "0");
  t.same("SELECT count(*) FROM __marmot_handled", "2500");
  CHECK(t.stream.messages.size() == before + 3);
  collide(t, 3001, 1);
  t.settle();
  discard(t.c);
  t.settle();
  t.same(kListed, "0");
  t.same("SELECT count(*) FROM __marmot_handled", "2500");
}

TEST_CASE("handled: nothing is said of it while an agent with an earlier Marmot is heard") {
  Settings held;
  held.ids.held = true;
  Three t(kTable, held);
  collide(t, 1, 1);
  t.settle();
  discard(t.a);
  CHECK_FALSE(require(t.a.engine().has_work()));  // it does not try again and again
  t.settle();
  CHECK(t.b.query(kListed) == "1");
  t.a.engine().hold_ids(false);
  CHECK(require(t.a.engine().has_work()));
  t.settle();
  t.same(kListed, "0");
}

TEST_CASE("handled: what stood in a file before it was replicated is that file's own conflict") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1), b(dir.path, 2);
  a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE); INSERT INTO t VALUES(1,'same')");
  a.found(stream);
  a.publish(stream);
  b.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE); INSERT INTO t VALUES(2,'same')");
  b.start();
  require(b.engine().join(stream.id, stream.messages.size()));
  settle(stream, {&a, &b});
  CHECK(b.query("SELECT loser_hlc FROM __marmot_conflict") == "0");
  discard(b);
  settle(stream, {&a, &b});
  CHECK(b.query(kListed) == "0");
  CHECK(b.query("SELECT count(*) FROM __marmot_handled") == "0");
}
