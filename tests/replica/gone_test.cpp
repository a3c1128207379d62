// Messages that the stream lost in its middle (docs/decisions/0026-a-message-that-is-gone.md): what waits for them goes on at once,
// what was only late is applied when it comes, and a floor ends that.
#include <set>

#include <doctest/doctest.h>

#include "common/codec/message.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

const char* const kSchema = "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)";

// One row in a unit of its own; the number of its message.
StreamSeq write(Three& t, Node& node, int id, const std::string& value) {
  node.sql("INSERT INTO t(id, v) VALUES(" + std::to_string(id) + ", '" + value + "') ON CONFLICT(id) DO UPDATE SET v = excluded.v");
  node.publish(t.stream);
  return t.stream.messages.size();
}

// The stream as somebody finds it who reads it later.
Stream without(const Stream& stream, std::set<StreamSeq> gone) {
  Stream out = stream;
  std::erase_if(out.messages, [&](const replica::Incoming& message) { return gone.count(message.seq) != 0; });
  return out;
}

replica::Counters counters(Node& node) { return require(node.engine().counters()); }

int told(const Node& node, const std::string& text) {
  int times = 0;
  for (const std::string& line : node.log) times += line.find(text) != std::string::npos ? 1 : 0;
  return times;
}

const char* const kAll = "SELECT id, v FROM t ORDER BY id";

}  // namespace

TEST_CASE("gone: later units of a sender do not wait for a message that the stream lost, and newer rows stay") {
  Three t(kSchema);
  write(t, t.a, 1, "first");
  t.b.apply(t.stream);
  t.c.apply(t.stream);
  const StreamSeq gone = write(t, t.a, 2, "gone");
  write(t, t.a, 3, "last");
  t.c.sql("INSERT INTO t VALUES(2, 'newer')");
  t.c.apply(without(t.stream, {gone}));
  CHECK(t.c.query(kAll) == "1|first\n2|newer\n3|last");
  CHECK(counters(t.c).staged_parts == 0);
  CHECK(counters(t.c).gone_units == 1);
  CHECK(t.c.engine().gap().first == gone);
  CHECK(t.c.engine().gap().last == gone);
  CHECK(t.b.engine().gap().last == 0);
  CHECK(told(t.c, "not in the stream any more") == 1);
  CHECK(require(t.c.engine().wants_floor()));
  // It lives on in the file.
  t.c.stop();
  t.c.start();
  CHECK(t.c.engine().gap().last == gone);
}

TEST_CASE("gone: a unit that was taken for gone and was only late is applied when it comes, once") {
  Three t(kSchema);
  write(t, t.a, 1, "first");
  const StreamSeq gone = write(t, t.b, 2, "gone");
  t.a.sql("INSERT INTO t VALUES(3, 'late')");
  const auto late = t.a.drain();
  REQUIRE(late.size() == 1);
  write(t, t.a, 4, "early");
  t.c.apply(without(t.stream, {gone}));
  CHECK(t.c.query(kAll) == "1|first\n4|early");
  t.stream.append(late[0]);
  t.c.apply(t.stream);
  CHECK(t.c.query(kAll) == "1|first\n3|late\n4|early");
  CHECK(counters(t.c).gone_units == 0);
  t.b.apply(t.stream);
  CHECK(t.b.query(kAll) == "1|first\n2|gone\n3|late\n4|early");
}

TEST_CASE("gone: of a sender that had applied the gap, units wait for one another as ever") {
  Three t(kSchema);
  const StreamSeq gone = write(t, t.b, 1, "gone");
  write(t, t.b, 2, "behind it");
  t.a.apply(t.stream);
  write(t, t.a, 3, "after the gap");
  t.a.sql("INSERT INTO t VALUES(4, 'late')");
  const auto late = t.a.drain();
  write(t, t.a, 5, "early");
  t.c.apply(without(t.stream, {gone}));
  CHECK(t.c.query(kAll) == "2|behind it\n3|after the gap");
  CHECK(counters(t.c).staged_parts == 1);
  t.stream.append(late[0]);
  t.c.apply(t.stream);
  CHECK(t.c.query(kAll) == "2|behind it\n3|after the gap\n4|late\n5|early");
}

TEST_CASE("gone: a part of a unit, and units that wait already when the gap comes") {
  replica::Settings settings;
  settings.max_message = 300;
  Three t(kSchema, settings);
  t.a.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO t SELECT i, hex(randomblob(40)) FROM n");
  t.a.publish(t.stream);
  const StreamSeq last_part = t.stream.messages.size();
  t.a.sql("INSERT INTO t VALUES(101, 'late')");
  const auto late = t.a.drain();
  write(t, t.a, 102, "early");
  t.b.apply(t.stream);
  t.c.apply(without(t.stream, {last_part}));
  CHECK(t.c.query(kAll) == "102|early");
  CHECK(counters(t.c).gone_units == 2);
  // B waits for what is late. Then that is gone too, and nobody says more of it than that something is.
  CHECK(t.b.query("SELECT count(*) FROM t") == "20");
  t.stream.append(late[0]);
  const StreamSeq of_late = t.stream.messages.size();
  write(t, t.c, 103, "of another");
  t.b.apply(without(t.stream, {of_late}));
  CHECK(t.b.query("SELECT count(*) FROM t WHERE id > 100") == "2");
  CHECK(counters(t.b).staged_parts == 0);
}

TEST_CASE("gone: at the stream's end the cursor moves all the same, and a floor ends the gap") {
  Three t(kSchema);
  const StreamSeq end = write(t, t.a, 1, "gone");
  t.a.apply(t.stream);
  t.b.apply(t.stream);
  std::deque<replica::Incoming> queue{replica::Incoming{end, t.c.now, {}, {}, true}};
  require(t.c.engine().apply(queue, false));
  CHECK(queue.empty());
  CHECK(t.c.engine().position().seq == end);
  CHECK(t.c.engine().position().msg_id.empty());
  CHECK(t.c.engine().gap().first == end);
  const auto floor = require(t.c.engine().announce_floor(end, false));
  REQUIRE(floor.units.size() == 1);
  t.stream.append(floor.units[0]);
  for (Node* node : {&t.a, &t.b, &t.c}) node->apply(t.stream);
  CHECK(t.c.engine().gap().last == 0);
  CHECK_FALSE(require(t.c.engine().wants_floor()));
}

TEST_CASE("gone: what a sender lacks of its own it sends again") {
  Three t(kSchema);
  const StreamSeq gone = write(t, t.a, 1, "gone");
  write(t, t.a, 2, "behind it");
  for (int i = 0; i < 3; ++i) {
    for (Node* node : {&t.a, &t.b, &t.c}) {
      node->apply(without(t.stream, {gone}));
      node->publish(t.stream);
    }
  }
  t.same(kAll, "1|gone\n2|behind it");
  CHECK(counters(t.a).outbox_rows == 0);
}

TEST_CASE("gone: the schema is told again where it is asked for") {
  Three t(kSchema);
  t.a.sql("ALTER TABLE t ADD COLUMN w DEFAULT 'x'");
  t.a.publish(t.stream);
  const StreamSeq gone = t.stream.messages.size();
  write(t, t.a, 1, "with it");
  t.a.apply(t.stream);
  t.b.apply(t.stream);
  t.c.apply(without(t.stream, {gone}));
  const char* const columns = "SELECT group_concat(name) FROM pragma_table_info('t')";
  CHECK(t.c.query(columns) == "id,v");
  int64_t done = 0;
  require(t.b.engine().repair("", {}, false, &done));
  CHECK(done == 1);
  t.b.publish(t.stream);
  for (Node* node : {&t.a, &t.b, &t.c}) node->apply(without(t.stream, {gone}));
  CHECK(t.c.query(columns) == "id,v,w");
  CHECK(t.a.query(columns) == "id,v,w");
}
