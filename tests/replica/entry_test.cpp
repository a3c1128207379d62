// What a node does that comes to its stream (common/node/stream_entry.hpp), and where a stream begins anew.
#include <doctest/doctest.h>

#include "common/codec/message.hpp"
#include "common/node/stream_entry.hpp"
#include "tests/replica/cluster.hpp"

using namespace marmot;
using namespace marmot::test;
using node::EntryFacts;
using node::EntryStep;

namespace {

std::string genesis(uint64_t id) {
  return codec::seal(codec::Kind::genesis, Origin{NodeId{9}, Incarnation{9}}, 0, codec::encode_genesis({id, HashKey{3, 4}}), 64 * 1024, codec::kFormatOfKeys).front();
}

// A member whose stream was trimmed, and lost its end below what it has seen.
EntryFacts severed() {
  EntryFacts facts;
  facts.node = NodeId{1};
  facts.membership = replica::Membership::joining;
  facts.position = replica::Position{77, 0, {}};
  facts.first = 5;
  facts.last = 8;
  facts.beginning = EntryFacts::Beginning::gone;
  facts.asked_name = true;
  return facts;
}

EntryStep step(const EntryFacts& facts) { return node::decide_entry(facts).step; }

}  // namespace

TEST_CASE("entry: a stream that nobody can bridge is begun anew, once all members wait for a snapshot") {
  EntryFacts facts = severed();
  CHECK(step(facts) == EntryStep::snapshot);
  facts.company = EntryFacts::Company{0, false, true, true};
  CHECK(step(facts) == EntryStep::ask_for_snapshot);
  facts.company->waited_ms = 5'000;
  CHECK(step(facts) == EntryStep::begin_anew);
  facts.company->lowest = false;  // the lowest goes first
  CHECK(step(facts) == EntryStep::ask_for_snapshot);
  facts.company->waited_ms = 10'000;
  CHECK(step(facts) == EntryStep::begin_anew);
  facts.company->all_wait = false;  // one that is away may be the one that can help
  CHECK(step(facts) == EntryStep::ask_for_snapshot);
  facts.company->waited_ms = 600'000;
  CHECK(step(facts) == EntryStep::begin_anew);
  facts.company->able = true;
  CHECK(step(facts) == EntryStep::ask_for_snapshot);
  facts.company->able = false;
  facts.membership = replica::Membership::none;  // it holds nothing that the stream could be built from
  CHECK(step(facts) == EntryStep::ask_for_snapshot);
}

TEST_CASE("entry: a genesis that was met in the stream voids what is before it") {
  EntryFacts facts = severed();
  facts.position.seq = 7;
  facts.anew = 8;
  CHECK(step(facts) == EntryStep::drop_before);
  facts.first = 8;
  facts.beginning = EntryFacts::Beginning::not_read;
  CHECK(step(facts) == EntryStep::read_genesis);
  facts.genesis = *require(node::read_beginning(8, genesis(78)));
  facts.beginning = EntryFacts::Beginning::there;
  CHECK(step(facts) == EntryStep::history_lost);
  CHECK(node::before_beginning(facts) == 7);
  CHECK_FALSE(require(node::read_beginning(8, "anything")).has_value());
  CHECK_FALSE(node::read_beginning(1, "anything"));
}

TEST_CASE("entry: a stream whose messages have all aged out is named by a snapshot before its numbers are believed") {
  EntryFacts facts;
  facts.node = NodeId{1};
  facts.membership = replica::Membership::member;
  facts.position = replica::Position{77, 8, "1.1.8"};
  facts.first = 9;
  facts.last = 8;
  CHECK(step(facts) == EntryStep::learn_stream);
  facts.asked_name = true;  // no snapshot: nobody can tell that it is another one
  CHECK(step(facts) == EntryStep::follow);
  facts.genesis = EntryFacts::Genesis{77, {}};
  CHECK(step(facts) == EntryStep::follow);
  facts.position.seq = 7;
  CHECK(step(facts) == EntryStep::snapshot);
  facts.position.seq = 8;
  facts.genesis->stream_id = 78;  // made anew, and just as long
  CHECK(step(facts) == EntryStep::history_lost);
  CHECK(node::before_beginning(facts) == 0);
  facts.membership = replica::Membership::none;  // it has no place there that could be wrong
  facts.genesis.reset();
  facts.asked_name = false;
  CHECK(step(facts) == EntryStep::snapshot);
}

TEST_CASE("entry: a stream that lost its beginning is named by a snapshot too, once") {
  EntryFacts facts = severed();
  facts.asked_name = false;
  facts.position.seq = 6;
  facts.beginning = EntryFacts::Beginning::not_read;
  CHECK(step(facts) == EntryStep::read_genesis);
  facts.beginning = EntryFacts::Beginning::gone;
  CHECK(step(facts) == EntryStep::learn_stream);
  facts.asked_name = true;
  CHECK(step(facts) == EntryStep::read_position);
}

TEST_CASE("entry: the message at the cursor is known by its id and by when the stream took it") {
  EntryFacts facts;
  facts.node = NodeId{1};
  facts.membership = replica::Membership::member;
  facts.first = 1;
  facts.last = 9;
  facts.genesis = EntryFacts::Genesis{77, {}};
  facts.beginning = EntryFacts::Beginning::there;
  facts.looked = EntryFacts::Look::found;
  const auto seen = [&](const std::string& id, WallMs at) { facts.position = replica::Position{77, 8, id, at}; };
  const auto holds = [&](const std::string& id, WallMs at) {
    facts.msg_id = id;
    facts.msg_at = at;
    return step(facts);
  };
  seen("1.1.8", 500);
  CHECK(holds("1.1.8", 500) == EntryStep::follow);
  CHECK(holds("1.1.9", 500) == EntryStep::history_lost);
  CHECK(holds("1.1.8", 700) == EntryStep::history_lost);  // its sender sent it again, behind others
  seen("", 500);
  CHECK(holds("", 500) == EntryStep::follow);
  CHECK(holds("", 700) == EntryStep::history_lost);
  seen("1.1.8", 0);  // of a file that an earlier Marmot left
  CHECK(holds("1.1.8", 700) == EntryStep::follow);
  CHECK(holds("", 700) == EntryStep::history_lost);
  seen("", replica::Position::kGone);
  CHECK(holds("", 700) == EntryStep::history_lost);
}

TEST_CASE("engine: the cursor keeps when the stream took its message, or that it was gone") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.a.sql("INSERT INTO t VALUES(1, 'one')");
  t.settle();
  CHECK(t.b.engine().position().at == t.stream.messages.back().at);
  t.b.restart({});
  CHECK(t.b.engine().position().at == t.stream.messages.back().at);
  const StreamSeq next = t.b.engine().position().seq + 1;
  std::deque<replica::Incoming> queue{replica::Incoming{next, t.b.now, {}, {}, true}};
  require(t.b.engine().apply(queue, false));
  t.b.restart({});
  CHECK(t.b.engine().position().at == replica::Position::kGone);
}

TEST_CASE("engine: a genesis of another stream is not passed over; behind it each node publishes what it holds") {
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  t.a.sql("INSERT INTO t VALUES(1,'a'),(2,'gone'); DELETE FROM t WHERE id = 2");
  t.settle();
  t.b.sql("INSERT INTO t VALUES(3,'only b has seen this')");
  t.b.drain();  // sent, and lost with the end of the stream
  const StreamSeq before = t.stream.messages.size();
  t.stream.append("anew", genesis(78));
  for (Node* node : {&t.a, &t.b, &t.c}) {
    std::deque<replica::Incoming> queue{replica::Incoming{before + 1, node->now, "anew", genesis(78)}};
    CHECK(require(node->engine().apply(queue, false)).begins_anew == before + 1);
    CHECK(node->engine().position().seq == before);
  }
  t.stream.id = 78;
  uint64_t life = 5000;
  for (Node* node : {&t.a, &t.b, &t.c}) require(node->engine().history_lost(78, before + 1, Incarnation{++life}, before));
  t.settle();
  t.same("SELECT * FROM t", "1|a\n3|only b has seen this");
}

TEST_CASE("entry: a clock probe begins nothing anew, wherever it stands") {
  const std::string probe = codec::seal(codec::Kind::genesis, Origin{NodeId{9}, Incarnation{9}}, 0, codec::encode_genesis({}), 4096, codec::kFormatOfKeys).front();
  CHECK_FALSE(require(node::read_beginning(8, probe)));
  Three t("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'one')");
  t.stream.append("probe", probe);
  const StreamSeq at = t.stream.messages.size();
  std::deque<replica::Incoming> queue{replica::Incoming{at, t.a.now, "probe", probe}};
  CHECK(require(t.a.engine().apply(queue, false)).begins_anew == 0);
  CHECK(t.a.engine().position().seq == at);
}
