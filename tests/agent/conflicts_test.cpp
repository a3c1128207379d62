// `marmot conflicts`: who refers to a lost row, and how lost rows come back with what belongs to them. The files are made by hand: node 1
// holds them, and rows of node 2 lost.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "agent/control/control.hpp"
#include "agent/loop/process.hpp"
#include "common/core/key.hpp"
#include "common/replica/capture.hpp"
#include "common/sqlite/database.hpp"
#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;

namespace {

constexpr int kThem = 2, kOther = 3;  // ids of __marmot_origin

std::string key_of(std::initializer_list<ValueView> parts) {
  std::string key;
  for (const ValueView& part : parts) append_key_part(key, part);
  return key;
}
std::string key_of(int64_t id) { return key_of({ValueView::of_integer(id)}); }

struct Lost {
  test::TempDir dir;
  uv::Loop loop;
  std::string path = dir.file("app.db");
  std::optional<sqlite::Database> db;

  explicit Lost(const std::string& sql) {
    auto opened = sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    REQUIRE(opened);
    db.emplace(*std::move(opened));
    REQUIRE(db->exec(sql));
    REQUIRE(replica::install(*db));
    REQUIRE(db->exec("INSERT INTO __marmot_meta VALUES('node_id', 1);"
                     "INSERT INTO __marmot_origin VALUES(0, 0, 0, 0), (1, 1, 10, 0), (2, 2, 20, 0), (3, 3, 30, 0)"));
  }
  void run_sql(const std::string& text, const std::string& blob) {
    auto statement = db->prepare(text);
    REQUIRE(statement);
    REQUIRE(statement->bind_blob(1, blob).run());
  }
  int64_t table(const std::string& name) {
    REQUIRE(db->exec("INSERT INTO __marmot_table(name) SELECT '" + name + "' WHERE NOT EXISTS (SELECT 1 FROM __marmot_table WHERE name = '" + name + "')"));
    return *db->query_integer("SELECT id FROM __marmot_table WHERE name = '" + name + "'");
  }
  void version(const std::string& name, const std::string& key, int origin) {
    run_sql("INSERT INTO __marmot_version VALUES(" + std::to_string(table(name)) + ", ?1, 1, " + std::to_string(origin) + ", 1, 0, 1)", key);
  }
  void lose(const std::string& name, const std::string& key, const std::string& row, const std::string& kind = "insert", int node = 2) {
    run_sql("INSERT INTO __marmot_conflict(at, kind, tbl, key, winner_hlc, winner_node, winner_incarnation, loser_hlc, loser_node, "
            "loser_incarnation, loser_row) VALUES(5, '" + kind + "', '" + name + "', ?1, 655360, 1, 10, 65536, " + std::to_string(node) + ", 20, '" + row + "')", key);
  }
  std::string text(const std::string& query) {
    const auto out = db->query_text(query);
    REQUIRE_MESSAGE(out, out.error().message);
    return *out;
  }

  struct Run {
    int exit_code = -1;
    std::string output;  // both streams
  };
  Run run(std::vector<std::string> args) {
    args.insert(args.begin(), {"conflicts", path});
    uv::ProcessOptions options;
    options.file = MARMOT_EXE;
    options.args = std::move(args);
    options.output = dir.file("output");
    std::remove(options.output.c_str());
    std::optional<uv::ProcessEnd> end;
    const auto process = uv::Process::spawn(loop, options, [&](const uv::ProcessEnd& e) { end = e; });
    REQUIRE(process);
    CHECK(test::run_until(loop, [&] { return end.has_value(); }, std::chrono::seconds{30}));
    REQUIRE(end);
    return {end->exit_code, test::read(options.output)};
  }
  Json json(std::vector<std::string> args) {
    args.emplace_back("--json");
    const Run done = run(std::move(args));
    CHECK_MESSAGE(done.exit_code == 0, done.output);
    return Json::parse(done.output, nullptr, false);
  }
};

// Parents 7 of two nodes, each with two children; node 2's lost, and its children are there under ids of their own.
struct Families : Lost {
  explicit Families(const std::string& child = "CREATE TABLE child(id INTEGER PRIMARY KEY, parent INT REFERENCES parent(id), name)")
      : Lost("CREATE TABLE parent(id INTEGER PRIMARY KEY, name);" + child +
             ";INSERT INTO parent VALUES(7, 'ours'); INSERT INTO child(id, parent, name) VALUES(1, 7, 'ours'), (2, 7, 'ours'), (11, 7, 'theirs'), (12, 7, 'theirs')") {
    version("parent", key_of(7), 1);
    lose("parent", key_of(7), R"({"id": 7, "name": "theirs"})");
  }
};

const char* const kChildren = "SELECT group_concat(id || ':' || parent || ':' || name, ' ') FROM (SELECT * FROM child ORDER BY id)";

}  // namespace

TEST_CASE("conflicts: rows of the loser's node that refer to it are counted and shown, others are not") {
  Families f;
  f.version("child", key_of(1), 1);
  f.version("child", key_of(11), kThem);
  f.version("child", key_of(12), kThem);  // child 2 has no version: this node's
  CHECK(f.run({}).output.find("  of it    2 rows refer to it\n") != std::string::npos);
  CHECK(f.json({})["conflicts"][0]["referring_rows"] == 2);
  const Json shown = f.json({"show", "1"});
  CHECK(shown["referring_rows"] == 2);
  CHECK(shown["referring"] == Json::parse(R"([{"table": "child", "key": "11", "row": {"id": 11, "parent": 7, "name": "theirs"}},
                                              {"table": "child", "key": "12", "row": {"id": 12, "parent": 7, "name": "theirs"}}])"));
  CHECK(f.run({"show", "1"}).output.find("  refers  child 12  {\"id\": 12, \"parent\": 7, \"name\": \"theirs\"}\n") != std::string::npos);
  f.lose("parent", key_of(7), R"({"id": 7, "name": "mine"})", "insert", 1);  // lost by this node: a row without a version is its own
  CHECK(f.json({})["conflicts"][1]["referring_rows"] == 2);
}

TEST_CASE("conflicts: foreign keys of every kind are followed") {
  struct Kind {
    const char* parent;
    const char* row;
    const char* child;
    const char* refers;
    ValueView key;
  } kinds[] = {
      {"id INTEGER PRIMARY KEY, name TEXT UNIQUE", R"({"id": 7, "name": "x"})", "k REFERENCES parent", "'7'", {}},  // implicit; text against a number
      {"id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE", R"({"id": 7, "name": "Ann"})", "k REFERENCES parent(NAME)", "'aNN'", {}},
      {"a INT, b TEXT, PRIMARY KEY(a, b)", R"({"a": 7, "b": "x"})", "k INT, l TEXT DEFAULT 'x', FOREIGN KEY(k, l) REFERENCES parent", "7", {}},
      {"id BLOB PRIMARY KEY", R"({"id": {"hex": "00FF"}})", "k REFERENCES parent(id)", "x'00ff'", {}},
      {"id REAL PRIMARY KEY", R"({"id": 7.0})", "k REFERENCES parent(id)", "7", {}},
      {"id TEXT PRIMARY KEY", R"({"id": "it's \"ü\""})", "k REFERENCES parent(id)", "'it''s \"ü\"'", {}},
  };
  for (const Kind& kind : kinds) {
    CAPTURE(kind.child);
    Lost f(std::string("CREATE TABLE parent(") + kind.parent + "); CREATE TABLE child(n INTEGER PRIMARY KEY, " + kind.child + ");"
           "INSERT INTO child(n, k) VALUES(1, " + kind.refers + "), (2, 'another'), (3, NULL)");
    f.version("child", key_of(1), kThem);
    f.version("child", key_of(2), kThem);
    std::string row;
    for (const char c : std::string(kind.row)) row += c == '\'' ? "''" : std::string(1, c);
    f.lose("parent", key_of(7), row);
    CHECK(f.json({})["conflicts"][0]["referring_rows"] == 1);
  }
}

TEST_CASE("conflicts: children without a rowid, under two columns, and without a key are known by their versions") {
  Lost f("CREATE TABLE parent(id INTEGER PRIMARY KEY); CREATE TABLE w(a TEXT, b INT REFERENCES parent, PRIMARY KEY(a, b)) WITHOUT ROWID;"
         "CREATE TABLE c(a TEXT COLLATE NOCASE, b INT REFERENCES parent, PRIMARY KEY(a, b)); CREATE TABLE keyless(b REFERENCES parent, b2 REFERENCES parent);"
         "INSERT INTO parent VALUES(7), (8);"
         "INSERT INTO w VALUES('x', 7), ('y', 7); INSERT INTO c VALUES('X', 7), ('y', 7); INSERT INTO keyless VALUES(7, 7), (7, 8)");
  const auto pair_key = [](std::string_view a) { return key_of({ValueView::of_text(a), ValueView::of_integer(7)}); };
  f.version("w", pair_key("x"), kThem);
  f.version("w", pair_key("y"), kOther);
  f.version("c", pair_key("x"), kThem);
  f.version("c", pair_key("y"), kOther);
  std::string one, two;
  append_rowid_part(one, NodeId{99}, 1);
  append_rowid_part(two, NodeId{99}, 2);
  f.version("keyless", one, kThem);
  f.version("keyless", two, kOther);
  REQUIRE(f.db->exec("INSERT INTO __marmot_rowid SELECT id, 99, 1, 1 FROM __marmot_table WHERE name = 'keyless';"
                     "INSERT INTO __marmot_rowid SELECT id, 99, 2, 2 FROM __marmot_table WHERE name = 'keyless'"));
  f.lose("parent", key_of(7), R"({"id": 7})");
  CHECK(f.json({})["conflicts"][0]["referring_rows"] == 3);  // the keyless one once, though it refers twice
  const Json done = f.json({"restore", "1", "--set", "id=NULL", "--with-children"});
  CHECK(done["moved"] == 3);
  CHECK(f.text("SELECT group_concat(a || b) FROM (SELECT * FROM w ORDER BY a)") == "x9,y7");
  CHECK(f.text("SELECT group_concat(a || b) FROM (SELECT * FROM c ORDER BY a)") == "X9,y7");
  CHECK(f.text("SELECT group_concat(b || b2) FROM keyless") == "99,78");
}

TEST_CASE("conflicts restore: without --with-children what refers to the row stays, and is told") {
  Families f;
  f.version("child", key_of(11), kThem);
  f.version("child", key_of(12), kThem);
  const auto done = f.run({"restore", "1", "--set", "id=NULL"});
  CHECK(done.exit_code == 0);
  CHECK(done.output == "restored: parent is written again; 2 rows still refer to the former key (--with-children moves them)\n");
  CHECK(f.text(kChildren) == "1:7:ours 2:7:ours 11:7:theirs 12:7:theirs");
}

TEST_CASE("conflicts restore --with-children: the row's children follow it to its new key, and the application's triggers see it") {
  Families f;
  f.version("child", key_of(11), kThem);
  f.version("child", key_of(12), kThem);
  REQUIRE(f.db->exec("CREATE TABLE seen(what); CREATE TRIGGER t AFTER UPDATE ON child BEGIN INSERT INTO seen VALUES(old.parent || '>' || new.parent); END"));
  const auto done = f.run({"restore", "1", "--set", "id=NULL", "--with-children"});
  CHECK_MESSAGE(done.exit_code == 0, done.output);
  CHECK(done.output == "restored: parent is written again; 2 rows that refer to what was restored moved too\n");
  CHECK(f.text(kChildren) == "1:7:ours 2:7:ours 11:8:theirs 12:8:theirs");
  CHECK(f.text("SELECT group_concat(id || name) FROM parent") == "7ours,8theirs");
  CHECK(f.text("SELECT group_concat(what) FROM seen") == "7>8,7>8");
  CHECK(f.run({}).output == "no conflicts\n");
}

TEST_CASE("conflicts restore --with-children: what refers to a child by a key that moves with it follows as well") {
  Lost f("CREATE TABLE parent(id INTEGER PRIMARY KEY); CREATE TABLE child(parent INT REFERENCES parent, n INT, PRIMARY KEY(parent, n)) WITHOUT ROWID;"
         "CREATE TABLE grandchild(id INTEGER PRIMARY KEY, parent INT REFERENCES parent, n INT, FOREIGN KEY(parent, n) REFERENCES child);"
         "CREATE TABLE note(id INTEGER PRIMARY KEY, parent INT, n INT, FOREIGN KEY(parent, n) REFERENCES child ON UPDATE CASCADE);"
         "INSERT INTO parent VALUES(7); INSERT INTO child VALUES(7, 1); INSERT INTO grandchild VALUES(1, 7, 1); INSERT INTO note VALUES(1, 7, 1)");
  f.version("child", key_of({ValueView::of_integer(7), ValueView::of_integer(1)}), kThem);
  f.version("grandchild", key_of(1), kThem);
  f.version("note", key_of(1), kOther);  // whoever wrote it: it refers to nothing else
  f.lose("parent", key_of(7), R"({"id": 7})");
  CHECK(f.run({"restore", "1", "--set", "id=70", "--with-children"}).exit_code == 0);
  CHECK(f.text("SELECT parent || '.' || n FROM child") == "70.1");
  CHECK(f.text("SELECT parent || '.' || n FROM grandchild") == "70.1");
  CHECK(f.text("SELECT parent || '.' || n FROM note") == "70.1");
}

TEST_CASE("conflicts restore --all: a parent and its children that all lost are together again under new ids") {
  Lost f("CREATE TABLE child(id INTEGER PRIMARY KEY, parent INT NOT NULL REFERENCES parent(id), pos INT, UNIQUE(parent, pos));"
         "CREATE TABLE parent(id INTEGER PRIMARY KEY, up INT REFERENCES parent(id), name);"
         "CREATE TABLE profile(parent INTEGER PRIMARY KEY REFERENCES parent, text);"
         "INSERT INTO parent VALUES(7, NULL, 'ours'), (8, 7, 'ours'); INSERT INTO child VALUES(21, 7, 1), (22, 7, 2); INSERT INTO profile VALUES(7, 'ours')");
  // Children first, as they may be noticed.
  f.lose("child", key_of(21), R"({"id": 21, "parent": 7, "pos": 1})");
  f.lose("child", key_of(22), R"({"id": 22, "parent": 7, "pos": 2})");
  f.lose("profile", key_of(7), R"({"parent": 7, "text": "theirs"})");
  f.lose("parent", key_of(8), R"({"id": 8, "up": 7, "name": "theirs"})");
  f.lose("parent", key_of(7), R"({"id": 7, "up": null, "name": "theirs"})");
  const auto alone = f.run({"restore", "--all"});
  CHECK(alone.exit_code == 1);
  CHECK(alone.output.find("#1 child 21 cannot be restored: UNIQUE constraint failed") != std::string::npos);
  CHECK(alone.output.find("nothing was restored; first `restore 1 --set COLUMN=VALUE` or `discard 1`") != std::string::npos);
  const Json done = f.json({"restore", "--all", "--set", "id=NULL", "--with-children"});
  CHECK(done["restored"] == 5);
  CHECK(done["kept_keys"].dump() == R"(["profile"])");
  CHECK(f.text("SELECT group_concat(p.name || coalesce(up.name, '') || (SELECT count(*) FROM child c WHERE c.parent = p.id), ' ') "
               "FROM parent p LEFT JOIN parent up ON up.id = p.up ORDER BY p.id") == "ours2 oursours0 theirs2 theirstheirs0");
  CHECK(f.text("SELECT group_concat(p.name || x.text, ' ') FROM profile x JOIN parent p ON p.id = x.parent ORDER BY p.id") == "oursours theirstheirs");
  CHECK(f.run({}).output == "no conflicts\n");
}

TEST_CASE("conflicts restore --all: rows in a circle are restored, and refer to each other again") {
  Lost f("CREATE TABLE a(id INTEGER PRIMARY KEY, b INT REFERENCES b(id)); CREATE TABLE b(id INTEGER PRIMARY KEY, a INT REFERENCES a(id));"
         "INSERT INTO a VALUES(1, 1); INSERT INTO b VALUES(1, 1)");
  f.lose("a", key_of(1), R"({"id": 1, "b": 1})");
  f.lose("b", key_of(1), R"({"id": 1, "a": 1})");
  CHECK(f.json({"restore", "--all", "--set", "id=NULL", "--with-children"})["restored"] == 2);
  CHECK(f.text("SELECT group_concat(id || '>' || b) FROM a") == "1>1,2>2");
  CHECK(f.text("SELECT group_concat(id || '>' || a) FROM b") == "1>1,2>2");
}

TEST_CASE("conflicts restore --all: all or nothing; --table narrows it; what waits on the shelf is left, and told") {
  Lost f("CREATE TABLE one(id INTEGER PRIMARY KEY, mail UNIQUE); CREATE TABLE two(id INTEGER PRIMARY KEY); CREATE TABLE words(id TEXT PRIMARY KEY, n);"
         "INSERT INTO one VALUES(1, 'a'); INSERT INTO two VALUES(1)");
  f.lose("two", key_of(1), R"({"id": 1})");
  f.lose("one", key_of(1), R"({"id": 1, "mail": "a"})");
  f.lose("words", key_of({ValueView::of_text("w")}), R"({"id": "w", "n": 1})");
  f.run_sql("INSERT INTO __marmot_shelf(tbl, key, row, kind, reason, at) VALUES(" + std::to_string(f.table("two")) + ", ?1, x'', 'unique', 'why', 5)", key_of(5));
  const auto refused = f.run({"restore", "--all", "--set", "id=NULL"});
  CHECK(refused.exit_code == 1);
  CHECK_MESSAGE(refused.output.find("#2 one 1 cannot be restored: UNIQUE constraint failed: one.mail\nmarmot: in its way: {\"id\": 1, \"mail\": \"a\"}\n"
                                    "marmot: nothing was restored; first `restore 2 --set COLUMN=VALUE` or `discard 2`, or leave its table out with --table") != std::string::npos,
                refused.output);
  CHECK(f.text("SELECT count(*) FROM two") == "1");
  CHECK(f.json({})["conflicts"].size() == 4);
  const auto done = f.run({"restore", "--all", "--table", "TWO", "--set", "id=NULL"});
  CHECK(done.output == "restored: 1 row; 1 row on the shelf left: restore each by its id, with another value\n");
  CHECK(f.text("SELECT group_concat(id) FROM two") == "1,2");
  CHECK(f.run({"restore", "--all", "--table", "words", "--set", "id=NULL"}).exit_code == 2);  // it is for no table
  CHECK(f.run({"restore", "--all", "--set", "mail=b", "--set", "id=NULL"}).output ==
        "restored: 2 rows; words has no INTEGER PRIMARY KEY of that name: its rows keep their keys; 1 row on the shelf left: restore each by its id, with another value\n");
  CHECK(f.text("SELECT id || n FROM words") == "w1");
  CHECK(f.run({"--table", "two"}).exit_code == 2);
  CHECK(f.run({"show", "1", "--with-children"}).exit_code == 2);
}

TEST_CASE("conflicts restore --with-children: a child that cannot follow stops it, and nothing is changed") {
  Families f("CREATE TABLE child(id INTEGER PRIMARY KEY, parent INT CHECK(parent < 8) REFERENCES parent(id), name)");
  f.version("child", key_of(11), kThem);
  const auto done = f.run({"restore", "1", "--set", "id=NULL", "--with-children"});
  CHECK(done.exit_code == 1);
  CHECK_MESSAGE(done.output.find("#1 parent 7 cannot be restored: a row that refers to it does not follow: child: CHECK constraint failed") != std::string::npos, done.output);
  CHECK(f.text("SELECT group_concat(id) FROM parent") == "7");
  CHECK(f.json({})["conflicts"].size() == 1);
}

TEST_CASE("conflicts restore: an insert that a trigger leaves out is not taken for done") {
  Families f;
  REQUIRE(f.db->exec("CREATE TRIGGER t BEFORE INSERT ON parent BEGIN SELECT RAISE(IGNORE); END"));
  const auto done = f.run({"restore", "1", "--set", "id=NULL"});
  CHECK(done.exit_code == 1);
  CHECK(done.output.find("#1 parent 7 cannot be restored: a trigger of parent leaves its insert out") != std::string::npos);
  CHECK(f.json({})["conflicts"].size() == 1);
}

TEST_CASE("conflicts discard --with-children: what refers to the lost row goes with it, and what refers to that; the winner's stay") {
  // A value that must be there once, as Django's content types: the loser is gone, and its permissions dangle.
  Lost f("CREATE TABLE kind(id INTEGER PRIMARY KEY, name UNIQUE); CREATE TABLE child(id INTEGER PRIMARY KEY, parent INT REFERENCES kind, name);"
         "CREATE TABLE pair(a INT, b INT REFERENCES child(id), PRIMARY KEY(a, b)) WITHOUT ROWID; CREATE TABLE log(id);"
         "CREATE TRIGGER told AFTER DELETE ON child BEGIN INSERT INTO log VALUES(OLD.id); END;"
         "INSERT INTO kind VALUES(7, 'user'); INSERT INTO child VALUES(1, 7, 'ours'), (11, 257, 'theirs'), (12, 257, 'theirs'); INSERT INTO pair VALUES(1, 1), (2, 11), (3, 11)");
  f.version("kind", key_of(7), 1);
  f.version("child", key_of(1), 1);
  f.version("child", key_of(11), kThem);
  f.version("child", key_of(12), kThem);
  f.lose("kind", key_of(257), R"({"id": 257, "name": "user"})", "unique");
  f.lose("child", key_of(40), R"({"id": 40, "parent": 3, "name": "else"})");
  CHECK(f.run({"discard", "1", "--table", "kind"}).output.find("--table goes with --all") != std::string::npos);
  const Json done = f.json({"discard", "--all", "--table", "KIND", "--with-children"});
  CHECK(done == Json{{"discarded", 1}, {"children", 4}});
  CHECK(f.text(kChildren) == "1:7:ours");
  CHECK(f.text("SELECT group_concat(a || '-' || b) FROM pair") == "1-1");
  CHECK(f.text("SELECT group_concat(id, ' ') FROM (SELECT id FROM log ORDER BY id)") == "11 12");
  CHECK(f.text("SELECT group_concat(tbl) FROM __marmot_conflict") == "child");
  CHECK(*f.db->query_integer("SELECT count(*) FROM pragma_foreign_key_check") == 0);
  CHECK(f.run({"discard", "2"}).output == "1 conflict forgotten\n");
}

TEST_CASE("conflicts discard --with-children: where a trigger refuses a deletion, nothing is changed") {
  Families f;
  f.version("child", key_of(1), 1);
  f.version("child", key_of(2), 1);
  f.version("child", key_of(11), kThem);
  f.version("child", key_of(12), kThem);
  REQUIRE(f.db->exec("CREATE TRIGGER no BEFORE DELETE ON child WHEN OLD.id = 12 BEGIN SELECT RAISE(ABORT, 'it is kept'); END"));
  const auto refused = f.run({"discard", "1", "--with-children"});
  CHECK(refused.exit_code == 1);
  CHECK(refused.output.find("it is kept") != std::string::npos);
  CHECK(f.text("SELECT count(*) FROM child") == "4");
  CHECK(f.text("SELECT count(*) FROM __marmot_conflict") == "1");
  CHECK(f.run({"discard", "1"}).exit_code == 0);
  CHECK(f.text("SELECT count(*) FROM child") == "4");
}

TEST_CASE("conflicts: what is restored or discarded is to be told the others, but for what stood here before it was replicated") {
  Families f;
  f.lose("parent", key_of(8), R"({"id": 8, "name": "x"})");
  REQUIRE(f.db->exec("UPDATE __marmot_conflict SET loser_hlc = 0 WHERE id = 2"));
  f.lose("parent", key_of(9), R"({"id": 9, "name": "y"})");
  CHECK(f.run({"discard", "2"}).exit_code == 0);
  CHECK(f.run({"restore", "3"}).exit_code == 0);
  CHECK(f.run({"discard", "--all"}).exit_code == 0);
  CHECK(f.text("SELECT group_concat(tbl || hex(key) || ' ' || loser_node || ' ' || by_node || coalesce(seq, '-'), ',') FROM __marmot_handled") ==
        "parent49 2 1-,parent47 2 1-");
  CHECK(*f.db->query_integer("SELECT count(*) FROM __marmot_handled WHERE abs(at - strftime('%s', 'now') * 1000) > 60000") == 0);
  REQUIRE(f.db->exec("DROP TABLE __marmot_handled"));  // as in a file that no later agent has opened
  f.lose("parent", key_of(9), R"({"id": 9, "name": "y"})");
  CHECK(f.run({"discard", "--all"}).exit_code == 0);
  CHECK(f.run({}).output == "no conflicts\n");
}
