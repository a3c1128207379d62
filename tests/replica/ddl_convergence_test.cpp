// Random schema changes and random writes on three nodes, drained, published, applied, killed and restarted in random order:
// in the end all files have the same tables with the same rows. Each seed is a case of its own.
#include <doctest/doctest.h>

#include <cstdlib>
#include <random>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

class Random {
 public:
  explicit Random(uint32_t seed) : random_(seed) {}
  int below(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }
  std::string one_of(std::initializer_list<const char*> words) { return *(words.begin() + below(static_cast<int>(words.size()))); }
  std::string table() { return one_of({"a", "b", "c"}); }
  std::string column() { return one_of({"p", "q", "r", "s"}); }
  std::string value() { return one_of({"NULL", "1", "2.5", "'x'", "'7'", "x'00'"}); }

  // Many of these fail: then nothing has happened.
  std::string statement() {
    const std::string t = table(), c = column();
    const std::string id = std::to_string(below(6));
    switch (below(24)) {
      case 0: return "CREATE TABLE " + t + "(id INTEGER PRIMARY KEY, " + c + " " + one_of({"", "TEXT", "INTEGER DEFAULT 3"}) + ")";
      case 1: return "CREATE TABLE " + t + "(id INTEGER PRIMARY KEY, p, q TEXT NOT NULL DEFAULT 'd')";
      case 2: return below(2) == 0 ? "DROP TABLE " + t : "SELECT 1";
      case 3: return "ALTER TABLE " + t + " RENAME TO " + table();
      case 4: case 5: return "ALTER TABLE " + t + " ADD COLUMN " + c + " " + one_of({"", "TEXT", "DEFAULT 5", "INTEGER NOT NULL DEFAULT 0"});
      case 6: return "ALTER TABLE " + t + " DROP COLUMN " + c;
      case 7: return "ALTER TABLE " + t + " RENAME COLUMN " + c + " TO " + column();
      case 8: return "CREATE INDEX i" + std::to_string(below(2)) + " ON " + t + "(" + c + ")";
      case 9: return "DROP INDEX i" + std::to_string(below(2));
      case 10: return "CREATE VIEW v AS SELECT * FROM " + t;
      case 11: return "DROP VIEW v";
      case 12:
        return "BEGIN; CREATE TABLE n_" + t + "(id INTEGER PRIMARY KEY, p TEXT, z DEFAULT 9); INSERT INTO n_" + t + "(id, p) SELECT id, p FROM " + t +
               "; DROP TABLE " + t + "; ALTER TABLE n_" + t + " RENAME TO " + t + "; COMMIT";
      case 13: return "VACUUM";
      case 14: case 15: case 16: return "INSERT OR REPLACE INTO " + t + "(id, " + c + ") VALUES(" + id + ", " + value() + ")";
      case 17: case 18: return "UPDATE " + t + " SET " + c + " = " + value() + " WHERE id = " + id;
      case 19: return "DELETE FROM " + t + " WHERE id = " + id;
      case 20: return "INSERT OR IGNORE INTO " + t + "(id) VALUES(" + id + ")";
      case 21: return "UPDATE " + t + " SET id = id + 1 WHERE id = 5";
      default: return "INSERT OR IGNORE INTO " + t + "(id, p) VALUES(" + id + ", 'p" + id + "')";
    }
  }

 private:
  std::mt19937 random_;
};

std::string whole(Node& node) {
  std::string out = node.query("SELECT type, name FROM sqlite_schema WHERE name NOT GLOB '__marmot*' AND name NOT GLOB 'sqlite_*' ORDER BY 1, 2") + "\n";
  const std::string names = node.query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '__marmot*' AND name NOT GLOB 'sqlite_*' ORDER BY 1");
  for (size_t at = 0; at < names.size();) {
    const size_t end = std::min(names.find('\n', at), names.size());
    const std::string name = names.substr(at, end - at);
    out += name + ":\n" + node.query("SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info('" + name + "') ORDER BY cid") + "\n";
    std::string columns = node.query("SELECT group_concat('typeof(\"' || name || '\") || hex(\"' || name || '\")', ' || '','' || ') FROM pragma_table_info('" + name + "')");
    out += node.query("SELECT " + columns + " FROM \"" + name + "\" ORDER BY id") + "\n";
    at = end + 1;
  }
  return out;
}

void converges(uint32_t seed) {
  CAPTURE(seed);
  TempDir dir;
  Stream stream;
  Random random(seed);
  Node a(dir.path, 1), b(dir.path, 2), c(dir.path, 3);
  a.sql("CREATE TABLE a(id INTEGER PRIMARY KEY, p TEXT, q); CREATE TABLE b(id INTEGER PRIMARY KEY, p, r DEFAULT 1); INSERT INTO a VALUES(1,'x',1),(2,'y',2)");
  a.found(stream);
  a.publish(stream);
  b.join(stream);
  c.join(stream);
  settle(stream, {&a, &b, &c});
  Node* const nodes[] = {&a, &b, &c};
  std::string story;
  for (int step = 0; step < 60; ++step) {
    const int which = random.below(3);
    Node& node = *nodes[which];
    const int what = random.below(20);
    story += "\n" + std::to_string(which + 1) + ": ";
    if (what < 11) {
      const std::string statement = random.statement();
      auto application = require(sqlite::Database::open(node.path, SQLITE_OPEN_READWRITE));
      const Status done = application.exec(statement);
      story += statement + (done ? "" : "  -- " + done.error().message);
    } else if (what < 15) {
      node.publish(stream);
      story += "publish";
    } else if (what < 19) {
      node.apply(stream);
      story += "apply";
    } else {
      node.stop();
      node.start();
      story += "restart";
    }
  }
  settle(stream, {&a, &b, &c});
  for (Node* node : nodes) (void)require(node->engine().resume_stopped());
  settle(stream, {&a, &b, &c});
  if (std::getenv("MARMOT_STORY") != nullptr) {
    MESSAGE(story);
    for (Node* node : nodes) {
      MESSAGE(whole(*node));
      for (const auto& line : node->log) MESSAGE(line);
    }
  }
  const std::string expected = whole(a);
  CHECK(whole(b) == expected);
  CHECK(whole(c) == expected);
  for (Node* node : nodes) {
    for (const auto& table : node->engine().stopped()) FAIL_CHECK((table.name + ": " + table.reason));
    CHECK(node->query("PRAGMA integrity_check") == "ok");
    const auto counters = require(node->engine().counters());
    CHECK(counters.outbox_rows == 0);
    CHECK(counters.waiting_units == 0);
    CHECK(counters.quarantined == 0);
  }
}

}  // namespace

TEST_CASE("schema: three nodes end with the same tables and rows after random schema changes, writes, deliveries and deaths") {
  const char* const wanted = std::getenv("MARMOT_SEEDS");  // first-last: a longer run, or one seed again
  unsigned first = 1, last = 40;
  if (wanted != nullptr) std::sscanf(wanted, "%u-%u", &first, &last);
  for (uint32_t seed = first; seed <= last; ++seed) converges(seed);
}
