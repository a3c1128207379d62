// Beside another process that reads and writes: whom the agent waits for, and that nobody begins to read while it commits.
#include "agent/database/giving_way.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "agent/database/open_database.hpp"
#include "agent/database/shm_readers.hpp"
#include "tests/agent/shell.hpp"
#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;
using test::Shell;
using test::until;

namespace {

int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct File {
  test::TempDir dir;
  std::string path = dir.file("app.db");
  OpenedDatabase opened = *open_database(OpenOptions{path, true, {}, 1000, {}, [](LogLevel, std::string_view) {}});
  sqlite::Database& db = opened.db;

  File() {
    REQUIRE(db.exec("CREATE TABLE t(x); INSERT INTO t VALUES(1)"));
  }
};

// Its answer is waited for: the shell reads the schema in a transaction of its own before that, which holds a mark too.
void begin_reading(Shell& shell) {
  CHECK(shell.answer("BEGIN; SELECT count(*) > 0 FROM t;") == "1");
}

}  // namespace

TEST_CASE("readers: one who reads what was committed last is seen; an older snapshot cannot be written from, and nobody waits for it") {
  File file;
  auto marks = ShmReaders::open(file.path + "-shm");
  REQUIRE(marks);
  CHECK_FALSE(marks->others_connected());
  REQUIRE(file.db.exec("BEGIN; SELECT * FROM t"));
  CHECK_FALSE(marks->reading(now_us()));
  REQUIRE(file.db.exec("COMMIT"));
  {
    Shell shell(file.path);
    begin_reading(shell);
    CHECK(marks->reading(now_us()));
    CHECK(marks->others_connected());
    REQUIRE(file.db.exec("INSERT INTO t VALUES(2)"));
    CHECK_FALSE(marks->reading(now_us()));
    CHECK(shell.answer("INSERT INTO t VALUES(3);").find("locked") != std::string::npos);
    CHECK(shell.answer("ROLLBACK;") == "");
    begin_reading(shell);
    CHECK(marks->reading(now_us()));
  }
  CHECK_FALSE(marks->reading(now_us()));
  CHECK_FALSE(marks->others_connected());
}

TEST_CASE("readers: a mark held for over a second is ignored until it moves, and told once") {
  File file;
  auto marks = ShmReaders::open(file.path + "-shm");
  REQUIRE(marks);
  Shell shell(file.path);
  begin_reading(shell);
  CHECK(marks->reading(now_us()));
  const int64_t seen = now_us();
  CHECK(until([&] { return !marks->reading(now_us()); }));
  CHECK(now_us() - seen >= ShmReaders::kIgnoreAfterUs - 50'000);
  CHECK(marks->recognised() == shell.pid());
  CHECK_FALSE(marks->recognised());
  // Another snapshot of the same process is news again.
  CHECK(shell.answer("COMMIT;") == "");
  CHECK_FALSE(marks->reading(now_us()));
  REQUIRE(file.db.exec("INSERT INTO t VALUES(2)"));
  begin_reading(shell);
  CHECK(marks->reading(now_us()));
}

// What an agent in a container of its own sees of an application in another: F_GETLK names no process, l_pid is 0. That was taken for
// nobody.
TEST_CASE("readers: a reader of another PID namespace is seen, ignored after a second, and told without a number") {
  if (::geteuid() != 0) return;  // unshare(2)
  File file;
  Shell shell(file.path);
  CHECK(shell.answer("BEGIN; SELECT count(*) FROM t;") == "1");
  const pid_t apart = ::fork();
  if (apart == 0) {
    if (::unshare(CLONE_NEWPID) != 0) ::_exit(2);
    const pid_t agent = ::fork();
    if (agent == 0) {
      auto marks = ShmReaders::open(file.path + "-shm");
      const bool seen = marks && marks->reading(now_us());
      const bool ignored = seen && until([&] { return !marks->reading(now_us()); });
      const auto who = ignored ? marks->recognised() : std::nullopt;
      ::_exit(who && *who == 0 ? 0 : 1);
    }
    int code = 1;
    ::waitpid(agent, &code, 0);
    ::_exit(WIFEXITED(code) ? WEXITSTATUS(code) : 1);
  }
  int code = 1;
  REQUIRE(::waitpid(apart, &code, 0) == apart);
  CHECK(WIFEXITED(code));
  CHECK(WEXITSTATUS(code) == 0);
}

TEST_CASE("readers: while the marks are claimed another process waits with its SELECT, and reads what was committed meanwhile") {
  File file;
  auto marks = ShmReaders::open(file.path + "-shm");
  REQUIRE(marks);
  Shell shell(file.path);
  CHECK(shell.answer("SELECT count(*) FROM t;") == "1");
  // SQLite's own BEGIN turns one of our exclusive locks into a shared one, and who waits may come in at that moment: then the second
  // claim says so, and the agent gives up and tries again.
  bool held = false;
  for (int attempt = 0; attempt < 100 && !held; ++attempt) {
    REQUIRE(marks->claim(now_us()));
    CHECK(marks->claimed());
    shell.say("SELECT count(*) FROM t;");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    CHECK(shell.pending() == "");
    REQUIRE(file.db.exec("BEGIN IMMEDIATE; INSERT INTO t VALUES(2)"));
    held = marks->claim(now_us());
    if (held) break;
    REQUIRE(file.db.exec("ROLLBACK"));
    marks->release(false);
    CHECK(until([&] { return shell.pending() == "1"; }));
  }
  REQUIRE(held);
  CHECK(shell.pending() == "");
  REQUIRE(file.db.exec("COMMIT"));
  marks->release(false);
  CHECK_FALSE(marks->claimed());
  CHECK(until([&] { return shell.pending() == "2"; }));
}

TEST_CASE("readers: nobody is claimed against who reads already") {
  File file;
  auto marks = ShmReaders::open(file.path + "-shm");
  REQUIRE(marks);
  Shell shell(file.path);
  CHECK(shell.answer("BEGIN; SELECT count(*) FROM t;") == "1");
  CHECK_FALSE(marks->claim(now_us()));
  marks->release(false);
  CHECK(shell.answer("INSERT INTO t VALUES(2); COMMIT; SELECT count(*) FROM t;") == "2");
}
