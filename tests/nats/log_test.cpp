#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "tests/nats/fixture.hpp"
#include "tests/nats/lossy_proxy.hpp"

using namespace marmot;
using namespace marmot::testing;
using namespace marmot::agent::nats;

namespace {

// What the agent's publisher does: keeps what is not acknowledged and sends it again, the same bytes under the same ids,
// in order.
class Publisher {
 public:
  Publisher(Client& client, int count) : client_(client) {
    for (int i = 1; i <= count; ++i) unsent_.insert(i);
  }

  static std::string id(int number) { return "m" + std::to_string(number); }
  static std::string data(int number) { return "message " + std::to_string(number); }

  void pump() {
    while (!unsent_.empty() && client_->connected()) {
      const int number = *unsent_.begin();
      const std::string name = id(number), bytes = data(number);
      const Status status = client_->publish_log(log_message(name, bytes), [this, number](Result<Ack> ack) { answered(number, ack); });
      if (!status) break;  // busy or away: the next answer or connection pumps
      unsent_.erase(unsent_.begin());
    }
  }

  bool all_acknowledged(int count) const { return acked.size() == static_cast<size_t>(count); }

  std::map<int, uint64_t> acked;
  std::vector<int> order;  // of acknowledgements
  int errors = 0;
  std::map<std::string, int> by_text;
  int duplicates = 0;

 private:
  void answered(int number, const Result<Ack>& ack) {
    if (ack) {
      acked[number] = ack->seq;
      order.push_back(number);
      duplicates += ack->duplicate;
    } else {
      ++errors;
      ++by_text[ack.error().message];
      unsent_.insert(number);
    }
  }

  Client& client_;
  std::set<int> unsent_;
};

void publish_some(Client& client, int from, int to) {
  for (int i = from; i <= to; ++i) REQUIRE(client.publish(log_message(Publisher::id(i), Publisher::data(i))));
}

bool in_order_from(const std::vector<Delivered>& messages, uint64_t first) {
  for (const Delivered& message : messages) {
    if (message.seq != first++) return false;
  }
  return true;
}

// A field of the stream's only consumer, as the server tells it.
std::string consumer_field(Client& client, const std::string& key) {
  const auto list = client.admin("CONSUMER.LIST.MARMOT_test_app");
  REQUIRE(list);
  const size_t at = list->find("\"" + key + "\":");
  REQUIRE(at != std::string::npos);
  const size_t start = list->find_first_not_of('"', at + key.size() + 3);
  return list->substr(start, list->find_first_of("\",}", start) - start);
}

}  // namespace

TEST_CASE("log: 10,000 pipelined messages are acknowledged in order and seen once each in order") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  Reader reader(client, 1);
  Publisher publisher(client, 10'000);
  CHECK(loop.run_until([&] {
    publisher.pump();
    return publisher.all_acknowledged(10'000) && reader.messages.size() >= 10'000;
  }, 20'000));
  CHECK(publisher.errors == 0);
  CHECK(std::is_sorted(publisher.order.begin(), publisher.order.end()));
  REQUIRE(reader.messages.size() == 10'000);
  CHECK(in_order_from(reader.messages, 1));
  for (int i = 1; i <= 10'000; ++i) {
    const Delivered& message = reader.messages[static_cast<size_t>(i) - 1];
    if (message.msg_id != Publisher::id(i) || message.data != Publisher::data(i)) FAIL_CHECK("message " << i << " is " << message.msg_id);
  }
  CHECK(reader.messages[0].time_ms > 1'600'000'000'000);
  CHECK(reader.problems.empty());
}

TEST_CASE("log: kill -9 of the server in the middle loses nothing and doubles nothing") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  Reader reader(client, 1);
  constexpr int kCount = 20'000;
  Publisher publisher(client, kCount);
  int kills = 0;
  const bool done = loop.run_until([&] {
    publisher.pump();
    if (kills < 3 && publisher.acked.size() > static_cast<size_t>(kills + 1) * 4'000) {
      ++kills;
      server.kill9();
      server.start();
    }
    return publisher.all_acknowledged(kCount) && reader.subscription->last_seq() >= kCount;
  }, 40'000);
  CHECK(done);
  CHECK(kills == 3);
  CHECK(publisher.errors > 0);  // else the kills hit nothing
  MESSAGE("errors " << publisher.errors << ", duplicates flagged " << publisher.duplicates << ", connections " << client.ups);
  for (const auto& [text, count] : publisher.by_text) MESSAGE(count << " times: " << text);
  for (const LogProblem& problem : reader.problems) MESSAGE(problem.ended << " " << problem.error.message);
  CHECK(reader.problems.empty());
  REQUIRE(reader.messages.size() == client.state("MARMOT_test_app")->last_seq);
  CHECK(in_order_from(reader.messages, 1));
  std::set<std::string> ids;
  for (const Delivered& message : reader.messages) ids.insert(message.msg_id);
  CHECK(ids.size() == kCount);
  CHECK(reader.messages.size() == kCount);
}

TEST_CASE("log: what is in flight when the connection breaks fails at once, in the order of sending") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  server.freeze();
  std::vector<int> failed;
  for (int i = 0; i < 500; ++i) {
    REQUIRE(client->publish_log(log_message(Publisher::id(i), "x"), [&failed, i](Result<Ack> ack) {
      CHECK(ack.error().code == Errc::unavailable);
      failed.push_back(i);
    }));
  }
  loop.run_for(50);
  CHECK(failed.empty());
  server.kill9();
  CHECK(loop.run_until([&] { return failed.size() == 500; }, 3'000));
  CHECK(std::is_sorted(failed.begin(), failed.end()));
  CHECK(client->in_flight() == 0);
}

TEST_CASE("log: messages lost on the way are neither skipped nor taken for a gap; reading starts again behind the last") {
  RealServer server;
  Loop loop;
  LossyProxy proxy(server.port());
  Client client(loop, Client::to(proxy.url())), writer(loop, server);
  REQUIRE(client.up());
  REQUIRE(writer.up());
  REQUIRE(writer.ensure(log_stream()));
  publish_some(writer, 1, 3);
  Reader reader(client, 1);
  REQUIRE(loop.run_until([&] { return reader.messages.size() == 3; }));

  proxy.lose(3);
  publish_some(writer, 4, 10);  // 7 arrives where 4 is due
  REQUIRE(loop.run_until([&] { return reader.messages.size() == 10; }));
  CHECK(proxy.still_to_lose() == 0);
  CHECK(in_order_from(reader.messages, 1));

  proxy.lose(1);
  publish_some(writer, 11, 11);  // and nothing behind it: the next heartbeat tells
  REQUIRE(loop.run_until([&] { return reader.messages.size() == 11; }));
  CHECK(proxy.still_to_lose() == 0);
  CHECK(in_order_from(reader.messages, 1));
  CHECK(reader.problems.empty());
  CHECK(client.ups == 1);
}

TEST_CASE("log: a subscription may start in the middle, and before the server is there") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  publish_some(client, 1, 20);
  Reader reader(client, 11);
  CHECK(loop.run_until([&] { return reader.messages.size() == 10; }));
  CHECK(in_order_from(reader.messages, 11));

  server.stop();
  Client late(loop, server);
  Reader waiting(late, 1);
  loop.run_for(100);
  CHECK(waiting.messages.empty());
  server.start();
  CHECK(loop.run_until([&] { return waiting.messages.size() == 20; }));
  CHECK(waiting.problems.empty());
  // The first one goes on as well.
  REQUIRE(client.up());
  publish_some(client, 21, 30);
  CHECK(loop.run_until([&] { return reader.messages.size() == 20 && waiting.messages.size() == 30; }));
  CHECK(in_order_from(reader.messages, 11));
  CHECK(in_order_from(waiting.messages, 1));
}

TEST_CASE("log: a paused subscription delivers nothing, and the server stops sending to it") {
  RealServer server;
  Loop loop;
  Client client(loop, server), writer(loop, server);
  REQUIRE(client.up());
  REQUIRE(writer.up());
  REQUIRE(client.ensure(log_stream()));
  Reader reader(client, 1);
  publish_some(writer, 1, 1);
  REQUIRE(loop.run_until([&] { return reader.messages.size() == 1; }));
  reader.subscription->pause();
  // 100 MB, three times the window.
  constexpr int kCount = 200;
  const std::string large(512 << 10, 'x');
  int acked = 0;
  for (int i = 0; i < kCount; ++i) {
    const std::string id = "large" + std::to_string(i);
    while (true) {
      const Status sent = writer->publish_log(log_message(id, large), [&](Result<Ack> ack) { acked += bool(ack); });
      if (sent) break;
      REQUIRE(sent.error().code == Errc::busy);
      loop.run_for(5);
    }
  }
  REQUIRE(loop.run_until([&] { return acked == kCount; }, 20'000));
  loop.run_for(4'000);  // longer than the silence that would restart it
  CHECK(reader.messages.size() == 1);
  CHECK(std::stoi(consumer_field(client, "num_pending")) > kCount / 2);  // still on the server
  reader.subscription->resume();
  CHECK(loop.run_until([&] { return reader.messages.size() == kCount + 1; }, 20'000));
  CHECK(in_order_from(reader.messages, 1));
  CHECK(reader.problems.empty());
}

TEST_CASE("log: pause within a callback holds the very next message, resume goes on there") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  publish_some(client, 1, 50);
  std::vector<uint64_t> seen;
  std::unique_ptr<LogSubscription> subscription;
  subscription = client->subscribe_log("MARMOT_test_app", 1,
                                       {[&](Delivered message) {
                                          seen.push_back(message.seq);
                                          subscription->pause();
                                        },
                                        nullptr});
  for (size_t i = 1; i <= 50; ++i) {
    REQUIRE(loop.run_until([&] { return seen.size() == i; }));
    loop.run_for(1);
    REQUIRE(seen.size() == i);
    REQUIRE(seen.back() == i);
    subscription->resume();
  }
}

TEST_CASE("log: messages deleted from the stream are told as a gap, whether more follows or not") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  publish_some(client, 1, 10);
  REQUIRE(client.admin("STREAM.MSG.DELETE.MARMOT_test_app", R"({"seq":5})"));
  REQUIRE(client.admin("STREAM.PURGE.MARMOT_test_app", R"({"seq":3})"));  // up to 2
  Reader reader(client, 1);
  CHECK(loop.run_until([&] { return reader.subscription->last_seq() == 10; }));
  REQUIRE(reader.problems.size() == 2);
  CHECK(reader.problems[0].gap_from == 1);
  CHECK(reader.problems[0].gap_to == 2);
  CHECK(reader.problems[1].gap_from == 5);
  CHECK(reader.problems[1].gap_to == 5);
  CHECK_FALSE(reader.problems[1].ended);
  CHECK(reader.messages.size() == 7);

  Reader idle(client, 1);
  REQUIRE(loop.run_until([&] { return idle.subscription->last_seq() == 10; }));
  idle.subscription->pause();
  publish_some(client, 11, 15);
  loop.run_for(50);
  idle.subscription.reset();

  // All that a reader has not seen yet is purged while it is away; then nothing more is written.
  Reader away(client, 8);
  REQUIRE(loop.run_until([&] { return away.subscription->last_seq() == 15; }));
  REQUIRE(client.admin("STREAM.PURGE.MARMOT_test_app"));
  Reader fresh(client, 12);
  CHECK(loop.run_until([&] { return fresh.subscription->last_seq() == 15; }));
  REQUIRE(fresh.problems.size() == 1);
  CHECK(fresh.problems[0].gap_from == 12);
  CHECK(fresh.problems[0].gap_to == 15);
}

TEST_CASE("log: a deleted stream is told within 10 s, without a reconnect") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  publish_some(client, 1, 3);
  Reader reader(client, 1);
  REQUIRE(loop.run_until([&] { return reader.messages.size() == 3; }));
  REQUIRE(client.admin("STREAM.DELETE.MARMOT_test_app"));
  REQUIRE(loop.run_until([&] { return reader.ended(); }, 10'000));
  CHECK(reader.problems.back().error.code == Errc::not_found);
  CHECK(client.ups == 1);
}

TEST_CASE("log: a stream made again is told within 10 s, and nothing of it is delivered as the old one") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  publish_some(client, 1, 3);
  Reader reader(client, 1);
  REQUIRE(loop.run_until([&] { return reader.messages.size() == 3; }));
  REQUIRE(client.admin("STREAM.DELETE.MARMOT_test_app"));
  REQUIRE(client.ensure(log_stream()));
  publish_some(client, 101, 110);
  REQUIRE(loop.run_until([&] { return reader.ended(); }, 10'000));
  CHECK(reader.problems.back().error.code == Errc::refused);
  CHECK(reader.messages.size() == 3);
}

TEST_CASE("log: a stream whose end was lost is told, also when it was written anew") {
  for (const bool rewritten : {false, true}) {
    CAPTURE(rewritten);
    RealServer server;
    Loop loop;
    Client client(loop, server);
    REQUIRE(client.up());
    REQUIRE(client.ensure(log_stream()));
    publish_some(client, 1, 3);
    // As a power cut may leave it: the store of before, without the messages after.
    server.stop();
    const std::string copy = "cp -a " + server.dir() + "/store " + server.dir() + "/before";
    REQUIRE(std::system(copy.c_str()) == 0);
    server.start();
    REQUIRE(loop.run_until([&] { return client.ups == 2; }));
    publish_some(client, 4, 6);
    Reader reader(client, 1);
    REQUIRE(loop.run_until([&] { return reader.messages.size() == 6; }));
    server.stop();
    server.erase_store();
    const std::string back = "mv " + server.dir() + "/before " + server.dir() + "/store";
    REQUIRE(std::system(back.c_str()) == 0);
    server.start();
    if (rewritten) {
      Loop other_loop;  // so that the reader's connection does not move meanwhile
      Client other(other_loop, server);
      REQUIRE(other.up());
      publish_some(other, 11, 20);
    }
    REQUIRE(loop.run_until([&] { return reader.ended(); }, 10'000));
    CHECK(reader.problems.back().error.code == Errc::corrupt);
    CHECK(reader.messages.size() == 6);
  }
}

TEST_CASE("log: a start beyond the stream's end is told at once") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  publish_some(client, 1, 3);
  Reader reader(client, 6);
  REQUIRE(loop.run_until([&] { return reader.ended(); }));
  CHECK(reader.problems.back().error.code == Errc::corrupt);
  Reader next(client, 4);
  publish_some(client, 4, 4);
  CHECK(loop.run_until([&] { return next.messages.size() == 1; }));
}

TEST_CASE("log: a frozen server is waited out, and reading goes on without loss") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  publish_some(client, 1, 3);
  Reader reader(client, 1);
  REQUIRE(loop.run_until([&] { return reader.messages.size() == 3; }));
  server.freeze();
  loop.run_for(5'000);
  server.thaw();
  publish_some(client, 4, 6);
  CHECK(loop.run_until([&] { return reader.messages.size() == 6; }));
  CHECK(in_order_from(reader.messages, 1));
}

TEST_CASE("log: callbacks may destroy the subscription, and the connection") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  publish_some(client, 1, 50);
  int seen = 0;
  std::unique_ptr<LogSubscription> subscription;
  subscription = client->subscribe_log("MARMOT_test_app", 1, {[&](Delivered) {
                                         ++seen;
                                         subscription.reset();
                                       }, nullptr});
  CHECK(loop.run_until([&] { return seen > 0; }));
  loop.run_for(50);
  CHECK(seen == 1);
  subscription = client->subscribe_log("MARMOT_test_app", 1, {[&](Delivered) {
                                         ++seen;
                                         client.connection.reset();
                                       }, nullptr});
  CHECK(loop.run_until([&] { return seen > 1; }));
  loop.run_for(50);
  CHECK(seen == 2);
}
