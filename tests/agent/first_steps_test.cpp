// What somebody sees in the first minutes: the line that joins, typing errors, and that a start that fails leaves nothing.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "agent/cli/completion.hpp"
#include "agent/config/config.hpp"
#include "agent/config/paths.hpp"
#include "agent/control/lock.hpp"
#include "agent/daemon/join_line.hpp"
#include "agent/daemon/start_traces.hpp"
#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;

namespace {

JoinFacts facts(JoinFacts::Via via, const std::string& address) {
  return JoinFacts{via, address, "app.db", "app", "main", {"10.0.0.5", "fd00::5"}};
}
using Via = JoinFacts::Via;
using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("join line: a server on loopback is named for this machine only, and the other line says what to write") {
  CHECK(join_lines(facts(Via::own, "127.0.0.1:4250")) ==
        Lines{"to join on this machine: marmot agent app-2.db --join 127.0.0.1:4250 --name app",
              "to join from another machine: start this agent with --listen 10.0.0.5:4250; now it listens on 127.0.0.1 only, "
              "which other machines cannot reach"});
  JoinFacts alone = facts(Via::own, "127.0.0.1:4251");
  alone.machine.clear();
  CHECK(join_lines(alone)[1].find("--listen 0.0.0.0:4251;") != std::string::npos);
  CHECK(join_lines(facts(Via::own, "[::1]:4250"))[1].find("--listen") != std::string::npos);
}

TEST_CASE("join line: a server that listens everywhere is named by an address of the machine, never by 0.0.0.0") {
  CHECK(join_lines(facts(Via::own, "0.0.0.0:4250")) ==
        Lines{"to join from another machine: marmot agent app.db --join 10.0.0.5:4250    # this machine is also fd00::5"});
  JoinFacts alone = facts(Via::own, "[::]:4250");
  alone.machine = {"fd00::5"};
  CHECK(join_lines(alone) == Lines{"to join from another machine: marmot agent app.db --join [fd00::5]:4250"});
  alone.machine.clear();
  CHECK(join_lines(alone)[0].find("--join HOST:4250") != std::string::npos);
  CHECK(join_lines(facts(Via::own, "db1:4999")) == Lines{"to join from another machine: marmot agent app.db --join db1:4999"});
}

TEST_CASE("join line: name and cluster stand there when they are not what the file would give; a password never does") {
  JoinFacts other = facts(Via::agent, "db1:4250");
  other.name = "shop";
  other.cluster = "west";
  CHECK(join_lines(other) == Lines{"to join from another machine: marmot agent app.db --join db1:4250 --name shop --cluster west"});
  CHECK(join_lines(facts(Via::nats, "nats://me:secret@db1:4222")) == Lines{"to join from another machine: marmot agent app.db --nats URL"});
  const Lines local = join_lines(facts(Via::nats, "nats://me:secret@127.0.0.1"));
  REQUIRE(local.size() == 2);
  CHECK(local[0] == "to join on this machine: marmot agent app-2.db --nats URL --name app");
  CHECK(local[1].find("not 127.0.0.1") != std::string::npos);
  const Lines joined = join_lines(facts(Via::agent, "127.0.0.1:4250"));
  REQUIRE(joined.size() == 2);
  CHECK(joined[1].find("--listen HOST:PORT") != std::string::npos);
}

TEST_CASE("config: --join and --listen take a host without a port") {
  CHECK(to_string(*parse_host("db1")) == "db1:4250");
  CHECK(to_string(*parse_host("db1:5")) == "db1:5");
  CHECK(to_string(*parse_host("[::1]")) == "[::1]:4250");
  for (const char* wrong : {"", ":", "db1:", ":4250", "db1:x", "::1", "db1:0", "db1:70000", "a b"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_host(wrong));
  }
  const test::TempDir dir;
  ConfigOverrides over;
  over.databases = {dir.file("app.db")};
  over.join = "db1";
  CHECK(load_config(over)->nats.urls == std::vector<std::string>{"nats://db1:4250"});
  over.join.reset();
  over.listen = "0.0.0.0";
  CHECK(load_config(over)->nats.listen == "0.0.0.0:4250");
  over.listen.reset();
  over.file = dir.file("m.toml");
  std::ofstream(over.file) << "[nats]\njoin = \"db2\"\n";
  CHECK(load_config(over)->nats.urls == std::vector<std::string>{"nats://db2:4250"});
}

TEST_CASE("start traces: what a start made goes; what stood there before stays, byte for byte") {
  namespace fs = std::filesystem;
  const test::TempDir dir;
  Config config;
  config.data_dir = dir.file("deep/er/data");
  config.databases.resize(2);
  config.databases[0].path = dir.file("new.db");
  config.databases[1].path = dir.file("old.db");
  const std::string kept = marmot_dir(dir.file("old.db"));
  fs::create_directories(kept + "/nats/jetstream");
  std::ofstream(kept + "/nats/jetstream/data") << "all of it";
  std::ofstream(dir.file("old.db")).flush();  // empty, but it was there
  const StartTraces traces(config);

  std::vector<AgentLock> locks;
  REQUIRE(acquire_locks({config.databases[0].path, config.databases[1].path}, config.data_dir, "/x", locks));
  fs::create_directories(config.data_dir + "/nats/jetstream");
  std::ofstream(config.data_dir + "/nats/server.log") << "started";
  std::ofstream(dir.file("new.db")).flush();
  std::vector<std::string> held;
  for (const AgentLock& lock : locks) held.push_back(lock.directory());
  REQUIRE(held.size() == 3);

  SUBCASE("under the locks") {
    traces.take_away(held);
    CHECK_FALSE(fs::exists(dir.file("deep")));
    CHECK_FALSE(fs::exists(dir.file("new.db")));
    CHECK_FALSE(fs::exists(marmot_dir(dir.file("new.db"))));
    CHECK_FALSE(fs::exists(kept + "/agent.lock"));
    CHECK(fs::exists(dir.file("old.db")));
    CHECK(test::read(kept + "/nats/jetstream/data") == "all of it");
  }
  SUBCASE("nothing in a folder that another agent has locked") {
    traces.take_away({});
    CHECK(fs::exists(config.data_dir + "/nats/server.log"));
    CHECK(fs::exists(dir.file("new.db")));
  }
  SUBCASE("a file that somebody else put there keeps its folder") {
    std::ofstream(dir.file("deep/er/mine")) << "mine";
    traces.take_away(held);
    CHECK_FALSE(fs::exists(config.data_dir));
    CHECK(fs::exists(dir.file("deep/er/mine")));
  }
}

TEST_CASE("completion: scripts hold each command, option and word of the table") {
  CompletedCommand root{"tool", "", {}, {}, false, {}};
  CompletedOption way{{"--way", "-w"}, "it's [one] of: two", true, {"WAY", {"in", "out"}, false, false}};
  root.commands.push_back(CompletedCommand{"go", "goes", {way}, {{"FILE", {}, true, false}}, true, {}});
  const std::string bash = bash_completion(root), zsh = zsh_completion(root);
  CHECK(bash.find("\"tool go --way\"|\"tool go -w\") want=\"in out\"") != std::string::npos);
  CHECK(bash.find("\"tool\") options=\"\"; want=\"go\"") != std::string::npos);
  CHECK(bash.find("\"tool go\") options=\"--way\"; want=\"@files\"") != std::string::npos);
  CHECK(zsh.find("'(--way -w)'{--way=,-w}'[it'\\''s \\[one\\] of\\: two]:WAY:(in out)'") != std::string::npos);
  CHECK(zsh.find("go) _tool_go ;;") != std::string::npos);
}
