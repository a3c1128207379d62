// A transaction that changes the schema and rows is seen on other nodes as a whole (docs/decisions/0043-schema-and-rows-together.md).
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::replica;
using namespace marmot::test;

namespace {

constexpr const char* kSchema = "CREATE TABLE former(id INTEGER PRIMARY KEY, v); INSERT INTO former VALUES(1, 'one'), (2, 'two')";
constexpr const char* kMigration = "BEGIN; CREATE TABLE latter(id INTEGER PRIMARY KEY, v); INSERT INTO latter SELECT * FROM former; DROP TABLE former; COMMIT";

bool is_there(Node& node, const std::string& table) { return node.query("SELECT count(*) FROM sqlite_schema WHERE name = '" + table + "'") == "1"; }

// As before the migration or as after it.
void is_whole(Node& node) {
  CHECK(is_there(node, "former") != is_there(node, "latter"));
  CHECK(node.query(is_there(node, "former") ? "SELECT * FROM former" : "SELECT * FROM latter") == "1|one\n2|two");
}

}  // namespace

TEST_CASE("together: a table that is copied into a new one and dropped is one of the two for every reader, in whatever order the messages come") {
  for (const bool backwards : {false, true}) {
    CAPTURE(backwards);
    Three t(kSchema);
    t.a.sql(kMigration);
    std::vector<OutUnit> units = t.a.drain();
    REQUIRE(units.size() == 4);
    if (backwards) std::reverse(units.begin(), units.end());
    for (const OutUnit& unit : units) {
      t.stream.append(unit);
      for (Node* node : {&t.a, &t.b, &t.c}) node->apply(t.stream), is_whole(*node);
    }
    for (Node* node : {&t.a, &t.b, &t.c}) CHECK(is_there(*node, "latter"));
    t.settle();
    for (Node* node : {&t.a, &t.b, &t.c}) check_at_rest(*node);
  }
}

TEST_CASE("together: a new column is seen with what the same transaction wrote into it") {
  Three t(kSchema);
  t.a.sql("BEGIN; ALTER TABLE former ADD COLUMN w; UPDATE former SET w = 'w' || id; COMMIT");
  for (const OutUnit& unit : t.a.drain()) {
    t.stream.append(unit);
    t.b.apply(t.stream);
    const bool has = t.b.query("SELECT count(*) FROM pragma_table_info('former') WHERE name = 'w'") == "1";
    if (has) CHECK(t.b.query("SELECT w FROM former") == "w1\nw2");
  }
  t.settle();
  t.same("SELECT w FROM former", "w1\nw2");
}

TEST_CASE("together: the sender dies between the messages: nobody sees half of it, then all see the whole") {
  for (size_t sent = 1; sent < 4; ++sent) {
    CAPTURE(sent);
    Three t(kSchema);
    t.a.sql(kMigration);
    const std::vector<OutUnit> units = t.a.drain();
    REQUIRE(units.size() == 4);
    for (size_t i = 0; i < sent; ++i) t.stream.append(units[i]);
    for (Node* node : {&t.b, &t.c}) node->apply(t.stream), is_whole(*node), CHECK(is_there(*node, "former"));
    t.a.stop();
    t.a.start();
    t.a.apply(t.stream);
    for (const OutUnit& unit : t.a.drain()) {
      t.stream.append(unit);
      for (Node* node : {&t.b, &t.c}) node->apply(t.stream), is_whole(*node);
    }
    t.settle();
    for (Node* node : {&t.a, &t.b, &t.c}) is_whole(*node), CHECK(is_there(*node, "latter")), check_at_rest(*node);
  }
}

TEST_CASE("together: a schema change without rows, and rows without one, are units as ever") {
  Three t(kSchema);
  t.a.sql("CREATE TABLE other(x PRIMARY KEY)");
  CHECK(t.a.drain().size() == 1);
  t.a.sql("INSERT INTO other VALUES(1)");
  CHECK(t.a.drain().size() == 1);
}

TEST_CASE("together: what waits for the rest of its transaction waits on after a start of the agent") {
  Three t(kSchema);
  t.a.sql(kMigration);
  const std::vector<OutUnit> units = t.a.drain();
  t.stream.append(units[0]), t.stream.append(units[1]);
  for (Node* node : {&t.a, &t.b, &t.c}) node->apply(t.stream);
  t.b.stop();
  t.b.start();
  is_whole(t.b);
  t.stream.append(units[2]), t.stream.append(units[3]);
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) is_whole(*node), CHECK(is_there(*node, "latter")), check_at_rest(*node);
}
