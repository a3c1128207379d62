// Which column is which, where several nodes make, rename and rebuild them at the same time (docs/decisions/0015-columns.md).
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

#include "common/replica/column_id.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::replica;
using namespace marmot::test;

namespace {

const char* const kTable = "CREATE TABLE t(id INTEGER PRIMARY KEY, p, q); INSERT INTO t VALUES(1, 'p1', 'q1'), (2, 'p2', 'q2')";
const char* const kColumns = "SELECT group_concat(name) FROM pragma_table_info('t')";

// Nothing waits, and each row's hash is its version's.
void at_rest(Three& t) {
  t.settle();
  for (Node* const node : {&t.a, &t.b, &t.c}) {
    CHECK(require(node->engine().drain(false)).units.empty());
    check_at_rest(*node);
  }
  const auto digest = [](Node& node) {
    std::map<std::string, std::vector<TableDigest::Bucket>> out;
    for (auto& one : require(node.engine().digests(kSeed))) out[one.table] = one.buckets;
    return out;
  };
  CHECK(digest(t.b) == digest(t.a));
  CHECK(digest(t.c) == digest(t.a));
}

}  // namespace

TEST_CASE("column ids: what is spelled is read again") {
  std::string storage;
  for (const ValueView& value : {ValueView::of_null(), ValueView::of_integer(-5), ValueView::of_real(0.1), ValueView::of_text(""), ValueView::of_text("a=b%c"),
                                 ValueView::of_blob(std::string_view("\0=", 2)), ValueView::of_integer(INT64_MIN)}) {
    const std::string fill = spell_fill(value);
    CHECK(same_value(fill_value(fill, storage), value));
    const ColumnId id{spell_base("a=%b", 2), {fill, spell_fill(ValueView::of_integer(7))}};
    const ColumnId read = parse_column_id(spell_column_id(id));
    CHECK(read.base == id.base);
    CHECK(read.fills == id.fills);
  }
  CHECK(spell_column_id(parse_column_id("s")) == "s");
  CHECK(spell_column_id(parse_column_id("s=5")) == "s=5");
  CHECK(same_column_id("s=5", "s"));
  CHECK(!same_column_id("s=5", "s#2=5"));
}

// What decision 0015 rests on: it does not matter in which steps a file learns of a column's fills.
TEST_CASE("column ids: a row has the same value by whatever steps the fills became known") {
  std::mt19937 random(1);
  const auto step = [](int value, const ColumnId& then, const ColumnId& now) {
    const auto up = given_up(then, now);
    return std::find(up.begin(), up.end(), std::to_string(value)) == up.end() ? value : std::stoi(now.fill());
  };
  for (int round = 0; round < 20000; ++round) {
    const auto with = [&](ColumnId id) {
      for (auto n = random() % 3; n > 0; --n) id.fills.insert(std::to_string(random() % 6));
      return id;
    };
    const ColumnId first = with({"s", {std::to_string(random() % 6)}}), second = with(first), third = with(second);
    for (int value = 0; value < 7; ++value) CHECK(step(step(value, first, second), second, third) == step(value, first, third));
    CHECK(step(std::stoi(first.fill()), first, third) == std::stoi(third.fill()));
  }
}

TEST_CASE("columns: one made with its table and one added later, with the same default, are one column") {
  Three t("CREATE TABLE other(id INTEGER PRIMARY KEY)");
  t.a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, s TEXT DEFAULT 'five'); INSERT INTO t VALUES(1, 'of a')");
  t.b.sql("CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES(2)");
  const auto in_flight = t.b.drain();
  t.b.sql("ALTER TABLE t ADD COLUMN s TEXT DEFAULT 'five'; INSERT INTO t VALUES(3, 'of b')");
  t.a.publish(t.stream);
  t.stream.append(in_flight);
  at_rest(t);
  t.same(kColumns, "id,s");
  t.same("SELECT * FROM t", "1|of a\n2|five\n3|of b");
}

TEST_CASE("columns: a row that waits on the shelf gets the column's fill as the others do") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE)", [] { Settings s; s.retire_losers = false; return s; }());
  t.a.sql("INSERT INTO t VALUES(1, 'same')");
  t.b.now += 1000;
  t.b.sql("INSERT INTO t VALUES(2, 'same')");
  t.settle();
  t.a.sql("ALTER TABLE t ADD COLUMN s DEFAULT 5");
  t.b.sql("ALTER TABLE t ADD COLUMN s DEFAULT 7");
  at_rest(t);
  t.same("SELECT * FROM t", "2|same|7");
  t.c.sql("UPDATE t SET u = 'other'");
  at_rest(t);
  t.same("SELECT * FROM t", "1|same|7\n2|other|7");
}

TEST_CASE("columns: rows that a unique index keeps apart, and that get one fill, go by the rule of unique values") {
  Three t(kTable);
  t.a.sql("ALTER TABLE t ADD COLUMN s; CREATE UNIQUE INDEX u ON t(s)");
  t.b.sql("ALTER TABLE t ADD COLUMN s DEFAULT 7");
  at_rest(t);
  t.same("SELECT count(*) FROM t WHERE s = 7", "1");
  t.same("SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM __marmot_shelf) + (SELECT count(*) > 0 FROM __marmot_conflict)", "2");
}

// Simulator seed 467: what was known of the index was of the column that had its name before, so that no row made room.
TEST_CASE("columns: another column gets the name of one that a unique index stands on") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, p, q); INSERT INTO t VALUES(1, 'x', 7), (2, 'y', 7), (3, 'z', 7)");
  t.a.sql("ALTER TABLE t RENAME COLUMN p TO s");
  t.c.sql("ALTER TABLE t RENAME COLUMN q TO s");
  at_rest(t);
  t.same(kColumns, "id,s,s_2");
  t.same("SELECT s FROM t", "x\ny\nz");
  t.b.sql("CREATE UNIQUE INDEX u ON t(s)");
  t.a.sql("ALTER TABLE t DROP COLUMN s");
  t.b.publish(t.stream);
  at_rest(t);
  t.same(kColumns, "id,s");
  t.same("SELECT count(*) FROM t WHERE s = 7", "1");
  t.same("SELECT count(*) FROM __marmot_conflict WHERE kind = 'unique'", "2");
  t.c.sql("INSERT INTO t VALUES(4, 'x')");  // a value of the column that went: it is in nobody's way
  at_rest(t);
  t.same("SELECT s FROM t WHERE id = 4", "x");
}

TEST_CASE("columns: another default later is for rows to come: one in flight from before the column has the first") {
  Three t(kTable);
  t.b.sql("INSERT INTO t VALUES(3, 'p3', 'q3')");
  const auto in_flight = t.b.drain();
  t.a.sql("ALTER TABLE t ADD COLUMN s DEFAULT 5");
  t.a.publish(t.stream);
  t.c.apply(t.stream);
  t.a.sql("CREATE TABLE n(id INTEGER PRIMARY KEY, p, q, s DEFAULT 6); INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t; INSERT INTO t(id) VALUES(9)");
  t.stream.append(in_flight);
  t.c.apply(t.stream);
  t.a.publish(t.stream);
  at_rest(t);
  t.same("SELECT id, s FROM t", "1|5\n2|5\n3|5\n9|6");
  t.same("SELECT dflt_value FROM pragma_table_info('t') WHERE name = 's'", "6");
}

TEST_CASE("columns: a file that joins with another default for a column has the stream's column, renamed as it is there") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1), b(dir.path, 2);
  a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, s DEFAULT 5); INSERT INTO t VALUES(1, 'of a')");
  a.found(stream);
  a.publish(stream);
  a.sql("ALTER TABLE t RENAME COLUMN s TO x");
  a.publish(stream);
  b.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, s DEFAULT 7); INSERT INTO t VALUES(1, 'of a')");
  b.join(stream);
  settle(stream, {&a, &b});
  for (Node* const node : {&a, &b}) {
    CHECK(node->query(kColumns) == "id,x");
    CHECK(node->query("SELECT * FROM t ORDER BY id") == "1|of a");
    CHECK(require(node->engine().drain(false)).units.empty());
  }
}

// Simulator seed 1027: the rows of others kept what the joining file had for rows that were made without the column.
TEST_CASE("columns: a file joins with a column that the stream gets later, with another default: rows of others have the stream's") {
  TempDir dir;
  Stream stream;
  Node a(dir.path, 1), b(dir.path, 2);
  a.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, p); INSERT INTO t VALUES(1, 'of a'), (2, 'of a')");
  a.found(stream);
  a.publish(stream);
  a.sql("ALTER TABLE t ADD COLUMN s DEFAULT 5; CREATE UNIQUE INDEX u ON t(s, id)");
  a.publish(stream);
  b.sql("CREATE TABLE t(id INTEGER PRIMARY KEY, p, s INT DEFAULT 7)");
  b.join(stream);
  b.sql("INSERT INTO t(id, p) VALUES(3, 'of b')");
  settle(stream, {&a, &b});
  for (Node* const node : {&a, &b}) {
    CHECK(node->query("SELECT * FROM t ORDER BY id") == "1|of a|5\n2|of a|5\n3|of b|7");
    CHECK(require(node->engine().drain(false)).units.empty());
  }
}

TEST_CASE("columns: a name that was given away while a row was on its way") {
  Three t(kTable);
  t.c.sql("UPDATE t SET p = 'in flight' WHERE id = 1");
  const auto in_flight = t.c.drain();
  t.a.sql("ALTER TABLE t RENAME COLUMN p TO s");
  t.a.publish(t.stream);
  t.a.sql("ALTER TABLE t ADD COLUMN p DEFAULT 'new'");
  t.b.sql("ALTER TABLE t ADD COLUMN s DEFAULT 5");
  t.b.publish(t.stream);
  t.a.publish(t.stream);
  t.stream.append(in_flight);
  at_rest(t);
  t.same("SELECT s, p, s_2 FROM t", "in flight|new|5\np2|new|5");
}

// Simulator seed 18756: the second was taken for the first one's successor, whose definition it has not got, and the rows of others kept their values.
TEST_CASE("columns: one renamed to the name that another one gave up just before") {
  for (const char* const columns : {"p INT, q", "p, q"}) {
    Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, " + std::string(columns) + "); INSERT INTO t VALUES(1, 'p1', 'q1'), (2, 'p2', NULL), (3, NULL, 'q3')");
    t.a.sql("ALTER TABLE t RENAME COLUMN q TO qn; ALTER TABLE t RENAME COLUMN p TO q");
    at_rest(t);
    t.same("SELECT id, q, qn FROM t", "1|p1|q1\n2|p2|\n3||q3");
  }
}

TEST_CASE("columns: one dropped and another made of which each might be a renamed one") {
  Three t(kTable);
  t.a.sql("ALTER TABLE t DROP COLUMN p; ALTER TABLE t ADD COLUMN r");
  at_rest(t);
  t.same("SELECT id, q, r FROM t", "1|q1|\n2|q2|");
}

namespace {

// As tools rebuild: column `s` is defined as `definition`, after `before`.
void redefine(Node& node, const std::string& definition, const std::string& before = "") {
  node.sql(before + "; CREATE TABLE n(id INTEGER PRIMARY KEY, s " + definition + "); INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t");
}

}  // namespace

// Simulator seed 2056. Node a had made 5 of the NULL, under its version, by a definition that the others never had.
TEST_CASE("columns: a NULL that met a column which was NOT NULL for a while is the fill in every file") {
  for (const char* const made : {"INT DEFAULT 5", "INT"}) {
    Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, s " + std::string(made) + "); INSERT INTO t VALUES(1, 1)");
    t.b.sql("INSERT INTO t VALUES(2, NULL)");
    const auto in_flight = t.b.drain();
    redefine(t.a, "TEXT NOT NULL DEFAULT 5");
    const auto of_a = t.a.drain();
    t.c.now += 1000;
    redefine(t.c, "NUMERIC DEFAULT 5");  // newer, and told first
    t.stream.append(in_flight);
    t.a.apply(t.stream);
    CHECK(t.a.query("SELECT s FROM t WHERE id = 2") == "5");
    t.c.publish(t.stream);
    t.stream.append(of_a);
    at_rest(t);
    t.same("SELECT s FROM t WHERE id = 2", "5");
    t.b.sql("INSERT INTO t VALUES(3, NULL)");  // it knows that NULL is a value again
    at_rest(t);
    t.same("SELECT id, s FROM t", "1|1\n2|5\n3|");
  }
}

TEST_CASE("columns: a NULL from before a column was NOT NULL is what that definition made of it, whatever default it has later") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, s INT); INSERT INTO t VALUES(1, 1)");
  t.b.sql("INSERT INTO t VALUES(2, NULL)");
  const auto first = t.b.drain();
  t.b.sql("INSERT INTO t VALUES(3, NULL)");
  const auto second = t.b.drain();
  redefine(t.a, "INT NOT NULL DEFAULT 5", "INSERT INTO t VALUES(7, NULL); UPDATE t SET s = 70 WHERE s IS NULL");
  t.a.publish(t.stream);
  t.stream.append(first);
  t.c.apply(t.stream);
  redefine(t.a, "INT NOT NULL DEFAULT 6");
  t.a.publish(t.stream);
  t.stream.append(second);
  t.c.apply(t.stream);
  redefine(t.a, "INT");
  at_rest(t);
  t.same("SELECT id, s FROM t", "1|1\n2|5\n3|5\n7|70");
}
