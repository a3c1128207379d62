// What an agent is told to do: a TOML file, with the command line laid over it. Reading it touches no database.
//
// Every mistake is reported, one a line, as "where: key = value: what is wrong and what to write instead".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/paths.hpp"
#include "agent/report/logging.hpp"
#include "common/base/log.hpp"
#include "common/base/result.hpp"

namespace marmot::agent {

// What to do with a file that holds data which never belonged to the cluster.
enum class Adopt : uint8_t {
  refuse,   // count the differences and stop (default)
  merge,    // the cluster's row wins on equal keys; local extras are published
  replace,  // the cluster's rows only; a backup is kept
};
std::string_view to_string(Adopt adopt);

// What becomes of a row that lost a UNIQUE collision.
enum class UniqueLosers : uint8_t {
  retire,  // the node that wrote it deletes it everywhere, and it is kept among the conflicts (default)
  keep,    // it stays on the shelf, and returns when the winner goes
};
std::string_view to_string(UniqueLosers losers);

struct DatabaseConfig {
  std::string name;  // how the cluster calls it: [A-Za-z0-9_-]{1,64}
  std::string path;  // canonical (paths.hpp: canonical_path); the file may be missing
  std::vector<std::string> tables{"*"};  // SQLite GLOBs
  std::vector<std::string> exclude;
  Adopt adopt = Adopt::refuse;
};

struct NatsConfig {
  std::vector<std::string> urls;  // nats://[user:password@]host[:port] or tls://...; empty: the embedded server
  bool join = false;              // urls is another agent's embedded server (--join): never create a stream there
  std::string listen;             // HOST:PORT (the port always stands here) of the embedded server; empty: 127.0.0.1, a port picked once and kept
  std::string user;               // also what the embedded server asks of its clients
  std::string password;
  std::string token;
  std::string nkey_seed;    // the seed itself: SU...
  std::string credentials;  // file, absolute
  std::string tls_ca;       // PEM files, absolute
  std::string tls_cert;
  std::string tls_key;

  bool embedded() const { return urls.empty(); }
};

// The stream of each database.
struct LogConfig {
  int replicas = 1;
  int64_t max_age_ms = 24 * 3'600'000LL;  // 0: kept for ever
  int64_t max_bytes = int64_t{1} << 30;   // 0: no limit
  bool compress = true;    // units are compressed (zstd)
  bool update_existing = false;  // change an existing stream that differs from the above; false: report it only
};

// Of each database.
struct SnapshotConfig {
  int64_t interval_ms = 3'600'000;  // when something changed; 0: only when the log's limits ask for one
  int keep = 3;                     // the newest ones
};

// Which ids of AUTOINCREMENT tables a node gives out (docs/ids.md).
enum class IdsMode : uint8_t {
  compact,   // of blocks that grow with use, below 2^53 (default)
  extended,  // of blocks of a million, below 2^63
  off,       // as SQLite does: nodes that insert at the same moment take the same
};
std::string_view to_string(IdsMode mode);
// Tables with a plain INTEGER PRIMARY KEY become AUTOINCREMENT ...
enum class IdsAdopt : uint8_t {
  ask,        // ... by `marmot ids adopt` (default)
  automatic,  // ... by themselves
};
std::string_view to_string(IdsAdopt adopt);
struct IdsConfig {
  IdsMode mode = IdsMode::compact;
  IdsAdopt adopt = IdsAdopt::ask;
  std::vector<std::string> narrow;  // names of tables
};

struct Config {
  std::string file;      // the TOML file, empty when there is none
  uint64_t node_id = 0;  // 0: made once and kept
  std::string cluster = "main";
  std::string data_dir;  // absolute; default: marmot_dir() of the first database
  std::vector<DatabaseConfig> databases;  // at least one; names and paths are unique
  NatsConfig nats;
  LogConfig log;
  SnapshotConfig snapshot;
  IdsConfig ids;
  std::vector<std::string> extensions;  // SQLite extensions to load, as sqlite3_load_extension takes them
  std::string on_schema_change;  // command for /bin/sh; empty: none
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::console;
  int64_t poll_interval_ms = 100;      // 1 to 60,000
  int64_t atomic_rows = 100'000;       // 0: every transaction whole, whatever its size
  int64_t max_clock_drift_ms = 500;    // 1 to 3,600,000
  int64_t anti_entropy_interval_s = 30;       // rows and registers are compared so often; 0: only when asked
  int64_t retention_ms = 24 * 3'600'000;      // a node that was not heard for so long is no member any more
  UniqueLosers unique_losers = UniqueLosers::retire;
  int64_t conflict_log_rows = 10'000;  // 0 to 100,000,000

  std::string socket_path() const { return data_dir + "/control.sock"; }
};

// The command line's share; what is absent leaves the file's value. Strings are as the user typed them.
struct ConfigOverrides {
  std::string file;                     // --config
  std::vector<std::string> databases;   // replaces the file's list; one that the file names too keeps its settings
  std::optional<std::string> join, name, cluster, node_id, data_dir, listen, adopt, log_level, log_format;
  std::vector<std::string> nats_urls, tables, exclude;
};

// Errc::bad_input with all mistakes, one a line; Errc::io when the file cannot be read.
Result<Config> load_config(const ConfigOverrides& overrides);

// The effective configuration as TOML, every key spelled out; secrets are shown as "***".
std::string to_toml(const Config& config);

// The key of `known` that `word` was probably meant to be; empty when none is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& known);

// The whole of `text` as a number: no sign but '-', no space.
std::optional<int64_t> parse_integer(std::string_view text);

// "24h", "90m", "1d", "0" in milliseconds; "1GiB", "500MB", "0" in bytes. nullopt when malformed or beyond int64.
std::optional<int64_t> parse_duration_ms(std::string_view text);
std::optional<int64_t> parse_bytes(std::string_view text);

// Where the first embedded server of a machine listens.
inline constexpr uint16_t kDefaultPort = 4250;

struct HostPort {
  std::string host;  // without the brackets of an IPv6 address
  uint16_t port = 0;
};
// "host:port", "[::1]:4250". nullopt when malformed.
std::optional<HostPort> parse_host_port(std::string_view text);
// The same, but the port may be left out: it is kDefaultPort then.
std::optional<HostPort> parse_host(std::string_view text);
std::string to_string(const HostPort& address);  // as parse_host_port() reads it

}  // namespace marmot::agent
