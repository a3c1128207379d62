// The publisher's rules of order and repetition (common/node/publisher.hpp), against a Host whose answers the test gives.
#include "common/node/publisher.hpp"

#include <doctest/doctest.h>

#include <utility>

using namespace marmot;
using namespace marmot::node;

namespace {

// What a Publisher has sent, and what the test answers.
class Wire {
 public:
  struct Sent {
    std::string id;
    std::function<void(Result<PublishAck>)> done;
  };
  std::vector<Sent> sent;
  size_t room = 1000;
  std::function<void()> after_pause;
  std::vector<int64_t> pauses;

  // Answers the oldest one that is not answered yet.
  void answer(Result<PublishAck> ack) {
    auto done = std::move(sent.at(answered_++).done);
    done(std::move(ack));
  }
  void pass() { std::exchange(after_pause, nullptr)(); }
  std::string ids(size_t from = 0) const {
    std::string out;
    for (size_t i = from; i < sent.size(); ++i) out += (out.empty() ? "" : " ") + sent[i].id;
    return out;
  }
  Status send(std::string_view msg_id, std::function<void(Result<PublishAck>)> done) {
    if (sent.size() - answered_ >= room) return make_error(Errc::busy, "full");
    sent.push_back({std::string(msg_id), std::move(done)});
    return ok();
  }

 private:
  size_t answered_ = 0;
};

replica::OutUnit unit(const std::string& name, size_t parts = 1) {
  replica::OutUnit out;
  out.rows = 10;
  for (size_t i = 0; i < parts; ++i) {
    out.messages.push_back("bytes of " + name);
    out.msg_ids.push_back(parts == 1 ? name : name + std::to_string(i));
  }
  return out;
}

struct Bench {
  Wire wire;
  int suspicious = 0, lost = 0;
  std::vector<std::string> log;
  Publisher publisher{host()};

  Publisher::Host host() {
    Publisher::Host host;
    host.send = [this](std::string_view msg_id, std::string_view, std::function<void(Result<PublishAck>)> then) {
      return wire.send(msg_id, std::move(then));
    };
    host.pause = [this](int64_t ms, std::function<void()> then) {
      wire.pauses.push_back(ms);
      wire.after_pause = std::move(then);
    };
    host.now = [] { return WallMs{1000}; };
    host.changed = [] {};
    host.lost = [this] { ++lost; };
    host.suspicious = [this] { ++suspicious; };
    host.log = [this](LogLevel, std::string_view text) { log.emplace_back(text); };
    return host;
  }
  void add(std::vector<replica::OutUnit> units) {
    for (replica::OutUnit& unit : units) unit.number = ++numbers;
    publisher.add(std::move(units));
  }
  uint64_t numbers = 0;
};

PublishAck at(StreamSeq seq, bool duplicate = false) { return PublishAck{seq, duplicate}; }

}  // namespace

TEST_CASE("publisher: all units go out at once, in order, and count as published when their last part is stored") {
  Bench bench;
  bench.add({unit("a"), unit("b", 2)});
  CHECK(bench.wire.ids().empty());  // not started
  bench.publisher.start(0, 0);
  CHECK(bench.wire.ids() == "a b0 b1");
  CHECK(bench.publisher.pending_rows() == 20);
  bench.wire.answer(at(1));
  bench.wire.answer(at(2));
  CHECK(bench.publisher.published_rows() == 10);
  const uint64_t mark = bench.publisher.mark();
  CHECK_FALSE(bench.publisher.stored_through(mark));
  bench.wire.answer(at(3));
  CHECK(bench.publisher.published_rows() == 20);
  CHECK(bench.publisher.stored_through(mark));
  CHECK(bench.publisher.all_stored());
  CHECK(bench.publisher.last_stored() == 3);
}

TEST_CASE("publisher: a unit is kept until its echo was applied, and goes again after a reconnect until then") {
  Bench bench;
  bench.add({unit("a"), unit("b")});
  bench.publisher.start(0, 0);
  bench.wire.answer(at(5));
  bench.wire.answer(at(6));
  CHECK_FALSE(bench.publisher.empty());
  bench.publisher.applied(5, 1);
  bench.publisher.pause();
  // The server came back without message 6: what was acknowledged is sent again under its old id.
  bench.publisher.start(5, 1);
  CHECK(bench.wire.ids(2) == "b");
  CHECK_FALSE(bench.publisher.all_stored());
  bench.wire.answer(at(6));
  bench.publisher.applied(6, 2);
  CHECK(bench.publisher.empty());
  CHECK(bench.publisher.bytes() == 0);
  CHECK(bench.publisher.pending_rows() == 0);
}

// The stream lost units whose echoes were still to be marked, and grew past them; then the file merged a snapshot. By its position they
// had come round: they were never sent again, and what followed them waited for them on every node (simulator, seed 196).
TEST_CASE("publisher: a stored unit that has not come round is sent again, however far the file's position is") {
  Bench bench;
  bench.add({unit("a"), unit("b"), unit("c")});
  bench.publisher.start(0, 0);
  for (const uint64_t seq : {2U, 3U, 4U}) bench.wire.answer(at(seq));
  bench.publisher.pause();
  bench.publisher.start(34, 1);
  CHECK(bench.wire.ids(3) == "b c");
}

TEST_CASE("publisher: after a failure nothing new leaves before everything in flight is answered, then all of it in order") {
  Bench bench;
  bench.publisher.start(0, 0);
  bench.add({unit("a"), unit("b"), unit("c")});
  bench.wire.answer(make_error(Errc::timeout, "no answer"));
  bench.add({unit("d")});
  CHECK(bench.wire.ids() == "a b c");
  bench.wire.answer(at(1));  // b overtook a
  bench.wire.answer(make_error(Errc::timeout, "no answer"));
  CHECK(bench.wire.sent.size() == 3);
  CHECK(bench.wire.pauses == std::vector<int64_t>{50});
  bench.wire.pass();
  CHECK(bench.wire.ids(3) == "a c d");
  CHECK(bench.publisher.last_error() == "publish: no answer");
  bench.wire.answer(at(2));
  CHECK(bench.publisher.last_error().empty());
}

TEST_CASE("publisher: answers to what was sent before a reconnect are not listened to") {
  Bench bench;
  bench.publisher.start(0, 0);
  bench.add({unit("a")});
  bench.publisher.pause();
  bench.publisher.start(0, 0);
  CHECK(bench.wire.ids() == "a a");
  bench.wire.answer(at(1));
  CHECK_FALSE(bench.publisher.all_stored());
  bench.wire.answer(at(1, true));
  CHECK(bench.publisher.all_stored());
  CHECK(bench.log.empty());  // a duplicate is no news when it was sent twice
}

TEST_CASE("publisher: a duplicate at the first sending is an error that is said aloud") {
  Bench bench;
  bench.publisher.start(0, 0);
  bench.add({unit("a")});
  bench.wire.answer(at(1, true));
  REQUIRE(bench.log.size() == 1);
  CHECK(bench.log[0].find("message id a") != std::string::npos);
  CHECK_FALSE(bench.publisher.last_error().empty());
}

TEST_CASE("publisher: a new message that is stored at or before what the file has seen puts the stream in doubt") {
  Bench bench;
  bench.publisher.start(10, 0);
  bench.add({unit("a"), unit("b")});
  bench.wire.answer(at(11));
  CHECK(bench.suspicious == 0);
  bench.wire.answer(at(9));
  CHECK(bench.suspicious == 1);
}

TEST_CASE("publisher: the connection's bound is waited for, and what is held back is not sent") {
  Bench bench;
  bench.wire.room = 2;
  bench.publisher.start(0, 0);
  bench.add({unit("a"), unit("b"), unit("c")});
  CHECK(bench.wire.ids() == "a b");
  bench.wire.answer(at(1));
  CHECK(bench.wire.ids() == "a b c");
  bench.publisher.hold(true);
  bench.add({unit("d")});
  bench.wire.answer(at(2));
  CHECK(bench.wire.ids() == "a b c");
  bench.publisher.hold(false);
  CHECK(bench.wire.ids() == "a b c d");
}

TEST_CASE("publisher: failures wait twice as long each time, to an end, and a success begins anew") {
  Bench bench;
  bench.publisher.start(0, 0);
  bench.add({unit("a")});
  for (int i = 0; i < 8; ++i) {
    bench.wire.answer(make_error(Errc::timeout, "no answer"));
    bench.wire.pass();
  }
  CHECK(bench.wire.pauses == std::vector<int64_t>{50, 100, 200, 400, 800, 1600, 2000, 2000});
  bench.wire.answer(at(1));
  bench.add({unit("b")});
  bench.wire.answer(make_error(Errc::timeout, "no answer"));
  CHECK(bench.wire.pauses.back() == 50);
  // Paused meanwhile: the end of the wait sends nothing.
  bench.publisher.pause();
  bench.wire.pass();
  CHECK(bench.wire.ids(9) == "b");
}

// A drain takes what there is, however much: with nothing applied no echo came round, and nothing made room again.
TEST_CASE("publisher: beyond its bound it takes nothing more, and lets echoes be applied once all is stored") {
  Bench bench;
  Publisher small(bench.host(), 10);
  CHECK(small.takes_units());
  std::vector<replica::OutUnit> units{unit("a"), unit("b"), unit("c"), unit("d"), unit("e")};
  for (replica::OutUnit& one : units) one.number = ++bench.numbers;
  small.start(0, 0);
  small.add(std::move(units));
  CHECK(small.bytes() == 50);
  CHECK_FALSE(small.takes_units());
  CHECK_FALSE(small.lets_apply());
  for (StreamSeq seq = 1; seq <= 5; ++seq) bench.wire.answer(at(seq));
  CHECK_FALSE(small.takes_units());
  CHECK(small.lets_apply());
  small.applied(5, 5);
  CHECK(small.takes_units());
}

// It was logged, and the unit taken for sent: its rows were acknowledged by nothing until the agent's next start.
TEST_CASE("publisher: a message that the stream drops at its first sending, for its id is used, is told as lost") {
  Bench bench;
  bench.add({unit("a", 2)});
  bench.publisher.start(0, 0);
  bench.wire.answer(at(4, true));
  CHECK(bench.lost == 1);
  bench.wire.answer(make_error(Errc::timeout, "no answer"));
  bench.wire.pass();
  bench.wire.answer(at(5, true));  // sent twice: it is its own
  CHECK(bench.lost == 1);
}

TEST_CASE("publisher: a message that comes with other bytes than were sent is told as lost, once") {
  Bench bench;
  bench.add({unit("a"), unit("b")});
  bench.publisher.start(0, 0);
  CHECK(bench.publisher.came("a", "bytes of a"));
  CHECK(bench.lost == 0);
  CHECK(bench.publisher.came("b", "other bytes"));
  CHECK(bench.lost == 1);
  bench.wire.answer(at(1));
  bench.wire.answer(at(2, true));
  CHECK(bench.lost == 1);
}

TEST_CASE("publisher: a unit that was stored below the file's position and did not come round is told as lost") {
  Bench bench;
  bench.add({unit("a"), unit("b", 2), unit("c")});
  bench.publisher.start(0, 0);
  for (const StreamSeq seq : {2U, 3U, 4U, 5U}) bench.wire.answer(at(seq));
  bench.publisher.applied(3, 1);  // b has come in part
  CHECK(bench.lost == 0);
  bench.publisher.applied(5, 1);  // its other part was deleted from the stream: c waits for it
  CHECK(bench.lost == 1);
  CHECK(bench.publisher.empty());
}
