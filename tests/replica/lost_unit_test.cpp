// Units of a node's own that the stream has lost: foreign bytes stand under their message id, or their own came to harm. Nobody has their
// rows. They were taken for sent until the agent's next start, and what is not acknowledged no comparison of nodes looks at.
#include <doctest/doctest.h>

#include "common/codec/message.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

namespace {

const char* const kSchema = "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)";

// All have the rows, nobody waits for anything, and nothing is unacknowledged.
void healed(Three& t, const std::string& rows) {
  t.same("SELECT id, v FROM t ORDER BY id", rows);
  for (Node* node : {&t.a, &t.b, &t.c}) {
    const auto counters = require(node->engine().counters());
    CHECK(counters.outbox_rows == 0);
    CHECK(counters.staged_parts == 0);
  }
}

// In place of what `unit` would have brought, each message with these bytes.
void append_instead(Stream& stream, const replica::OutUnit& unit, const std::string& bytes) {
  for (const std::string& id : unit.msg_ids) stream.append(id, bytes);
}

}  // namespace

TEST_CASE("lost unit: damaged bytes under a unit's id are quarantined, and its rows go out in another one") {
  Three t(kSchema);
  t.b.sql("INSERT INTO t VALUES(1, 'one')");
  for (const auto& unit : t.b.drain()) append_instead(t.stream, unit, "not a message");
  t.settle();
  healed(t, "1|one");
  CHECK(require(t.a.engine().counters()).quarantined == 1);
}

TEST_CASE("lost unit: another node's message under a unit's id keeps nobody waiting, and brings what it holds") {
  Three t(kSchema);
  t.a.sql("INSERT INTO t VALUES(1, 'one')");
  t.b.sql("INSERT INTO t VALUES(2, 'two')");
  const auto of_a = t.a.drain(), of_b = t.b.drain();
  REQUIRE(of_a.size() == 1);
  REQUIRE(of_b.size() == 1);
  t.stream.append(of_b[0].msg_ids[0], of_a[0].messages[0]);  // the only one that holds the row 1
  t.settle();
  healed(t, "1|one\n2|two");
}

TEST_CASE("lost unit: one part of it that is foreign loses all of it") {
  replica::Settings settings;
  settings.max_message = 300;
  Three t(kSchema, settings);
  t.b.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO t SELECT i, hex(randomblob(40)) FROM n");
  const auto units = t.b.drain();
  REQUIRE(units.size() == 1);
  REQUIRE(units[0].messages.size() > 2);
  for (size_t part = 0; part < units[0].messages.size(); ++part) {
    t.stream.append(units[0].msg_ids[part], part == 1 ? "not a message" : units[0].messages[part]);
  }
  t.settle();
  t.same("SELECT count(*) FROM t", "20");
  CHECK(require(t.b.engine().counters()).outbox_rows == 0);
}

TEST_CASE("lost unit: a whole message that does not decode takes its rows along, and they are sent again") {
  Three t(kSchema);
  t.b.sql("INSERT INTO t VALUES(1, 'one')");
  const auto units = t.b.drain();
  REQUIRE(units.size() == 1);
  const auto harmed = codec::seal(codec::Kind::rows, t.b.engine().origin(), units[0].number, "no payload", 1000);
  t.stream.append(units[0].msg_ids[0], harmed[0]);
  t.settle();
  healed(t, "1|one");
}

TEST_CASE("lost unit: the schema that it held is sent again") {
  Three t(kSchema);
  t.b.sql("CREATE TABLE u(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO u VALUES(1, 'one')");
  const auto units = t.b.drain();
  REQUIRE(units.size() == 4);  // between two marks
  t.stream.append(units[0]);
  append_instead(t.stream, units[1], "not a message");
  t.stream.append(units[2]), t.stream.append(units[3]);
  t.settle();
  // Its rows came where there was no such table: they wait, and are taken up as those of a stopped table are.
  for (Node* node : {&t.a, &t.c}) CHECK(require(node->engine().resume_stopped()));
  t.settle();
  t.same("SELECT id, v FROM u", "1|one");
  healed(t, "");
}

namespace {

// Tables whose rows came before their schema change did, which was lost: they are here now and wait to be taken up.
struct Waiting : Three {
  Waiting() : Three(kSchema) {
    b.sql("CREATE TABLE pair_a(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE pair_b(id INTEGER PRIMARY KEY, v TEXT)");
    write(b, "of b");
    const auto units = b.drain();
    REQUIRE(units.size() == 4);  // between two marks
    stream.append(units[0]);
    append_instead(stream, units[1], "not a message");
    stream.append(units[2]), stream.append(units[3]);
    settle();
    REQUIRE(c.engine().stopped().size() == 2);
  }
  static void write(Node& node, const std::string& value) {
    for (const char* const table : {"pair_a", "pair_b"}) node.sql("INSERT OR REPLACE INTO " + std::string(table) + " VALUES(1, '" + value + "')");
  }
};

const char* const kPair = "SELECT a.v, b.v FROM pair_a a JOIN pair_b b USING (id)";

}  // namespace

TEST_CASE("lost unit: of tables that resume at once a local transaction wins or loses as a whole") {
  Waiting t;
  Waiting::write(t.c, "of c");
  (void)t.c.drain();  // parked, with its time
  t.b.now += 5000;
  Waiting::write(t.b, "later");
  t.settle();
  CHECK(require(t.c.engine().resume_stopped()));
  CHECK(t.c.query(kPair) == "later|later");
  CHECK(require(t.a.engine().resume_stopped()));
  t.settle();
  t.same(kPair, "later|later");
}

TEST_CASE("lost unit: a table that cannot resume does not part the others' transactions") {
  Waiting t;
  t.c.sql("CREATE VIEW renamed AS SELECT 1");  // takes the name
  t.a.sql("ALTER TABLE t RENAME TO renamed");
  t.settle();
  REQUIRE(t.c.engine().stopped().size() >= 3);
  Waiting::write(t.c, "of c");
  (void)t.c.drain();
  t.b.now += 5000;
  Waiting::write(t.b, "later");
  t.settle();
  CHECK(require(t.c.engine().resume_stopped()));
  CHECK(t.c.query(kPair) == "later|later");
}

TEST_CASE("lost unit: what an application wrote to a table that waits is kept when another node drops it") {
  Waiting t;
  Waiting::write(t.c, "of c");
  t.b.sql("DROP TABLE pair_a");
  t.settle();
  CHECK(t.c.query("SELECT kind, tbl, loser_row FROM __marmot_conflict") == "dropped-table|pair_a|{\"id\": 1, \"v\": \"of c\"}");
  CHECK(t.c.query("SELECT count(*) FROM __marmot_parked") == "1");  // of pair_b
}

TEST_CASE("lost unit: an id that somebody used before its unit was made is not given to a unit any more") {
  Three t(kSchema);
  t.b.sql("INSERT INTO t VALUES(1, 'one')");
  t.settle();
  const uint64_t next = require(t.b.engine().own_units()) + 1;
  t.stream.append(codec::message_id(t.b.engine().origin(), next, 0), "not a message");
  t.settle();
  t.b.sql("INSERT INTO t VALUES(2, 'two')");
  t.settle();
  healed(t, "1|one\n2|two");
}

TEST_CASE("lost unit: a number that no unit can have is nobody's") {
  Three t(kSchema);
  t.stream.append(codec::message_id(t.b.engine().origin(), UINT64_MAX, 0), "not a message");
  t.b.sql("INSERT INTO t VALUES(1, 'one')");
  t.settle();
  healed(t, "1|one");
}

TEST_CASE("lost unit: what stands far ahead is over with the next floor, and the units after it count from there") {
  Three t(kSchema);
  const uint64_t next = require(t.b.engine().own_units()) + 1;
  t.stream.append(codec::message_id(t.b.engine().origin(), next + 1000, 0), "not a message");
  t.settle();
  t.b.sql("INSERT INTO t VALUES(1, 'one')");
  t.settle();
  announce(t.a, t.stream);
  t.settle();
  t.b.sql("INSERT INTO t VALUES(2, 'two')");
  t.settle();
  healed(t, "1|one\n2|two");
}
