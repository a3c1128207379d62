// The publisher's rules of order and repetition, against a connection whose answers the test gives.
#include <doctest/doctest.h>

#include "agent/replication/publisher.hpp"
#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;

namespace {

class FakeConnection : public nats::Connection {
 public:
  struct Sent {
    std::string id;
    std::function<void(Result<nats::Ack>)> done;
  };
  std::vector<Sent> sent;
  size_t room = 1000;

  // Answers the oldest one that is not answered yet.
  void answer(Result<nats::Ack> ack) {
    auto done = std::move(sent.at(answered_++).done);
    done(std::move(ack));
  }
  std::string ids(size_t from = 0) const {
    std::string out;
    for (size_t i = from; i < sent.size(); ++i) out += (out.empty() ? "" : " ") + sent[i].id;
    return out;
  }

  Status publish_log(const nats::LogMessage& message, std::function<void(Result<nats::Ack>)> done) override {
    if (sent.size() - answered_ >= room) return make_error(Errc::busy, "full");
    sent.push_back({std::string(message.msg_id), std::move(done)});
    return ok();
  }
  bool connected() const override { return true; }
  const std::string& url() const override { return text_; }
  size_t max_payload() const override { return 1 << 20; }
  const std::string& down_reason() const override { return text_; }
  Status publish(std::string_view, std::string_view, std::string_view) override { return ok(); }
  std::unique_ptr<nats::Subscription> subscribe(std::string_view, std::function<void(const nats::Message&)>) override { return nullptr; }
  Status request(std::string_view, std::string_view, int64_t, Reply) override { return ok(); }
  Status request_many(std::string_view, std::string_view, int64_t, std::function<void(const nats::Message&)>,
                      std::function<void(size_t)>) override {
    return ok();
  }
  void ensure_stream(const nats::StreamConfig&, StateReply) override {}
  void stream_state(std::string_view, StateReply) override {}
  void get_message(std::string_view, uint64_t, std::function<void(Result<nats::StoredMessage>)>) override {}
  void drop_before(std::string_view, uint64_t, std::function<void(Status)>) override {}
  size_t in_flight() const override { return sent.size() - answered_; }
  std::unique_ptr<nats::LogSubscription> subscribe_log(std::string_view, uint64_t, nats::LogHandlers) override { return nullptr; }
  std::unique_ptr<nats::ObjectStore> object_store(nats::Bucket) override { return nullptr; }

 private:
  size_t answered_ = 0;
  std::string text_;
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
  uv::Loop loop;
  FakeConnection connection;
  int suspicious = 0;
  std::vector<std::string> log;
  Publisher publisher{loop, "S", "s", "db", [this](LogLevel, std::string_view text) { log.emplace_back(text); },
                      {[] {}, [this] { ++suspicious; }}};
  void add(std::vector<replica::OutUnit> units) {
    for (replica::OutUnit& unit : units) unit.number = ++numbers;
    publisher.add(std::move(units));
  }
  uint64_t numbers = 0;
};

nats::Ack at(uint64_t seq, bool duplicate = false) { return nats::Ack{seq, duplicate}; }

}  // namespace

TEST_CASE("publisher: all units go out at once, in order, and count as published when their last part is stored") {
  Bench bench;
  bench.add({unit("a"), unit("b", 2)});
  CHECK(bench.connection.ids().empty());  // not started
  bench.publisher.start(bench.connection, 0, 0);
  CHECK(bench.connection.ids() == "a b0 b1");
  CHECK(bench.publisher.pending_rows() == 20);
  bench.connection.answer(at(1));
  bench.connection.answer(at(2));
  CHECK(bench.publisher.published_rows() == 10);
  const uint64_t mark = bench.publisher.mark();
  CHECK_FALSE(bench.publisher.stored_through(mark));
  bench.connection.answer(at(3));
  CHECK(bench.publisher.published_rows() == 20);
  CHECK(bench.publisher.stored_through(mark));
  CHECK(bench.publisher.all_stored());
  CHECK(bench.publisher.last_stored() == 3);
}

TEST_CASE("publisher: a unit is kept until its echo was applied, and goes again after a reconnect until then") {
  Bench bench;
  bench.add({unit("a"), unit("b")});
  bench.publisher.start(bench.connection, 0, 0);
  bench.connection.answer(at(5));
  bench.connection.answer(at(6));
  CHECK_FALSE(bench.publisher.empty());
  bench.publisher.applied(5);
  bench.publisher.pause();
  // The server came back without message 6: what was acknowledged is sent again under its old id.
  bench.publisher.start(bench.connection, 5, 1);
  CHECK(bench.connection.ids(2) == "b");
  CHECK_FALSE(bench.publisher.all_stored());
  bench.connection.answer(at(6));
  bench.publisher.applied(6);
  CHECK(bench.publisher.empty());
  CHECK(bench.publisher.bytes() == 0);
  CHECK(bench.publisher.pending_rows() == 0);
}

// The stream lost units whose echoes were still to be marked, and grew past them; then the file merged a snapshot. By its position they
// had come round: they were never sent again, and what followed them waited for them on every node (simulator, seed 196).
TEST_CASE("publisher: a stored unit that has not come round is sent again, however far the file's position is") {
  Bench bench;
  bench.add({unit("a"), unit("b"), unit("c")});
  bench.publisher.start(bench.connection, 0, 0);
  for (const uint64_t seq : {2U, 3U, 4U}) bench.connection.answer(at(seq));
  bench.publisher.pause();
  bench.publisher.start(bench.connection, 34, 1);
  CHECK(bench.connection.ids(3) == "b c");
}

TEST_CASE("publisher: after a failure nothing new leaves before everything in flight is answered, then all of it in order") {
  Bench bench;
  bench.publisher.start(bench.connection, 0, 0);
  bench.add({unit("a"), unit("b"), unit("c")});
  bench.connection.answer(make_error(Errc::timeout, "no answer"));
  bench.add({unit("d")});
  CHECK(bench.connection.ids() == "a b c");
  bench.connection.answer(at(1));  // b overtook a
  bench.connection.answer(make_error(Errc::timeout, "no answer"));
  CHECK(test::run_until(bench.loop, [&] { return bench.connection.sent.size() == 6; }));
  CHECK(bench.connection.ids(3) == "a c d");
  CHECK(bench.publisher.last_error() == "publish: no answer");
  bench.connection.answer(at(2));
  CHECK(bench.publisher.last_error().empty());
}

TEST_CASE("publisher: answers to what was sent before a reconnect are not listened to") {
  Bench bench;
  bench.publisher.start(bench.connection, 0, 0);
  bench.add({unit("a")});
  bench.publisher.pause();
  bench.publisher.start(bench.connection, 0, 0);
  CHECK(bench.connection.ids() == "a a");
  bench.connection.answer(at(1));
  CHECK_FALSE(bench.publisher.all_stored());
  bench.connection.answer(at(1, true));
  CHECK(bench.publisher.all_stored());
  CHECK(bench.log.empty());  // a duplicate is no news when it was sent twice
}

TEST_CASE("publisher: a duplicate at the first sending is an error that is said aloud") {
  Bench bench;
  bench.publisher.start(bench.connection, 0, 0);
  bench.add({unit("a")});
  bench.connection.answer(at(1, true));
  REQUIRE(bench.log.size() == 1);
  CHECK(bench.log[0].find("message id a") != std::string::npos);
  CHECK_FALSE(bench.publisher.last_error().empty());
}

TEST_CASE("publisher: a new message that is stored at or before what the file has seen puts the stream in doubt") {
  Bench bench;
  bench.publisher.start(bench.connection, 10, 0);
  bench.add({unit("a"), unit("b")});
  bench.connection.answer(at(11));
  CHECK(bench.suspicious == 0);
  bench.connection.answer(at(9));
  CHECK(bench.suspicious == 1);
}

TEST_CASE("publisher: the connection's bound is waited for, and what is held back is not sent") {
  Bench bench;
  bench.connection.room = 2;
  bench.publisher.start(bench.connection, 0, 0);
  bench.add({unit("a"), unit("b"), unit("c")});
  CHECK(bench.connection.ids() == "a b");
  bench.connection.answer(at(1));
  CHECK(bench.connection.ids() == "a b c");
  bench.publisher.hold(true);
  bench.add({unit("d")});
  bench.connection.answer(at(2));
  CHECK(bench.connection.ids() == "a b c");
  bench.publisher.hold(false);
  CHECK(bench.connection.ids() == "a b c d");
}
