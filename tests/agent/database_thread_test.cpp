#include "agent/database/database_thread.hpp"

#include <doctest/doctest.h>

#include <mutex>
#include <optional>

#include "common/sqlite/database.hpp"
#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;
using test::run_until;

namespace {

// A thread on app.db in a folder of its own, and what it has told so far.
struct Watched {
  Watched() {
    setup.path = folder.file("app.db");
    setup.name = "app";
    setup.high_water_path = folder.file("app.hlc");
    setup.log = [this](LogLevel, std::string_view text) {
      const std::lock_guard lock(mutex);
      log += std::string(text) + "\n";
    };
  }
  // Once `setup` is as the test wants it.
  void start() {
    DatabaseEvents events;
    events.opened = [this](const Result<DatabaseOpened>& outcome) { opened = static_cast<bool>(outcome); };
    events.units = [this](const std::vector<replica::OutUnit>& units) { for (const auto& unit : units) rows += unit.rows; };
    events.progress = [this](const DatabaseProgress& now) { progress = now; };
    events.changes = [](const std::vector<replica::Change>&) {};
    events.room = [] {};
    thread.emplace(setup, std::move(events), mailbox.sender());
  }
  bool prepared() const { return opened.has_value() && progress.baseline_done; }
  bool logged(const std::string& text) {
    const std::lock_guard lock(mutex);
    return log.find(text) != std::string::npos;
  }

  const test::TempDir folder;
  uv::Loop loop;
  uv::Mailbox mailbox{loop, 4096};
  DatabaseSetup setup;
  std::optional<bool> opened;
  DatabaseProgress progress;
  size_t rows = 0;  // of units
  std::mutex mutex;
  std::string log;
  std::optional<DatabaseThread> thread;
};

// Another process, whose SQLite is newer: it knows statements that this one does not.
void put_schema(const std::string& path, const std::string& name, const std::string& sql) {
  auto db = sqlite::Database::open(path, SQLITE_OPEN_READWRITE);
  REQUIRE(db);
  sqlite3_busy_timeout(db->get(), 5000);
  REQUIRE(db->exec("PRAGMA writable_schema = ON; BEGIN IMMEDIATE"));
  const auto version = db->query_integer("PRAGMA schema_version");
  REQUIRE(version);
  REQUIRE(db->exec("UPDATE sqlite_schema SET sql = " + sqlite::quote_text(sql) + " WHERE name = " + sqlite::quote_text(name) +
                   "; PRAGMA schema_version = " + std::to_string(*version + 1) + "; COMMIT"));
}

}  // namespace

// SQLite calls it malformed, and the advice was to restore a backup.
TEST_CASE("database thread: a schema that this SQLite cannot read is waited for, at start and while it runs, and named") {
  Watched watched;
  uv::Loop& loop = watched.loop;
  DatabaseSetup& setup = watched.setup;
  setup.poll_interval_ms = 20;
  {
    auto db = sqlite::Database::open(setup.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    REQUIRE(db);
    REQUIRE(db->exec("PRAGMA journal_mode = WAL; CREATE TABLE t(a INTEGER PRIMARY KEY); CREATE VIEW v AS SELECT 1"));
  }
  put_schema(setup.path, "v", "CREATE VIEW v AS SELECT 1 FUTURE JOIN 2");
  watched.start();
  const std::optional<bool>& opened = watched.opened;
  const DatabaseProgress& progress = watched.progress;
  size_t& rows = watched.rows;
  DatabaseThread& thread = *watched.thread;
  const std::string what = "\"v\" in the schema cannot be read by SQLite " + std::string(sqlite3_libversion());
  REQUIRE(run_until(loop, [&] { return watched.logged(what); }));
  CHECK_FALSE(run_until(loop, [&] { return opened.has_value(); }, std::chrono::milliseconds(300)));
  put_schema(setup.path, "v", "CREATE VIEW v AS SELECT 1");
  REQUIRE(run_until(loop, [&] { return watched.prepared(); }));
  REQUIRE(*opened);
  bool founded = false;
  REQUIRE(thread.change([](replica::Replica& engine) { return engine.found(77); }, [&](const Status& done) { founded = static_cast<bool>(done); }));
  REQUIRE(run_until(loop, [&] { return founded; }));
  thread.set_mode(DatabaseThread::Mode::apply);
  thread.set_publishing(true);
  thread.publish_outbox();

  auto application = sqlite::Database::open(setup.path, SQLITE_OPEN_READWRITE);
  REQUIRE(application);
  sqlite3_busy_timeout(application->get(), 5000);
  REQUIRE(application->exec("INSERT INTO t VALUES(1)"));
  thread.wake();
  REQUIRE(run_until(loop, [&] { return rows > 0; }));
  rows = 0;
  put_schema(setup.path, "v", "CREATE VIEW v AS SELECT 1 FUTURE JOIN 2");
  thread.wake();
  REQUIRE(run_until(loop, [&] { return progress.trouble.find(what) != std::string::npos; }));
  CHECK(progress.halted.empty());
  CHECK_FALSE(watched.logged("backup"));
  CHECK_FALSE(watched.logged(".recover"));
  put_schema(setup.path, "v", "CREATE VIEW v AS SELECT 1");
  REQUIRE(application->exec("INSERT INTO t VALUES(2)"));
  CHECK(run_until(loop, [&] { return rows > 0 && progress.trouble.empty(); }));
}

// A write that waits for the lock stands before all questions. The thread had taken them over, out of the bound's sight, so with
// every `marmot status` the queue grew for as long as somebody kept the file locked.
TEST_CASE("database thread: what waits behind a locked file has a bound, and is answered once the file is free") {
  Watched watched;
  uv::Loop& loop = watched.loop;
  watched.start();
  DatabaseThread& thread = *watched.thread;
  REQUIRE(run_until(loop, [&] { return watched.prepared(); }));
  REQUIRE(*watched.opened);

  auto application = sqlite::Database::open(watched.setup.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX);
  REQUIRE(application);
  sqlite3_busy_timeout(application->get(), 5000);
  REQUIRE(application->exec("BEGIN IMMEDIATE"));
  bool written = false;
  REQUIRE(thread.change([](replica::Replica& engine) { return engine.database().exec("CREATE TABLE t(a)"); }, [&](const Status& done) { written = static_cast<bool>(done); }));
  size_t taken = 0, answered = 0;
  bool refused = false;
  for (size_t i = 0; i < 20 * DatabaseThread::kMaxJobs && !refused; ++i) {
    const Status asked = thread.ask<bool>([](replica::Replica&) -> Result<bool> { return true; }, [&](const Result<bool>&) { ++answered; });
    refused = !asked;
    if (asked) ++taken;
    else CHECK(asked.error().code == Errc::busy);
    if (i % 100 == 0) (void)run_until(loop, [&] { return false; }, std::chrono::milliseconds(20));  // the thread takes them over
  }
  CHECK(refused);
  CHECK(answered == 0);
  REQUIRE(application->exec("COMMIT"));
  CHECK(run_until(loop, [&] { return written && answered == taken; }));
}
