#include "agent/database_thread.hpp"

#include <doctest/doctest.h>

#include <optional>

#include "common/sqlite/database.hpp"
#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;
using test::run_until;

// A write that waits for the lock stands before all questions. The thread had taken them over, out of the bound's sight, so with
// every `marmot status` the queue grew for as long as somebody kept the file locked.
TEST_CASE("database thread: what waits behind a locked file has a bound, and is answered once the file is free") {
  const test::TempDir folder;
  uv::Loop loop;
  uv::Mailbox mailbox(loop, 4096);
  DatabaseSetup setup;
  setup.path = folder.file("app.db");
  setup.name = "app";
  setup.high_water_path = folder.file("app.hlc");
  setup.log = [](LogLevel, std::string_view) {};
  std::optional<bool> opened;
  bool prepared = false;
  DatabaseEvents events;
  events.opened = [&](const Result<DatabaseOpened>& outcome) { opened = static_cast<bool>(outcome); };
  events.units = [](const std::vector<replica::OutUnit>&) {};
  events.progress = [&](const DatabaseProgress& progress) { prepared = progress.baseline_done; };
  events.changes = [](const std::vector<replica::Change>&) {};
  events.room = [] {};
  DatabaseThread thread(setup, std::move(events), mailbox.sender());
  REQUIRE(run_until(loop, [&] { return opened.has_value() && prepared; }));
  REQUIRE(*opened);

  auto application = sqlite::Database::open(setup.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX);
  REQUIRE(application);
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
