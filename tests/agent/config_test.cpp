#include "agent/config/config.hpp"

#include <doctest/doctest.h>

#include <sstream>

#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;

namespace {

// Loads `toml` (with the overrides laid over it) from a file named marmot.toml.
Result<Config> load(const test::TempDir& dir, const std::string& toml, ConfigOverrides overrides = {}) {
  test::write(dir.file("marmot.toml"), toml);
  overrides.file = dir.file("marmot.toml");
  return load_config(overrides);
}

// The complaint about a file that has a good database and `toml`, without the file's folder.
std::string complaint(const std::string& toml, const ConfigOverrides& overrides = {}) {
  const test::TempDir dir;
  const auto config = load(dir, toml + "\n[[database]]\npath = \"app.db\"\n", overrides);
  if (config) return "";
  CHECK(config.error().code == Errc::bad_input);
  std::string text = config.error().message;
  for (size_t at = 0; (at = text.find(dir.path() + "/")) != std::string::npos;) text.erase(at, dir.path().size() + 1);
  return text;
}

ConfigOverrides for_file(const std::string& path) {
  ConfigOverrides overrides;
  overrides.databases = {path};
  return overrides;
}

}  // namespace

TEST_CASE("config: one database on the command line is enough") {
  const test::TempDir dir;
  const auto config = load_config(for_file(dir.file("app.db")));
  REQUIRE(config);
  REQUIRE(config->databases.size() == 1);
  CHECK(config->databases[0].name == "app");
  CHECK(config->databases[0].path == dir.file("app.db"));
  CHECK(config->databases[0].tables == std::vector<std::string>{"*"});
  CHECK(config->data_dir == dir.file("app.db-marmot"));
  CHECK(config->socket_path() == dir.file("app.db-marmot/control.sock"));
  CHECK(config->cluster == "main");
  CHECK(config->nats.embedded());
  CHECK(config->poll_interval_ms == 100);
  CHECK(config->atomic_rows == 100'000);
}

TEST_CASE("config: every key is read") {
  const test::TempDir dir;
  test::write(dir.file("ca.pem"), "");
  const auto config = load(dir, R"(
node_id = 9007199254740991
cluster = "c-1"
data_dir = "state"
poll_interval_ms = 7
atomic_rows = 0
max_clock_drift_ms = 250
anti_entropy_interval_seconds = 5
retention = "2h"
[[database]]
name = "one"
path = "a.db"
tables = ["t*", "u"]
exclude = ["tmp"]
adopt = "merge"
[[database]]
path = "b.db"
[nats]
urls = ["nats://u:p@h:4222", "tls://[::1]:4223", "nats://plain"]
user = "me"
password = "secret"
nkey_seed = "SUAAA"
tls_ca = "ca.pem"
[log]
replicas = 3
max_age = "36h"
max_bytes = "2GiB"
compress = false
update_existing = true
[snapshot]
interval = "10m"
keep = 5
[extensions]
load = ["./ext"]
[hooks]
on_schema_change = "systemctl restart \"app\""
[logging]
level = "debug"
format = "json"
)");
  REQUIRE_MESSAGE(config, config.error().message);
  CHECK(config->node_id == 9007199254740991);
  CHECK(config->cluster == "c-1");
  CHECK(config->data_dir == dir.file("state"));
  CHECK(config->poll_interval_ms == 7);
  CHECK(config->atomic_rows == 0);
  CHECK(config->max_clock_drift_ms == 250);
  CHECK(config->anti_entropy_interval_s == 5);
  CHECK(config->retention_ms == 7'200'000);
  REQUIRE(config->databases.size() == 2);
  CHECK(config->databases[0].name == "one");
  CHECK(config->databases[0].tables == std::vector<std::string>{"t*", "u"});
  CHECK(config->databases[0].exclude == std::vector<std::string>{"tmp"});
  CHECK(config->databases[0].adopt == Adopt::merge);
  CHECK(config->databases[1].name == "b");
  CHECK(config->databases[1].path == dir.file("b.db"));
  CHECK(config->nats.urls.size() == 3);
  CHECK_FALSE(config->nats.join);
  CHECK(config->nats.user == "me");
  CHECK(config->nats.password == "secret");
  CHECK(config->nats.nkey_seed == "SUAAA");
  CHECK(config->nats.tls_ca == dir.file("ca.pem"));
  CHECK(config->log.replicas == 3);
  CHECK(config->log.max_age_ms == 36 * 3'600'000LL);
  CHECK(config->log.max_bytes == int64_t{2} << 30);
  CHECK_FALSE(config->log.compress);
  CHECK(config->log.update_existing);
  CHECK(config->snapshot.interval_ms == 600'000);
  CHECK(config->snapshot.keep == 5);
  CHECK(config->extensions == std::vector<std::string>{"./ext"});
  CHECK(config->on_schema_change == "systemctl restart \"app\"");
  CHECK(config->log_level == LogLevel::debug);
  CHECK(config->log_format == LogFormat::json);
}

TEST_CASE("config: what check prints is a configuration that means the same, with secrets hidden") {
  const test::TempDir dir;
  const auto config = load(dir, R"(
cluster = "x"
[[database]]
path = "a b\".db"
name = "ab"
[nats]
urls = ["nats://u:hush@h:4222"]
token = "hush"
[log]
max_age = "90m"
[hooks]
on_schema_change = """
echo "$MARMOT_TABLES" \\
  >> /tmp/changed"""
)");
  REQUIRE_MESSAGE(config, config.error().message);
  const std::string printed = to_toml(*config);
  CHECK(printed.find("hush") == std::string::npos);
  const auto again = load(dir, printed);
  REQUIRE_MESSAGE(again, again.error().message);
  CHECK(to_toml(*again) == printed);
  CHECK(again->databases[0].path == dir.file("a b\".db"));
  CHECK(again->log.max_age_ms == 90 * 60'000);
  CHECK(again->log.max_bytes == int64_t{1} << 30);
  CHECK(again->snapshot.keep == 3);
  CHECK(again->on_schema_change == "echo \"$MARMOT_TABLES\" \\\n  >> /tmp/changed");
}

TEST_CASE("config: an unknown key is an error with the file, line, key, value and the nearest known key") {
  CHECK(complaint("node_idd = 7") == "marmot.toml:1: node_idd = 7: unknown key; did you mean node_id?");
  CHECK(complaint("[log]\nreplica = 1") == "marmot.toml:2: log.replica = 1: unknown key; did you mean replicas?");
  CHECK(complaint("[loging]\nlevel = \"info\"").find("did you mean logging?") != std::string::npos);
  CHECK(complaint("[extensions]\nxyzzy = 1") == "marmot.toml:2: extensions.xyzzy = 1: unknown key; known here: load");
}

TEST_CASE("config: a value of the wrong type or out of range is an error that says what to write") {
  const auto one = [](const char* toml) { return complaint(toml); };
  CHECK(one("poll_interval_ms = \"fast\"") ==
        "marmot.toml:1: poll_interval_ms = \"fast\": expected a whole number from 1 to 60000");
  CHECK(one("poll_interval_ms = 0").find("from 1 to 60000") != std::string::npos);
  CHECK(one("poll_interval_ms = 1.5").find("= 1.5: expected a whole number") != std::string::npos);
  CHECK(one("node_id = -1").find("from 0 to 9007199254740991") != std::string::npos);
  CHECK(one("node_id = 9007199254740992").find("from 0 to 9007199254740991") != std::string::npos);
  CHECK(one("cluster = \"a b\"") == "marmot.toml:1: cluster = \"a b\": a name has 1 to 64 characters of A-Z a-z 0-9 _ -");
  CHECK(one("cluster = \"\"").find("a name has") != std::string::npos);
  CHECK(one("cluster = [1]").find("cluster = an array: expected a string in quotes") != std::string::npos);
  CHECK(one("log = 3") == "marmot.toml:1: log = 3: expected a section: [log]");
  CHECK(one("[log]\ncompress = \"yes\"") == "marmot.toml:2: log.compress = \"yes\": expected true or false");
  CHECK(one("[log]\nreplicas = 6").find("from 1 to 5") != std::string::npos);
  CHECK(one("[log]\nmax_age = \"24 hours\"").find("expected a time such as \"24h\"") != std::string::npos);
  CHECK(one("[log]\nmax_bytes = \"1 gig\"").find("expected a size such as \"1GiB\"") != std::string::npos);
  CHECK(one("[extensions]\nload = \"x\"").find("expected a list of strings") != std::string::npos);
  CHECK(one("[extensions]\nload = [\"x\", 5]") == "marmot.toml:2: extensions.load = 5: expected a string in quotes");
  CHECK(one("[logging]\nlevel = \"warning\"").find("expected one of debug, info, warn, error") != std::string::npos);
  CHECK(one("[logging]\nlevel = \"wran\"").find("did you mean \"warn\"?") != std::string::npos);
  const test::TempDir dir;
  for (const char* toml : {"database = 3", "[database]\npath = \"a.db\"", "database = [1]"}) {
    CAPTURE(toml);
    CHECK(load(dir, toml).error().message.find("expected [[database]]") != std::string::npos);
  }
}

TEST_CASE("config: a hook without a command, or with a command that no shell can be given, is an error with an example") {
  for (const char* command : {"\"\"", "\" \\t\\n\"", "\"a\\u0000b\""}) {
    CAPTURE(command);
    const std::string text = complaint("[hooks]\non_schema_change = " + std::string(command));
    CHECK(text.find("marmot.toml:2: hooks.on_schema_change = ") == 0);
    CHECK(text.find("expected a command for /bin/sh, such as \"systemctl restart app\"; leave the key out to run none") != std::string::npos);
  }
  CHECK(complaint("[hooks]\non_schema_change = 7").find("expected a string in quotes") != std::string::npos);
  CHECK(complaint("[hooks]\non_schema_chnage = \"x\"").find("did you mean on_schema_change?") != std::string::npos);
}

TEST_CASE("config: a bad URL or address is an error that shows the right shape") {
  for (const char* url : {"http://h", "h:4222", "nats://", "nats://h:99999", "nats://h:x", "nats://a b", "nats://[::1"}) {
    CAPTURE(url);
    CHECK(complaint("[nats]\nurls = [\"" + std::string(url) + "\"]").find("expected nats://") != std::string::npos);
  }
  for (const char* address : {"", "h:0", "h:65536", ":4250", "h:", "h:+1", "::1:4250"}) {
    CAPTURE(address);
    CHECK(complaint("[nats]\nlisten = \"" + std::string(address) + "\"").find("expected HOST or HOST:PORT") != std::string::npos);
  }
  for (const char* address : {"127.0.0.1:1", "host-1.example:65535", "[::1]:4250"}) {
    CAPTURE(address);
    CHECK(complaint("[nats]\nlisten = \"" + std::string(address) + "\"") == "");
  }
}

TEST_CASE("config: settings of servers of one's own and of the embedded one do not mix") {
  CHECK(complaint("[nats]\nurls = [\"nats://h\"]\nlisten = \"h:1\"").find("nats.listen") != std::string::npos);
  CHECK(complaint("[nats]\nurls = [\"nats://h\"]\njoin = \"h:1\"").find("nats.join") != std::string::npos);
  CHECK(complaint("[nats]\nnkey_seed = \"SUAA\"").find("set nats.urls too") != std::string::npos);
  CHECK(complaint("[nats]\nnkey_seed = \"XX\"").find("begins with SU") != std::string::npos);
  CHECK(complaint("[nats]\nuser = \"u\"").find("user and password go together") != std::string::npos);
  CHECK(complaint("[nats]\nuser = \"u\"\npassword = \"p\"\ntoken = \"t\"").find("keep one") != std::string::npos);
  CHECK(complaint("[nats]\nurls = [\"nats://h\"]\ncredentials = \"none.creds\"").find("cannot be read: No such file") !=
        std::string::npos);
}

TEST_CASE("config: a secret of the wrong type is not printed") {
  const std::string text = complaint("[nats]\npassword = 123456");
  CHECK(text.find("nats.password") != std::string::npos);
  CHECK(text.find("123456") == std::string::npos);
}

TEST_CASE("config: all mistakes are told at once, in the order of the lines") {
  const std::string text = complaint("atomic_rows = -1\nzzz = 1\n[log]\nreplicas = 0");
  const size_t first = text.find(":1: atomic_rows");
  const size_t second = text.find(":2: zzz");
  const size_t third = text.find(":4: log.replicas");
  CHECK(first < second);
  CHECK(second < third);
  CHECK(third != std::string::npos);
}

TEST_CASE("config: a file that cannot be read, or is not TOML, is an error that names it") {
  const test::TempDir dir;
  ConfigOverrides overrides;
  overrides.file = dir.file("missing.toml");
  CHECK(load_config(overrides).error().message.find("missing.toml: No such file") != std::string::npos);
  overrides.file = dir.path();
  CHECK(load_config(overrides).error().message.find("it is a folder") != std::string::npos);
  for (const char* text : {"a = [", "a = 1\na = 2", "[x", "\xff\xfe", "= 3", "a = \"unended"}) {
    CAPTURE(text);
    const auto config = load(dir, text);
    REQUIRE_FALSE(config);
    CHECK(config.error().code == Errc::bad_input);
    CHECK(config.error().message.find("marmot.toml") != std::string::npos);
  }
}

TEST_CASE("config: mistakes about databases") {
  const test::TempDir dir;
  const auto message = [&](const std::string& toml) {
    const auto config = load(dir, toml);
    return config ? std::string() : config.error().message;
  };
  CHECK(message("").find("no database") != std::string::npos);
  CHECK(message("[[database]]\nname = \"x\"").find("has no path") != std::string::npos);
  CHECK(message("[[database]]\npath = \"\"").find("expected the path") != std::string::npos);
  CHECK(message("[[database]]\npath = \":memory:\"").find("plain path") != std::string::npos);
  CHECK(message("[[database]]\npath = \".\"").find("it is a folder") != std::string::npos);
  CHECK(message("[[database]]\npath = \"no/app.db\"").find("no such folder") != std::string::npos);
  CHECK(message("[[database]]\npath = \"my app.db\"").find("\"my app\" cannot be a database name") != std::string::npos);
  CHECK(message("[[database]]\npath = \"a.db\"\n[[database]]\npath = \"./a.db\"\nname = \"b\"").find("given twice") !=
        std::string::npos);
  CHECK(message("[[database]]\npath = \"a.db\"\n[[database]]\npath = \"a.sqlite\"").find("two databases are named \"a\"") !=
        std::string::npos);
  CHECK(message("[[database]]\npath = \"a.db\"\nadopt = \"merg\"").find("did you mean \"merge\"?") != std::string::npos);
  CHECK(message("[[database]]\npath = \"a.db\"\ntabels = []").find("did you mean tables?") != std::string::npos);
}

TEST_CASE("config: the command line wins over the file") {
  const test::TempDir dir;
  ConfigOverrides over;
  over.cluster = "other";
  over.node_id = "42";
  over.data_dir = dir.file("elsewhere");
  over.log_level = "error";
  over.log_format = "json";
  over.join = "10.0.0.1:4250";
  over.adopt = "replace";
  over.name = "renamed";
  over.tables = {"x*"};
  over.exclude = {"y"};
  const auto config = load(dir, "cluster = \"c\"\nnode_id = 1\n[[database]]\npath = \"a.db\"\n[nats]\nurls = [\"nats://h\"]\n", over);
  REQUIRE_MESSAGE(config, config.error().message);
  CHECK(config->cluster == "other");
  CHECK(config->node_id == 42);
  CHECK(config->data_dir == dir.file("elsewhere"));
  CHECK(config->log_level == LogLevel::error);
  CHECK(config->log_format == LogFormat::json);
  CHECK(config->nats.urls == std::vector<std::string>{"nats://10.0.0.1:4250"});
  CHECK(config->nats.join);
  CHECK(config->databases[0].adopt == Adopt::replace);
  CHECK(config->databases[0].name == "renamed");
  CHECK(config->databases[0].tables == std::vector<std::string>{"x*"});
  CHECK(config->databases[0].exclude == std::vector<std::string>{"y"});
}

TEST_CASE("config: a database on the command line replaces the file's list, and keeps what the file says of it") {
  const test::TempDir dir;
  ConfigOverrides over = for_file(dir.file("b.db"));
  const auto config = load(dir, "[[database]]\npath = \"a.db\"\n[[database]]\npath = \"b.db\"\nname = \"bee\"\n", over);
  REQUIRE(config);
  REQUIRE(config->databases.size() == 1);
  CHECK(config->databases[0].name == "bee");
}

TEST_CASE("config: mistakes on the command line name the option") {
  ConfigOverrides over;
  over.node_id = "1x";
  over.cluster = "a/b";
  over.listen = "no:pe";
  over.log_level = "loud";
  over.adopt = "take";
  const std::string text = complaint("", over);
  for (const char* part : {"--node-id \"1x\"", "--cluster \"a/b\"", "--listen \"no:pe\"", "--log-level \"loud\"", "--adopt \"take\""}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
  over = {};
  over.join = "h:1";
  over.nats_urls = {"nats://h"};
  CHECK(complaint("", over).find("--join and --nats exclude each other") != std::string::npos);
  over = {};
  over.name = "x";
  over.databases = {"/tmp/marmot-a.db", "/tmp/marmot-b.db"};
  CHECK(complaint("", over).find("--name \"x\": names one database, but there are 2") != std::string::npos);
}

TEST_CASE("units: times and sizes") {
  CHECK(parse_duration_ms("250ms") == 250);
  CHECK(parse_duration_ms("7d") == 7 * 86'400'000LL);
  CHECK(parse_duration_ms("0") == 0);
  CHECK(parse_duration_ms("1 h") == 3'600'000);
  for (const char* bad : {"", "h", "5", "-1h", "1.5h", "1H", "99999999999999999d", "1h30m"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_duration_ms(bad));
  }
  CHECK(parse_bytes("1KiB") == 1024);
  CHECK(parse_bytes("3MB") == 3'000'000);
  CHECK_FALSE(parse_bytes("9999999999TiB"));
}

TEST_CASE("config: the example file is good, and shows every key that there is") {
  const std::string example = test::read(MARMOT_SOURCE "/agent/marmot.toml");
  const test::TempDir dir;
  const auto config = load(dir, example);
  REQUIRE_MESSAGE(config, config.error().message);
  // The example's own values are the defaults.
  CHECK(to_toml(*config) == to_toml(*load(dir, "[[database]]\npath = \"app.db\"\n")));
  // Asking for an unknown key lists the known ones.
  for (const char* section : {"", "[nats]\n", "[log]\n", "[extensions]\n", "[hooks]\n", "[logging]\n", "[[database]]\npath = \"b.db\"\n"}) {
    const auto wrong = load(dir, std::string(section) + "xyzzyxyzzy = 1\n");
    REQUIRE_FALSE(wrong);
    const std::string& text = wrong.error().message;
    const size_t from = text.find("known here: ");
    REQUIRE(from != std::string::npos);
    std::istringstream keys(text.substr(from + 12, text.find('\n', from) - from - 12));
    for (std::string key; std::getline(keys >> std::ws, key, ',');) {
      CAPTURE(key);
      const bool shown = example.find("\n" + key + " = ") != std::string::npos ||
                         example.find("\n#" + key + " = ") != std::string::npos ||
                         example.find("[" + key + "]") != std::string::npos;
      CHECK(shown);
    }
  }
}
