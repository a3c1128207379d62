// `marmot check`: each rule, on schemas made for it and on such as applications have.
#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/check/check_file.hpp"
#include "agent/check/rules.hpp"

using namespace marmot;
using namespace marmot::agent;

namespace {

constexpr WallMs kNow = 1'800'000'000'000;

std::vector<Finding> findings_of(const std::string& sql, const std::vector<std::string>& include = {"*"},
                                 const std::vector<std::string>& exclude = {}) {
  auto db = sqlite::Database::open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  REQUIRE(db);
  const Status made = db->exec(sql);
  REQUIRE_MESSAGE(made, (made ? "" : made.error().message));
  const auto facts = read_schema_facts(*db, include, exclude, kNow);
  REQUIRE_MESSAGE(facts, (facts ? "" : facts.error().message));
  return find_findings(*facts);
}

// "rule table(subject)", one a finding, in their order.
std::string said(const std::string& sql) {
  std::string out;
  for (const Finding& one : findings_of(sql)) {
    CHECK_FALSE(one.what.empty());
    CHECK_FALSE(one.cure.empty());
    out += (out.empty() ? "" : " | ") + one.rule + " " + one.table + (one.subject.empty() ? "" : "(" + one.subject + ")");
  }
  return out;
}

}  // namespace

TEST_CASE("check: a table whose key no two nodes choose gives nothing to do") {
  CHECK(said("CREATE TABLE t(id TEXT NOT NULL PRIMARY KEY, v)") == "");
  CHECK(short_form({}) == "");
}

TEST_CASE("check: ids that SQLite counts, and who points at them") {
  CHECK(said("CREATE TABLE a(id INTEGER PRIMARY KEY, v)") == "counted-ids a(id)");
  CHECK(said("CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, v)") == "");
  CHECK(said("CREATE TABLE a(id INT NOT NULL PRIMARY KEY, v)") == "");  // not the rowid: nothing counts it up
  const auto two = findings_of("CREATE TABLE a(id INTEGER PRIMARY KEY);"
                               "CREATE TABLE b(k TEXT NOT NULL PRIMARY KEY, a_id REFERENCES a, other REFERENCES a(id), x REFERENCES c)");
  REQUIRE(two.size() == 1);
  CHECK(two[0].subject == "id, to which b.other, b.a_id point");
}

TEST_CASE("check: ids that come to an end within 90 days, at the pace of the last week") {
  // A week ago they stood at 1,000 million.
  const auto at_the_pace = [](const std::string& seq, const std::string& days_ago) {
    return said("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO sqlite_sequence VALUES('t', " + seq + ");"
                "CREATE TABLE __marmot_table(id INTEGER PRIMARY KEY, name); INSERT INTO __marmot_table VALUES(3, 't');"
                "CREATE TABLE __marmot_pace(tbl, at, highest); INSERT INTO __marmot_pace VALUES(3, 1800000000000 - 86400000 * " + days_ago + ", 1000000000)");
  };
  CHECK(at_the_pace("1100000000", "7") == "ids-end t");   // 100 million a week: 73 days
  CHECK(at_the_pace("1050000000", "7") == "");            // 153 days
  CHECK(at_the_pace("1100000000", "0.02") == "");         // not looked at for an hour
  CHECK(at_the_pace("1000000000", "7") == "");
  CHECK(at_the_pace("9007199000000000", "7") == "ids-end t");  // beyond 2^31, close to 2^53
  CHECK(at_the_pace("3000000000", "7") == "");
}

TEST_CASE("check: UNIQUE columns that are not the key") {
  CHECK(said("CREATE TABLE u(k TEXT NOT NULL PRIMARY KEY, mail TEXT UNIQUE, a, b, UNIQUE(a, b))") == "unique u(mail; a, b)");
  CHECK(said("CREATE TABLE u(k TEXT NOT NULL PRIMARY KEY, a); CREATE UNIQUE INDEX i ON u(lower(a)) WHERE a IS NOT NULL") ==
        "unique u(lower(a) where a IS NOT NULL)");
}

TEST_CASE("check: counters are few rows with a number that says it counts") {
  CHECK(said("CREATE TABLE c(name TEXT NOT NULL PRIMARY KEY, next_value INTEGER); INSERT INTO c VALUES('invoice', 5)") ==
        "counter c(next_value)");
  CHECK(said("CREATE TABLE counters(name TEXT NOT NULL PRIMARY KEY, value INTEGER)") == "counter counters(value)");
  // Empty, text, or many rows: none.
  CHECK(said("CREATE TABLE c(name TEXT NOT NULL PRIMARY KEY, value INTEGER)") == "");
  CHECK(said("CREATE TABLE c(name TEXT NOT NULL PRIMARY KEY, value TEXT); INSERT INTO c VALUES('title', 'x')") == "");
  CHECK(said("CREATE TABLE c(name TEXT NOT NULL PRIMARY KEY, view_count INT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
             "WHERE i < 11) INSERT INTO c SELECT i, i FROM n") == "");
}

TEST_CASE("check: queues, locks and leases by their name or their columns") {
  CHECK(said("CREATE TABLE delayed_jobs(k TEXT NOT NULL PRIMARY KEY, handler)") == "queue delayed_jobs");
  CHECK(said("CREATE TABLE JobQueue(k TEXT NOT NULL PRIMARY KEY, x)") == "queue JobQueue");
  CHECK(said("CREATE TABLE work(k TEXT NOT NULL PRIMARY KEY, locked_at, claimedBy)") == "queue work(locked_at, claimedBy)");
  CHECK(said("CREATE TABLE blocks(k TEXT NOT NULL PRIMARY KEY, x); CREATE TABLE clock(k TEXT NOT NULL PRIMARY KEY)") == "");
}

TEST_CASE("check: caches and sessions") {
  CHECK(said("CREATE TABLE cache(k TEXT NOT NULL PRIMARY KEY, v)") == "cache cache");
  CHECK(said("CREATE TABLE tokens(k TEXT NOT NULL PRIMARY KEY, expires_at)") == "cache tokens(expires_at)");
}

TEST_CASE("check: tables without a key, and the one row that becomes two") {
  CHECK(said("CREATE TABLE s(a, b); INSERT INTO s VALUES(1, 2)") == "singleton s");
  CHECK(said("CREATE TABLE s(a, b); INSERT INTO s VALUES(1, 2), (3, 4)") == "no-key s");
  CHECK(said("CREATE TABLE s(a, b)") == "no-key s");
  CHECK(said("CREATE TABLE n(a TEXT PRIMARY KEY, b)") == "nullable-key n(a)");
}

TEST_CASE("check: virtual tables, and modules that this SQLite does not have") {
  CHECK(said("CREATE VIRTUAL TABLE f USING fts5(body)") == "virtual-table f(fts5)");
  CHECK(said("CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, body); CREATE VIRTUAL TABLE f USING fts5(body, content=t)") == "virtual-table f(fts5)");
  CHECK(said("CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY); PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES('table', 'v', 'v', 0, "
             "'CREATE VIRTUAL TABLE v USING \"vec0\"(a)'); PRAGMA writable_schema = RESET;"
             "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO v VALUES(NEW.k); END") == "missing-module t(vec0) | missing-module v(vec0)");
}

TEST_CASE("check: full-text indexes whose content cannot be read") {
  for (const std::string module : {"fts5", "fts4"}) {
    CHECK(said("CREATE VIRTUAL TABLE f USING " + module + "(body, content=\"t\")") == "unreadable-content f(" + module + ") | virtual-table f(" + module + ")");
    const auto found = findings_of("CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, text); CREATE VIEW v AS SELECT k, body FROM t; CREATE VIRTUAL TABLE f USING " + module + "(body, content=v)");
    REQUIRE(found.size() == 2);
    CHECK(found[0].rule == "unreadable-content");
    if (module == "fts5") CHECK(found[0].what == "a full-text index whose content cannot be read: no such column: body");
  }
}

TEST_CASE("check: every function and collation that a write needs and SQLite lacks") {
  // Schemas of an application that has them: SQLite takes them as text from the file.
  const auto with = [](const std::string& table, const std::string& more = "") {
    return "PRAGMA writable_schema = ON; CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, a, b);" + more + "UPDATE sqlite_schema SET sql = '" + table +
           "' WHERE name = 't'; PRAGMA writable_schema = RESET";
  };
  CHECK(said(with("CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, a CHECK(is_fine(a)), b CHECK(other(b)))")) == "missing-function t(other, is_fine)");
  CHECK(said(with("CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, a, b AS (slug(a)))")) == "missing-function t(slug)");
  CHECK(said("CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY); CREATE TRIGGER g AFTER DELETE ON t BEGIN SELECT notify(OLD.k); END") ==
        "missing-function t(notify)");
  CHECK(said("CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, a); CREATE INDEX i ON t(a); PRAGMA writable_schema = ON;"
             "UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t(fold(a))' WHERE name = 'i'; PRAGMA writable_schema = RESET") ==
        "missing-function t(fold)");
  CHECK(said(with("CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, a CHECK(a COLLATE german = b), b)")) == "missing-collation t(german)");
  CHECK(said("PRAGMA writable_schema = ON; CREATE TABLE t(k TEXT NOT NULL COLLATE nocase PRIMARY KEY, a);"
             "UPDATE sqlite_schema SET sql = 'CREATE TABLE t(k TEXT NOT NULL COLLATE german PRIMARY KEY, a)' WHERE name = 't';"
             "PRAGMA writable_schema = RESET") == "not-replicable t");
}

TEST_CASE("check: tables that are left out are not spoken of, and other sidecars' are") {
  const std::string sql = "CREATE TABLE jobs(k TEXT NOT NULL PRIMARY KEY); CREATE TABLE _litestream_seq(id INTEGER PRIMARY KEY, seq)";
  CHECK(said(sql) == "queue jobs | sidecar _litestream_seq");
  CHECK(findings_of(sql, {"*"}, {"jobs", "_litestream_*"}).empty());
}

TEST_CASE("check: the worst comes first, and the short form names three tables of a rule") {
  const std::string sql =
      "CREATE TABLE notes(a, b); CREATE TABLE a(id INTEGER PRIMARY KEY); CREATE TABLE b(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY);"
      "CREATE TABLE d(id INTEGER PRIMARY KEY); CREATE TABLE jobs(k TEXT NOT NULL PRIMARY KEY)";
  const auto found = findings_of(sql);
  REQUIRE(found.size() == 6);
  CHECK(found.front().rule == "queue");
  CHECK(found.back().rule == "no-key");
  CHECK(short_form(found) == "3 things to know: a queue or lock (jobs), 4 tables with counted ids (a, b, c, ...), a table without a key (notes)");
}

TEST_CASE("check: the file is only read, and no file is left beside it") {
  const auto folder = std::filesystem::temp_directory_path() / ("marmot-check-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const std::string path = folder / "a.db";
  {
    auto db = sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    REQUIRE(db);
    REQUIRE(db->exec("PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES(1)"));
  }
  const auto bytes = [&] {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::string before = bytes();
  const auto report = check_file(CheckRequest{path, {"*"}, {}, {}});
  REQUIRE(report);
  CHECK(report->findings.size() == 1);
  CHECK(bytes() == before);
  CHECK(std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()) == 1);
  CHECK(report_text("a.db", *report).find("collides: counted-ids: t (id)") != std::string::npos);
  const auto none = check_file(CheckRequest{folder / "none.db", {"*"}, {}, {}});
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Errc::bad_input);
  std::ofstream(folder / "text.txt") << "not a database, but some lines of text that are long enough to look like a header of it";
  CHECK_FALSE(check_file(CheckRequest{folder / "text.txt", {"*"}, {}, {}}));
  std::filesystem::remove_all(folder);
}
