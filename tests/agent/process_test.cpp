#include "agent/loop/process.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;
using test::run_until;

namespace {

std::string shell_output(const std::string& script, std::optional<uv::ProcessEnd>& end) {
  const test::TempDir dir;
  end.reset();
  uv::Loop loop;
  uv::ProcessOptions options;
  options.file = "/bin/sh";
  options.args = {"-c", script};
  options.output = dir.file("out");
  auto process = uv::Process::spawn(loop, options, [&](const uv::ProcessEnd& e) { end = e; });
  REQUIRE(process);
  CHECK(run_until(loop, [&] { return end.has_value(); }));
  return test::read(dir.file("out"));
}

bool gone(pid_t pid) {
  for (int i = 0; i < 1000 && ::kill(pid, 0) == 0; ++i) ::usleep(5000);
  return ::kill(pid, 0) != 0;
}

}  // namespace

TEST_CASE("process: tells how the child ended, by code or by signal, and keeps both its outputs") {
  std::optional<uv::ProcessEnd> end;
  CHECK(shell_output("echo to stdout; echo to stderr >&2; exit 7", end) == "to stdout\nto stderr\n");
  CHECK(end->exit_code == 7);
  CHECK(end->text() == "exit code 7");
  shell_output("kill -9 $$", end);
  CHECK(end->signal == SIGKILL);
  CHECK(end->text() == "signal 9 (Killed)");
}

TEST_CASE("process: the child inherits no descriptor, no blocked or ignored signal, and has its own group") {
  std::optional<uv::ProcessEnd> end;
  const int inherited = ::dup(0);  // as if our own parent had left it open: not close-on-exec
  const std::string fds = shell_output("ls /proc/self/fd | tr '\\n' ' '; grep -E 'SigBlk|SigIgn' /proc/self/status", end);
  ::close(inherited);
  CAPTURE(fds);
  CHECK(fds.rfind("0 1 2 3 SigBlk", 0) == 0);  // 3: ls reads the folder by it
  CHECK(fds.find("SigBlk:\t0000000000000000") != std::string::npos);
  CHECK(fds.find("SigIgn:\t0000000000000000") != std::string::npos);
  const std::string group = shell_output("set -- $(cat /proc/$$/stat); [ \"$5\" = $$ ] && echo own", end);
  CHECK(group == "own\n");
}

TEST_CASE("process: without variables of its own the child has the agent's environment; its own ones replace those of the same name only") {
  ::setenv("MARMOT_CHILD_A", "a=1", 1);
  ::setenv("MARMOT_CHILD_AB", "ab", 1);
  std::optional<uv::ProcessEnd> end;
  CHECK(shell_output("env", end).find("MARMOT_CHILD_A=a=1\n") != std::string::npos);
  const test::TempDir dir;
  uv::Loop loop;
  uv::ProcessOptions options;
  options.file = "/bin/sh";
  options.args = {"-c", "env | grep MARMOT_CHILD_ | sort; echo \"$HOME\"; echo complaint >&2"};
  options.output = dir.file("out");
  options.errors = dir.file("errors");
  options.environment = {"MARMOT_CHILD_A=mine", "MARMOT_CHILD_ABC=new"};
  bool ended = false;
  const auto process = uv::Process::spawn(loop, options, [&](const uv::ProcessEnd&) { ended = true; });
  REQUIRE(process);
  CHECK(run_until(loop, [&] { return ended; }));
  CHECK(test::read(dir.file("out")) == "MARMOT_CHILD_A=mine\nMARMOT_CHILD_AB=ab\nMARMOT_CHILD_ABC=new\n" + std::string(::getenv("HOME")) + "\n");
  CHECK(test::read(dir.file("errors")) == "complaint\n");
  ::unsetenv("MARMOT_CHILD_A");
  ::unsetenv("MARMOT_CHILD_AB");
}

TEST_CASE("process: a program that does not exist is an error that names it") {
  uv::Loop loop;
  uv::ProcessOptions options;
  options.file = "/nowhere/program";
  const auto process = uv::Process::spawn(loop, options, {});
  REQUIRE_FALSE(process);
  CHECK(process.error().code == Errc::not_found);
  CHECK(process.error().message.find("/nowhere/program") != std::string::npos);
}

TEST_CASE("process: a child that still runs is killed with its wrapper") {
  uv::Loop loop;
  uv::ProcessOptions options;
  options.file = "/bin/sleep";
  options.args = {"100"};
  bool ended = false;
  auto process = uv::Process::spawn(loop, options, [&](const uv::ProcessEnd&) { ended = true; });
  REQUIRE(process);
  const int pid = (*process)->pid();
  CHECK(::kill(pid, 0) == 0);
  process->reset();
  CHECK(::kill(pid, 0) == -1);
  loop.run();
  CHECK_FALSE(ended);
}

TEST_CASE("process: a kill -9 of the parent ends the child") {
  int pipe_fds[2];
  REQUIRE(::pipe(pipe_fds) == 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    uv::Loop loop;
    uv::ProcessOptions options;
    options.file = "/bin/sleep";
    options.args = {"100"};
    auto process = uv::Process::spawn(loop, options, {});
    const int pid = process ? (*process)->pid() : 0;
    [[maybe_unused]] const auto n = ::write(pipe_fds[1], &pid, sizeof pid);
    for (;;) ::pause();
  }
  int child = 0;
  REQUIRE(::read(pipe_fds[0], &child, sizeof child) == static_cast<ssize_t>(sizeof child));
  REQUIRE(child > 0);
  CHECK(::kill(child, 0) == 0);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  CHECK(gone(child));
  ::close(pipe_fds[0]);
  ::close(pipe_fds[1]);
}
