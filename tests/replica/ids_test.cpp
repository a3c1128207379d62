// Ids of AUTOINCREMENT tables (docs/decisions/0037-ids-that-never-collide.md): each node gives out ids of its own, whatever the applications do.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "common/core/id_blocks.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::replica;
using namespace marmot::test;

namespace {

constexpr const char* kSchema = "CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL);"
                                "CREATE TABLE c(id INTEGER PRIMARY KEY AUTOINCREMENT, p INT REFERENCES p(id), name TEXT NOT NULL)";

Settings dealt(IdMode mode = IdMode::compact) {
  Settings settings;
  settings.ids.mode = mode;
  return settings;
}

// A family: a parent and two children that know its name.
void add_family(Node& node, const std::string& name) {
  node.sql("BEGIN; INSERT INTO p(name) VALUES('" + name + "'); INSERT INTO c(p, name) SELECT last_insert_rowid(), '" + name + "';"
           "INSERT INTO c(p, name) SELECT max(p), '" + name + "' FROM c WHERE name = '" + name + "'; COMMIT");
}

void check_families(Node& node, int families) {
  CHECK(node.query("SELECT count(*), count(DISTINCT name) FROM p") == std::to_string(families) + "|" + std::to_string(families));
  CHECK(node.query("SELECT count(*) FROM c JOIN p ON p.id = c.p AND p.name = c.name") == std::to_string(2 * families));
  CHECK(node.query("SELECT count(*) FROM __marmot_conflict") == "0");
}

int64_t number(Node& node, const std::string& sql) { return std::stoll(node.query(sql)); }

// So many ids of table p are left to it in the block that it is in.
int64_t left(Node& node) {
  for (const auto& table : require(node.engine().ids()).tables) {
    if (table.name == "p") return table.left;
  }
  FAIL("no table p");
  return 0;
}

// Each drains and applies what the others have published; nothing is waited for.
void step(Stream& stream, std::initializer_list<Node*> nodes) {
  for (Node* node : nodes) node->publish(stream);
  for (Node* node : nodes) node->apply(stream);
}

void go_on(Node& node, Stream& stream) {
  node.publish(stream);
  node.apply(stream);
}

// So many on each node, all at the same moments.
void add_families(Three& t, int each) {
  for (int i = 0; i < each; ++i) {
    for (Node* node : {&t.a, &t.b, &t.c}) add_family(*node, std::to_string(i) + (node == &t.a ? "a" : node == &t.b ? "b" : "c"));
    step(t.stream, {&t.a, &t.b, &t.c});
  }
  t.settle();
}

}  // namespace

TEST_CASE("ids: three nodes that insert at the same moments collide nowhere, and every child is its own parent's") {
  Three t(kSchema, dealt());
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(node->engine().ids_ready());
  int families = 0;
  for (int round = 0; round < 40; ++round) {
    for (Node* node : {&t.a, &t.b, &t.c}) {
      for (int i = 0; i <= round % 3; ++i) add_family(*node, "f" + std::to_string(families++));
    }
    step(t.stream, {&t.a, &t.b, &t.c});
  }
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) {
    check_families(*node, families);
    check_at_rest(*node);
    CHECK(require(node->engine().ids()).outside == 0);
  }
  // Rounds that fit: some 240 ids of each table were given out, in 120 turns.
  CHECK(number(t.a, "SELECT max(id) FROM p") < 120 * 1024);
}

TEST_CASE("ids: a node that is alone counts 1, 2, 3, and a second one begins above what the first may have given out meanwhile") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1, dealt()), b(dir.path, 2, dealt());
  a.sql(kSchema);
  a.found(stream);
  for (int i = 0; i < 100; ++i) {
    add_family(a, "a" + std::to_string(i));
    if (i % 7 == 0) a.publish(stream);
  }
  a.publish(stream);
  CHECK(a.query("SELECT max(id) FROM p") == "100");
  b.join(stream);
  go_on(b, stream);  // its claim
  go_on(b, stream);
  CHECK(b.engine().ids_ready());
  for (int i = 0; i < 50; ++i) add_family(a, "late" + std::to_string(i));  // it has not heard of it
  for (int i = 0; i < 5; ++i) add_family(b, "b" + std::to_string(i));
  settle(stream, {&a, &b});
  for (int i = 0; i < 4; ++i) add_family(a, "c" + std::to_string(i)), add_family(b, "d" + std::to_string(i));
  settle(stream, {&a, &b});
  check_families(a, 163);
  check_families(b, 163);
}

TEST_CASE("ids: what three programs write to a young table while the agent is late for a moment lies in its node's block") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1, dealt()), b(dir.path, 2, dealt());
  a.sql(kSchema);
  for (int i = 0; i < 3; ++i) add_family(a, "a" + std::to_string(i));
  a.found(stream);
  b.join(stream);
  settle(stream, {&a, &b});
  for (int i = 0; i < 15; ++i) add_family(a, "young a" + std::to_string(i)), add_family(b, "young b" + std::to_string(i));
  settle(stream, {&a, &b});
  for (Node* node : {&a, &b}) {
    check_families(*node, 33);
    CHECK(require(node->engine().ids()).outside == 0);
  }
}

TEST_CASE("ids: two nodes that fill an empty table at the same moment: nobody becomes another") {
  Three t("CREATE TABLE user(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, admin INT);"
          "CREATE TABLE team(user INT REFERENCES user(id), team TEXT)",
          dealt());
  t.a.sql("INSERT INTO user(name, admin) VALUES('alice', 1); INSERT INTO team VALUES(last_insert_rowid(), 'staff')");
  t.b.sql("INSERT INTO user(name, admin) VALUES('mallory', 0)");
  t.settle();
  t.same("SELECT name FROM user JOIN team ON team.user = user.id ORDER BY name", "alice");
  t.same("SELECT name, admin FROM user ORDER BY name", "alice|1\nmallory|0");
}

TEST_CASE("ids: a table that an application makes and fills in one transaction") {
  Three t(kSchema, dealt());
  const auto make = [](Node& node, const std::string& name) {
    node.sql("BEGIN; CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, x); INSERT INTO t(x) VALUES('" + name + "'); COMMIT");
  };
  make(t.a, "first");
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) node->sql("INSERT INTO t(x) VALUES('" + std::string(1, 'x') + "')");
  t.settle();
  t.same("SELECT count(*), count(DISTINCT id) FROM t", "4|4");
  t.same("SELECT count(*) FROM __marmot_conflict", "0");
}

TEST_CASE("ids: while the agent is dead, what is left of the block is the file's") {
  Three t(kSchema, dealt());
  for (int i = 0; i < 3; ++i) add_family(t.b, "b" + std::to_string(i));
  t.settle();
  t.b.stop();
  for (int i = 0; i < 3; ++i) add_family(t.b, "dead" + std::to_string(i)), add_family(t.a, "a" + std::to_string(i)), add_family(t.c, "c" + std::to_string(i));
  step(t.stream, {&t.a, &t.c});
  t.b.start();
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) check_families(*node, 12);
}

TEST_CASE("ids: a bulk insert beyond its block is counted, and blocks grow with it") {
  Three t(kSchema, dealt());
  t.b.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO p(name) SELECT 'bulk' || i FROM n");
  t.settle();
  const IdReport report = require(t.b.engine().ids());
  CHECK(report.given == 1000);
  CHECK(report.outside == 1000 - 256);
  t.b.now += 3'600'001;
  t.b.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO p(name) SELECT 'more' || i FROM n");
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(require(node->engine().ids()).tables[0].block == 8192);
  const int64_t before = require(t.b.engine().ids()).outside;
  t.b.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO p(name) SELECT 'third' || i FROM n");
  t.a.sql("INSERT INTO p(name) VALUES('beside')");
  t.settle();
  CHECK(require(t.b.engine().ids()).outside == before);
  t.same("SELECT count(*) FROM p", "3001");
  t.same("SELECT count(*) FROM __marmot_conflict", "0");
}

namespace {

// Files that are opened then go 964 and 74 rounds ahead (ids_ahead in ids.cpp).
constexpr WallMs kFarAhead = 1'700'000'000'000 + 16 * 580, kNotSoFar = kFarAhead + 16 * 70;

// 30 families are given out and published, and the file is as it was before.
void lose_families(Three& t) {
  for (int i = 0; i < 5; ++i) add_family(t.b, "kept" + std::to_string(i));
  t.settle();
  const std::string copy = (t.dir.path / "copy").string();
  t.b.sql("VACUUM INTO '" + copy + "'");
  for (int i = 0; i < 30; ++i) {
    add_family(t.b, "since" + std::to_string(i));
    go_on(t.b, t.stream);
  }
  t.b.high_water = t.b.engine().last_hlc();
  t.b.stop();
  t.b.restore(copy);
}

void check_nothing_given_again(Three& t) {
  for (int i = 0; i < 5; ++i) add_family(t.b, "again" + std::to_string(i));
  t.settle();
  CHECK(t.b.engine().ids_ready());
  for (int i = 0; i < 5; ++i) add_family(t.b, "later" + std::to_string(i));
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) check_families(*node, 45);
}

}  // namespace

TEST_CASE("ids: a file that a power cut rolled back gives out no id again that it gave out since") {
  Three t(kSchema, dealt());
  lose_families(t);
  t.b.start();
  check_nothing_given_again(t);
}

TEST_CASE("ids: nor does an old copy that is put back, which gets another slot") {
  Three t(kSchema, dealt());
  lose_families(t);
  t.b.start_as(9);
  check_nothing_given_again(t);
  const IdReport report = require(t.a.engine().ids());
  CHECK(std::count_if(report.slots.begin(), report.slots.end(), [](const auto& slot) { return slot.retired; }) == 1);
}

TEST_CASE("ids: nor does a file whose node is alone") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1, dealt());
  a.sql(kSchema);
  a.found(stream);
  for (int i = 0; i < 5; ++i) add_family(a, "kept" + std::to_string(i));
  settle(stream, {&a});
  const std::string copy = (dir.path / "copy").string();
  a.sql("VACUUM INTO '" + copy + "'");
  for (int i = 0; i < 30; ++i) add_family(a, "since" + std::to_string(i));
  settle(stream, {&a});
  a.high_water = a.engine().last_hlc();
  a.stop();
  a.restore(copy);
  a.start();
  for (int i = 0; i < 5; ++i) add_family(a, "again" + std::to_string(i));
  settle(stream, {&a});
  check_families(a, 40);
}

namespace {

// b's file is put back to what it was. Of the life that is forgotten one family is in the stream then, and `late` come behind the place where the file
// has read all that was there as it was opened.
void put_back_before_the_last_words(Three& t, std::vector<OutUnit>& late) {
  for (int i = 0; i < 5; ++i) add_family(t.b, "kept" + std::to_string(i)), add_family(t.a, "a" + std::to_string(i));
  t.settle();
  const std::string copy = (t.dir.path / "copy").string();
  t.b.sql("VACUUM INTO '" + copy + "'");
  // It jumps ahead as it begins, as a life does whose file was put back: further than the next one.
  t.b.high_water = Hlc{t.b.engine().last_hlc().value + 1};
  t.b.stop();
  t.b.now = kFarAhead;
  t.b.start();
  for (int i = 0; i < 6; ++i) {
    add_family(t.b, "since" + std::to_string(i));
    for (OutUnit& unit : t.b.drain()) late.push_back(std::move(unit));
  }
  t.b.high_water = Hlc{t.b.engine().last_hlc().value + 1};
  t.b.stop();
  t.b.restore(copy);
  t.b.now = kNotSoFar;
}

}  // namespace

TEST_CASE("ids: what a former life sent last comes behind all that the file has read: the ids behind it are not given out again") {
  Three t(kSchema, dealt());
  std::vector<OutUnit> late;
  put_back_before_the_last_words(t, late);
  t.b.start();
  t.b.apply(t.stream);
  add_family(t.b, "between");
  go_on(t.b, t.stream);
  // One by one, and the application inserts in between.
  REQUIRE(late.size() >= 6);
  for (size_t i = 0; i < late.size(); ++i) {
    t.stream.append(late[i]);
    t.b.apply(t.stream);
    add_family(t.b, "again" + std::to_string(i));
    go_on(t.b, t.stream);
  }
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) check_families(*node, 17 + static_cast<int>(late.size()));
}

// Seed 2038 in the profile of ids_not_ahead.
TEST_CASE("ids: an old copy is from before its table was made: what its former life gave out of it is not given out again") {
  Three t("CREATE TABLE other(x PRIMARY KEY)", dealt());
  const std::string copy = (t.dir.path / "copy").string();
  t.a.sql("VACUUM INTO '" + copy + "'");
  t.b.sql(kSchema);
  t.settle();
  REQUIRE(require(t.a.engine().ids()).own == 0);  // whose first block an empty table begins in
  for (int i = 0; i < 3; ++i) add_family(t.a, "since" + std::to_string(i));
  std::vector<OutUnit> late = t.a.drain();
  t.a.high_water = t.a.engine().last_hlc();
  t.a.stop();
  t.a.restore(copy);
  t.a.start();
  t.a.apply(t.stream);
  for (int i = 0; i < 3; ++i) add_family(t.a, "again" + std::to_string(i));
  t.stream.append(late);
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) check_families(*node, 6);
}

TEST_CASE("ids: a sequence that the application sets back goes on in a block of the node's own") {
  Three t(kSchema, dealt());
  for (int i = 0; i < 4; ++i) add_family(t.a, "a" + std::to_string(i)), add_family(t.b, "b" + std::to_string(i));
  t.settle();
  t.a.sql("DELETE FROM sqlite_sequence");
  CHECK(require(t.a.engine().has_work()));
  step(t.stream, {&t.a});
  for (int i = 0; i < 4; ++i) add_family(t.a, "c" + std::to_string(i)), add_family(t.b, "d" + std::to_string(i));
  t.a.sql("VACUUM");
  for (int i = 0; i < 4; ++i) add_family(t.a, "e" + std::to_string(i)), add_family(t.b, "f" + std::to_string(i));
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) check_families(*node, 24);
}

TEST_CASE("ids: a row with the highest id there is ends nothing but the table's ids") {
  Three t(kSchema, dealt());
  t.a.sql("INSERT INTO p VALUES(9223372036854775807, 'last')");
  t.settle();
  t.b.sql("INSERT INTO c(p, name) VALUES(9223372036854775807, 'last')");
  t.settle();
  t.same("SELECT p.name FROM c JOIN p ON p.id = c.p", "last");
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(require(node->engine().ids()).tables[0].highest == INT64_MAX);
}

TEST_CASE("ids: an id that was used and deleted is given to nobody again") {
  Three t("CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT); CREATE TABLE used(id, name)", dealt());
  for (int round = 0; round < 30; ++round) {
    for (Node* node : {&t.a, &t.b, &t.c}) {
      node->sql("INSERT INTO p(name) VALUES('x'); INSERT INTO used SELECT last_insert_rowid(), 'x'; DELETE FROM p WHERE id = last_insert_rowid()");
    }
    step(t.stream, {&t.a, &t.b, &t.c});
  }
  t.settle();
  t.same("SELECT count(*), count(DISTINCT id) FROM used", "90|90");
}

TEST_CASE("ids: a node that joins with a snapshot knows how they are dealt; one more than fits makes rounds larger") {
  Three t(kSchema, dealt());
  add_families(t, 20);
  const std::string snapshot = (t.dir.path / "snapshot").string();
  (void)take_snapshot(t.a, snapshot);
  Node d(t.dir.path, 4, dealt()), e(t.dir.path, 5, dealt());
  d.join(t.stream);
  merge_snapshot(d, snapshot);
  e.join(t.stream);
  test::settle(t.stream, {&t.a, &t.b, &t.c, &d, &e});
  CHECK(require(d.engine().ids()).slots.size() == 5);
  int families = 60;
  for (int i = 0; i < 20; ++i) {
    for (Node* node : {&t.a, &t.b, &t.c, &d, &e}) add_family(*node, "n" + std::to_string(families++));
    step(t.stream, {&t.a, &t.b, &t.c, &d, &e});
  }
  test::settle(t.stream, {&t.a, &t.b, &t.c, &d, &e});
  for (Node* node : {&t.a, &t.b, &t.c, &d, &e}) check_families(*node, families);
  CHECK(require(t.a.engine().ids()).tables[0].slots == 8);
}

TEST_CASE("ids: a slot that is retired is not granted again before nothing of its owner can lie ahead") {
  Three t(kSchema, dealt());
  add_families(t, 12);
  const int slot = require(t.b.engine().ids()).own.value();
  CHECK(t.a.engine().retire_slot(77).error().code == Errc::not_found);
  CHECK(t.a.engine().retire_slot(require(t.a.engine().ids()).own.value()).error().code == Errc::refused);
  require(t.a.engine().retire_slot(slot));
  step(t.stream, {&t.a, &t.c});
  // It is away, and goes on giving out ids of its slot, as far as its block reaches.
  for (int i = 0; i < 3; ++i) add_family(t.b, "away" + std::to_string(i));
  Node d(t.dir.path, 4, dealt());
  d.join(t.stream);
  go_on(d, t.stream);
  go_on(d, t.stream);
  CHECK(require(d.engine().ids()).own == 3);
  int families = 39;
  for (int i = 0; i < 3; ++i) add_family(d, "d" + std::to_string(i)), ++families;
  test::settle(t.stream, {&t.a, &t.b, &t.c, &d});
  CHECK(t.b.engine().ids_ready());
  CHECK(require(t.b.engine().ids()).own == 4);  // it has claimed anew
  for (Node* node : {&t.a, &t.b, &t.c, &d}) check_families(*node, families);
  // Far enough ahead, the slot is free.
  for (int i = 0; i < 120; ++i) {
    for (Node* node : {&t.a, &t.b, &t.c, &d}) add_family(*node, "later" + std::to_string(families++));
    step(t.stream, {&t.a, &t.b, &t.c, &d});
  }
  test::settle(t.stream, {&t.a, &t.b, &t.c, &d});
  Node e(t.dir.path, 5, dealt());
  e.join(t.stream);
  test::settle(t.stream, {&t.a, &t.b, &t.c, &d, &e});
  CHECK(require(e.engine().ids()).own == slot);
  for (Node* node : {&t.a, &e}) check_families(*node, families);
}

TEST_CASE("ids: nodes that claim at the same moment get slots of their own") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1, dealt()), b(dir.path, 2, dealt()), c(dir.path, 3, dealt()), d(dir.path, 4, dealt());
  a.sql(kSchema);
  a.found(stream);
  a.publish(stream);
  for (Node* node : {&b, &c, &d}) node->join(stream);
  for (Node* node : {&b, &c, &d}) node->apply(stream);
  for (Node* node : {&b, &c, &d}) node->publish(stream);  // three claims of one slot
  settle(stream, {&a, &b, &c, &d});
  std::set<int> slots;
  for (Node* node : {&a, &b, &c, &d}) slots.insert(require(node->engine().ids()).own.value());
  CHECK(slots.size() == 4);
}

// Seed 1961: on the node that claims the same slot right behind, the first claim waited for an earlier unit of its sender.
TEST_CASE("ids: a claim counts where it stands in the stream, though its sender's earlier unit has not come") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1, dealt()), b(dir.path, 2, dealt()), c(dir.path, 3, dealt());
  a.sql(kSchema + std::string("; CREATE TABLE other(x PRIMARY KEY); INSERT INTO p(name) VALUES('first')"));
  a.found(stream);
  settle(stream, {&a});
  for (Node* node : {&b, &c}) node->join(stream), node->apply(stream);
  b.sql("INSERT INTO other VALUES('first')");
  const std::vector<OutUnit> units = b.drain();
  REQUIRE(units.size() == 2);
  stream.append(units[1]);
  c.publish(stream);
  for (Node* node : {&a, &b, &c}) node->apply(stream);
  for (Node* node : {&a, &b, &c}) {
    const IdReport report = require(node->engine().ids());
    CHECK(report.slots.size() == 2);
    CHECK(report.own.value_or(-1) == (node == &a ? 0 : node == &b ? 1 : -1));
    CHECK(report.tables.at(0).from == require(a.engine().ids()).tables.at(0).from);
  }
  CHECK_FALSE(c.engine().ids_ready());
  stream.append(units[0]);
  settle(stream, {&a, &b, &c});
  CHECK(require(c.engine().ids()).own == 2);
  for (Node* node : {&a, &b, &c}) {
    CHECK(node->query("SELECT x FROM other") == "first");
    CHECK(node->query("SELECT count(*) FROM __marmot_quarantine") == "0");
    check_at_rest(*node);
  }
}

// With many tables what is said of ids takes several messages; it counts where the last one of them stands.
TEST_CASE("ids: a claim in several parts counts where its last part stands, and another node's in between comes before it") {
  TempDir dir;
  Stream stream;
  Settings small = dealt();
  small.max_message = 256;
  Node a(dir.path, 1, dealt()), b(dir.path, 2, small), c(dir.path, 3, dealt());
  for (int i = 0; i < 120; ++i) {
    const std::string name = "t" + std::to_string(i);
    a.sql("CREATE TABLE " + name + "(id INTEGER PRIMARY KEY AUTOINCREMENT, x); INSERT INTO " + name + "(id, x) VALUES(" + std::to_string(1000 + i * i * 7919) + ", 1)");
  }
  a.found(stream);
  settle(stream, {&a});
  for (Node* node : {&b, &c}) node->join(stream), node->apply(stream);
  const std::vector<OutUnit> claims = b.drain();
  REQUIRE(claims.size() == 1);
  REQUIRE(claims[0].messages.size() > 2);
  for (size_t part = 0; part < claims[0].messages.size(); ++part) {
    OutUnit alone = claims[0];
    alone.messages = {claims[0].messages[part]};
    if (part + 1 == claims[0].messages.size()) c.publish(stream);
    stream.append(alone);
    if (part == 1) c.apply(stream);  // half of what another one says is nothing yet
  }
  for (Node* node : {&a, &b, &c}) node->apply(stream);
  for (Node* node : {&a, &b, &c}) CHECK(require(node->engine().ids()).slots.size() == 2);
  CHECK(require(c.engine().ids()).own == 1);
  CHECK_FALSE(b.engine().ids_ready());
  settle(stream, {&a, &b, &c});
  CHECK(require(b.engine().ids()).own == 2);
  for (Node* node : {&a, &b, &c}) {
    CHECK(node->query("SELECT count(*) FROM __marmot_part") == "0");
    check_at_rest(*node);
  }
  for (Node* node : {&a, &b, &c}) node->sql("INSERT INTO t39(x) VALUES(2)");
  settle(stream, {&a, &b, &c});
  CHECK(a.query("SELECT count(*) FROM t39") == "4");
}

TEST_CASE("ids: a burst behind a table's first deal, which the agent is late for, stays in its block") {
  Three t(kSchema, dealt());
  for (Node* node : {&t.a, &t.b, &t.c}) node->sql("INSERT INTO p(name) VALUES('one')");
  t.settle();
  t.settle();
  REQUIRE(require(t.a.engine().ids()).tables[0].from > 1);
  for (Node* node : {&t.a, &t.b, &t.c}) {
    for (int i = 0; i < 100; ++i) node->sql("INSERT INTO p(name) VALUES('burst " + std::to_string(node == &t.a) + std::to_string(node == &t.b) + std::to_string(i) + "')");
  }
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(require(node->engine().ids()).outside == 0);
  t.same("SELECT count(*), count(DISTINCT name) FROM p WHERE name <> 'one'", "300|300");
}

// A node that joined where the claim of another one was gone from the stream took its slot until it was told.
TEST_CASE("ids: a claim that is gone from the stream may have been of the slot that seems free") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1, dealt()), b(dir.path, 2, dealt()), c(dir.path, 3, dealt());
  a.sql(kSchema);
  a.found(stream);
  settle(stream, {&a});
  b.join(stream);
  b.apply(stream);
  const size_t before = stream.messages.size();
  b.publish(stream);
  REQUIRE(stream.messages.size() == before + 1);
  a.sql("INSERT INTO p(name) VALUES('behind it')");
  settle(stream, {&a, &b});
  REQUIRE(require(b.engine().ids()).own == 1);
  c.join(stream);
  stream.messages.at(before).gone = true;
  go_on(c, stream);
  go_on(c, stream);
  REQUIRE(c.engine().gap().last == before + 1);
  CHECK(require(c.engine().ids()).own == 2);
}

TEST_CASE("ids: the stream is lost, and a node that never knew it has claimed a slot in the new one: the nodes agree") {
  Three t(kSchema, dealt());
  add_families(t, 12);
  Stream anew;
  anew.id = 78;
  Node d(t.dir.path, 4, dealt());
  d.sql(kSchema);
  d.found(anew);
  d.publish(anew);
  d.apply(anew);
  CHECK(require(d.engine().ids()).own == 0);
  uint64_t life = 100;
  for (Node* node : {&t.a, &t.b, &t.c}) require(node->engine().history_lost(anew.id, anew.messages.back().seq, Incarnation{++life}, 0));
  test::settle(anew, {&t.a, &t.b, &t.c, &d});
  std::set<int> slots;
  for (Node* node : {&t.a, &t.b, &t.c, &d}) {
    const IdReport report = require(node->engine().ids());
    slots.insert(report.own.value());
    CHECK(report.slots.size() == require(t.a.engine().ids()).slots.size());
    CHECK(report.tables[0].from == require(t.a.engine().ids()).tables[0].from);
  }
  CHECK(slots.size() == 4);
  int families = 36;
  for (int i = 0; i < 20; ++i) {
    for (Node* node : {&t.a, &t.b, &t.c, &d}) add_family(*node, "n" + std::to_string(families++));
    step(anew, {&t.a, &t.b, &t.c, &d});
  }
  test::settle(anew, {&t.a, &t.b, &t.c, &d});
  for (Node* node : {&t.a, &t.b, &t.c, &d}) check_families(*node, families);
}

TEST_CASE("ids: extended blocks, narrow tables, and a cluster that deals none") {
  {
    Three t(kSchema, dealt(IdMode::extended));
    for (int i = 0; i < 10; ++i) add_family(t.a, "a" + std::to_string(i)), add_family(t.b, "b" + std::to_string(i));
    t.settle();
    t.a.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO p(name) SELECT 'bulk' || i FROM n");
    t.b.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO p(name) SELECT 'klub' || i FROM n");
    t.settle();
    t.same("SELECT count(*) FROM p", "200020");
    CHECK(require(t.a.engine().ids()).tables[0].block == kExtendedBlock);
  }
  {
    Settings settings = dealt();
    settings.ids.narrow = {"P"};
    Three t(kSchema, settings);
    for (int i = 0; i < 100; ++i) {
      add_family(t.a, "a" + std::to_string(i));
      step(t.stream, {&t.a, &t.b, &t.c});
      add_family(t.b, "b" + std::to_string(i));
      step(t.stream, {&t.a, &t.b, &t.c});
    }
    t.settle();
    for (Node* node : {&t.a, &t.b, &t.c}) check_families(*node, 200);
    CHECK(require(t.a.engine().ids()).tables[0].block == kMinBlock);
    CHECK(number(t.a, "SELECT max(id) FROM p") < 200 * 16 + 50'000);
  }
  {
    Three t(kSchema);
    for (int i = 0; i < 3; ++i) add_family(t.a, "a" + std::to_string(i));
    t.settle();
    CHECK(t.b.query("SELECT seq FROM sqlite_sequence WHERE name = 'p'") == "3");
    CHECK(t.b.engine().ids_ready());
    CHECK(require(t.b.engine().ids()).slots.empty());
  }
}

TEST_CASE("ids: rows that came and went between two drains have used up a block too") {
  Three t(kSchema, dealt());
  while (left(t.b) > 0) t.b.sql("BEGIN; INSERT INTO p(name) VALUES('gone'); DELETE FROM p; COMMIT");
  (void)t.b.drain();
  CHECK(left(t.b) > 0);
}

TEST_CASE("ids: a block that the rest of a long log has used up is left with the first piece") {
  Settings settings = dealt();
  settings.atomic_rows = 5;
  Three t(kSchema + std::string("; CREATE TABLE other(x)"), settings);
  t.b.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO other SELECT i FROM n");
  while (left(t.b) > 0) t.b.sql("INSERT INTO p(name) VALUES('one')");
  CHECK(require(t.b.engine().drain(false)).more);
  CHECK(left(t.b) > 0);
}

// Seed 13225: a power cut made a node jump ahead by the deal that its file still knew, past where the newer one begins that the others follow.
TEST_CASE("ids: where another node goes on by a former deal, this one does not count on behind its ids") {
  Three t("CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)", dealt());
  for (int i = 0; i < 200; ++i) t.a.sql("INSERT INTO p(name) VALUES('a" + std::to_string(i) + "')");
  t.settle();  // a deal is said
  const auto deal = [&] { return require(t.a.engine().ids()).tables.at(0); };
  REQUIRE(deal().from > 1);
  const IdGeometry geometry{1, deal().from, deal().block, deal().slots, false, 0};
  const int own = require(t.a.engine().ids()).own.value();
  // In the middle of a block of a's, and right before one.
  for (const int64_t before : {int64_t{3}, int64_t{0}}) {
    const int64_t start = next_block(geometry, own, number(t.a, "SELECT max(id) FROM p"), INT64_MAX).value() + 8 * geometry.round();
    const int64_t theirs = start + before - 1;
    t.b.sql("INSERT INTO p(id, name) VALUES(" + std::to_string(theirs) + ", 'jumped')");
    settle(t.stream, {&t.a, &t.b});
    t.a.sql("INSERT INTO p(name) VALUES('behind it')");
    const int64_t next = number(t.a, "SELECT max(id) FROM p");
    CHECK(next > theirs + 1);
    CHECK(slot_of(geometry, next) == own);
    t.b.sql("INSERT INTO p(id, name) VALUES(" + std::to_string(theirs + 1) + ", 'goes on')");
    settle(t.stream, {&t.a, &t.b});
    CHECK(t.a.query("SELECT count(*) FROM p WHERE name IN ('behind it', 'goes on')") == (before == 3 ? "2" : "4"));
  }
}
