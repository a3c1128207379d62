#include "agent/control/lock.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/config/paths.hpp"
#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;

TEST_CASE("lock: a second agent is refused, and told the first one's pid") {
  const test::TempDir dir;
  const std::string folder = marmot_dir(dir.file("app.db"));
  auto first = AgentLock::acquire(folder, "/x/control.sock");
  REQUIRE(first);
  const auto second = AgentLock::acquire(folder, "/y/control.sock");
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::refused);
  CHECK(second.error().message.find("pid " + std::to_string(::getpid())) != std::string::npos);
  CHECK(test::read(folder + "/agent.lock") ==
        "{\"pid\":" + std::to_string(::getpid()) + ",\"socket\":\"/x/control.sock\"}\n");
}

TEST_CASE("lock: readers find the agent while it runs, and nobody before, after, and when it was killed") {
  const test::TempDir dir;
  const std::string folder = marmot_dir(dir.file("app.db"));
  const auto running = [&] {
    auto found = find_agent(folder);
    REQUIRE(found);
    return *found;
  };
  CHECK_FALSE(running());
  {
    const auto lock = AgentLock::acquire(folder, "/x/control.sock");
    REQUIRE(lock);
    REQUIRE(running());
    CHECK(running()->pid == ::getpid());
    CHECK(running()->socket == "/x/control.sock");
  }
  CHECK_FALSE(running());

  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = AgentLock::acquire(folder, "/z");
    [[maybe_unused]] const auto n = ::write(ready[1], "x", 1);
    for (;;) ::pause();
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  REQUIRE(running());
  CHECK(running()->pid == child);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK_FALSE(running());                       // the file still names the dead one
  CHECK(AgentLock::acquire(folder, "/again"));  // and does not stop the next
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("lock: all files of an agent or none: a clash on the second leaves the first free") {
  const test::TempDir dir;
  const auto holder = AgentLock::acquire(marmot_dir(dir.file("b.db")), "/x");
  REQUIRE(holder);
  {
    std::vector<AgentLock> locks;
    const Status both = acquire_locks({dir.file("a.db"), dir.file("b.db")}, marmot_dir(dir.file("a.db")), "/y", locks);
    REQUIRE_FALSE(both);
    CHECK(both.error().message.find("b.db-marmot") != std::string::npos);
    REQUIRE(locks.size() == 1);
    CHECK(locks[0].directory() == marmot_dir(dir.file("a.db")));
  }
  CHECK(AgentLock::acquire(marmot_dir(dir.file("a.db")), "/z"));
}

TEST_CASE("lock: data_dir is locked like a file's own folder") {
  const test::TempDir dir;
  std::vector<AgentLock> locks, others;
  REQUIRE(acquire_locks({dir.file("a.db")}, dir.file("data"), "/x", locks));
  CHECK(locks.size() == 2);
  const Status other = acquire_locks({dir.file("c.db")}, dir.file("data"), "/y", others);
  REQUIRE_FALSE(other);
  CHECK(other.error().code == Errc::refused);
}

TEST_CASE("lock: a folder that cannot be made is an error that names it") {
  const test::TempDir dir;
  test::write(dir.file("file"), "");
  const auto lock = AgentLock::acquire(dir.file("file") + "/x.db-marmot", "/x");
  REQUIRE_FALSE(lock);
  CHECK(lock.error().code == Errc::io);
  CHECK(lock.error().message.find(dir.file("file")) != std::string::npos);
}

TEST_CASE("path: a symbolic link and a missing file have the path that SQLite uses; a missing folder is bad input") {
  const test::TempDir dir;
  test::write(dir.file("real.db"), "");
  REQUIRE(::symlink("real.db", dir.file("link.db").c_str()) == 0);
  CHECK(*canonical_path(dir.file("link.db")) == dir.file("real.db"));
  CHECK(*canonical_path(dir.file("new.db")) == dir.file("new.db"));
  const auto nowhere = canonical_path(dir.file("no/where.db"));
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().code == Errc::bad_input);
  CHECK(nowhere.error().message.find(dir.file("no")) != std::string::npos);
}
