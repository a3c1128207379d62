// What the agent does to a database file before and beside replication: opening it, knowing whose it is, the clock's
// high-water mark.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "agent/database/file_identity.hpp"
#include "agent/database/high_water.hpp"
#include "agent/database/open_database.hpp"
#include "agent/database/sharing.hpp"
#include "common/node/former_ids.hpp"
#include "common/replica/capture.hpp"
#include "common/replica/meta.hpp"
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

TEST_CASE("high water: it can be lowered, for a new incarnation, and that survives") {
  const test::TempDir dir;
  const std::string path = dir.file("app.hlc");
  {
    auto mark = HighWater::open(path);
    REQUIRE(mark);
    CHECK(*mark->store(Hlc{500}));
    CHECK(mark->lower(Hlc{700}));
    CHECK(mark->value() == Hlc{500});
    CHECK(mark->lower(Hlc{300}));
    CHECK(mark->value() == Hlc{300});
  }
  auto again = HighWater::open(path);
  REQUIRE(again);
  CHECK(again->value() == Hlc{300});
  CHECK(*again->store(Hlc{301}));
}

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
  const std::vector<NodeId> ids{NodeId{7}, NodeId{UINT64_MAX}}, lives(node::kMostLives, NodeId{8});
  {
    auto again = HighWater::open(path);
    REQUIRE(again);
    CHECK(again->value() == Hlc{500});
    CHECK(again->nodes().empty());  // as a former version leaves it
    CHECK(again->keep({NodeId{1}, NodeId{2}, NodeId{3}}, {NodeId{4}}));
    CHECK(again->keep(ids, lives));
    CHECK(*again->store(Hlc{600}));
  }
  auto with_ids = HighWater::open(path);
  REQUIRE(with_ids);
  CHECK(with_ids->value() == Hlc{600});
  CHECK(with_ids->nodes() == ids);
  CHECK(with_ids->lives() == lives);
  test::write(dir.file("copy.hlc"), test::read(path));
  const auto copy = HighWater::open(dir.file("copy.hlc"));
  REQUIRE(copy);
  CHECK(copy->value() == Hlc{600});
  CHECK(copy->nodes().empty());  // data_dir was copied: they are the original's
  CHECK(copy->lives().empty());
  std::string torn = test::read(path);
  torn[56] = static_cast<char>(torn[56] ^ 1);
  test::write(path, torn);
  const auto of_torn = HighWater::open(path);
  REQUIRE(of_torn);
  CHECK(of_torn->nodes() == std::vector<NodeId>{NodeId{7}});
  CHECK(of_torn->lives() == lives);
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
    CHECK_FALSE(kept->moved);
    const auto configured = identify(opened->db, path, 7, 0);
    REQUIRE(configured);
    CHECK(configured->node.value == 7);
    CHECK(configured->before.value == first);
    CHECK(configured->moved);
    CHECK_FALSE(identify(opened->db, path, first, 0)->moved);
    REQUIRE(give_up(opened->db));
    CHECK(identify(opened->db, path, 0, 0)->origin == FileIdentity::Origin::copied);
    CHECK(identify(opened->db, path, first, 0)->moved);
    REQUIRE(remember(opened->db, path, made->node));
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

TEST_CASE("open: a file with a second name is refused at the first watching, with the cure; a member's goes on with a warning") {
  const test::TempDir dir;
  const std::string path = dir.file("app.db"), other = dir.file("elsewhere.db");
  {
    auto db = sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    REQUIRE(db);
    REQUIRE(db->exec("CREATE TABLE t(id INTEGER PRIMARY KEY)"));
  }
  CHECK(shared_alone(path).empty());
  REQUIRE(::link(path.c_str(), other.c_str()) == 0);
  CHECK(holds(refusal(options_for(path)), "share the folder, not the file"));
  CHECK(holds(refusal(options_for(path)), path));
  {
    auto db = sqlite::Database::open(path, SQLITE_OPEN_READWRITE);
    REQUIRE(db);
    CHECK(*db->query_text("PRAGMA journal_mode") == "delete");  // nothing was done to it
    REQUIRE(replica::install(*db));
    CHECK_FALSE(open_database(options_for(path)));  // watched by the extension: no agent has seen it
    REQUIRE(write_meta(*db, replica::meta::kMembership, int64_t{2}));
  }
  std::string told;
  OpenOptions options = options_for(path);
  options.log = [&](LogLevel level, std::string_view text) { told += level == LogLevel::warn ? text : ""; };
  CHECK(open_database(options));
  CHECK(holds(told, "2 names (hard links)"));
  // A symbolic link is no second name: SQLite follows it.
  const std::string linked = dir.file("linked.db");
  REQUIRE(::unlink(other.c_str()) == 0);
  REQUIRE(::symlink(path.c_str(), linked.c_str()) == 0);
  CHECK(shared_alone(linked).empty());
}

TEST_CASE("open: an empty file with a second name is refused too, and stays empty") {
  const test::TempDir dir;
  const std::string path = dir.file("app.db");
  test::write(path, "");
  REQUIRE(::link(path.c_str(), dir.file("elsewhere.db").c_str()) == 0);
  CHECK(holds(refusal(options_for(path)), "share the folder, not the file"));
  CHECK_FALSE(check_database_file(path));
  CHECK(::access((path + "-wal").c_str(), F_OK) != 0);
}

TEST_CASE("sharing: a file that is mounted by itself is told from one in a mounted folder") {
  const std::string mounts = "22 27 0:21 / /proc rw,nosuid - proc proc rw\n"
                             "36 27 8:1 /data /srv rw,noatime master:1 - ext4 /dev/sda1 rw\n"
                             "37 27 8:1 /data/app.db /srv/my\\040app.db rw - ext4 /dev/sda1 rw";
  CHECK(is_mount_point(mounts, "/srv/my app.db"));
  CHECK(is_mount_point(mounts, "/srv"));
  CHECK_FALSE(is_mount_point(mounts, "/srv/app.db"));
  CHECK_FALSE(is_mount_point(mounts, "/data/app.db"));
  CHECK_FALSE(is_mount_point("", "/srv/app.db"));
  CHECK_FALSE(is_mount_point("1 2 3", "/srv/app.db"));
}

TEST_CASE("sharing: a change counter that moves beside a -wal that stands still is told, once, and a checkpoint is not") {
  constexpr int64_t second = 1'000'000;
  SharingWatch watch;
  SharingWatch::Facts now{4096, 1, 10, 0, 5};
  CHECK_FALSE(watch.look(second, now));
  now.counter = 6;  // a checkpoint is under way
  CHECK_FALSE(watch.look(2 * second, now));
  now.backfilled = 10;
  CHECK_FALSE(watch.look(3 * second, now));
  CHECK_FALSE(watch.look(20 * second, now));
  now.counter = 7;
  now.wal_bytes = 8192;  // ours
  CHECK_FALSE(watch.look(21 * second, now));
  CHECK_FALSE(watch.look(40 * second, now));
  now.counter = 9;
  CHECK_FALSE(watch.look(41 * second, now));
  CHECK_FALSE(watch.look(45 * second, now));
  CHECK(watch.look(46 * second, now));
  CHECK_FALSE(watch.look(47 * second, now));
  CHECK_FALSE(watch.look(60 * second, now));
}

TEST_CASE("sharing: SQLite is seen to write past the -wal through a hard link") {
  const test::TempDir dir;
  const std::string path = dir.file("app.db"), other = dir.file("elsewhere.db");
  const auto open = [](const std::string& name) {
    auto db = sqlite::Database::open(name, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    REQUIRE(db);
    REQUIRE(db->exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0"));
    return *std::move(db);
  };
  auto db = open(path);
  REQUIRE(db.exec("CREATE TABLE t(v); INSERT INTO t VALUES(randomblob(9000)); PRAGMA wal_checkpoint(PASSIVE); INSERT INTO t VALUES(2)"));
  SharingWatch watch;
  const auto look = [&](int64_t seconds) {
    const auto facts = sharing_facts(db, path);
    REQUIRE(facts);
    return watch.look(seconds * 1'000'000, *facts);
  };
  CHECK_FALSE(look(1));
  REQUIRE(db.exec("INSERT INTO t VALUES(randomblob(9000)); PRAGMA wal_checkpoint(PASSIVE)"));
  for (int64_t s = 2; s < 20; ++s) CHECK_FALSE(look(s));
  REQUIRE(::link(path.c_str(), other.c_str()) == 0);
  // Another process: in one process SQLite knows both names as one file.
  REQUIRE(std::system(("sqlite3 -batch '" + other + "' 'INSERT INTO t VALUES(randomblob(9000)); PRAGMA wal_checkpoint(PASSIVE)' > /dev/null").c_str()) == 0);
  int told = 0;
  for (int64_t s = 20; s < 40; ++s) told += look(s) ? 1 : 0;
  CHECK(told == 1);
}
