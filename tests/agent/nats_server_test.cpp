#include "agent/daemon/nats_server.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mutex>

#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;
using test::run_until;

namespace {

// Holds a port of 127.0.0.1 (0: any) as another program would.
class Squatter {
 public:
  explicit Squatter(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    holds_ = ::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(fd_, 4) == 0;
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~Squatter() { ::close(fd_); }
  Squatter(const Squatter&) = delete;
  Squatter& operator=(const Squatter&) = delete;
  uint16_t port() const { return port_; }
  bool holds() const { return holds_; }

 private:
  int fd_;
  uint16_t port_ = 0;
  bool holds_ = false;
};

uint16_t free_port() { return Squatter(0).port(); }

// What a client hears first; empty when nobody answers.
std::string greeting(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  char text[2048];
  ssize_t got = -1;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) got = ::recv(fd, text, sizeof text, 0);
  ::close(fd);
  return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
}

struct Fixture {
  test::TempDir dir;
  uv::Loop loop;
  std::string logged;

  NatsServerOptions options(const std::string& listen = "") const {
    NatsServerOptions o;
    o.data_dir = dir.file("data");
    o.listen = listen;
    return o;
  }
  Result<std::unique_ptr<NatsServer>> start(const NatsServerOptions& o) {
    return NatsServer::start(loop, o, [this](LogLevel, std::string_view text) { logged += std::string(text) + "\n"; });
  }
};

bool gone(pid_t pid) {
  for (int i = 0; i < 1000 && ::kill(pid, 0) == 0; ++i) ::usleep(5000);
  return ::kill(pid, 0) != 0;
}

}  // namespace

TEST_CASE("nats server: starts with JetStream and 8 MB messages, keeps its files in data_dir, stops when asked") {
  Fixture f;
  auto server = f.start(f.options());
  REQUIRE_MESSAGE(server, server.error().message);
  const NatsServer& s = **server;
  CHECK(s.url() == "nats://127.0.0.1:" + std::to_string(s.port()));
  CHECK(s.port() >= 4250);
  const std::string info = greeting(s.port());
  CHECK(info.find("\"jetstream\":true") != std::string::npos);
  CHECK(info.find("\"max_payload\":8388608") != std::string::npos);
  CHECK(test::read(f.dir.file("data/nats/server.pid")) == std::to_string(s.pid()) + "\n");
  CHECK(std::filesystem::exists(f.dir.file("data/nats/jetstream")));
  CHECK_FALSE(test::read(f.dir.file("data/nats/server.log")).empty());
  const int pid = s.pid();
  bool stopped = false;
  (*server)->stop([&] { stopped = true; });
  CHECK(run_until(f.loop, [&] { return stopped; }));
  CHECK(::kill(pid, 0) != 0);
  CHECK_FALSE(std::filesystem::exists(f.dir.file("data/nats/server.pid")));
  CHECK(s.restarts() == 0);
}

TEST_CASE("nats server: the destructor stops it too") {
  Fixture f;
  auto server = f.start(f.options());
  REQUIRE(server);
  const int pid = (*server)->pid();
  server->reset();
  CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("nats server: a server that dies is restarted on the same port, again and again") {
  Fixture f;
  auto server = f.start(f.options());
  REQUIRE(server);
  const uint16_t port = (*server)->port();
  for (int round = 1; round <= 2; ++round) {
    const int before = (*server)->pid();
    REQUIRE(before > 0);  // kill(0) would end the tests themselves
    ::kill(before, SIGKILL);
    CHECK(run_until(f.loop, [&] {
      return (*server)->restarts() == round && (*server)->pid() != 0 && !greeting(port).empty();
    }));
    CHECK((*server)->pid() != before);
    CHECK((*server)->port() == port);
  }
  CHECK(f.logged.find("signal 9 (Killed)") != std::string::npos);
}

TEST_CASE("nats server: two agents get two ports, and each keeps its own over a restart") {
  Fixture one;
  Fixture two;
  auto first = one.start(one.options());
  auto second = two.start(two.options());
  REQUIRE(first);
  REQUIRE(second);
  const uint16_t port = (*first)->port();
  const uint16_t other = (*second)->port();
  CHECK(port != other);
  first->reset();
  second->reset();
  auto again = two.start(two.options());  // the first one's port is free now
  REQUIRE(again);
  CHECK((*again)->port() == other);
}

TEST_CASE("nats server: a kept port that another program took meanwhile is given up with a warning") {
  Fixture f;
  auto server = f.start(f.options());
  REQUIRE(server);
  const uint16_t port = (*server)->port();
  server->reset();
  const Squatter squatter(port);
  REQUIRE(squatter.holds());
  auto again = f.start(f.options());
  REQUIRE(again);
  CHECK((*again)->port() != port);
  CHECK(f.logged.find("port " + std::to_string(port) + " is taken by another program") != std::string::npos);
}

TEST_CASE("nats server: --listen is obeyed; when it is taken that is an error that says so") {
  Fixture f;
  const uint16_t port = free_port();
  const std::string listen = "127.0.0.1:" + std::to_string(port);
  {
    auto server = f.start(f.options(listen));
    REQUIRE_MESSAGE(server, server.error().message);
    CHECK((*server)->address() == listen);
    CHECK_FALSE(greeting(port).empty());
  }
  const Squatter squatter(port);
  REQUIRE(squatter.holds());
  auto refused = f.start(f.options(listen));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::refused);
  CHECK(refused.error().message.find(listen + " is taken by another program: choose another with --listen") !=
        std::string::npos);
}

TEST_CASE("nats server: listening for other machines without a password is warned of, with one it is not") {
  Fixture f;
  NatsServerOptions options = f.options("0.0.0.0:" + std::to_string(free_port()));
  {
    auto open = f.start(options);
    REQUIRE_MESSAGE(open, open.error().message);
    CHECK((*open)->url() == "nats://127.0.0.1:" + std::to_string((*open)->port()));
    CHECK((*open)->address() == options.listen);
  }
  CHECK(f.logged.find("anybody who can reach " + options.listen) != std::string::npos);
  f.logged.clear();
  options.user = "u";
  options.password = "p";
  CHECK(f.start(options));
  CHECK(f.logged == "");
}

TEST_CASE("nats server: one that a killed agent left behind is ended, and its port is kept") {
  Fixture f;
  // The server that outlives: a child of a process that dies by -9 without the death signal reaching it in time is played
  // by one that this test starts itself, with the same configuration file.
  uint16_t port = 0;
  {
    auto server = f.start(f.options());
    REQUIRE(server);
    port = (*server)->port();
  }
  const std::string config = f.dir.file("data/nats/server.conf");
  const pid_t orphan = ::fork();
  if (orphan == 0) {
    ::execlp("nats-server", "nats-server", "-c", config.c_str(), nullptr);
    ::execl("/usr/sbin/nats-server", "nats-server", "-c", config.c_str(), nullptr);
    ::_exit(127);
  }
  for (int i = 0; i < 1000 && greeting(port).empty(); ++i) ::usleep(5000);
  REQUIRE_FALSE(greeting(port).empty());
  test::write(f.dir.file("data/nats/server.pid"), std::to_string(orphan) + "\n");
  auto again = f.start(f.options());
  REQUIRE_MESSAGE(again, again.error().message);
  CHECK((*again)->port() == port);
  CHECK((*again)->pid() != orphan);
  int status = 0;
  CHECK(::waitpid(orphan, &status, 0) == orphan);
}

TEST_CASE("nats server: a process that merely has the number in an old pid file is left alone") {
  Fixture f;
  const pid_t bystander = ::fork();
  if (bystander == 0) {
    ::execl("/bin/sleep", "sleep", "100", nullptr);
    ::_exit(127);
  }
  std::filesystem::create_directories(f.dir.file("data/nats"));
  test::write(f.dir.file("data/nats/server.pid"), std::to_string(bystander) + "\n");
  {
    auto server = f.start(f.options());
    REQUIRE(server);
    CHECK(::waitpid(bystander, nullptr, WNOHANG) == 0);
  }
  ::kill(bystander, SIGKILL);
  ::waitpid(bystander, nullptr, 0);
}

TEST_CASE("nats server: it does not outlive an agent that is killed with -9") {
  Fixture f;
  int pipe_fds[2];
  REQUIRE(::pipe(pipe_fds) == 0);
  const std::string data_dir = f.dir.file("data");
  const pid_t agent = ::fork();
  if (agent == 0) {
    uv::Loop loop;
    NatsServerOptions options;
    options.data_dir = data_dir;
    auto server = NatsServer::start(loop, options, [](LogLevel, std::string_view) {});
    const int pid = server ? (*server)->pid() : 0;
    [[maybe_unused]] const auto n = ::write(pipe_fds[1], &pid, sizeof pid);
    loop.run();
    ::_exit(0);
  }
  int server = 0;
  REQUIRE(::read(pipe_fds[0], &server, sizeof server) == static_cast<ssize_t>(sizeof server));
  REQUIRE(server > 0);
  ::kill(agent, SIGKILL);
  ::waitpid(agent, nullptr, 0);
  CHECK(gone(server));
  ::close(pipe_fds[0]);
  ::close(pipe_fds[1]);
}

TEST_CASE("nats server: a data_dir with spaces, quotes and backslashes, and a token with them, are no trouble") {
  Fixture f;
  NatsServerOptions options = f.options();
  options.data_dir = f.dir.file("a \"b\" c\\d $HOME #x");
  options.token = "to\"k\\en $X";
  auto server = f.start(options);
  REQUIRE_MESSAGE(server, server.error().message);
  CHECK(std::filesystem::exists(options.data_dir + "/nats/jetstream"));
  CHECK(greeting((*server)->port()).find("\"auth_required\":true") != std::string::npos);
}

TEST_CASE("nats server: one that cannot run is an error with the last line of its log, not a wait") {
  Fixture f;
  std::filesystem::create_directories(f.dir.file("data/nats"));
  test::write(f.dir.file("data/nats/jetstream"), "a file where the store should be");
  const auto start = std::chrono::steady_clock::now();
  auto server = f.start(f.options());
  REQUIRE_FALSE(server);
  CHECK(server.error().code == Errc::io);
  CHECK(server.error().message.find("not a directory") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{10});
}
