#include <doctest/doctest.h>

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "agent/nats/mailbox.hpp"
#include "agent/nats/nkey.hpp"
#include "tests/nats/fixture.hpp"

using namespace marmot;
using namespace marmot::testing;
using namespace marmot::agent::nats;

namespace {

// Made for this test, used nowhere else.
constexpr const char* kSeed = "SUAG2YLSNVXXILLUMVZXILLONNSXSLLTMVSWILLON52C243FMNZGK5HIGI";
constexpr const char* kPublic = "UDKR6ZCSFUENHML5A5GCK7XPJUN64IPZXBMF4BKV5FV426USZVQITJ7V";

std::string refusal(const Options& options) {
  const Status status = check(options);
  if (status) return "accepted";
  CHECK(status.error().code == Errc::bad_input);
  return status.error().message;
}

bool starts_with(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }

}  // namespace

TEST_CASE("mailbox: a loop that does not take a post is asked again at the next event, and gets everything") {
  bool takes = false;
  std::function<void()> posted;
  const auto mailbox = std::make_shared<Mailbox>([&](std::function<void()> call) {
    if (takes) posted = std::move(call);
    return takes;
  });
  std::deque<Event> taken;
  mailbox->open([&] { mailbox->take(taken); });
  mailbox->push(Trouble{make_error(Errc::io, "first")});
  CHECK_FALSE(posted);
  takes = true;
  mailbox->push(Trouble{make_error(Errc::io, "second")});
  REQUIRE(posted);
  posted();
  CHECK(taken.size() == 2);
}

TEST_CASE("nats options: what is wrong is named by its key, and secrets are not shown") {
  const Options good = Client::to("nats://127.0.0.1:4222");
  CHECK(check(good));
  CHECK(check(Client::to("127.0.0.1:4222")));
  CHECK(check(Client::to("tls://[::1]:4222")));
  CHECK(starts_with(refusal(Options()), "nats.urls: is empty"));
  CHECK(starts_with(refusal(Client::to("http://x")), "nats.urls: \"http://x\" has an unknown scheme"));
  CHECK(starts_with(refusal(Client::to("nats://")), "nats.urls: \"nats://\" names no host"));
  CHECK(starts_with(refusal(Client::to("nats://h:99999")), "nats.urls: \"nats://h:99999\" has no valid port"));

  Options options = good;
  options.user = "u";
  CHECK(starts_with(refusal(options), "nats.user: is set without nats.password"));
  options.password = "p";
  CHECK(check(options));
  options.token = "t";
  CHECK(starts_with(refusal(options), "nats.token: is set beside nats.user"));

  options = good;
  options.nkey_seed = std::string(kSeed).replace(10, 1, "7");
  CHECK(refusal(options) == "nats.nkey_seed: the seed's checksum is wrong: mistyped?");
  options.nkey_seed = "/nonexistent/seed";
  CHECK(starts_with(refusal(options), "nats.nkey_seed: cannot read /nonexistent/seed: No such file"));

  options = good;
  options.credentials = "/nonexistent/x.creds";
  CHECK(starts_with(refusal(options), "nats.credentials: cannot read /nonexistent/x.creds"));
  options.credentials = "/etc/passwd";
  CHECK(starts_with(refusal(options), "nats.credentials: /etc/passwd is no .creds file"));

  options = good;
  options.tls_ca = "/etc/passwd";
  CHECK(refusal(options) == "nats.tls_ca: /etc/passwd holds no PEM certificate");
  options.tls_ca = "/etc";
  CHECK(starts_with(refusal(options), "nats.tls_ca: "));
  options = good;
  options.tls_cert = "/etc/passwd";
  CHECK(starts_with(refusal(options), "nats.tls_cert: is set without nats.tls_key"));
}

TEST_CASE("nkeys: the public key follows from the seed") {
  const auto key = public_nkey(kSeed);
  REQUIRE(key);
  CHECK(*key == kPublic);
  CHECK_FALSE(public_nkey("SU"));
  CHECK_FALSE(public_nkey(kPublic));
}

TEST_CASE("nats connection: a server that is away at start is told once per reason, and found when it appears") {
  RealServer server({.start = false});
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.connection);
  REQUIRE(loop.run_until([&] { return !client.reasons.empty(); }));
  loop.run_for(600);
  CHECK_FALSE(client->connected());
  CHECK(client.ups == 0);
  REQUIRE(client.reasons.size() == 1);
  CHECK(client.reasons[0].find(server.url()) != std::string::npos);
  CHECK(client->publish("a", "b").error().code == Errc::unavailable);
  server.start();
  CHECK(client.up());
  CHECK(client.ups == 1);
  CHECK(client->url() == server.url());
  CHECK(client->max_payload() == 1048576);
  CHECK(client->down_reason().empty());
}

TEST_CASE("nats connection: comes back after kill -9, and subscriptions go on") {
  RealServer server;
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  int heard = 0;
  const auto subscription = client->subscribe("marmot.test.>", [&](const Message&) { ++heard; });
  REQUIRE(client->publish("marmot.test.a", "1"));
  CHECK(loop.run_until([&] { return heard == 1; }));
  server.kill9();
  CHECK(loop.run_until([&] { return client.downs > 0; }));
  CHECK_FALSE(client->connected());
  server.start();
  REQUIRE(client.up());
  CHECK(client.ups == 2);
  REQUIRE(client->publish("marmot.test.a", "2"));
  CHECK(loop.run_until([&] { return heard == 2; }));
}

TEST_CASE("nats connection: user and password, token, and nkey are accepted; a wrong one is told and tried again") {
  struct Case {
    std::string config;
    std::function<void(Options&)> right, wrong;
  };
  const std::vector<Case> cases = {
      {"authorization { user: marmot, password: \"s3cret\" }",
       [](Options& o) { o.user = "marmot", o.password = "s3cret"; }, [](Options& o) { o.user = "marmot", o.password = "x"; }},
      {"authorization { token: \"t0ken\" }", [](Options& o) { o.token = "t0ken"; }, [](Options& o) { o.token = "x"; }},
      {std::string("authorization { users: [ { nkey: ") + kPublic + " } ] }", [](Options& o) { o.nkey_seed = kSeed; },
       [](Options& o) { o.token = "x"; }},
  };
  for (const Case& each : cases) {
    CAPTURE(each.config);
    RealServer server({.jetstream = false, .extra = each.config});
    Loop loop;
    Options options = Client::to(server.url());
    each.right(options);
    Client good(loop, options);
    REQUIRE(good.connection);
    CHECK(good.up());

    options = Client::to(server.url());
    each.wrong(options);
    Client bad(loop, options);
    REQUIRE(loop.run_until([&] { return !bad.reasons.empty(); }));
    loop.run_for(500);  // refused more often than nats.c by itself would try
    CHECK_FALSE(bad->connected());
    CHECK(bad.reasons[0].find("Authorization Violation") != std::string::npos);

    // Not given up after any number of refusals: the server is put right, and it connects.
    server.stop();
    server.set_extra("");
    server.start();
    CHECK(bad.up());
  }
}

TEST_CASE("nats connection: an nkey seed may stand in a file") {
  RealServer server({.jetstream = false, .extra = std::string("authorization { users: [ { nkey: ") + kPublic + " } ] }"});
  const std::string path = server.dir() + "/seed.nk";
  std::ofstream(path) << kSeed << "\n";
  Loop loop;
  Options options = Client::to(server.url());
  options.nkey_seed = path;
  Client client(loop, options);
  REQUIRE(client.connection);
  CHECK(client.up());
}

TEST_CASE("nats connection: the next server of the list is taken when one is away") {
  RealServer away({.start = false});
  RealServer server;
  Loop loop;
  Options options = Client::to(away.url());
  options.urls.push_back(server.url());
  Client client(loop, options);
  CHECK(client.up());
  CHECK(client->url() == server.url());
}

TEST_CASE("core nats: request has one answer, a deadline, and an error at once when nobody listens") {
  RealServer server({.jetstream = false});
  Loop loop;
  Client client(loop, server), other(loop, server);
  REQUIRE(client.up());
  REQUIRE(other.up());
  const auto service = other->subscribe("svc.echo", [&](const Message& message) {
    CHECK(other->publish(message.reply, "re: " + message.data));
  });
  const auto mute = other->subscribe("svc.mute", [](const Message&) {});
  const auto ask = [&](const std::string& subject, int64_t ms) {
    return client.wait<std::string>([&](auto done) { REQUIRE(client->request(subject, "hello", ms, done)); });
  };
  other.settle();
  const auto answer = ask("svc.echo", 1'000);
  REQUIRE(answer);
  CHECK(*answer == "re: hello");
  CHECK(ask("svc.mute", 100).error().code == Errc::timeout);
  const auto nobody = ask("svc.nobody", 5'000);
  CHECK(nobody.error().code == Errc::unavailable);
  CHECK(nobody.error().detail == 503);
}

TEST_CASE("core nats: request_many gathers every reply until its deadline, and ends at once when nobody listens") {
  RealServer server({.jetstream = false});
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  std::vector<std::unique_ptr<Subscription>> services;
  for (int i = 0; i < 3; ++i) {
    services.push_back(client->subscribe("svc.who", [&, i](const Message& message) {
      CHECK(client->publish(message.reply, std::to_string(i)));
    }));
  }
  std::vector<std::string> replies;
  std::optional<size_t> done;
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(client->request_many("svc.who", "", 300, [&](const Message& m) { replies.push_back(m.data); }, [&](size_t n) { done = n; }));
  CHECK(loop.run_until([&] { return done.has_value(); }));
  CHECK(*done == 3);
  CHECK(replies.size() == 3);
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(290));
  done.reset();
  REQUIRE(client->request_many("svc.nobody", "", 60'000, [](const Message&) {}, [&](size_t n) { done = n; }));
  CHECK(loop.run_until([&] { return done.has_value(); }));
  CHECK(*done == 0);
}

TEST_CASE("core nats: a message above max_payload is refused by name") {
  RealServer server({.jetstream = false, .extra = "max_payload: 1000"});
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  const Status status = client->publish("a", std::string(1001, 'x'));
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Errc::bad_input);
  CHECK(client->publish("a", std::string(1000, 'x')));
}

TEST_CASE("nats connection: a callback may destroy its subscription and the connection") {
  RealServer server({.jetstream = false});
  Loop loop;
  Client client(loop, server);
  REQUIRE(client.up());
  bool gone = false;
  std::unique_ptr<Subscription> subscription;
  subscription = client->subscribe("a", [&](const Message&) {
    subscription.reset();
    client.connection.reset();
    gone = true;
  });
  REQUIRE(client->request("nobody.answers.this.soon", "", 60'000, [](Result<std::string>) {}));
  for (int i = 0; i < 100; ++i) REQUIRE(client->publish("a", "x"));
  CHECK(loop.run_until([&] { return gone; }));
  loop.run_for(100);  // what nats.c's threads still had on the way falls on nothing
  CHECK_FALSE(client.connection);
}

TEST_CASE("nats connection: what is queued when it is destroyed is still sent") {
  RealServer server({.jetstream = false});
  Loop loop;
  Client reader(loop, server);
  REQUIRE(reader.up());
  int heard = 0;
  const auto subscription = reader->subscribe("bye", [&](const Message&) { ++heard; });
  reader.settle();
  {
    Client writer(loop, server);
    REQUIRE(writer.up());
    for (int i = 0; i < 1000; ++i) REQUIRE(writer->publish("bye", "x"));
  }
  CHECK(loop.run_until([&] { return heard == 1000; }));
}
