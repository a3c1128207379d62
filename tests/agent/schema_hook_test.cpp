#include "agent/daemon/schema_hook.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <vector>

#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;
using test::read;
using test::run_until;

namespace {

using Names = std::set<std::string>;

// A hook with a folder, a loop and a log of its own.
struct Hook {
  explicit Hook(const std::string& command, int64_t limit_ms = 60'000)
      : hook(loop, {command, dir.file("hook.err"), limit_ms, 20}, [this](LogLevel level, std::string_view text) {
          if (level == LogLevel::error || level == LogLevel::warn) log.emplace_back(text);
          else ++starts;
        }) {
    ::setenv("MARMOT_TEST_DIR", dir.path().c_str(), 1);
  }
  void changed(const Names& names, const std::string& database = "app") { hook.changed(database, "/data/" + database + ".db", names); }
  std::string file(const std::string& name) { return read(dir.file(name)); }
  size_t lines(const std::string& name) {
    const std::string text = file(name);
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  // For what must not happen.
  void wait(int ms) { (void)run_until(loop, [] { return false; }, std::chrono::milliseconds(ms)); }

  const test::TempDir dir;
  uv::Loop loop;
  std::vector<std::string> log;
  int starts = 0;
  SchemaHook hook;
};

bool gone(pid_t pid) {
  for (int i = 0; i < 1000 && ::kill(pid, 0) == 0; ++i) ::usleep(5000);
  return ::kill(pid, 0) != 0;
}

}  // namespace

TEST_CASE("schema hook: the command learns the file, its name and what changed, and has the agent's own environment") {
  ::setenv("MARMOT_NAME", "of the agent itself", 1);
  Hook h("printf '%s\\n' \"$MARMOT_DATABASE\" \"$MARMOT_NAME\" \"$MARMOT_TABLES\" \"$HOME\" > \"$MARMOT_TEST_DIR/new\"; "
         "mv \"$MARMOT_TEST_DIR/new\" \"$MARMOT_TEST_DIR/out\"");
  h.changed({"users", "by name", "a'b"});
  CHECK(run_until(h.loop, [&] { return !h.file("out").empty(); }));
  CHECK(h.file("out") == "/data/app.db\napp\na'b\nby name\nusers\n" + std::string(std::getenv("HOME")) + "\n");
  CHECK(h.log.empty());
  CHECK(std::string(std::getenv("MARMOT_NAME")) == "of the agent itself");
  ::unsetenv("MARMOT_NAME");
}

TEST_CASE("schema hook: what arrives in pieces is one run, and what arrives while the command runs is one further run") {
  Hook h("echo $MARMOT_TABLES >> \"$MARMOT_TEST_DIR/out\"; [ -e \"$MARMOT_TEST_DIR/running\" ] && echo two at once >> \"$MARMOT_TEST_DIR/out\"; "
         "touch \"$MARMOT_TEST_DIR/running\"; while [ ! -e \"$MARMOT_TEST_DIR/go\" ]; do sleep 0.01; done; rm \"$MARMOT_TEST_DIR/running\"");
  h.changed({"a"});
  h.changed({"b"});
  REQUIRE(run_until(h.loop, [&] { return h.lines("out") == 1; }));
  h.changed({"d"});
  h.changed({"c", "d"});
  h.changed({"e"}, "other");
  h.wait(200);
  CHECK(h.file("out") == "a b\n");
  test::write(h.dir.file("go"), "");
  CHECK(run_until(h.loop, [&] { return h.lines("out") == 3; }));
  h.wait(200);
  CHECK(h.file("out") == "a b\nc d\ne\n");
  CHECK(h.starts == 3);
  CHECK(h.log.empty());
}

TEST_CASE("schema hook: a command that takes too long is killed with what it started, and the next one runs") {
  Hook h("echo $MARMOT_TABLES >> \"$MARMOT_TEST_DIR/out\"; [ \"$MARMOT_TABLES\" = b ] && exit; sleep 100 & echo $! > \"$MARMOT_TEST_DIR/child\"; "
         "echo stuck >&2; wait", 400);
  h.changed({"a"});
  REQUIRE(run_until(h.loop, [&] { return h.lines("child") == 1; }));
  const pid_t child = std::atoi(h.file("child").c_str());
  CHECK(::kill(child, 0) == 0);
  h.changed({"b"});
  CHECK(run_until(h.loop, [&] { return h.file("out") == "a\nb\n"; }));
  CHECK(gone(child));
  REQUIRE(h.log.size() == 1);
  CHECK(h.log[0].rfind("app: hooks.on_schema_change failed: killed after 400 ms: stuck (", 0) == 0);
}

TEST_CASE("schema hook: a command that fails is logged once with its last line of stderr, and is not run again for that") {
  Hook h("echo run >> \"$MARMOT_TEST_DIR/out\"; echo to stdout; echo first >&2; printf 'no such unit \\033[1mapp\\n\\n' >&2; exit 5");
  h.changed({"a"});
  REQUIRE(run_until(h.loop, [&] { return !h.log.empty(); }));
  h.wait(200);
  REQUIRE(h.log.size() == 1);
  CHECK(h.log[0] == "app: hooks.on_schema_change failed: exit code 5: no such unit \\x1b[1mapp (its whole stderr: " + h.dir.file("hook.err") + ")");
  CHECK(h.file("out") == "run\n");
  h.changed({"b"});
  REQUIRE(run_until(h.loop, [&] { return h.log.size() == 2; }));
  CHECK(h.file("hook.err") == "first\nno such unit \033[1mapp\n\n");  // of the last run
}

TEST_CASE("schema hook: of a long stderr a line of bearable length is logged, cut between characters") {
  Hook h("head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2; printf 'y' >&2; for i in 1 2 3 4 5 6 7 8 9; do printf 'éééééééééééééééééééé' >&2; done; exit 1");
  h.changed({"a"});
  REQUIRE(run_until(h.loop, [&] { return !h.log.empty(); }));
  const size_t from = h.log[0].find(": yé"), to = h.log[0].find("...");
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  CHECK(to - from - 2 == 299);  // 'y', and two bytes each
}

TEST_CASE("schema hook: more names than one variable takes are cut at whole lines, and the command runs") {
  Hook h("echo \"$MARMOT_TABLES\" > \"$MARMOT_TEST_DIR/new\"; mv \"$MARMOT_TEST_DIR/new\" \"$MARMOT_TEST_DIR/out\"");
  Names names;
  for (int i = 0; i < 20'000; ++i) names.insert("table " + std::to_string(100'000 + i));
  h.changed(names);
  REQUIRE(run_until(h.loop, [&] { return !h.file("out").empty() || !h.log.empty(); }));
  const std::string out = h.file("out");
  CHECK(out.size() <= 64 * 1024);
  CHECK(out.size() > 63 * 1024);
  std::istringstream lines(out);
  bool whole = true;
  for (std::string line; std::getline(lines, line);) whole = whole && names.count(line) == 1;
  CHECK(whole);
}

TEST_CASE("schema hook: what the command leaves in the background goes on, also when the agent stops") {
  pid_t child = 0;
  {
    Hook h("sleep 100 & echo $! > \"$MARMOT_TEST_DIR/child\"; sleep 0.2");
    h.changed({"a"});
    REQUIRE(run_until(h.loop, [&] { return h.lines("child") == 1; }));
    child = std::atoi(h.file("child").c_str());
    ::usleep(600'000);  // the shell ends, and the loop does not look
    h.hook.stop();
  }
  ::usleep(50'000);  // a signal takes a moment
  CHECK(read("/proc/" + std::to_string(child) + "/stat").find(" (sleep) S ") != std::string::npos);  // a killed one could be seen as Z
  ::kill(child, SIGKILL);
}

TEST_CASE("schema hook: when the agent stops a run is killed, what waits is dropped, and the log says so") {
  Hook h("sleep 100 & echo $! > \"$MARMOT_TEST_DIR/child\"; wait");
  h.changed({"a"});
  REQUIRE(run_until(h.loop, [&] { return h.lines("child") == 1; }));
  h.changed({"b"});
  h.hook.stop();
  CHECK(gone(std::atoi(h.file("child").c_str())));
  REQUIRE(h.log.size() == 2);
  CHECK(h.log[0].find("was killed: the agent stops") != std::string::npos);
  CHECK(h.log[1].find("was not run for what came last") != std::string::npos);
}

TEST_CASE("schema hook: without a command nothing is run and nothing is logged") {
  Hook h("");
  h.changed({"a"});
  h.wait(200);
  h.hook.stop();
  CHECK(h.log.empty());
  CHECK(h.starts == 0);
}
