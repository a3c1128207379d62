// What the agent does to a database file before and beside replication: opening it, knowing whose it is, the clock's
// high-water mark.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/database/file_identity.hpp"
#include "agent/database/high_water.hpp"
#include "agent/database/open_database.hpp"
#include "common/replica/capture.hpp"
#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;

namespace {

OpenOptions options_for(const std::string& path) {
  OpenOptions options;
  options.path = path;
  options.busy_limit_ms = 200;
  options.log = [](LogLevel, std::string_view) {};
  return options;
}

std::string refusal(const OpenOptions& options) {
  const auto opened = open_database(options);
  REQUIRE_FALSE(opened);
  return opened.error().message;
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("high water: a value survives, a smaller one changes nothing, bytes of somebody else are refused") {
  const test::TempDir dir;
  const std::string path = dir.file("app.hlc");
  {
    auto mark = HighWater::open(path);
    REQUIRE(mark);
    CHECK(mark->value() == Hlc{});
    CHECK(*mark->store(Hlc{500}));
    CHECK_FALSE(*mark->store(Hlc{499}));
    CHECK(mark->sync());
  }
  auto again = HighWater::open(path);
  REQUIRE(again);
  CHECK(again->value() == Hlc{500});
  test::write(path, "not sixteen b");
  const auto foreign = HighWater::open(path);
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error().code == Errc::corrupt);
  CHECK(holds(foreign.error().message, path));
}

TEST_CASE("open: what cannot be opened is refused by name and with the cure") {
  const test::TempDir dir;
  CHECK(holds(refusal(options_for(dir.file("none/app.db"))), "does not exist: make it"));
  CHECK(holds(refusal(options_for(dir.path())), "is a folder"));
  const std::string junk = dir.file("junk.db");
  test::write(junk, std::string(8192, 'x'));
  CHECK(holds(refusal(options_for(junk)), junk + ": is not a database"));
  CHECK(test::read(junk) == std::string(8192, 'x'));
  OpenOptions missing = options_for(dir.file("missing.db"));
  missing.may_create = false;
  CHECK(holds(refusal(missing), "no such file"));
  OpenOptions extension = options_for(dir.file("e.db"));
  extension.extensions = {dir.file("nothing.so")};
  CHECK(holds(refusal(extension), "extensions.load: " + dir.file("nothing.so")));
}

TEST_CASE("open: a file in another journal mode is switched to WAL, and remembers which it was") {
  const test::TempDir dir;
  const std::string path = dir.file("app.db");
  {
    auto db = sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    REQUIRE(db);
    REQUIRE(db->exec("PRAGMA journal_mode = TRUNCATE; CREATE TABLE t(x)"));
  }
  auto opened = open_database(options_for(path));
  REQUIRE(opened);
  CHECK_FALSE(opened->created);
  CHECK(opened->installed);
  CHECK(*opened->db.query_text("PRAGMA journal_mode") == "wal");
  CHECK(*read_meta(opened->db, "journal_mode_before") == "delete");  // TRUNCATE is a property of a connection
  auto again = open_database(options_for(path));
  REQUIRE(again);
  CHECK_FALSE(again->installed);
}

TEST_CASE("open: a file that another connection keeps locked is told after the limit") {
  const test::TempDir dir;
  const std::string path = dir.file("app.db");
  auto holder = sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  REQUIRE(holder);
  REQUIRE(holder->exec("CREATE TABLE t(x); BEGIN EXCLUSIVE"));
  const std::string message = refusal(options_for(path));
  CHECK(holds(message, path));
  CHECK(holds(message, "kept the database locked"));
}

TEST_CASE("identity: made once, kept, overruled by the configuration, and new for a file that stands elsewhere") {
  const test::TempDir dir;
  const std::string path = dir.file("app.db"), copy = dir.file("copy.db");
  uint64_t first = 0;
  {
    auto opened = open_database(options_for(path));
    REQUIRE(opened);
    REQUIRE(replica::install(opened->db));
    const auto made = identify(opened->db, path, 0, 0);
    REQUIRE(made);
    CHECK(made->origin == FileIdentity::Origin::created);
    first = made->node.value;
    CHECK(first >= 1);
    CHECK(first <= kMaxNodeId);
    REQUIRE(remember(opened->db, path, made->node));
    const auto kept = identify(opened->db, path, 0, 0);
    REQUIRE(kept);
    CHECK(kept->origin == FileIdentity::Origin::kept);
    CHECK(kept->node.value == first);
    const auto configured = identify(opened->db, path, 7, 0);
    REQUIRE(configured);
    CHECK(configured->node.value == 7);
    CHECK(configured->before.value == first);
  }
  std::filesystem::copy_file(path, copy);
  auto opened = open_database(options_for(copy));
  REQUIRE(opened);
  const auto other = identify(opened->db, copy, 0, 0);
  REQUIRE(other);
  CHECK(other->origin == FileIdentity::Origin::copied);
  CHECK(other->before.value == first);
  CHECK(other->node.value != first);
}
