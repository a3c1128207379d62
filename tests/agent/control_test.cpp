#include "agent/control/control.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;
using namespace std::chrono_literals;
using test::run_until;

namespace {

// A server on the test's loop; the client runs in a thread of its own, as the command line does in a process of its own.
struct Fixture {
  test::TempDir dir;
  uv::Loop loop;
  std::unique_ptr<ControlServer> server;

  explicit Fixture(const std::string& folder = "") {
    const std::string path = dir.path() + folder;
    std::filesystem::create_directories(path);
    auto listening = ControlServer::listen(loop, path);
    REQUIRE_MESSAGE(listening, listening.error().message);
    server = *std::move(listening);
    socket = path + "/control.sock";
  }
  std::string socket;

  void client(const std::function<void(ControlClient&)>& use) {
    std::atomic<bool> done = false;
    std::thread thread([&] {
      auto connected = ControlClient::connect(socket);
      CHECK_MESSAGE(connected, connected.error().message);
      if (connected) use(*connected);
      done = true;
    });
    CHECK(run_until(loop, [&] { return done.load(); }, 20s));
    thread.join();
  }
};

}  // namespace

TEST_CASE("control: a request is answered, with ok added, on one connection again and again") {
  Fixture f;
  f.server->handle("double", [](const Json& request, Reply reply) {
    reply.finish({{"twice", request.value("n", 0) * 2}});
  });
  f.client([](ControlClient& client) {
    for (int i = 0; i < 100; ++i) {
      const auto answer = client.call({{"cmd", "double"}, {"n", i}}, 10s);
      REQUIRE_MESSAGE(answer, answer.error().message);
      CHECK(*answer == Json({{"ok", true}, {"twice", 2 * i}}));
    }
  });
}

TEST_CASE("control: errors travel with their code and text") {
  Fixture f;
  f.server->handle("fail", [](const Json&, Reply reply) { reply.fail(make_error(Errc::busy, "come back")); });
  f.client([](ControlClient& client) {
    const auto answer = client.call({{"cmd", "fail"}}, 10s);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == Errc::busy);
    CHECK(answer.error().message == "come back");
  });
}

TEST_CASE("control: an unknown command, a line that is no request and a field of the wrong type are bad input") {
  Fixture f;
  f.server->handle("n", [](const Json& request, Reply reply) { reply.finish({{"n", request.value("n", 0)}}); });
  f.client([](ControlClient& client) {
    for (const Json& request : {Json({{"cmd", "nonsense"}}), Json({{"cmd", 5}}), Json::array({1}), Json("text"),
                                Json({{"cmd", "n"}, {"n", "five"}})}) {
      const auto answer = client.call(request, 10s);
      REQUIRE_FALSE(answer);
      CHECK(answer.error().code == Errc::bad_input);
    }
    CHECK(client.call({{"cmd", "n"}, {"n", 5}}, 10s));  // the connection is still good
  });
}

TEST_CASE("control: a reply may be kept, stream progress and events, and be finished in a later turn") {
  Fixture f;
  std::optional<Reply> kept;
  int step = 0;
  uv::Timer later(f.loop, [&] {
    if (!kept) return;
    if (++step <= 3) kept->progress("work", step, 3);
    else if (step <= 5) kept->event({{"n", step}});
    else {
      kept->finish({{"done", true}});
      kept.reset();
    }
  });
  later.start(1ms, 1ms);
  f.server->handle("slow", [&](const Json&, Reply reply) { kept = std::move(reply); });
  f.client([](ControlClient& client) {
    std::vector<int64_t> seen;
    REQUIRE(client.send({{"cmd", "slow"}}));
    for (int i = 1; i <= 3; ++i) {
      const auto line = client.receive(10s);
      REQUIRE(line);
      CHECK(*line == Json({{"progress", {{"what", "work"}, {"done", i}, {"total", 3}}}}));
    }
    CHECK(*client.receive(10s) == Json({{"event", {{"n", 4}}}}));
    CHECK(*client.receive(10s) == Json({{"event", {{"n", 5}}}}));
    CHECK(*client.receive(10s) == Json({{"ok", true}, {"done", true}}));
  });
}

TEST_CASE("control: a second request before the answer is refused, and does not disturb the first") {
  Fixture f;
  std::optional<Reply> kept;
  f.server->handle("keep", [&](const Json&, Reply reply) { kept = std::move(reply); });
  f.client([&](ControlClient& client) {
    REQUIRE(client.send({{"cmd", "keep"}}));
    const auto second = client.call({{"cmd", "keep"}}, 10s);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::busy);
  });
}

TEST_CASE("control: a client that goes away is noticed") {
  Fixture f;
  std::optional<Reply> kept;
  bool told = false;
  f.server->handle("tail", [&](const Json&, Reply reply) {
    reply.on_gone([&] { told = true; });
    reply.event({{"first", true}});
    kept = std::move(reply);
  });
  f.client([](ControlClient& client) {
    REQUIRE(client.send({{"cmd", "tail"}}));
    CHECK(client.receive(10s));
  });
  CHECK(run_until(f.loop, [&] { return told; }));
  CHECK(kept->gone());
  CHECK_FALSE(kept->event({{"second", true}}));
  kept->finish({{"late", true}});  // nobody hears it
}

TEST_CASE("control: a client that does not read is disconnected, and the agent's memory stays bounded") {
  Fixture f;
  std::optional<Reply> kept;
  bool told = false;
  f.server->handle("tail", [&](const Json&, Reply reply) {
    reply.on_gone([&] { told = true; });
    kept = std::move(reply);
  });
  std::atomic<bool> stop = false;
  std::thread client([&] {
    auto connected = ControlClient::connect(f.socket);
    REQUIRE(connected);
    REQUIRE(connected->send({{"cmd", "tail"}}));
    while (!stop) std::this_thread::sleep_for(1ms);
  });
  CHECK(run_until(f.loop, [&] { return kept.has_value(); }));
  const std::string text(100'000, 'x');
  int sent = 0;
  while (sent < 1000 && kept->event({{"text", text}})) ++sent;
  CHECK(sent > 100);
  CHECK(sent < 300);  // 16 MiB and what the socket holds
  CHECK(run_until(f.loop, [&] { return told; }));
  CHECK(kept->gone());
  stop = true;
  client.join();
}

TEST_CASE("control: a request that the agent forgets is answered with an error, not with silence") {
  Fixture f;
  f.server->handle("forget", [](const Json&, Reply) {});
  f.client([](ControlClient& client) {
    const auto answer = client.call({{"cmd", "forget"}}, 10s);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == Errc::internal);
  });
}

TEST_CASE("control: when the agent stops, clients get an end and replies that are held do nothing") {
  Fixture f;
  std::optional<Reply> kept;
  f.server->handle("keep", [&](const Json&, Reply reply) {
    const Reply copy = reply;
    reply.on_gone([copy] { copy.gone(); });  // a cycle that the server must break
    kept = std::move(reply);
  });
  std::optional<Errc> code;
  std::atomic<bool> done = false;
  std::thread client([&] {
    auto connected = ControlClient::connect(f.socket);
    REQUIRE(connected);
    const auto answer = connected->call({{"cmd", "keep"}}, 10s);
    if (!answer) code = answer.error().code;
    done = true;
  });
  CHECK(run_until(f.loop, [&] { return kept.has_value(); }));
  f.server.reset();
  CHECK(run_until(f.loop, [&] { return done.load(); }));
  client.join();
  CHECK(code == Errc::unavailable);
  CHECK(kept->gone());
  kept->finish({{"late", true}});
  CHECK_FALSE(std::filesystem::exists(f.socket));
}

TEST_CASE("control: a deadline passes when the agent is silent; every line starts it anew") {
  Fixture f;
  std::optional<Reply> kept;
  f.server->handle("keep", [&](const Json&, Reply reply) { kept = std::move(reply); });
  f.client([](ControlClient& client) {
    const auto answer = client.call({{"cmd", "keep"}}, 50ms);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == Errc::timeout);
  });
}

TEST_CASE("control: the socket works below a folder whose path is longer than sun_path, for its owner only") {
  Fixture f("/" + std::string(120, 'a') + "/" + std::string(120, 'b'));
  struct stat info {};
  REQUIRE(::stat(f.socket.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  f.server->handle("hello", [](const Json&, Reply reply) { reply.finish(Json::object()); });
  f.client([](ControlClient& client) { CHECK(client.call({{"cmd", "hello"}}, 10s)); });
}

TEST_CASE("control: a socket left by a killed agent is replaced, and meanwhile nobody answers on it") {
  const test::TempDir dir;
  const std::string path = dir.file("control.sock");
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::close(fd);
  const auto nobody = ControlClient::connect(path);
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code == Errc::unavailable);
  uv::Loop loop;
  CHECK(ControlServer::listen(loop, dir.path()));
}

TEST_CASE("control: a line of more than 1 MiB ends the connection") {
  Fixture f;
  bool called = false;
  f.server->handle("x", [&](const Json&, Reply reply) {
    called = true;
    reply.finish(Json::object());
  });
  f.client([](ControlClient& client) {
    const Status sent = client.send({{"cmd", "x"}, {"text", std::string(3 << 20, 'x')}});
    if (!sent) return;  // closed before it was all sent
    CHECK(client.receive(10s).error().code == Errc::unavailable);
  });
  CHECK_FALSE(called);
}

TEST_CASE("control: every error code has a name that comes back") {
  for (int i = 0; i <= static_cast<int>(Errc::internal); ++i) {
    const auto code = static_cast<Errc>(i);
    CHECK(errc_of(errc_name(code)) == code);
  }
  CHECK(errc_of("from a later version") == Errc::internal);
}
