#include <doctest/doctest.h>
#include <unistd.h>

#include "agent/cli/commands.hpp"
#include "agent/control/lock.hpp"
#include "common/replica/capture.hpp"
#include "common/sqlite/database.hpp"
#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;

namespace {

sqlite::Database open(const std::string& path) {
  auto db = sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  REQUIRE(db);
  return *std::move(db);
}

// A file as an agent leaves it: watched, in WAL mode, remembering that it was not.
void make_watched(const std::string& path) {
  sqlite::Database db = open(path);
  REQUIRE(db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'x'); PRAGMA journal_mode = wal"));
  REQUIRE(replica::install(db));
  const auto table = replica::read_table(db, "t");
  REQUIRE(table);
  REQUIRE(replica::watch(db, *table, replica::WatchMode::keys));
  REQUIRE(db.exec("INSERT OR REPLACE INTO __marmot_meta VALUES('journal_mode_before', 'delete')"));
}

int cleanup(const std::string& path) {
  TargetOptions options;
  options.database = path;
  options.json = true;
  return cmd_cleanup(options);
}

}  // namespace

TEST_CASE("cleanup: nothing of ours is left in the file or beside it, and its journal mode is as it was") {
  const test::TempDir dir;
  make_watched(dir.file("app.db"));
  std::filesystem::create_directories(dir.file("app.db-marmot/nats"));
  test::write(dir.file("app.db-marmot/agent.lock"), "");
  CHECK(cleanup(dir.file("app.db")) == kExitOk);
  sqlite::Database db = open(dir.file("app.db"));
  CHECK(*db.query_text("SELECT group_concat(name) FROM sqlite_schema") == "t");
  CHECK(*db.query_text("PRAGMA journal_mode") == "delete");
  CHECK(*db.query_text("SELECT v FROM t") == "x");
  CHECK_FALSE(std::filesystem::exists(dir.file("app.db-marmot")));
  CHECK(cleanup(dir.file("app.db")) == kExitOk);  // again: nothing to do
}

TEST_CASE("cleanup: the JetStream store is kept, because other nodes may need it") {
  const test::TempDir dir;
  make_watched(dir.file("app.db"));
  std::filesystem::create_directories(dir.file("app.db-marmot/nats/jetstream"));
  test::write(dir.file("app.db-marmot/other"), "");
  CHECK(cleanup(dir.file("app.db")) == kExitOk);
  CHECK(std::filesystem::exists(dir.file("app.db-marmot/nats/jetstream")));
  CHECK_FALSE(std::filesystem::exists(dir.file("app.db-marmot/other")));
}

TEST_CASE("cleanup: is refused while an agent runs, and leaves the file as it is") {
  const test::TempDir dir;
  make_watched(dir.file("app.db"));
  const auto lock = AgentLock::acquire(dir.file("app.db-marmot"), "/x");
  REQUIRE(lock);
  CHECK(cleanup(dir.file("app.db")) == kExitFailed);
  CHECK(*open(dir.file("app.db")).query_integer("SELECT count(*) FROM sqlite_schema WHERE name = '__marmot_meta'") == 1);
}

TEST_CASE("cleanup: a file that does not exist is an error, and nothing is made in its place") {
  const test::TempDir dir;
  CHECK(cleanup(dir.file("none.db")) == kExitFailed);
  CHECK(std::filesystem::is_empty(dir.path()));
}
