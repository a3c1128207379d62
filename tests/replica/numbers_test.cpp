// PRAGMA user_version and application_id: what an application's migrations stand on is the same on every node.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>

#include "common/codec/message.hpp"
#include "common/replica/numbers.hpp"
#include "common/replica/registers.hpp"
#include "common/replica/snapshot.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

constexpr const char* kNumbers = "SELECT * FROM pragma_user_version, pragma_application_id";

}  // namespace

TEST_CASE("numbers: they come with the schema change of their transaction, and send nothing more") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.same(kNumbers, "0|0");
  t.a.sql("BEGIN; ALTER TABLE t ADD COLUMN n DEFAULT 7; PRAGMA user_version = 5; PRAGMA application_id = -77; COMMIT");
  const auto units = t.a.drain();
  REQUIRE(units.size() == 1);  // one message: no other node is between the two
  t.stream.append(units);
  t.b.apply(t.stream);
  CHECK(t.b.query(kNumbers) == "5|-77");
  CHECK(t.b.query("SELECT count(*) FROM pragma_table_info('t') WHERE name = 'n'") == "1");
  t.settle();
  t.same(kNumbers, "5|-77");
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(node->drain().empty());
}

TEST_CASE("numbers: one that is set alone is noticed, also by an agent that was down") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  (void)require(t.a.engine().has_work());
  CHECK_FALSE(require(t.a.engine().has_work()));
  t.a.sql("PRAGMA user_version = 1");
  CHECK(require(t.a.engine().has_work()));
  t.settle();
  CHECK_FALSE(require(t.a.engine().has_work()));
  t.same(kNumbers, "1|0");
  t.b.stop();
  t.b.sql("PRAGMA user_version = 2");
  t.b.start();
  t.settle();
  t.same(kNumbers, "2|0");
}

TEST_CASE("numbers: of concurrent ones the higher stands; one that knew of it wins, be it lower") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.a.sql("PRAGMA user_version = 7");
  t.b.now += 1000;
  t.b.sql("PRAGMA user_version = 3");  // later, not knowing of 7
  t.c.sql("PRAGMA user_version = 5");
  for (Node* node : {&t.c, &t.a, &t.b}) node->publish(t.stream);
  t.settle();
  t.same(kNumbers, "7|0");
  t.c.sql("PRAGMA user_version = 2");
  t.settle();
  t.same(kNumbers, "2|0");
  t.a.sql("PRAGMA user_version = 0");
  t.settle();
  t.same(kNumbers, "0|0");
  t.b.sql("PRAGMA user_version = 1");
  t.settle();
  t.same(kNumbers, "1|0");
}

TEST_CASE("numbers: the same migration on every node at once leaves every node at its number") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); PRAGMA user_version = 4");
  for (Node* node : {&t.a, &t.b, &t.c}) node->sql("BEGIN; ALTER TABLE t ADD COLUMN n; PRAGMA user_version = 5; COMMIT");
  t.settle();
  t.same(kNumbers, "5|0");
  t.same("SELECT count(*) FROM pragma_table_info('t')", "3");
}

TEST_CASE("numbers: one waits where the schema change before it cannot be made, across a restart, and comes with its cure") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); PRAGMA user_version = 1");
  t.b.sql("CREATE VIEW late AS SELECT 1");  // takes the name
  t.a.sql("BEGIN; CREATE TABLE late(id INTEGER PRIMARY KEY); PRAGMA user_version = 2; COMMIT");
  t.a.publish(t.stream);
  t.b.apply(t.stream);
  t.c.apply(t.stream);
  CHECK(t.c.query("PRAGMA user_version") == "2");
  CHECK(t.b.query("PRAGMA user_version") == "1");
  CHECK(std::any_of(t.b.log.begin(), t.b.log.end(), [](const std::string& line) { return line.rfind("user_version 2 of the cluster waits here, where 1 stands", 0) == 0; }));
  t.c.sql("CREATE TABLE other(id INTEGER PRIMARY KEY); PRAGMA user_version = 3");
  t.c.publish(t.stream);
  t.b.apply(t.stream);
  CHECK(t.b.query("SELECT count(*) FROM sqlite_schema WHERE name = 'other'") == "1");
  CHECK(t.b.query("PRAGMA user_version") == "1");
  t.b.stop();
  t.b.start();
  CHECK(t.b.query("PRAGMA user_version") == "1");
  t.b.sql("DROP VIEW late");
  while (require(t.b.engine().resume_stopped())) {}
  CHECK(t.b.query("PRAGMA user_version") == "3");
  t.settle();
  t.same(kNumbers, "3|0");
}

TEST_CASE("numbers: what an application sets where a higher one waits replaces only what stood there") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); PRAGMA user_version = 1");
  t.b.sql("CREATE VIEW late AS SELECT 1");
  t.a.sql("BEGIN; CREATE TABLE late(id INTEGER PRIMARY KEY); PRAGMA user_version = 9; COMMIT");
  t.a.publish(t.stream);
  t.b.apply(t.stream);
  t.b.sql("DROP VIEW late; PRAGMA user_version = 2");  // it has never seen 9
  while (require(t.b.engine().resume_stopped())) {}
  t.settle();
  t.same(kNumbers, "9|0");
}

TEST_CASE("numbers: a file built from the stream has them, and one that is the same publishes nothing") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); PRAGMA user_version = 6; PRAGMA application_id = 42; INSERT INTO t VALUES(1,'x')");
  t.same(kNumbers, "6|42");
  Node d(t.dir.path, 4);
  d.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v); PRAGMA user_version = 6; PRAGMA application_id = 42; INSERT INTO t VALUES(1,'x')");
  d.join(t.stream);
  const size_t before = t.stream.messages.size();
  settle(t.stream, {&t.a, &t.b, &t.c, &d});
  CHECK(t.stream.messages.size() == before);
  CHECK(d.query(kNumbers) == "6|42");
}

TEST_CASE("numbers: of a file that joins the user_version counts where it is higher, the application_id where there is none") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); PRAGMA user_version = 6; PRAGMA application_id = 42");
  t.a.sql("BEGIN; ALTER TABLE t ADD COLUMN n; PRAGMA user_version = 7; COMMIT");
  t.settle();
  Node older(t.dir.path, 4), newer(t.dir.path, 5);
  older.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v); PRAGMA user_version = 6; PRAGMA application_id = 41");
  older.join(t.stream);
  older.apply(t.stream);
  CHECK(older.query(kNumbers) == "7|42");
  newer.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v, n, extra); PRAGMA user_version = 8; PRAGMA application_id = 43");
  newer.join(t.stream);
  CHECK(newer.query("PRAGMA user_version") == "8");
  settle(t.stream, {&t.a, &t.b, &t.c, &older, &newer});
  for (Node* node : {&t.a, &t.b, &t.c, &older, &newer}) CHECK(node->query(kNumbers) == "8|42");
  t.same("SELECT count(*) FROM pragma_table_info('t') WHERE name = 'extra'", "1");
}

TEST_CASE("numbers: a joining file's own does not go down while the stream's former ones are read") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1), b(dir.path, 2);
  a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  a.found(stream);
  a.publish(stream);
  for (const char* const number : {"1", "2", "3"}) {
    a.sql(std::string("PRAGMA user_version = ") + number);
    a.publish(stream);
  }
  b.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, v); PRAGMA user_version = 3");
  b.join(stream);
  Stream part = stream;
  for (size_t end = 1; end <= stream.messages.size(); ++end) {
    part.messages.assign(stream.messages.begin(), stream.messages.begin() + static_cast<std::ptrdiff_t>(end));
    b.apply(part);
    CHECK(b.query("PRAGMA user_version") == "3");
  }
}

TEST_CASE("numbers: a snapshot has them, as a file and merged") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.a.sql("BEGIN; ALTER TABLE t ADD COLUMN n; PRAGMA user_version = 3; PRAGMA application_id = 9; COMMIT");
  settle(t.stream, {&t.a, &t.b});
  const std::string path = t.dir.path / "n4.db";
  {
    auto copy = require(replica::SnapshotCopy::begin(t.a.engine(), path));
    while (!require(copy->step(100))) {}
  }
  CHECK(t.c.query(kNumbers) == "0|0");
  require(t.c.engine().merge_begin(path));
  while (!t.c.merge_slice()) {}
  CHECK(t.c.query(kNumbers) == "3|9");
  require(replica::adopt_copy(path));
  Node d(t.dir.path, 4);
  d.start();
  CHECK(d.query(kNumbers) == "3|9");
  d.sql("PRAGMA user_version = 2");
  settle(t.stream, {&t.a, &t.b, &t.c, &d});
  t.same(kNumbers, "2|9");
}

TEST_CASE("numbers: lost history takes none along") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); PRAGMA user_version = 3");
  t.b.sql("PRAGMA user_version = 2");
  t.settle();
  t.same(kNumbers, "2|0");
  Stream anew;
  anew.id = 78;
  anew.append("genesis", codec::seal(codec::Kind::genesis, t.c.engine().origin(), 0, codec::encode_genesis({anew.id, t.c.engine().hash_key()}), 1000, codec::kFormatOfKeys)[0]);
  uint64_t life = 9000;
  for (Node* node : {&t.c, &t.a, &t.b}) require(node->engine().history_lost(anew.id, node == &t.c ? 0 : anew.messages.size(), Incarnation{++life}));
  settle(anew, {&t.c, &t.a, &t.b});
  t.same(kNumbers, "2|0");
}

// Nodes that set the number and hear of one another in any order.
TEST_CASE("numbers: what stands is a function of the registers, whatever order they came in") {
  using replica::kHeaderNumbers;
  using Registers = std::map<uint64_t, SchemaRegister>;  // by node
  std::mt19937 random(7);
  const auto stands = [](const Registers& registers) {
    std::vector<const SchemaRegister*> list;
    for (const auto& [node, one] : registers) list.push_back(&one);
    const SchemaRegister* const one = replica::standing_number(kHeaderNumbers[0], list);
    return one == nullptr ? 0 : replica::number_of(*one);
  };
  const auto hear = [](Registers& into, const SchemaRegister& one) {
    const auto known = into.find(one.version.origin.node.value);
    if (known == into.end() || one.version > known->second.version) into[one.version.origin.node.value] = one;
  };
  size_t lower = 0;
  for (int round = 0; round < 300; ++round) {
    constexpr uint64_t kNodes = 4;
    std::vector<Registers> nodes(kNodes);
    std::vector<SchemaRegister> sent;
    uint64_t clock = 0;
    for (int step = 0; step < 25; ++step) {
      const uint64_t at = random() % kNodes;
      if (random() % 3 != 0 && !sent.empty()) {
        hear(nodes[at], sent[random() % sent.size()]);
        continue;
      }
      SchemaRegister mine{SchemaKind::number, {}, replica::number_id("user_version", NodeId{at}), {{++clock}, {NodeId{at}, {1}}}, false, "user_version", {}, 0};
      std::vector<Version> replaced;
      for (const auto& [node, one] : nodes[at]) replaced.push_back(one.version);
      mine.body = replica::spell_replaced(replaced);
      const int value = static_cast<int>(random() % 7) - 3;
      lower += value < stands(nodes[at]) ? size_t{1} : 0;
      replica::set_number(mine, value);
      hear(nodes[at], mine);
      CHECK(stands(nodes[at]) == value);  // it knew of all that is there
      sent.push_back(mine);
    }
    std::optional<int> all;
    for (int order = 0; order < 6; ++order) {
      std::shuffle(sent.begin(), sent.end(), random);
      Registers end;
      for (const SchemaRegister& one : sent) hear(end, one);
      if (all) CHECK(stands(end) == *all);
      all = stands(end);
      // Of those that no other one replaced, the highest.
      std::optional<int> highest;
      for (const auto& [node, one] : end) {
        const bool out = std::any_of(end.begin(), end.end(), [&, &version = one.version](const auto& other) {
          const std::string body = ' ' + other.second.body + ' ';
          return body.find(' ' + replica::spell_version(version) + ' ') != std::string::npos;
        });
        if (!out) highest = std::max(highest.value_or(INT32_MIN), replica::number_of(one));
      }
      if (!sent.empty()) CHECK(highest == all);
    }
  }
  CHECK(lower > 100);
}

namespace {

// Node a's file: a copy of it is kept in which its application has set the number to 1, unseen by the agent. Then the agent sees that, and `later`.
// The copy is put back, and the application of node b may have set the number before, knowing of that.
struct PutBack : Three {
  explicit PutBack(const std::vector<std::string>& later, const std::string& of_b = "") : Three("CREATE TABLE t(id INTEGER PRIMARY KEY, v)") {
    const std::string copy = dir.path / "copy.db";
    a.stop();
    a.sql("PRAGMA user_version = 1");
    a.sql("VACUUM INTO '" + copy + "'");
    a.start();
    settle();
    for (const std::string& number : later) {
      a.now += 1000;
      a.sql("PRAGMA user_version = " + number);
      settle();
    }
    if (!of_b.empty()) b.sql("PRAGMA user_version = " + of_b);
    settle();
    a.stop();
    a.restore(copy);
    a.now += 1000;
    a.start();
    a.engine().follows_to(stream.messages.size());
    settle();
  }
};

}  // namespace

// Simulator seed 8558: what the agent saw in the old copy took the place of what its former life had published.
TEST_CASE("numbers: a file that is put back, and has one that no agent had seen, takes back nothing higher that its former life told") {
  PutBack t({"2"});
  t.same(kNumbers, "2|0");
  for (Node* node : {&t.a, &t.b, &t.c}) CHECK(node->drain().empty());
  t.a.sql("PRAGMA user_version = 1");  // now it knows of the 2
  t.settle();
  t.same(kNumbers, "1|0");
}

TEST_CASE("numbers: ... of several that its former life told, and what those replaced is out") {
  PutBack t({"2", "5"});
  t.same(kNumbers, "5|0");
  PutBack known({"7"}, "3");
  known.same(kNumbers, "3|0");
}
