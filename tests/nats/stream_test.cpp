#include <doctest/doctest.h>

#include "tests/nats/fixture.hpp"

using namespace marmot;
using namespace marmot::testing;
using namespace marmot::agent::nats;

TEST_CASE("streams: a missing stream is created once; without leave to create it is not found") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  StreamConfig config = log_stream();
  config.may_create = false;
  const auto missing = client.ensure(config);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Errc::not_found);

  config.may_create = true;
  const auto made = client.ensure(config);
  REQUIRE(made);
  CHECK(made->was_created);
  CHECK(made->last_seq == 0);
  CHECK(made->created_ms > 1'600'000'000'000);
  CHECK(made->differences.empty());
  const auto again = client.ensure(config);
  REQUIRE(again);
  CHECK_FALSE(again->was_created);
  CHECK(again->created == made->created);
  CHECK(again->differences.empty());
}

TEST_CASE("streams: two agents that create at the same time both get the one stream") {
  RealServer server;
  Loop loop;
  Client a(loop, server), b(loop, server);
  REQUIRE(a.up());
  REQUIRE(b.up());
  std::vector<StreamState> states;
  const auto note = [&](Result<StreamState> state) {
    INFO((state ? std::string() : state.error().message));
    REQUIRE(state);
    states.push_back(*state);
  };
  StreamConfig other = log_stream();
  other.max_age_ms = 3'600'000;
  a->ensure_stream(log_stream(), note);
  b->ensure_stream(other, note);
  REQUIRE(loop.run_until([&] { return states.size() == 2; }));
  CHECK(states[0].created == states[1].created);
}

TEST_CASE("streams: differences are told one line each, and changed only when asked") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  StreamConfig config = log_stream();
  config.max_age_ms = 24 * 3'600'000;
  REQUIRE(client.ensure(config));
  config.max_age_ms = 90'000;
  config.max_bytes = 1 << 20;
  config.duplicate_window_ms = 60'000;
  auto told = client.ensure(config);
  REQUIRE(told);
  CHECK(told->differences == std::vector<std::string>{"duplicate_window is 2m, configured 1m", "max_age is 24h, configured 90s",
                                                      "max_bytes is unlimited, configured 1048576"});
  config.update_existing = true;
  const auto updated = client.ensure(config);
  REQUIRE(updated);
  CHECK(updated->differences.empty());
  config.update_existing = false;
  told = client.ensure(config);
  REQUIRE(told);
  CHECK(told->differences.empty());
}

TEST_CASE("streams: a server with less room than max_bytes makes the stream without that limit, and the difference is told") {
  RealServer server({.js_extra = "max_file: 10MB"});
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  StreamConfig config = log_stream();
  config.max_bytes = int64_t{1} << 30;
  const auto made = client.ensure(config);
  REQUIRE(made);
  CHECK(made->was_created);
  REQUIRE(made->differences.size() == 1);
  CHECK(made->differences[0].find("the server has no room for that much") != std::string::npos);
  CHECK(client.publish(log_message("a", "b")));
}

TEST_CASE("streams: a server without JetStream is recognised, and the error says the cure") {
  RealServer server({.jetstream = false});
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  const auto state = client.ensure(log_stream());
  REQUIRE_FALSE(state);
  CHECK(jetstream_disabled(state.error()));
  CHECK(state.error().code == Errc::refused);
  CHECK(state.error().message.find("start nats-server with -js") != std::string::npos);
  Reader reader(client, 1);
  CHECK(loop.run_until([&] { return !reader.problems.empty(); }));
  CHECK(jetstream_disabled(reader.problems[0].error));
  CHECK_FALSE(reader.problems[0].ended);
}

TEST_CASE("streams: an account without JetStream is recognised as well") {
  RealServer server({.extra = "accounts { A { users: [ { user: a, password: a } ] } }"});
  Loop loop;
  Options options = Client::to(server.url());
  options.user = options.password = "a";
  Client client(loop, options);
  REQUIRE(client.up());
  const auto state = client.ensure(log_stream());
  REQUIRE_FALSE(state);
  CHECK(jetstream_disabled(state.error()));
}

TEST_CASE("streams: a stored message comes back whole, with any bytes; one that is not there is not found") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  std::string every(256, '\0');
  for (size_t i = 0; i < every.size(); ++i) every[i] = static_cast<char>(i);
  for (const std::string& data : {std::string(), std::string("x"), every + every + "yz", every}) {
    const auto ack = client.publish(log_message("id-" + std::to_string(data.size()), data));
    REQUIRE(ack);
    const auto got = client.get("MARMOT_test_app", ack->seq);
    REQUIRE(got);
    CHECK(got->seq == ack->seq);
    CHECK(got->data == data);
    CHECK(got->msg_id == "id-" + std::to_string(data.size()));
    CHECK(got->time_ms > 1'600'000'000'000);
  }
  CHECK(client.get("MARMOT_test_app", 5).error().code == Errc::not_found);
  CHECK(client.get("NO_SUCH_STREAM", 1).error().code == Errc::not_found);
  CHECK(client.state("NO_SUCH_STREAM").error().code == Errc::not_found);
}

TEST_CASE("streams: calls without a connection fail at once and say why") {
  RealServer server({.start = false});
  Loop loop;
  Client client(loop, server);
  const auto state = client.ensure(log_stream());
  REQUIRE_FALSE(state);
  CHECK(state.error().code == Errc::unavailable);
  CHECK(client.publish(log_message("a", "b")).error().code == Errc::unavailable);
}

TEST_CASE("publish: a duplicate id is flagged and keeps its first place") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  const auto first = client.publish(log_message("id", "a"));
  REQUIRE(first);
  CHECK(first->seq == 1);
  CHECK_FALSE(first->duplicate);
  REQUIRE(client.publish(log_message("other", "b")));
  const auto again = client.publish(log_message("id", "c"));
  REQUIRE(again);
  CHECK(again->seq == 1);
  CHECK(again->duplicate);
  CHECK(client.get("MARMOT_test_app", 1)->data == "a");
}

TEST_CASE("publish: a wrong expected last sequence is refused, so that only one genesis is written") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  const std::string one = "g1", two = "g2", data = "genesis";
  LogMessage genesis = log_message(one, data);
  genesis.expected_last_seq = 0;
  REQUIRE(client.publish(genesis));
  genesis.msg_id = two;
  const auto second = client.publish(genesis);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::refused);
  CHECK(second.error().detail == 10071);
  CHECK(client.state("MARMOT_test_app")->messages == 1);
}

TEST_CASE("publish: another stream on the subject, and none at all, are told apart") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  const auto none = client.publish(log_message("a", "b"));
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Errc::unavailable);
  CHECK(none.error().detail == 503);
  StreamConfig config = log_stream();
  config.name = "OTHER";
  REQUIRE(client.ensure(config));
  const auto wrong = client.publish(log_message("a", "b"));
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code == Errc::not_found);
  CHECK(client.state("OTHER")->messages == 0);
}

TEST_CASE("publish: a full stream is Errc::full, nothing is stored, and max_bytes of ours drops the oldest") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  // As an administrator may have made it: full means full.
  REQUIRE(client.admin("STREAM.CREATE.MARMOT_test_app",
                       R"({"name":"MARMOT_test_app","subjects":["marmot.test.app.log"],"storage":"file","discard":"new","max_bytes":2000})"));
  REQUIRE(client.publish(log_message("a", std::string(1200, 'x'))));
  const auto full = client.publish(log_message("b", std::string(1200, 'x')));
  REQUIRE_FALSE(full);
  CHECK(full.error().code == Errc::full);
  CHECK(full.error().message.find("maximum bytes exceeded") != std::string::npos);
  CHECK(client.state("MARMOT_test_app")->last_seq == 1);

  StreamConfig config = log_stream();
  config.max_bytes = 2000;
  config.update_existing = true;
  REQUIRE(client.ensure(config));
  REQUIRE(client.publish(log_message("b", std::string(1200, 'x'))));
  CHECK(client.state("MARMOT_test_app")->first_seq == 2);
}

TEST_CASE("publish: the store's own limit is Errc::full") {
  RealServer server({.js_extra = "  max_file_store: 64KB\n"});
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  std::optional<Error> error;
  for (int i = 0; i < 100 && !error; ++i) {
    const auto ack = client.publish(log_message(std::to_string(i), std::string(4096, 'x')));
    if (!ack) error = ack.error();
  }
  REQUIRE(error);
  CHECK(error->code == Errc::full);
}

TEST_CASE("publish: beyond its bounds it is busy, and a message above the server's limit is bad input") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  REQUIRE(client.ensure(log_stream()));
  const Status large = client->publish_log(log_message("large", std::string(1048576, 'x')), [](Result<Ack>) {});
  REQUIRE_FALSE(large);
  CHECK(large.error().code == Errc::bad_input);
  server.freeze();
  size_t sent = 0, ended = 0, failed = 0;
  Status status = ok();
  while (status) {
    status = client->publish_log(log_message("m" + std::to_string(sent), "x"), [&](Result<Ack> ack) {
      ++ended;
      failed += !ack;
    });
    if (status) ++sent;
  }
  CHECK(status.error().code == Errc::busy);
  CHECK(sent == kMaxInFlightMessages);
  CHECK(client->in_flight() == sent);
  // Every one of them ends, though nobody answers: or hardly anybody, for a stopped process's threads stop one by one.
  CHECK(loop.run_until([&] { return ended == sent; }, 20'000));
  CHECK(failed > sent / 2);
  CHECK(client->in_flight() == 0);
  server.thaw();
}
