// What lost is told in one warning a table and second.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::replica;
using namespace marmot::test;

namespace {

std::vector<std::string> lines(const Node& node, const std::string& with) {
  std::vector<std::string> out;
  for (const std::string& line : node.log) {
    if (line.find(with) != std::string::npos) out.push_back(line);
  }
  return out;
}

bool ends_with(const std::string& text, const std::string& end) { return text.size() >= end.size() && text.substr(text.size() - end.size()) == end; }

// On a, and a little later on b.
void on_both(Three& t, const std::string& a, const std::string& b) {
  t.a.sql(a);
  t.a.publish(t.stream);
  t.b.now += 10;
  t.b.sql(b);
  t.b.publish(t.stream);
}

void wait(Three& t, WallMs ms) {
  for (Node* node : {&t.a, &t.b, &t.c}) {
    node->now += ms;
    (void)require(node->engine().has_work());
  }
}

}  // namespace

TEST_CASE("lost lately: ten rows that lose at once are one warning, which says how many rows refer to them") {
  Three t("CREATE TABLE p(id INTEGER PRIMARY KEY, v); CREATE TABLE k(id INTEGER PRIMARY KEY, p REFERENCES p(id))");
  std::string a, b;
  for (int id = 1; id <= 10; ++id) {
    a += (id == 1 ? "(" : ",(") + std::to_string(id) + ",'a')";
    b += (id == 1 ? "(" : ",(") + std::to_string(id) + ",'b')";
  }
  on_both(t, "BEGIN; INSERT INTO p VALUES" + a + "; INSERT INTO k VALUES(1, 1), (2, 1), (3, 9); COMMIT",
          "BEGIN; INSERT INTO p VALUES" + b + "; INSERT INTO k VALUES(4, 1); COMMIT");
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) {
    const auto told = lines(*node, "conflict (insert)");
    REQUIRE(told.size() == 1);
    CHECK_MESSAGE(ends_with(told[0], "conflict (insert): p 1 of node 1 lost to node 2; and 9 more of p; 3 rows refer to them; they are kept: marmot conflicts"), told[0]);
  }
  // In the same second nothing more is said, and nothing is forgotten.
  on_both(t, "INSERT INTO p VALUES(11, 'a'); INSERT INTO k VALUES(5, 11)", "INSERT INTO p VALUES(11, 'b')");
  t.settle();
  CHECK(lines(t.c, "conflict (insert)").size() == 1);
  on_both(t, "INSERT INTO p VALUES(12, 'a')", "INSERT INTO p VALUES(12, 'b')");
  t.settle();
  CHECK(lines(t.c, "conflict (insert)").size() == 1);
  wait(t, 1000);
  const auto told = lines(t.c, "conflict (insert)");
  REQUIRE(told.size() == 2);
  CHECK_MESSAGE(ends_with(told[1], "p 11 of node 1 lost to node 2; and 1 more of p; 1 row refers to them; they are kept: marmot conflicts"), told[1]);
  wait(t, 1000);
  CHECK(lines(t.c, "conflict (insert)").size() == 2);
  on_both(t, "INSERT INTO p VALUES(13, 'a')", "INSERT INTO p VALUES(13, 'b')");
  t.settle();
  CHECK_MESSAGE(ends_with(lines(t.c, "conflict (insert)").back(), "p 13 of node 1 lost to node 2; it is kept: marmot conflicts"), lines(t.c, "conflict (insert)").back());
}

TEST_CASE("lost lately: each table has its own warning, and so have rows that are not shown") {
  Settings keep;
  keep.retire_losers = false;
  Three t("CREATE TABLE p(id INTEGER PRIMARY KEY, v); CREATE TABLE u(id INTEGER PRIMARY KEY, v UNIQUE)", keep);
  on_both(t, "INSERT INTO p VALUES(1, 'a'), (2, 'a'); INSERT INTO u VALUES(1, 'x'), (2, 'y'), (3, 'z')",
          "INSERT INTO p VALUES(1, 'b'), (2, 'b'); INSERT INTO u VALUES(11, 'x'), (12, 'y'), (13, 'z')");
  t.settle();
  for (Node* node : {&t.a, &t.b, &t.c}) {
    CHECK(lines(*node, "conflict (insert)").size() == 1);
    const auto told = lines(*node, "is not shown here, but kept (marmot conflicts)");
    REQUIRE(told.size() == 1);
    CHECK_MESSAGE(ends_with(told[0], "; and 2 more of u"), told[0]);
  }
}
