// The program itself, run as a child, against an agent that this test plays.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "agent/config/paths.hpp"
#include "agent/control/control.hpp"
#include "agent/control/lock.hpp"
#include "agent/loop/process.hpp"
#include "common/core/hlc.hpp"
#include "common/core/key.hpp"
#include "common/replica/capture.hpp"
#include "common/sqlite/database.hpp"
#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;
using test::run_until;

namespace {

struct Fixture {
  test::TempDir dir;
  uv::Loop loop;
  std::string db = dir.file("app.db");
  std::optional<AgentLock> lock;
  std::unique_ptr<ControlServer> server;

  // From now on an agent "runs" for app.db.
  void play_agent() {
    auto taken = AgentLock::acquire(marmot_dir(db), marmot_dir(db) + "/control.sock");
    REQUIRE(taken);
    lock = *std::move(taken);
    auto listening = ControlServer::listen(loop, marmot_dir(db));
    REQUIRE(listening);
    server = *std::move(listening);
  }
  void answer(const std::string& command, const Json& with) {
    server->handle(command, [this, with](const Json& request, Reply reply) {
      asked = request;
      reply.finish(with);
    });
  }
  Json asked;

  struct Run {
    int exit_code = -1;
    std::string output;  // both streams
  };
  Run run(std::vector<std::string> args) {
    uv::ProcessOptions options;
    options.file = MARMOT_EXE;
    options.args = std::move(args);
    options.output = dir.file("output");
    std::filesystem::remove(options.output);
    std::optional<uv::ProcessEnd> end;
    const auto process = uv::Process::spawn(loop, options, [&](const uv::ProcessEnd& e) { end = e; });
    REQUIRE(process);
    CHECK(run_until(loop, [&] { return end.has_value(); }, std::chrono::seconds{30}));
    REQUIRE(end);
    CHECK(end->signal == 0);
    return {end->exit_code, test::read(options.output)};
  }
};

}  // namespace

TEST_CASE("command line: version and help are 0, wrong usage is 2") {
  Fixture f;
  CHECK(f.run({"--version"}).output == "marmot " MARMOT_VERSION "\n");
  CHECK(f.run({"--version"}).exit_code == 0);
  CHECK(f.run({"agent", "--help"}).exit_code == 0);
  const std::vector<std::vector<std::string>> wrong = {
      {}, {"nonsense"}, {"status"}, {"status", "--nonsense"}, {"agent"}, {"wait", f.db, "--level", "some"},
      {"wait", f.db, "--timeout-ms", "-1"}, {"tail", f.db, "--direction", "up"}, {"config"}, {"config", "check"},
      {"agent", f.db, "--node-id", "x"}, {"conflicts", f.dir.path(), "--discard"}};
  for (const auto& args : wrong) {
    CAPTURE(args.empty() ? "(none)" : args.back());
    CHECK(f.run(args).exit_code == 2);
  }
}

TEST_CASE("command line: without an agent the commands say how to start one, and fail") {
  Fixture f;
  std::ofstream(f.db).flush();
  for (const char* command : {"status", "wait", "tail", "verify", "members", "clock"}) {
    CAPTURE(command);
    const auto run = f.run({command, f.db});
    CHECK(run.exit_code == 1);
    CHECK(run.output == "marmot: no agent is running for " + f.db + " (start one: marmot agent " + f.db + ")\n");
  }
}

TEST_CASE("command line: a file that is not there is told first, by every command that takes one") {
  Fixture f;
  const std::vector<std::vector<std::string>> commands = {
      {"status", f.db}, {"wait", f.db}, {"tail", f.db}, {"verify", f.db}, {"members", f.db}, {"conflicts", f.db}, {"cleanup", f.db},
      {"snapshot", "save", f.db}, {"snapshot", "list", f.db}, {"snapshot", "restore", f.db, "--to", f.dir.file("copy.db")}};
  for (const auto& args : commands) {
    CAPTURE(args[0]);
    const auto run = f.run(args);
    CHECK(run.exit_code == 1);
    CHECK(run.output.rfind("marmot: " + f.db + ": no such file", 0) == 0);
  }
}

TEST_CASE("command line: a word that is nearly a command or an option is answered with that one") {
  Fixture f;
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"stauts", f.db}, "stauts: no such command of marmot; did you mean status?"},
      {{"snapshot", "lst", f.db}, "lst: no such command of marmot snapshot; did you mean list?"},
      {{"agent", f.db, "--jion", "db1"}, "--jion: no such option of marmot agent; did you mean --join?"},
      {{"agent", f.db, "--loglevel=info"}, "--loglevel: no such option of marmot agent; did you mean --log-level?"},
      {{"verify", f.db, "--repiar"}, "--repiar: no such option of marmot verify; did you mean --repair?"},
      {{"zzzzzz"}, "zzzzzz: no such command of marmot; see marmot --help"}};
  for (const auto& [args, told] : cases) {
    const std::string wanted = told;
    CAPTURE(wanted);
    const auto run = f.run(args);
    CHECK(run.exit_code == 2);
    CHECK(run.output == "marmot: " + told + "\n");
  }
}

TEST_CASE("agent: a start that fails leaves nothing behind and changes no file") {
  namespace fs = std::filesystem;
  Fixture f;
  const auto names = [&] {
    std::string all;
    for (const auto& entry : fs::recursive_directory_iterator(f.dir.path())) {
      if (entry.path().filename() != "output") all += entry.path().filename().string() + " ";
    }
    return all;
  };
  const auto fails = [&](const std::vector<std::string>& args, const std::string& because) {
    const std::string before = names();
    const auto run = f.run(args);
    CAPTURE(run.output);
    CHECK(run.exit_code != 0);
    CHECK(run.output.find(because) != std::string::npos);
    CHECK(names() == before);
  };
  std::ofstream(f.dir.file("notadb.txt")) << "hello\n";
  fails({"agent", f.dir.file("notadb.txt")}, "is not a database");
  fails({"agent", f.db, f.dir.file("notadb.txt")}, "is not a database");
  CHECK(test::read(f.dir.file("notadb.txt")) == "hello\n");
  fails({"agent", f.dir.file("nowhere/app.db")}, "no such folder");
  fails({"agent", f.db, "--data-dir", f.dir.file("notadb.txt") + "/x"}, "choose another with --data-dir");
  {
    // An application's file, and a port that somebody has.
    sqlite::Database db = *sqlite::Database::open(f.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    REQUIRE(db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY)"));
  }
  const int taken = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(taken, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(taken, 1) == 0);
  REQUIRE(::getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const std::string where = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  const std::string bytes = test::read(f.db);
  fails({"agent", f.db, "--listen", where}, "is taken by another program");
  fails({"agent", f.dir.file("new.db"), "--listen", where, "--data-dir", f.dir.file("a/b")}, "is taken by another program");
  CHECK(test::read(f.db) == bytes);
  ::close(taken);
  // The embedded server ran already when this fails.
  std::ofstream(f.dir.file("m.toml")) << "[extensions]\nload = [\"/nowhere/x.so\"]\n";
  fails({"agent", f.db, "--config", f.dir.file("m.toml")}, "extensions.load");
  fails({"agent", f.dir.file("new.db"), "--config", f.dir.file("m.toml")}, "extensions.load");
}

TEST_CASE("status: tells what the agent tells, tables that are stopped loudly; --json is the agent's own answer") {
  Fixture f;
  f.play_agent();
  const Json status = {
      {"node", 7}, {"pid", 4242}, {"version", "0.1.0"}, {"cluster", "main"}, {"uptime_ms", 65'000},
      {"nats", {{"url", "nats://127.0.0.1:4250"}, {"connected", true}, {"embedded", true}, {"last_error", ""}}},
      {"databases",
       Json::array({{{"name", "app"}, {"path", f.db}, {"stream", "MARMOT_main_app"}, {"state", "running"},
                     {"last_error", "disk full"}, {"pending", 12345}, {"published", 1}, {"applied", 2}, {"waiting", 0},
                     {"lag_messages", 3}, {"lag_ms", 1500}, {"quarantined", 0}, {"conflicts", 2},
                     {"peers", Json::array({{{"node", 8}, {"lag_messages", 5}, {"seen_ms_ago", 20}}})},
                     {"tables", Json::array({{{"name", "t"}, {"stopped", ""}}, {{"name", "u"}, {"stopped", "no column x"}}})},
                     {"objects", Json::array({{{"name", "full-text index f"}, {"stopped", "no such table"}}})}}})}};
  f.answer("status", status);
  const auto text = f.run({"status", f.db});
  CHECK(text.exit_code == 0);
  CHECK(f.asked == Json({{"cmd", "status"}, {"db", f.db}}));
  CHECK(text.output ==
        "marmot 0.1.0, node 7, pid 4242, cluster main, up 65.0 s\n"
        "nats nats://127.0.0.1:4250 (embedded): connected\n"
        "\n"
        "app  " + f.db + "\n"
        "  state       running\n"
        "  stream      MARMOT_main_app\n"
        "  here        12,345 rows pending, 1 published, 2 applied\n"
        "  behind      3 messages, 1.5 s\n"
        "  peer        node 8: 5 messages behind, seen 20 ms ago\n"
        "  tables      1: t\n"
        "  STOPPED     u: no column x\n"
        "  NOT HERE    full-text index f: no such table\n"
        "  conflicts   2 (list them: marmot conflicts " + f.db + ")\n"
        "  last error  disk full\n");
  Json whole = status;
  whole["ok"] = true;
  CHECK(Json::parse(f.run({"status", f.db, "--json"}).output) == whole);
}

TEST_CASE("status: an answer with fields missing or of other types (another version's) is shown as far as it goes") {
  Fixture f;
  f.play_agent();
  f.answer("status", {{"nats", "?"}, {"databases", Json::array({{{"name", 3}}, 5})}});
  const auto run = f.run({"status", f.db});
  CHECK(run.exit_code == 0);
  CHECK(run.output.find("- rows pending") != std::string::npos);
}

TEST_CASE("wait: 0 when done, 3 when not in time, and the agent is asked for the level and the time") {
  Fixture f;
  f.play_agent();
  f.answer("wait", {{"done", true}, {"pending", 0}});
  CHECK(f.run({"wait", f.db}).exit_code == 0);
  CHECK(f.asked == Json({{"cmd", "wait"}, {"db", f.db}, {"level", "published"}, {"timeout_ms", 10'000}}));
  f.answer("wait", {{"done", false}, {"pending", 3}});
  const auto late = f.run({"wait", f.db, "--level", "all", "--timeout-ms", "5"});
  CHECK(late.exit_code == 3);
  CHECK(late.output == "not in time: 3 rows pending after 5 ms\n");
  CHECK(f.asked == Json({{"cmd", "wait"}, {"db", f.db}, {"level", "all"}, {"timeout_ms", 5}}));
}

TEST_CASE("clock: whose clock is wrong and what it did; reset and bound return once they have come round, 3 when that takes too long") {
  Fixture f;
  f.play_agent();
  Json poisoned = {{"known", true}, {"off_ms", 0}, {"others", Json::array({{{"node", 9}, {"off_ms", -3'600'000}}})}, {"bound_ms", 60'000}, {"versions", 1'234}, {"ahead_ms", 7'200'000}, {"poisoned", true}};
  f.answer("clock", poisoned);
  const auto says = f.run({"clock", f.db});
  CHECK(says.exit_code == 0);
  CHECK(says.output ==
        "this machine's clock is right\n"
        "node 9's clock is 60 min BEHIND the NATS server's\n"
        "the stream takes stamps up to 60.0 s ahead of its time\n"
        "1,234 changes in this file are stamped ahead of now, or its clock is: the highest stamp by 2.0 h: LATER WRITES LOSE AGAINST THEM; `marmot clock reset` ends that\n");
  CHECK(f.asked == Json({{"cmd", "clock"}, {"db", f.db}}));
  poisoned["ok"] = true;
  CHECK(f.run({"clock", f.db, "--json"}).output == poisoned.dump() + "\n");

  CHECK(f.run({"clock", "reset", f.db, "--dry-run"}).output.find("LATER WRITES LOSE") != std::string::npos);
  CHECK(f.asked == Json({{"cmd", "clock"}, {"db", f.db}, {"reset", false}}));
  f.answer("wait", {{"done", true}, {"pending", 0}});
  const auto again = f.run({"clock", "reset", f.db});  // somebody whose clock is wrong goes on
  CHECK(again.exit_code == 3);
  CHECK(again.output == "1,234 changes that were stamped up to 2.0 h ahead count as of now, in the order that they had, but others are still ahead: say it again\n");
  f.server->handle("clock", [&](const Json& request, Reply reply) {
    Json right = poisoned;
    right["poisoned"] = request.contains("reset");
    reply.finish(right);
  });
  const auto reset = f.run({"clock", "reset", f.db});
  CHECK(reset.exit_code == 0);
  CHECK(reset.output == "1,234 changes that were stamped up to 2.0 h ahead count as of now, in the order that they had; nodes that are away follow when they are back\n");
  f.answer("wait", {{"done", false}, {"pending", 1}});
  CHECK(f.run({"clock", "reset", f.db}).exit_code == 3);
  f.answer("clock", {{"known", true}, {"off_ms", 0}, {"bound_ms", 60'000}, {"versions", 0}, {"ahead_ms", 0}, {"poisoned", false}});
  const auto nothing = f.run({"clock", "reset", f.db});
  CHECK(nothing.exit_code == 0);
  CHECK(nothing.output == "no change in this file is stamped ahead of now\nnothing to reset\n");

  f.answer("wait", {{"done", true}, {"pending", 0}});
  f.answer("clock", {{"bound_ms", 90'000}});
  CHECK(f.run({"clock", "bound", "90000", f.db}).output == "the stream takes stamps up to 90.0 s ahead of its time\n");
  CHECK(f.run({"clock", "bound", "5", f.db}).exit_code == 2);
}

TEST_CASE("verify: one line when all is well; 3, the tables, nodes and keys when not") {
  Fixture f;
  f.play_agent();
  f.server->handle("verify", [](const Json&, Reply reply) {
    reply.progress("verify note", 1, 2);
    reply.finish({{"nodes", 3}, {"identical", true},
                  {"tables", Json::array({{{"name", "note"}, {"rows", 10'002}, {"identical", true}},
                                          {{"name", "users"}, {"rows", 2}, {"identical", true}}})}});
  });
  const auto good = f.run({"verify", f.db});
  CHECK(good.exit_code == 0);
  CHECK(good.output == "note 10,002 rows, users 2 rows: identical on 3 nodes\n");
  f.answer("verify", {{"nodes", 2}, {"identical", false},
                      {"tables", Json::array({{{"name", "note"}, {"rows", 1}, {"identical", true}},
                                              {{"name", "users"}, {"rows", 2}, {"identical", false},
                                               {"differs", Json::array({{{"node", 9}, {"keys", {"17", "'a'"}}, {"more", 4}}})}}})}});
  const auto bad = f.run({"verify", f.db});
  CHECK(bad.exit_code == 3);
  CHECK(bad.output ==
        "note   1 row   identical\n"
        "users  2 rows  DIFFERENT\n"
        "users differs on\n"
        "  node 9: 17, 'a' and 4 more\n");
  const auto with = [&](bool out_of_step) {
    f.answer("verify", {{"nodes", 2}, {"identical", true}, {"tables", Json::array({{{"name", "note"}, {"rows", 1}, {"identical", true}}})},
                        {"full_text", Json::array({{{"node", 9}, {"name", "note_fts"}, {"out_of_step", out_of_step}, {"reason", "the cure"}}})}});
    return f.run({"verify", f.db});
  };
  CHECK(with(true).exit_code == 3);
  CHECK(with(true).output == "note 1 row: identical on 2 nodes\nfull-text index note_fts on node 9: the cure\n");
  CHECK(with(false).exit_code == 0);
}

TEST_CASE("tail: one line a change, passed on as it comes; the filters reach the agent") {
  Fixture f;
  f.play_agent();
  f.server->handle("tail", [&](const Json& request, Reply reply) {
    f.asked = request;
    reply.event({{"direction", "in"}, {"table", "users"}, {"op", "insert"}, {"key", "17"}, {"node", 3},
                 {"hlc", "2026-11-20T21:02:10.123Z+5"}, {"seq", 42}});
    reply.event({{"direction", "out"}, {"table", "users"}, {"op", "delete"}, {"key", "18"}, {"node", 7},
                 {"hlc", "2026-11-20T21:02:10.124Z+0"}});
    reply.fail(make_error(Errc::unavailable, "stopping"));
  });
  const auto text = f.run({"tail", f.db, "--table", "u*", "--direction", "in"});
  CHECK(text.exit_code == 1);
  CHECK(f.asked == Json({{"cmd", "tail"}, {"db", f.db}, {"table", "u*"}, {"direction", "in"}}));
  CHECK(text.output ==
        "2026-11-20T21:02:10.123Z+5    in   insert  users  17  node 3  seq 42\n"
        "2026-11-20T21:02:10.124Z+0    out  delete  users  18  node 7  seq -\n"
        "marmot: stopping\n");
  const auto json = f.run({"tail", f.db, "--json"});
  const Json first = Json::parse(json.output.substr(0, json.output.find('\n')));
  CHECK(first["seq"] == 42);
}

TEST_CASE("commands: an agent's refusal is told as it is; --config finds the agent as well as the file does") {
  Fixture f;
  f.play_agent();
  f.server->handle("verify", [](const Json&, Reply reply) {
    reply.fail(make_error(Errc::not_found, "no such database"));
  });
  test::write(f.dir.file("m.toml"), "[[database]]\npath = \"app.db\"\n");
  const auto run = f.run({"verify", "--config", f.dir.file("m.toml")});
  CHECK(run.exit_code == 1);
  CHECK(run.output == "marmot: no such database\n");
}

TEST_CASE("cleanup: is refused while an agent runs, naming its pid") {
  Fixture f;
  f.play_agent();
  const auto run = f.run({"cleanup", f.db});
  CHECK(run.exit_code == 1);
  CHECK(run.output.find("(pid " + std::to_string(::getpid()) + ")") != std::string::npos);
}

TEST_CASE("quarantine: lists what does not decode, and forgets it; no agent is needed") {
  Fixture f;
  auto db = sqlite::Database::open(f.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  REQUIRE(db);
  CHECK(f.run({"quarantine", f.db}).output == "no message is quarantined\n");
  REQUIRE(replica::install(*db));
  REQUIRE(db->exec("INSERT INTO __marmot_quarantine VALUES(7, 5, 'what it \x1b[2J is', x'00', 2048, 10); INSERT INTO __marmot_meta VALUES('quarantine_dropped', 3)"));
  CHECK(f.run({"quarantine", f.db}).output ==
        "message 7  1970-01-01T00:00:00.005Z+0  2,048 bytes  000000000000000a  what it \\x1b[2J is\n"
        "and 3 messages before them, of which nothing is kept\n"
        "\nTheir senders send again what they held, if these are agents that run; to see that all nodes are equal: marmot verify " + f.db + "\n");
  const Json json = Json::parse(f.run({"quarantine", f.db, "--json"}).output);
  CHECK(json["messages"][0]["bytes"] == 2048);
  CHECK(json["dropped"] == 3);
  CHECK(f.run({"quarantine", f.db, "--empty"}).output == "forgotten: 4 messages\n");
  CHECK(f.run({"quarantine", f.db}).output == "no message is quarantined\n");
}

TEST_CASE("conflicts: lists what lost in full, and forgets what it is told to; no agent is needed") {
  Fixture f;
  {
    auto db = sqlite::Database::open(f.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    REQUIRE(db);
    CHECK(f.run({"conflicts", f.db}).output == "no conflicts\n");
    REQUIRE(replica::install(*db));
    std::string key;
    append_key_part(key, ValueView::of_integer(17));
    auto insert = db->prepare(
        "INSERT INTO __marmot_conflict VALUES(?, 5, 'insert', 'users', ?, 655360, 2, 1, NULL, 65536, 3, 1, '{\"id\":17,\"name\":\"x\"}', '')");
    REQUIRE(insert);
    REQUIRE(insert->bind(1, int64_t{1}).bind_blob(2, key).run());
  }
  CHECK(f.run({"conflicts", f.db}).output ==
        "#1  insert: users, key 17\n"
        "  kept     node 2 at 1970-01-01T00:00:00.010Z+0\n"
        "  lost     node 3 at 1970-01-01T00:00:00.001Z+0\n"
        "  its row  {\"id\":17,\"name\":\"x\"}\n"
        "  noticed  1970-01-01T00:00:00.005Z+0\n"
        "1 conflict; write a lost row again, or forget it: marmot conflicts " + f.db + " restore ID | discard ID\n");
  const Json json = Json::parse(f.run({"conflicts", f.db, "--json"}).output);
  CHECK(json["conflicts"][0]["loser"]["row"]["name"] == "x");
  CHECK(Json::parse(f.run({"conflicts", "show", "1", f.db, "--json"}).output)["kind"] == "insert");
  CHECK(f.run({"conflicts", f.db, "discard", "7"}).exit_code == 1);
  CHECK(f.run({"conflicts", f.db, "discard", "x"}).exit_code == 2);
  CHECK(f.run({"conflicts", f.db, "show"}).exit_code == 2);
  CHECK(f.run({"conflicts", f.db, "--all"}).exit_code == 2);
  CHECK(f.run({"conflicts", f.db, "discard", "1"}).exit_code == 0);
  CHECK(f.run({"conflicts", f.db}).output == "no conflicts\n");
  CHECK(f.run({"conflicts", f.db, "discard", "--all"}).exit_code == 0);
}

TEST_CASE("conflicts restore: the lost row is written again in full, or what is in its way is told") {
  Fixture f;
  auto db = sqlite::Database::open(f.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  REQUIRE(db);
  REQUIRE(db->exec("CREATE TABLE users(id INTEGER PRIMARY KEY, mail TEXT COLLATE NOCASE UNIQUE, code, photo BLOB);"
                   "CREATE UNIQUE INDEX users_code ON users(lower(code)) WHERE code <> '';"
                   "CREATE TABLE log(what); CREATE TRIGGER t AFTER INSERT ON users BEGIN INSERT INTO log VALUES(new.id); END;"
                   "INSERT INTO users VALUES(1,'ann@x',NULL,NULL),(2,NULL,'ABC',NULL)"));
  REQUIRE(replica::install(*db));
  const auto lose = [&](int64_t id, const std::string& row) {
    std::string key;
    append_key_part(key, ValueView::of_integer(id));
    auto insert = db->prepare("INSERT INTO __marmot_conflict VALUES(?1, 5, 'unique', 'users', ?2, 655360, 2, 1, NULL, 65536, 3, 1, ?3, '')");
    REQUIRE(insert);
    REQUIRE(insert->bind(1, id).bind_blob(2, key).bind(3, row).run());
  };
  lose(7, "{\"id\": 7, \"mail\": \"Ann@X\", \"code\": \"abc\", \"photo\": {\"hex\": \"00FF\"}}");
  lose(1, "{\"id\": 1, \"mail\": {\"text_hex\": \"FF61\"}, \"code\": 0.1, \"photo\": {\"real\": \"-inf\"}}");
  lose(9, "{\"id\": 9, \"gone\": 1}");
  const auto both = f.run({"conflicts", f.db, "restore", "7"});
  CHECK(both.exit_code == 1);
  CHECK(both.output.find("in its way: {\"id\": 1, \"mail\": \"ann@x\", \"code\": null, \"photo\": null}") != std::string::npos);
  CHECK(both.output.find("in its way: {\"id\": 2,") != std::string::npos);
  const auto one = f.run({"conflicts", f.db, "restore", "7", "--set", "mail=other@x"});
  CHECK(one.exit_code == 1);
  CHECK(one.output.find("{\"id\": 1,") == std::string::npos);
  CHECK(f.run({"conflicts", f.db, "restore", "7", "--set", "mail=other@x", "--set", "code=NULL"}).exit_code == 0);
  CHECK(*db->query_text("SELECT quote(mail) || quote(code) || quote(photo) FROM users WHERE id = 7") == "'other@x'NULLX'00FF'");
  CHECK(*db->query_text("SELECT group_concat(what) FROM log") == "1,2,7");
  CHECK(f.run({"conflicts", f.db, "restore", "7"}).exit_code == 1);  // it is no conflict any more
  const auto key = f.run({"conflicts", f.db, "restore", "1"});
  CHECK(key.exit_code == 1);
  CHECK(key.output.find("in its way: {\"id\": 1, \"mail\": \"ann@x\"") != std::string::npos);
  CHECK(f.run({"conflicts", f.db, "restore", "1", "--set", "nothing=5"}).exit_code == 2);
  CHECK(f.run({"conflicts", f.db, "restore", "1", "--set", "id=8"}).exit_code == 0);
  CHECK(*db->query_text("SELECT hex(mail) || typeof(mail) || typeof(code) || code || photo FROM users WHERE id = 8") == "FF61textreal0.1-Inf");
  const auto gone = f.run({"conflicts", f.db, "restore", "9"});
  CHECK(gone.exit_code == 1);
  CHECK(gone.output.find("gone") != std::string::npos);
}

TEST_CASE("config check: what is effective on stdout and 0, or the mistakes and 2") {
  Fixture f;
  test::write(f.dir.file("good.toml"), "[[database]]\npath = \"app.db\"\n");
  const auto good = f.run({"config", "check", f.dir.file("good.toml")});
  CHECK(good.exit_code == 0);
  CHECK(good.output.find("path = \"" + f.db + "\"") != std::string::npos);
  test::write(f.dir.file("bad.toml"), "zzz = 1\n[[database]]\npath = \"app.db\"\n");
  const auto bad = f.run({"config", "check", f.dir.file("bad.toml")});
  CHECK(bad.exit_code == 2);
  CHECK(bad.output.find("bad.toml:1: zzz = 1: unknown key") != std::string::npos);
  CHECK(f.run({"config", "check", f.dir.file("none.toml")}).exit_code == 2);
}
