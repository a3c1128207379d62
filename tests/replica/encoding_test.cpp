// Files of different encodings in one cluster: each value that an application can write arrives, or is told of.
#include <doctest/doctest.h>

#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

const char* const kTable = "CREATE TABLE t(k TEXT PRIMARY KEY, v TEXT, u TEXT UNIQUE)";

// One file in each of SQLite's encodings.
struct Encodings {
  Encodings() : le(dir.path, 1), be(dir.path, 2), eight(dir.path, 3) {
    le.sql(std::string("PRAGMA encoding = 'UTF-16le';") + kTable);
    be.sql(std::string("PRAGMA encoding = 'UTF-16be';") + kTable);
    eight.sql(kTable);
    REQUIRE(le.query("PRAGMA encoding") == "UTF-16le");
    REQUIRE(be.query("PRAGMA encoding") == "UTF-16be");
    le.found(stream);
    le.publish(stream);
    be.join(stream);
    eight.join(stream);
    settle();
  }
  void settle() { test::settle(stream, {&le, &be, &eight}); }
  // Nothing is left to be sent, and the scrub finds every row as its version says.
  void in_step() {
    for (Node* node : {&le, &be, &eight}) {
      CHECK(require(node->engine().counters()).outbox_rows == 0);
      node->engine().scrub_again();
      for (bool done = false; !done;) {
        const auto result = require(node->engine().scrub(false));
        CHECK(result.found.empty());
        REQUIRE_FALSE(result.not_now);
        done = result.done;
      }
    }
  }

  TempDir dir;
  Stream stream;
  Node le, be, eight;
};

// Of UTF-16le text in hex what each file holds, in its own bytes.
struct Written {
  const char *le, *be, *eight;
};
const Written kWritten[] = {
    {"00D8", "D800", "EDA080"},          {"00D86100", "D8000061", "EDA08061"}, {"00DC00D8", "DC00D800", "EDB080EDA080"},
    {"6100FFDF", "0061DFFF", "61EDBFBF"}, {"FEFF", "FFFE", "EFBFBE"},           {"FFFF", "FFFF", "EFBFBF"},
    {"FFFE6100", "FEFF0061", "EFBBBF61"}, {"3DD800DE", "D83DDE00", "F09F9880"}, {"E900", "00E9", "C3A9"},
};

std::string text(const char* hex) { return "CAST(x'" + std::string(hex) + "' AS TEXT)"; }

}  // namespace

TEST_CASE("encoding: text that is no whole UTF-16, in keys, values and unique values, arrives in files of every encoding") {
  Encodings e;
  for (const Written& one : kWritten) e.le.sql("INSERT INTO t VALUES(" + text(one.le) + ", " + text(one.le) + ", " + text(one.le) + ")");
  e.settle();
  e.in_step();
  for (const Written& one : kWritten) {
    CAPTURE(one.le);
    const std::string query = "SELECT hex(CAST(k AS BLOB)), hex(CAST(v AS BLOB)), hex(CAST(u AS BLOB)) FROM t WHERE k = ";
    const auto row = [](const char* hex) { return std::string(hex) + "|" + hex + "|" + hex; };
    CHECK(e.le.query(query + text(one.le)) == row(one.le));
    CHECK(e.be.query(query + text(one.be)) == row(one.be));
    CHECK(e.eight.query(query + text(one.eight)) == row(one.eight));
  }
  // And back.
  for (const Written& one : kWritten) e.be.sql("UPDATE t SET v = 'seen' WHERE k = " + text(one.be));
  e.settle();
  for (const Written& one : kWritten) e.eight.sql("DELETE FROM t WHERE v = 'seen' AND k = " + text(one.eight));
  e.settle();
  e.in_step();
  for (Node* node : {&e.le, &e.be, &e.eight}) CHECK(node->query("SELECT count(*) FROM t") == "0");
}

TEST_CASE("encoding: invalid UTF-8 waits on the shelf of a file that cannot hold it, and goes with its row") {
  Encodings e;
  e.eight.sql("INSERT INTO t VALUES(" + text("FF") + ", 'key', 'a'), ('value', " + text("61C3") + ", 'b'), ('both', 'fine', 'c'),"
              " (" + text("EDA080EDB080") + ", 'halves of a pair', 'd')");
  e.settle();
  e.in_step();
  for (Node* node : {&e.le, &e.be}) {
    CHECK(node->query("SELECT k FROM t") == "both");
    CHECK(node->query("SELECT count(*), min(kind), max(kind) FROM __marmot_shelf") == "3|refused|refused");
  }
  CHECK(e.eight.query("SELECT count(*) FROM t") == "4");
  e.eight.sql("UPDATE t SET v = 'mended' WHERE k = 'value'; DELETE FROM t WHERE u IN ('a', 'd')");
  e.settle();
  e.in_step();
  for (Node* node : {&e.le, &e.be, &e.eight}) {
    CHECK(node->query("SELECT k, v FROM t ORDER BY k") == "both|fine\nvalue|mended");
    CHECK(node->query("SELECT count(*) FROM __marmot_shelf") == "0");
  }
}

TEST_CASE("encoding: a value that turns into one that a file cannot hold is out of it until it turns back") {
  Encodings e;
  e.le.sql("INSERT INTO t VALUES('k', 'v', 'u')");
  e.settle();
  e.eight.sql("UPDATE t SET v = " + text("FF"));
  e.settle();
  e.in_step();
  CHECK(e.le.query("SELECT kind FROM __marmot_shelf") == "refused");
  e.eight.sql("UPDATE t SET v = 'again'");
  e.settle();
  e.in_step();
  CHECK(e.be.query("SELECT v FROM t") == "again");
}

TEST_CASE("encoding: a unique value and a kept loser that a file cannot hold hold nothing up") {
  Encodings e;
  e.eight.sql("INSERT INTO t VALUES('a', 'first', " + text("FF") + "), ('b', " + text("FF") + ", 'u')");
  e.le.sql("INSERT INTO t VALUES('b', 'of le', 'other')");  // two nodes insert one key: the loser is kept in words
  e.settle();
  e.in_step();
  for (Node* node : {&e.le, &e.be}) CHECK(node->query("SELECT count(*) FROM t WHERE k = 'a'") == "0");
  CHECK(e.eight.query("SELECT count(*) FROM t WHERE k = 'a'") == "1");
  CHECK(e.le.query("SELECT count(*) FROM __marmot_conflict WHERE kind = 'insert'") == e.eight.query("SELECT count(*) FROM __marmot_conflict WHERE kind = 'insert'"));
  // Another row takes the unique value's place, and gives it up again.
  e.eight.sql("UPDATE t SET u = 'u2' WHERE k = 'a'; DELETE FROM t WHERE k = 'b'");
  e.settle();
  e.in_step();
  for (Node* node : {&e.le, &e.be, &e.eight}) CHECK(node->query("SELECT k, v, u FROM t") == "a|first|u2");
}

TEST_CASE("encoding: names and literals that SQLite does not convert are not made in a UTF-16 file, and told") {
  Encodings e;
  e.eight.sql("CREATE TABLE \"a\xff\"(k INTEGER PRIMARY KEY); INSERT INTO \"a\xff\" VALUES(1); CREATE TABLE b(k INTEGER PRIMARY KEY, v DEFAULT '\xef\xbf\xbe');"
              "INSERT INTO b(k) VALUES(1); CREATE VIEW w AS SELECT '\xed\xa0\x80'; CREATE TABLE c(k INTEGER PRIMARY KEY); INSERT INTO c VALUES(1)");
  e.settle();
  const auto as_it_was = [&] {
    for (Node* node : {&e.le, &e.be}) {
      CHECK(node->query("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE '\\_\\_%' ESCAPE '\\' ORDER BY name") == "c\nt");
      CHECK(node->query("SELECT k FROM c") == "1");
    }
    CHECK(e.eight.query("SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE '\\_\\_%' ESCAPE '\\'") == "5");
  };
  as_it_was();
  e.le.restart({});
  e.settle();
  as_it_was();
  // Under a name, and with a default, that every file can hold, all have them, with their rows.
  e.eight.sql("ALTER TABLE \"a\xff\" RENAME TO a; DROP VIEW w; DROP TABLE b");
  e.settle();
  for (Node* node : {&e.le, &e.be}) (void)require(node->engine().resume_stopped());
  for (Node* node : {&e.le, &e.be, &e.eight}) CHECK(node->query("SELECT k FROM a") == "1");
}
