// `marmot clock reset`, and the message that changes the bound (docs/decisions/0032-a-clock-that-was-wrong.md).
#include <doctest/doctest.h>

#include "common/codec/message.hpp"
#include "common/core/key.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

constexpr WallMs kNow = 1'700'000'000'000;
constexpr WallMs kHour = 3'600'000;
constexpr WallMs kYear = 365 * 24 * kHour;

// A cluster as it was before stamps were judged: no clock is too far ahead.
struct Trusting {
  Trusting() : a(dir.path, 1), b(dir.path, 2), c(dir.path, 3) {
    stream.now = kNow;
    stream.clock_bound = 2 * kYear;
    a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
    a.found(stream);
    a.publish(stream);
    b.join(stream);
    c.join(stream);
    a.sql("INSERT INTO t VALUES(1, 'first'), (2, 'gone'), (3, 'right')");
    settle();
  }
  void later(WallMs ms) {
    stream.now += ms;
    for (Node* node : {&a, &b, &c}) node->now += ms;
  }
  void settle() { test::settle(stream, {&a, &b, &c}); }

  // As its agent: what a node of itself holds back until it has done that goes out then.
  void mend(Node& node) {
    if (require(node.engine().misdated(stream.now)) == 0) return;
    node.redate(stream.now);
    node.high_water = node.engine().last_hlc();
  }
  void say_reset(Node& node, int64_t bound = 60'000) {
    const auto report = require(node.engine().clock_report(stream.now));
    CHECK(report.versions > 0);
    CHECK(report.ahead_ms > 0);
    stream.append(require(node.engine().change_clocks(bound, report.reset, false)).units);
  }
  void reset(Node& node, const std::vector<Node*>& nodes) {
    say_reset(node);
    for (Node* const one : nodes) {
      one->apply(stream);
      mend(*one);
    }
  }
  void reset() {
    reset(b, {&a, &b, &c});
    settle();
  }
  void all_right(const std::vector<Node*>& nodes) {
    const std::string versions = "SELECT t.name, hex(v.key), v.hlc, o.node, o.incarnation, v.state FROM __marmot_version v JOIN __marmot_table t ON t.id = v.tbl JOIN __marmot_origin o ON o.id = v.origin"
                                 " WHERE o.id <> 0 ORDER BY t.name, v.key";
    const std::string schema = "SELECT s.kind, s.id, s.hlc, s.node FROM __marmot_schema s ORDER BY s.kind, s.id, s.hlc";
    for (Node* const node : nodes) {
      CHECK(node->query("SELECT * FROM t ORDER BY id") == nodes[0]->query("SELECT * FROM t ORDER BY id"));
      CHECK(node->query(versions) == nodes[0]->query(versions));
      CHECK(node->query(schema) == nodes[0]->query(schema));
      CHECK(node->engine().last_hlc() < Hlc::from_wall(stream.now + 60'000));
      CHECK(require(node->engine().clock_report(stream.now + 60'000)).ahead_ms == 0);
      CHECK(require(node->engine().misdated(stream.now)) == 0);
      check_at_rest(*node);
    }
  }

  TempDir dir;
  Stream stream;
  Node a, b, c;
};

// Every clock has followed that of `a`, which was a year ahead.
struct Poisoned : Trusting {
  Poisoned() {
    a.now = kNow + kYear;
    a.sql("UPDATE t SET v = 'ahead' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES(4, 'four'); CREATE TABLE u(id INTEGER PRIMARY KEY, v)");
    settle();
    a.now = kNow;
    later(1000);
    b.sql("UPDATE t SET v = 'b' WHERE id = 4; INSERT INTO u VALUES(1, 'u')");
    settle();
    for (Node* node : {&a, &b, &c}) node->high_water = node->engine().last_hlc();
  }
};

// One clock is a year ahead for a while, and it is the test's to say who hears of it.
struct Following : Trusting {
  void write_ahead(const std::string& v, const std::vector<Node*>& nodes) {
    a.now += kYear;
    a.sql("UPDATE t SET v = '" + v + "' WHERE id = 2");
    test::settle(stream, nodes);
    a.now -= kYear;
    later(kHour);
    for (Node* node : nodes) node->high_water = node->engine().last_hlc();
  }
};

}  // namespace

TEST_CASE("clock reset: a cluster whose clocks are a year ahead is right again, in the order that it had, and later writes win") {
  Poisoned t;
  CHECK(t.c.engine().last_hlc() > Hlc::from_wall(kNow + kYear));
  t.reset();
  t.all_right({&t.a, &t.b, &t.c});
  CHECK(t.c.query("SELECT id, v FROM t ORDER BY id") == "1|ahead\n3|right\n4|b");
  // A clock that nobody had told of the year.
  Node d(t.dir.path, 4);
  d.now = t.stream.now + 120'000;
  t.later(120'000);
  d.join(t.stream);
  d.apply(t.stream);
  d.sql("UPDATE t SET v = 'later' WHERE id = 1; INSERT INTO t VALUES(2, 'again')");
  test::settle(t.stream, {&t.a, &t.b, &t.c, &d});
  CHECK(t.a.query("SELECT id, v FROM t ORDER BY id") == "1|later\n2|again\n3|right\n4|b");
  t.all_right({&t.a, &t.b, &t.c});
  // What it lowered stays so in the next life, whatever data_dir remembered.
  for (Node* const node : {&t.a, &t.b, &t.c}) {
    node->stop();
    node->start();
  }
  t.settle();
  t.all_right({&t.a, &t.b, &t.c});
}

TEST_CASE("clock reset: a node that was away lowers what it holds when it comes to the message, and its writes have their true times") {
  Poisoned t;
  t.c.sql("UPDATE t SET v = 'c before' WHERE id = 3");
  (void)t.c.drain();
  t.later(2 * kHour);
  t.reset(t.b, {&t.a, &t.b});
  t.later(2 * kHour);
  t.b.sql("UPDATE t SET v = 'b after' WHERE id IN (3, 4)");
  test::settle(t.stream, {&t.a, &t.b});
  t.later(2 * kHour);
  t.c.sql("UPDATE t SET v = 'c last' WHERE id = 4; DELETE FROM t WHERE id = 1");
  (void)t.c.drain();
  t.later(2 * kHour);
  t.c.apply(t.stream);
  t.mend(t.c);
  t.settle();
  t.all_right({&t.a, &t.b, &t.c});
  CHECK(t.a.query("SELECT id, v FROM t ORDER BY id") == "3|b after\n4|c last");
}

TEST_CASE("clock reset: what was on its way is lowered as it comes, and its sender knows it for its own") {
  Poisoned t;
  t.c.sql("UPDATE t SET v = 'c' WHERE id = 1; DELETE FROM t WHERE id = 3");
  const auto units = t.c.drain();
  t.say_reset(t.b);
  t.stream.append(units);
  for (Node* const one : {&t.a, &t.b, &t.c}) {
    one->apply(t.stream);
    t.mend(*one);
  }
  CHECK(t.a.query("SELECT id, v FROM t ORDER BY id") == "1|c\n4|b");
  t.settle();
  t.all_right({&t.a, &t.b, &t.c});
}

TEST_CASE("clock reset: units that wait for a table are lowered too") {
  Poisoned t;
  t.c.engine().trace(true);
  t.c.sql("CREATE TRIGGER refuses BEFORE INSERT ON t WHEN NEW.v = 'waits' BEGIN SELECT 1; END");
  Node d(t.dir.path, 4);
  d.now = t.stream.now;
  // Rows for a table that no schema message has told of yet.
  codec::UnitWriter writer;
  UnitTable table;
  table.id = Version{Hlc::from_wall(kNow + kYear), {NodeId{77}, Incarnation{5}}};
  table.name = "w";
  table.columns = {"id", "v"};
  table.key = {UnitKeyColumn{0, Collation::binary, Affinity::number, false}};
  const Origin sender{NodeId{77}, Incarnation{5}};
  std::string key;
  append_key_part(key, ValueView::of_integer(1));
  const uint32_t at = writer.add_table(table);
  const Hlc stamp{t.c.engine().last_hlc().value + 5};
  writer.row(at, writer.add_version(Version{stamp, sender}), Op::insert, key);
  writer.value(ValueView::of_integer(1));
  writer.value(ValueView::of_text("waits"));
  t.stream.append(codec::message_id(sender, 1, 0), codec::seal(codec::Kind::rows, sender, 1, require(writer.finish(false, t.stream.messages.size())), 4096, 1)[0]);
  t.c.apply(t.stream);
  REQUIRE(require(t.c.engine().counters()).waiting_units == 1);
  t.reset(t.b, {&t.a, &t.b, &t.c});
  auto db = require(sqlite::Database::open(t.c.path, SQLITE_OPEN_READONLY));
  auto select = require(db.prepare("SELECT payload FROM __marmot_waiting"));
  REQUIRE(require(select.step()));
  const auto unit = require(codec::decode_unit(codec::Envelope{}, select.blob(0)));
  CHECK(unit.unit.versions[0].hlc < Hlc::from_wall(t.stream.now + 60'000));
  CHECK(unit.unit.rows.size() == 1);
  CHECK(unit.unit.values[1].bytes == "waits");
}

TEST_CASE("clock reset: a node that joins by a snapshot, or merges one, holds what the others do") {
  Poisoned t;
  t.c.sql("UPDATE t SET v = 'c' WHERE id = 3");
  (void)t.c.drain();
  t.reset(t.b, {&t.a, &t.b});
  t.b.sql("UPDATE t SET v = 'b after' WHERE id = 1");
  test::settle(t.stream, {&t.a, &t.b});
  take_snapshot(t.b, t.dir.path / "b.snapshot");
  CHECK(t.c.query("SELECT v FROM t WHERE id = 1") == "ahead");
  merge_snapshot(t.c, t.dir.path / "b.snapshot");
  t.mend(t.c);
  CHECK(t.c.query("SELECT v FROM t WHERE id = 1") == "b after");
  t.settle();
  t.all_right({&t.a, &t.b, &t.c});
  CHECK(t.a.query("SELECT v FROM t WHERE id = 3") == "c");
}

TEST_CASE("clock reset: a file that a snapshot of behind it has become lowers what was on its way") {
  Poisoned t;
  t.c.sql("UPDATE t SET v = 'c' WHERE id = 3");
  const auto units = t.c.drain();
  t.reset(t.b, {&t.a, &t.b});
  test::settle(t.stream, {&t.a, &t.b});
  take_snapshot(t.b, t.dir.path / "n5.db");
  require(replica::adopt_copy(t.dir.path / "n5.db"));
  Node e(t.dir.path, 5);
  e.now = t.stream.now;
  e.start();
  t.stream.append(units);
  for (Node* const one : {&t.a, &t.b, &t.c, &e}) {
    one->apply(t.stream);
    t.mend(*one);
  }
  CHECK(e.query("SELECT v FROM t WHERE id = 3") == "c");
  test::settle(t.stream, {&t.a, &t.b, &t.c, &e});
  t.all_right({&t.a, &t.b, &t.c, &e});
}

TEST_CASE("clock reset: what is remembered of deletions, pruned and under former keys, is lowered too") {
  Poisoned t;
  const auto highest = [](Node& node, const std::string& table) { return node.query("SELECT coalesce(max(hlc & 0xffffffffffff), 0) FROM __marmot_" + table); };
  t.a.sql("CREATE TABLE k(id INTEGER PRIMARY KEY, code TEXT NOT NULL); INSERT INTO k VALUES(1, 'a'), (2, 'b')");
  t.settle();
  announce(t.a, t.stream);
  t.settle();
  t.a.sql("BEGIN; CREATE TABLE n(id INTEGER, code TEXT PRIMARY KEY); INSERT INTO n SELECT * FROM k WHERE id <> 2; DROP TABLE k; ALTER TABLE n RENAME TO k; COMMIT");
  t.settle();
  for (const char* const table : {"pruned", "buried"}) REQUIRE(std::stoll(highest(t.b, table)) >= kNow + kYear);
  t.reset();
  for (Node* const node : {&t.a, &t.b, &t.c}) {
    for (const char* const table : {"pruned", "buried"}) {
      CHECK(std::stoll(highest(*node, table)) < t.stream.now + 60'000);
      CHECK(std::stoll(highest(*node, table)) >= t.stream.now);
    }
  }
  t.all_right({&t.a, &t.b, &t.c});
}

TEST_CASE("clock reset: a unit whose parts lie on both sides of it, and one with stamps that nobody holds any more") {
  Poisoned t;
  replica::Settings settings;
  settings.max_message = 4096;
  t.c.restart(settings);
  t.c.sql("INSERT INTO t VALUES(8, hex(randomblob(5000)))");
  t.c.now += 10;
  const auto early = t.c.drain();
  REQUIRE(early.size() == 1);
  REQUIRE(early[0].messages.size() > 1);
  t.stream.append(early[0].msg_ids[0], early[0].messages[0]);
  for (Node* const one : {&t.a, &t.b, &t.c}) one->apply(t.stream);
  // Between the present and the first stamp that the node holds which is asked.
  const auto report = require(t.b.engine().clock_report(t.stream.now));
  const Hlc unknown = Hlc::from_wall(t.stream.now + kHour);
  REQUIRE(report.reset.segments[1].from > unknown);
  CHECK(report.reset.lowered(unknown) < Hlc::from_wall(t.stream.now + 60'000));
  t.say_reset(t.b);
  for (size_t i = 1; i < early[0].messages.size(); ++i) t.stream.append(early[0].msg_ids[i], early[0].messages[i]);
  for (Node* const one : {&t.a, &t.b, &t.c}) {
    one->apply(t.stream);
    t.mend(*one);
  }
  CHECK(t.a.query("SELECT length(v) FROM t WHERE id = 8") == "10000");
  t.settle();
  t.all_right({&t.a, &t.b, &t.c});
}

TEST_CASE("clock reset: what a node with a right clock wrote since, while it was away, stays as late as it was") {
  Following t;
  t.write_ahead("ahead", {&t.a, &t.b});
  t.reset(t.b, {&t.a, &t.b});
  t.later(kHour);
  t.b.sql("UPDATE t SET v = 'b' WHERE id = 1");
  test::settle(t.stream, {&t.a, &t.b});
  t.later(kHour);
  t.c.sql("UPDATE t SET v = 'c, later' WHERE id = 1");
  SUBCASE("on its way before it comes to the reset") {
    t.stream.append(t.c.drain());
    t.a.apply(t.stream);
    CHECK(t.a.query("SELECT v FROM t WHERE id = 1") == "c, later");
  }
  SUBCASE("not sent yet") { (void)t.c.drain(); }
  SUBCASE("not drained yet") {}
  for (Node* const node : {&t.a, &t.b, &t.c}) {
    node->apply(t.stream);
    t.mend(*node);
  }
  t.settle();
  t.all_right({&t.a, &t.b, &t.c});
  CHECK(t.a.query("SELECT * FROM t ORDER BY id") == "1|c, later\n2|ahead\n3|right");
}

TEST_CASE("clock reset: what was overwritten while a node was away is no later for its copy of it, where a snapshot is merged") {
  Following t;
  t.write_ahead("ahead", {&t.a, &t.b, &t.c});
  t.write_ahead("newer", {&t.a, &t.b});
  t.reset(t.b, {&t.a, &t.b});
  test::settle(t.stream, {&t.a, &t.b});
  take_snapshot(t.b, t.dir.path / "b.snapshot");
  merge_snapshot(t.c, t.dir.path / "b.snapshot");
  t.mend(t.c);
  t.settle();
  t.all_right({&t.a, &t.b, &t.c});
  CHECK(t.c.query("SELECT * FROM t ORDER BY id") == "1|first\n2|newer\n3|right");
}

TEST_CASE("clock reset: what was written with right clocks until the stream took it stays as late as it was, and one that comes a minute late is none") {
  Following t;
  t.write_ahead("ahead", {&t.a, &t.b});
  const auto report = require(t.b.engine().clock_report(t.stream.now));
  const auto late = require(t.b.engine().change_clocks(0, report.reset, false)).units;
  t.c.now += 10'000;
  t.c.sql("UPDATE t SET v = 'earlier' WHERE id = 1");
  t.c.publish(t.stream);
  t.c.now += 5000;
  t.c.sql("UPDATE t SET v = 'later' WHERE id = 1");
  t.c.publish(t.stream);
  SUBCASE("20 s") {
    t.stream.now += 20'000;
    t.stream.append(late);
  }
  SUBCASE("61 s") {
    t.stream.now += 61'000;
    t.stream.append(late);
    t.a.apply(t.stream);
    CHECK(require(t.a.engine().misdated(t.stream.now)) == 0);
    t.say_reset(t.a);
  }
  for (Node* const node : {&t.a, &t.b, &t.c}) {
    node->now = t.stream.now;
    node->apply(t.stream);
    t.mend(*node);
  }
  t.settle();
  t.all_right({&t.a, &t.b, &t.c});
  CHECK(t.a.query("SELECT * FROM t ORDER BY id") == "1|later\n2|ahead\n3|right");
  CHECK(std::stoll(t.b.query("SELECT hlc & 0xffffffffffff FROM __marmot_version ORDER BY key LIMIT 1")) == kNow + kHour + 15'000);
}

TEST_CASE("clock reset: a merge that is not finished lowers nothing twice") {
  Poisoned t;
  t.reset(t.b, {&t.a, &t.b});
  t.b.sql("UPDATE t SET v = 'b after' WHERE id = 1");
  test::settle(t.stream, {&t.a, &t.b});
  take_snapshot(t.b, t.dir.path / "b.snapshot");
  require(t.c.engine().merge_begin(t.dir.path / "b.snapshot"));
  REQUIRE_FALSE(t.c.merge_slice());
  t.c.engine().merge_abandon();
  t.c.sql("UPDATE t SET v = 'c' WHERE id = 3");
  t.c.apply(t.stream);
  t.mend(t.c);
  t.settle();
  t.all_right({&t.a, &t.b, &t.c});
  CHECK(t.a.query("SELECT v FROM t WHERE id = 3") == "c");
}

TEST_CASE("clock reset: an agent that dies before it has a new incarnation has a right clock in its next life all the same") {
  Poisoned t;
  t.say_reset(t.b);
  for (Node* const node : {&t.a, &t.b, &t.c}) {
    node->apply(t.stream);
    node->stop();
    node->start();
    t.mend(*node);
  }
  t.settle();
  t.all_right({&t.a, &t.b, &t.c});
}

TEST_CASE("clock reset: said twice, or by two nodes at once, it does no harm") {
  Poisoned t;
  t.say_reset(t.b);
  t.say_reset(t.a);
  t.reset(t.c, {&t.a, &t.b, &t.c});
  t.settle();
  t.all_right({&t.a, &t.b, &t.c});
  CHECK(t.c.query("SELECT id, v FROM t ORDER BY id") == "1|ahead\n3|right\n4|b");
}

TEST_CASE("clock reset: what is in a file from beyond the year 2200 comes back as well") {
  Poisoned t;
  // As a Marmot from before left it.
  for (Node* const node : {&t.a, &t.b, &t.c}) {
    node->stop();
    node->sql("UPDATE __marmot_version SET hlc = 9000000000000 WHERE tbl = 1 AND hlc & 0xffffffffffff > 1710000000000");
    node->start();
  }
  t.reset();
  t.all_right({&t.a, &t.b, &t.c});
}

TEST_CASE("clock: the bound is changed by a message, for everybody from its place on") {
  Poisoned t;
  t.reset();
  t.later(120'000);
  t.a.now = t.stream.now + kHour;
  t.a.sql("UPDATE t SET v = 'ahead again' WHERE id = 3");
  t.a.publish(t.stream);
  for (Node* const node : {&t.a, &t.b, &t.c}) node->apply(t.stream);
  CHECK(t.c.query("SELECT v FROM t WHERE id = 3") == "right");
  t.a.now = t.stream.now;
  t.mend(t.a);
  t.settle();
  t.stream.append(require(t.b.engine().change_clocks(2 * kHour, {}, false)).units);
  t.settle();
  t.a.now = t.stream.now + kHour;
  t.a.sql("UPDATE t SET v = 'within' WHERE id = 3");
  t.a.publish(t.stream);
  t.settle();
  CHECK(t.c.query("SELECT v FROM t WHERE id = 3") == "within");
  CHECK(require(t.c.engine().clock_report(t.stream.now)).bound_ms == 2 * kHour);
}
