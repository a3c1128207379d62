// Messages of the stream that do not decode (common/replica/quarantine.hpp).
#include <doctest/doctest.h>

#include "common/codec/message.hpp"
#include "common/core/key.hpp"
#include "common/replica/quarantine.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;

// It would be tried again for ever, on every node, and nobody could resolve it.
TEST_CASE("quarantine: a row whose key does not decode stops no table: its message is put aside") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  codec::UnitWriter writer;
  UnitTable table;
  table.name = "t";
  table.columns = {"id", "v"};
  table.key = {UnitKeyColumn{0, Collation::binary, Affinity::number, false}};
  const uint32_t at = writer.add_table(table);
  const Origin stranger{NodeId{77}, Incarnation{5}};
  const uint32_t version = writer.add_version(Version{Hlc::from_wall(t.a.now), stranger});
  writer.row(at, version, Op::insert, "\x02 no end");
  writer.value(ValueView::of_integer(1));
  writer.value(ValueView::of_integer(2));
  t.stream.append(codec::message_id(stranger, 1, 0), codec::seal(codec::Kind::rows, stranger, 1, require(writer.finish(false, 0)), 4096, 1)[0]);
  t.a.sql("INSERT INTO t VALUES(3, 'fine')");
  t.settle();
  t.same("SELECT * FROM t", "3|fine");
  for (Node* node : {&t.a, &t.b, &t.c}) {
    CHECK(node->engine().stopped().empty());
    CHECK(require(node->engine().counters()).quarantined == 1);
  }
}

TEST_CASE("quarantine: garbage in the stream does not fill the file: a kilobyte is kept of each message, and so many messages") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  for (int i = 0; i < 1200; ++i) t.stream.append("stranger-" + std::to_string(i), "garbage " + std::to_string(i) + std::string(20'000, 'x'));
  t.a.sql("INSERT INTO t VALUES(3, 'fine')");
  t.settle();
  t.same("SELECT * FROM t", "3|fine");
  t.same("SELECT count(*), max(length(data)), min(size) > 20000, count(DISTINCT hash) FROM __marmot_quarantine", "1000|1024|1|1000");
  CHECK(require(t.b.engine().counters()).quarantined == 1200);
  auto db = require(sqlite::Database::open(t.b.path, SQLITE_OPEN_READWRITE));
  const auto kept = require(replica::read_quarantine(db));
  CHECK(kept.messages.front().head.rfind("garbage 1199", 0) == 0);
  CHECK(kept.dropped == 200);
  REQUIRE(replica::empty_quarantine(db));
  CHECK(require(t.b.engine().counters()).quarantined == 0);
}

TEST_CASE("quarantine: what an earlier Marmot put aside whole is shortened") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.b.stop();
  t.b.sql("DROP TABLE __marmot_quarantine; CREATE TABLE __marmot_quarantine(seq INTEGER PRIMARY KEY, at INT NOT NULL, reason TEXT NOT NULL, data BLOB NOT NULL);"
          "INSERT INTO __marmot_quarantine VALUES(7, 1, 'why', zeroblob(100000))");
  t.b.start();
  CHECK(t.b.query("SELECT seq, at, reason, length(data), size FROM __marmot_quarantine") == "7|1|why|1024|100000");
}

// The clocks of all nodes followed, and what they wrote next no node could read.
TEST_CASE("quarantine: a row with a clock beyond the year 2200 is damage: it lands nowhere, no clock follows, and all goes on") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  const Origin stranger{NodeId{77}, Incarnation{5}};
  uint64_t unit = 0;
  for (const uint64_t hlc : {uint64_t{INT64_MAX}, Hlc::from_wall(Hlc::kEnd).value}) {
    codec::UnitWriter writer;
    UnitTable table;
    table.name = "t";
    table.columns = {"id", "v"};
    table.key = {UnitKeyColumn{0, Collation::binary, Affinity::number, false}};
    const uint32_t at = writer.add_table(table);
    std::string key;
    append_key_part(key, ValueView::of_integer(3));
    writer.row(at, writer.add_version(Version{Hlc{hlc}, stranger}), Op::insert, key);
    writer.value(ValueView::of_integer(3));
    writer.value(ValueView::of_text("poison"));
    ++unit;
    t.stream.append(codec::message_id(stranger, unit, 0), codec::seal(codec::Kind::rows, stranger, unit, require(writer.finish(false, 0)), 4096, 1)[0]);
  }
  t.a.sql("INSERT INTO t VALUES(3, 'fine')");
  t.settle();
  t.b.sql("UPDATE t SET v = 'later'");
  t.settle();
  t.same("SELECT * FROM t", "3|later");
  for (Node* node : {&t.a, &t.b, &t.c}) {
    CHECK(require(node->engine().counters()).quarantined == 2);
    CHECK(node->engine().last_hlc() < Hlc::from_wall(t.a.now + 1000));
  }
}
