// Stamps that are too far ahead (docs/decisions/0032-a-clock-that-was-wrong.md).
#include <doctest/doctest.h>

#include "common/codec/message.hpp"
#include "common/core/key.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

constexpr WallMs kNow = 1'700'000'000'000;
constexpr WallMs kHour = 3'600'000;

// A cluster whose stream tells the time, and a row that all have.
struct Judged : Three {
  Judged() : Three("CREATE TABLE t(id INTEGER PRIMARY KEY, v)", {}, kNow) {
    a.sql("INSERT INTO t VALUES(1, 'first')");
    settle();
  }
  void at(WallMs time) {
    stream.now = time;
    for (Node* node : {&a, &b, &c}) node->now = time;
  }
  void deliver() {
    for (Node* node : {&a, &b, &c}) node->apply(stream);
  }
  void no_clock_beyond(WallMs time) {
    for (Node* node : {&a, &b, &c}) CHECK(node->engine().last_hlc() < Hlc::from_wall(time));
  }
};

// The unit `number` of a stranger: the row 1 of t, as `v`.
void append_row(Stream& stream, const Origin& sender, uint64_t number, const Version& version, const char* v) {
  codec::UnitWriter writer;
  UnitTable table;
  table.name = "t";
  table.columns = {"id", "v"};
  table.key = {UnitKeyColumn{0, Collation::binary, Affinity::number, false}};
  const uint32_t at = writer.add_table(table);
  std::string key;
  append_key_part(key, ValueView::of_integer(1));
  writer.row(at, writer.add_version(version), Op::update, key);
  writer.value(ValueView::of_integer(1));
  writer.value(ValueView::of_text(v));
  stream.append(codec::message_id(sender, number, 0), codec::seal(codec::Kind::rows, sender, number, require(writer.finish(false, 0)), 4096, 1)[0]);
}

}  // namespace

// It won against every later write of the others for an hour, and all clocks went an hour ahead for good.
TEST_CASE("clock: what is stamped an hour ahead lands nowhere, and of two writes the later one wins though the first one's clock was ahead") {
  Judged t;
  t.a.now = kNow + kHour;
  t.a.sql("UPDATE t SET v = 'ahead'");
  t.a.publish(t.stream);
  t.deliver();
  CHECK(t.a.query("SELECT v FROM t") == "ahead");
  CHECK(t.b.query("SELECT v FROM t") == "first");
  CHECK(t.c.query("SELECT v FROM t") == "first");
  CHECK(t.b.engine().last_hlc() < Hlc::from_wall(kNow + 1000));
  t.at(kNow + 2000);
  t.b.sql("UPDATE t SET v = 'later'");
  t.b.publish(t.stream);
  t.deliver();
  CHECK(t.c.query("SELECT v FROM t") == "later");
  CHECK(require(t.a.engine().misdated(t.stream.now)) > 0);
  CHECK(require(t.b.engine().misdated(t.stream.now)) == 0);
  t.a.redate(t.stream.now);
  CHECK(t.a.query("SELECT v FROM t") == "later");  // what it had passed over
  t.settle();
  t.same("SELECT v FROM t", "later");
  t.at(kNow + 4000);
  t.a.sql("UPDATE t SET v = 'last'");
  t.settle();
  t.same("SELECT v FROM t", "last");
  t.no_clock_beyond(kNow + 60'000);
  for (Node* node : {&t.a, &t.b, &t.c}) {
    check_at_rest(*node);
    CHECK(require(node->engine().misdated(t.stream.now)) == 0);
  }
}

TEST_CASE("clock: what was refused is sent again with the time of its message, in its order, and nothing of it is lost") {
  Judged t;
  t.a.now = kNow + kHour;
  t.a.sql("INSERT INTO t VALUES(2, 'one')");
  t.a.publish(t.stream);
  t.a.sql("UPDATE t SET v = 'two' WHERE id = 2; DELETE FROM t WHERE id = 1; CREATE TABLE u(id INTEGER PRIMARY KEY, v); INSERT INTO u VALUES(1, 'new')");
  t.a.publish(t.stream);
  t.deliver();
  t.at(kNow + 2000);
  t.a.redate(t.stream.now);
  t.settle();
  t.same("SELECT * FROM t", "2|two");
  t.same("SELECT * FROM u", "1|new");
  t.no_clock_beyond(kNow + 60'000);
  for (Node* node : {&t.a, &t.b, &t.c}) check_at_rest(*node);
}

TEST_CASE("clock: what a wrong clock has stamped and nobody was sent gets the right time before it is") {
  Judged t;
  t.a.now = kNow + kHour;
  t.a.sql("UPDATE t SET v = 'ahead'");
  (void)t.a.drain();  // held back
  t.a.now = kNow + 1000;
  CHECK(require(t.a.engine().misdated(kNow + 1000)) > 0);
  t.a.redate(kNow + 1000);
  CHECK(require(t.a.engine().misdated(kNow + 1000)) == 0);
  CHECK(t.a.engine().last_hlc() < Hlc::from_wall(kNow + 60'000));
  t.settle();
  t.same("SELECT v FROM t", "ahead");
}

TEST_CASE("clock: an agent that dies before it has made the stamps anew does it in its next life") {
  Judged t;
  t.a.now = kNow + kHour;
  t.a.sql("UPDATE t SET v = 'ahead'");
  t.a.publish(t.stream);
  t.deliver();
  t.at(kNow + 2000);
  t.a.stop();
  t.a.start();
  REQUIRE(require(t.a.engine().misdated(t.stream.now)) > 0);
  t.a.redate(t.stream.now);
  t.settle();
  t.same("SELECT v FROM t", "ahead");
  t.no_clock_beyond(kNow + 60'000);
}

TEST_CASE("clock: what is sent for others may be a day ahead of the stream's time, not more, and what a sender stamps itself no further than the bound") {
  Judged t;
  const Origin sender{NodeId{77}, Incarnation{5}}, other{NodeId{78}, Incarnation{5}};
  append_row(t.stream, sender, 1, Version{Hlc::from_wall(kNow + 61'000), sender}, "too far");
  t.deliver();
  t.same("SELECT v FROM t", "first");
  append_row(t.stream, sender, 2, Version{Hlc::from_wall(kNow + 25 * kHour), other}, "too far");
  t.deliver();
  t.same("SELECT v FROM t", "first");
  append_row(t.stream, sender, 3, Version{Hlc::from_wall(kNow + 59'000), sender}, "within");
  t.deliver();
  t.same("SELECT v FROM t", "within");
  append_row(t.stream, sender, 4, Version{Hlc::from_wall(kNow + kHour), other}, "another's");
  t.deliver();
  t.same("SELECT v FROM t", "another's");
  // Every clock has followed that one: what is stamped behind it is refused nowhere.
  t.b.sql("UPDATE t SET v = 'goes on'");
  t.settle();
  t.same("SELECT v FROM t", "goes on");
}

TEST_CASE("clock: the bound is a fact of the stream") {
  TempDir dir;
  Stream stream;
  stream.now = kNow;
  stream.clock_bound = 2 * kHour;
  Node a(dir.path, 1), b(dir.path, 2);
  a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  a.found(stream);
  a.publish(stream);
  b.join(stream);
  settle(stream, {&a, &b});
  a.now = kNow + kHour;
  a.sql("INSERT INTO t VALUES(1, 'within')");
  settle(stream, {&a, &b});
  CHECK(b.query("SELECT v FROM t") == "within");
  CHECK(require(a.engine().misdated(kNow)) == 0);
  a.now = kNow + 4 * kHour;
  a.sql("UPDATE t SET v = 'beyond'");
  settle(stream, {&a, &b});
  CHECK(b.query("SELECT v FROM t") == "within");
}

TEST_CASE("clock: a file that joins later refuses what the others have refused, by the stream and by a snapshot") {
  Judged t;
  t.a.now = kNow + kHour;
  t.a.sql("UPDATE t SET v = 'ahead'");
  t.a.publish(t.stream);
  t.deliver();
  CHECK_FALSE(replica::SnapshotCopy::begin(t.a.engine(), t.dir.path / "a.snapshot"));  // it would bring them to others
  const auto info = take_snapshot(t.b, t.dir.path / "b.snapshot");
  CHECK(info.seq == t.stream.messages.size());
  Node d(t.dir.path, 4), e(t.dir.path, 5);
  e.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'first')");
  d.join(t.stream);
  d.apply(t.stream);
  CHECK(d.query("SELECT v FROM t") == "first");
  e.join(t.stream);  // the row is compared with what counts
  e.apply(t.stream);
  CHECK(e.query("SELECT v FROM t") == "first");
}
