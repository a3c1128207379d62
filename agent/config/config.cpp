#include "agent/config/config.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <set>
#include <sstream>
#include <toml.hpp>
#include <utility>

#include "agent/config/paths.hpp"
#include "common/base/ids.hpp"

namespace marmot::agent {

namespace {

namespace fs = std::filesystem;

// What is wrong with a value, as advice ("expected ..."); nullopt: nothing.
using Complaint = std::optional<std::string>;

std::string in_quotes(std::string_view text) {
  constexpr size_t kLongest = 80;
  std::string out = "\"";
  for (const char c : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') out += "\\n";
    else if (byte < 0x20 || byte == 0x7f) out += '?';
    else out += c;
  }
  return out + (text.size() > kLongest ? "...\"" : "\"");
}

Complaint check_name(std::string_view name) {
  const bool good = !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
  });
  if (good) return std::nullopt;
  return "a name has 1 to 64 characters of A-Z a-z 0-9 _ -";
}

Complaint check_host(std::string_view text) {
  if (parse_host(text)) return std::nullopt;
  return "expected HOST or HOST:PORT, such as 127.0.0.1:4250; an IPv6 address stands in brackets";
}

// What check_host() let through, with its port.
std::string with_port(std::string_view text) {
  const auto address = parse_host(text);
  return address ? to_string(*address) : std::string(text);
}

Complaint check_url(std::string_view url) {
  constexpr const char* kShape = "expected nats://[user:password@]host[:port] or tls://host[:port]";
  const size_t colon = url.find("://");
  if (colon == std::string_view::npos) return kShape;
  const std::string_view scheme = url.substr(0, colon);
  if (scheme != "nats" && scheme != "tls") return kShape;
  std::string_view rest = url.substr(colon + 3);
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) rest.remove_prefix(at + 1);
  while (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  const bool has_port = !rest.empty() && rest.find(':', rest.front() == '[' ? rest.find(']') : 0) != std::string_view::npos;
  if (!parse_host_port(has_port ? std::string(rest) : std::string(rest) + ":4222")) return kShape;
  return std::nullopt;
}

Complaint check_command(const std::string& command) {
  const bool blank = command.find_first_not_of(" \t\r\n") == std::string::npos;
  if (!blank && command.find('\0') == std::string::npos) return std::nullopt;
  return "expected a command for /bin/sh, such as \"systemctl restart app\"; leave the key out to run none";
}

Complaint check_readable(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return "it is a folder; expected a file";
  if (::access(path.c_str(), R_OK) == 0) return std::nullopt;
  return std::string("cannot be read: ") + std::strerror(errno);
}

template <class T>
struct Choice {
  std::string_view name;
  T value;
};
constexpr Choice<IdsMode> kIdModes[] = {{"compact", IdsMode::compact}, {"extended", IdsMode::extended}, {"off", IdsMode::off}};
constexpr Choice<IdsAdopt> kIdAdopts[] = {{"ask", IdsAdopt::ask}, {"auto", IdsAdopt::automatic}};
constexpr Choice<UniqueLosers> kUniqueLosers[] = {{"retire", UniqueLosers::retire}, {"keep", UniqueLosers::keep}};
constexpr Choice<Adopt> kAdopts[] = {{"refuse", Adopt::refuse}, {"merge", Adopt::merge}, {"replace", Adopt::replace}};
constexpr Choice<LogLevel> kLevels[] = {
    {"debug", LogLevel::debug}, {"info", LogLevel::info}, {"warn", LogLevel::warn}, {"error", LogLevel::error}};
constexpr Choice<LogFormat> kFormats[] = {{"console", LogFormat::console}, {"json", LogFormat::json}};

template <class T, size_t N>
Complaint choose(const Choice<T> (&choices)[N], std::string_view word, T& out) {
  std::string all;
  std::vector<std::string_view> names;
  for (const auto& choice : choices) {
    if (choice.name == word) {
      out = choice.value;
      return std::nullopt;
    }
    all += (all.empty() ? "" : ", ") + std::string(choice.name);
    names.push_back(choice.name);
  }
  const std::string near = did_you_mean(word, names);
  return "expected one of " + all + (near.empty() ? "" : " (did you mean " + in_quotes(near) + "?)");
}

template <class T, size_t N>
std::string_view name_of(const Choice<T> (&choices)[N], T value) {
  for (const auto& choice : choices) {
    if (choice.value == value) return choice.name;
  }
  return "";
}

// Mistakes, in the order of the file's lines; those of the command line come last.
class Problems {
 public:
  void add(std::string text, uint64_t line = std::numeric_limits<uint64_t>::max()) {
    found_.push_back({line, std::move(text)});
  }
  bool empty() const { return found_.empty(); }
  std::string text() {
    std::stable_sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) { return a.line < b.line; });
    std::string out;
    for (const Found& found : found_) out += (out.empty() ? "" : "\n") + found.text;
    return out;
  }

 private:
  struct Found {
    uint64_t line;
    std::string text;
  };
  std::vector<Found> found_;
};

std::string show(const toml::value& value) {
  switch (value.type()) {
    case toml::value_t::boolean: return value.as_boolean() ? "true" : "false";
    case toml::value_t::integer: return std::to_string(value.as_integer());
    case toml::value_t::floating: {
      std::ostringstream out;
      out << value.as_floating();
      return out.str();
    }
    case toml::value_t::string: return in_quotes(value.as_string().str);
    case toml::value_t::array: return "an array";
    case toml::value_t::table: return "a table";
    default: return "a date or time";
  }
}

// One table of the file: keys that are asked for are known, what is left at the end is a mistake.
class Section {
 public:
  Section(const toml::table& table, std::string prefix, const std::string& file, Problems& problems)
      : table_(table), prefix_(std::move(prefix)), file_(file), problems_(problems) {}

  const toml::value* find(const char* key) {
    known_.insert(key);
    const auto it = table_.find(key);
    return it == table_.end() ? nullptr : &it->second;
  }
  void complain(const char* key, const toml::value& value, const std::string& advice, bool secret = false) {
    problems_.add(where(value) + prefix_ + key + " = " + (secret ? "***" : show(value)) + ": " +
                      advice,
                  value.location().line());
  }

  void read_bool(const char* key, bool& out) {
    const auto* value = find(key);
    if (value == nullptr) return;
    if (value->is_boolean()) out = value->as_boolean();
    else complain(key, *value, "expected true or false");
  }

  template <class T>
  void read_integer(const char* key, T& out, int64_t least, int64_t most) {
    const auto* value = find(key);
    if (value == nullptr) return;
    if (value->is_integer() && value->as_integer() >= least && value->as_integer() <= most) {
      out = static_cast<T>(value->as_integer());
    } else {
      complain(key, *value, "expected a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    }
  }

  void read_string(const char* key, std::string& out, const std::function<Complaint(const std::string&)>& check = {},
                   bool secret = false) {
    const auto* value = find(key);
    if (value == nullptr) return;
    if (!value->is_string()) return complain(key, *value, "expected a string in quotes", secret);
    const std::string& text = value->as_string().str;
    if (check) {
      if (const Complaint complaint = check(text)) return complain(key, *value, *complaint, secret);
    }
    out = text;
  }

  void read_strings(const char* key, std::vector<std::string>& out,
                    const std::function<Complaint(const std::string&)>& check = {}) {
    const auto* value = find(key);
    if (value == nullptr) return;
    if (!value->is_array()) return complain(key, *value, "expected a list of strings, such as [\"a\", \"b\"]");
    std::vector<std::string> strings;
    for (const toml::value& item : value->as_array()) {
      if (!item.is_string()) return complain(key, item, "expected a string in quotes");
      const std::string& text = item.as_string().str;
      if (const Complaint complaint = check ? check(text) : Complaint()) return complain(key, item, *complaint);
      strings.push_back(text);
    }
    out = std::move(strings);
  }

  template <class T, size_t N>
  void read_choice(const char* key, const Choice<T> (&choices)[N], T& out) {
    std::string ignored;
    read_string(key, ignored, [&](const std::string& word) { return choose(choices, word, out); });
  }

  // A string with a unit, kept as a number.
  void read_quantity(const char* key, std::optional<int64_t> (*parse)(std::string_view), const char* advice,
                     int64_t& out) {
    std::string ignored;
    read_string(key, ignored, [&](const std::string& text) -> Complaint {
      const auto number = parse(text);
      if (!number) return advice;
      out = *number;
      return std::nullopt;
    });
  }

  void read_table(const char* key, const std::function<void(Section&)>& read) {
    const auto* value = find(key);
    if (value == nullptr) return;
    if (!value->is_table()) return complain(key, *value, std::string("expected a section: [") + key + "]");
    Section inner(value->as_table(), prefix_ + key + ".", file_, problems_);
    read(inner);
    inner.finish();
  }

  void finish() {
    const std::vector<std::string_view> known(known_.begin(), known_.end());
    for (const auto& [key, value] : table_) {
      if (known_.count(key) != 0) continue;
      const std::string near = did_you_mean(key, known);
      std::string all;
      for (const auto& name : known) all += (all.empty() ? "" : ", ") + std::string(name);
      problems_.add(where(value) + prefix_ + key + " = " + show(value) + ": unknown key; " +
                        (near.empty() ? "known here: " + all : "did you mean " + near + "?"),
                    value.location().line());
    }
  }

 private:
  std::string where(const toml::value& value) const {
    return file_ + ":" + std::to_string(value.location().line()) + ": ";
  }

  const toml::table& table_;
  std::string prefix_;
  const std::string& file_;
  Problems& problems_;
  std::set<std::string> known_;
};

// A path in the file is relative to the file's folder, so that it means the same wherever the agent is started.
std::string beside(const std::string& file, const std::string& path) {
  if (path.empty()) return path;
  std::error_code error;
  const fs::path whole = fs::absolute(fs::path(file).parent_path() / path, error);
  return error ? path : whole.lexically_normal().string();
}

Complaint check_database_path(const std::string& path) {
  if (path.empty()) return "expected the path of a database file";
  if (path.rfind("file:", 0) == 0 || path.front() == ':') return "expected a plain path: Marmot replicates files on disk";
  std::error_code error;
  if (fs::is_directory(path, error)) return "it is a folder; expected a database file";
  return std::nullopt;
}

void read_database(Section& section, const std::string& file, Config& config) {
  DatabaseConfig database;
  section.read_string("name", database.name, check_name);
  section.read_string("path", database.path, [&](const std::string& path) {
    return check_database_path(path.empty() ? path : path.front() == ':' ? path : beside(file, path));
  });
  section.read_strings("tables", database.tables);
  section.read_strings("exclude", database.exclude);
  section.read_choice("adopt", kAdopts, database.adopt);
  if (!database.path.empty()) database.path = beside(file, database.path);
  config.databases.push_back(std::move(database));
}

void read_nats(Section& section, const std::string& file, NatsConfig& nats) {
  section.read_strings("urls", nats.urls, check_url);
  std::string join;
  section.read_string("join", join, check_host);
  if (!join.empty()) {
    if (!nats.urls.empty()) section.complain("join", *section.find("join"), "cannot stand beside nats.urls: keep one of them");
    nats.urls = {"nats://" + with_port(join)};
    nats.join = true;
  }
  section.read_string("listen", nats.listen, check_host);
  if (!nats.listen.empty()) nats.listen = with_port(nats.listen);
  section.read_string("user", nats.user);
  section.read_string("password", nats.password, {}, true);
  section.read_string("token", nats.token, {}, true);
  section.read_string("nkey_seed", nats.nkey_seed, [](const std::string& seed) -> Complaint {
    if (seed.rfind("SU", 0) == 0) return std::nullopt;
    return "expected a user seed, which begins with SU";
  }, true);
  const auto readable = [&](const std::string& path) { return check_readable(beside(file, path)); };
  for (const auto& [key, out] : {std::pair{"credentials", &nats.credentials}, std::pair{"tls_ca", &nats.tls_ca},
                                 std::pair{"tls_cert", &nats.tls_cert}, std::pair{"tls_key", &nats.tls_key}}) {
    section.read_string(key, *out, readable);
    *out = beside(file, *out);
  }
}

void read_file(const toml::table& table, const std::string& file, Config& config, Problems& problems) {
  Section top(table, "", file, problems);
  top.read_integer("node_id", config.node_id, 0, static_cast<int64_t>(kMaxNodeId));
  top.read_string("cluster", config.cluster, check_name);
  top.read_string("data_dir", config.data_dir);
  config.data_dir = beside(file, config.data_dir);
  top.read_integer("poll_interval_ms", config.poll_interval_ms, 1, 60'000);
  top.read_integer("atomic_rows", config.atomic_rows, 0, 1'000'000'000);
  top.read_integer("max_clock_drift_ms", config.max_clock_drift_ms, 1, 3'600'000);
  top.read_integer("anti_entropy_interval_seconds", config.anti_entropy_interval_s, 0, 86'400);
  top.read_quantity("retention", parse_duration_ms, "expected a time such as \"24h\" or \"7d\"", config.retention_ms);
  if (config.retention_ms < 60'000) {
    top.complain("retention", *top.find("retention"), "expected at least a minute: a node that was away for longer joins anew");
  }
  top.read_choice("unique_losers", kUniqueLosers, config.unique_losers);
  top.read_integer("conflict_log_rows", config.conflict_log_rows, 0, 100'000'000);
  if (const auto* databases = top.find("database")) {
    const bool list = databases->is_array() && std::all_of(databases->as_array().begin(), databases->as_array().end(),
                                                           [](const toml::value& v) { return v.is_table(); });
    if (!list) top.complain("database", *databases, "expected [[database]] (two brackets), once a file");
    for (size_t i = 0; list && i < databases->as_array().size(); ++i) {
      const toml::value& value = databases->as_array()[i];
      Section section(value.as_table(), "database.", file, problems);
      read_database(section, file, config);
      section.finish();
      if (section.find("path") == nullptr) {
        problems.add(file + ":" + std::to_string(value.location().line()) +
                         ": [[database]] has no path: add path = \"app.db\"",
                     value.location().line());
      }
    }
  }
  top.read_table("nats", [&](Section& section) { read_nats(section, file, config.nats); });
  top.read_table("log", [&](Section& section) {
    section.read_integer("replicas", config.log.replicas, 1, 5);
    section.read_quantity("max_age", parse_duration_ms, "expected a time such as \"24h\", \"30m\", \"7d\", or \"0\" for ever",
                          config.log.max_age_ms);
    section.read_quantity("max_bytes", parse_bytes, "expected a size such as \"1GiB\", \"500MB\", or \"0\" for no limit",
                          config.log.max_bytes);
    section.read_bool("compress", config.log.compress);
    section.read_bool("update_existing", config.log.update_existing);
  });
  top.read_table("snapshot", [&](Section& section) {
    section.read_quantity("interval", parse_duration_ms, "expected a time such as \"1h\", \"30m\", or \"0\" for only when the log is long",
                          config.snapshot.interval_ms);
    section.read_integer("keep", config.snapshot.keep, 1, 1000);
  });
  top.read_table("ids", [&](Section& section) {
    section.read_choice("mode", kIdModes, config.ids.mode);
    section.read_choice("adopt", kIdAdopts, config.ids.adopt);
    section.read_strings("narrow", config.ids.narrow);
  });
  top.read_table("extensions", [&](Section& section) { section.read_strings("load", config.extensions); });
  top.read_table("hooks", [&](Section& section) { section.read_string("on_schema_change", config.on_schema_change, check_command); });
  top.read_table("logging", [&](Section& section) {
    section.read_choice("level", kLevels, config.log_level);
    section.read_choice("format", kFormats, config.log_format);
  });
  top.finish();
}

// toml11's exceptions end here. Its message has several lines and shows the place.
Status parse_file(const std::string& file, Config& config, Problems& problems) {
  std::error_code folder;
  if (fs::is_directory(file, folder)) return make_error(Errc::io, "cannot read " + file + ": it is a folder");
  std::ifstream in(file, std::ios::binary);
  if (!in) return make_error(Errc::io, "cannot read " + file + ": " + std::strerror(errno), errno);
  try {
    const toml::value root = toml::parse(in, file);
    read_file(root.as_table(), file, config, problems);
  } catch (const std::exception& error) {
    problems.add(file + ": not valid TOML: " + error.what());
  }
  return ok();
}

void option(Problems& problems, const char* name, std::string_view value, const Complaint& complaint) {
  if (complaint) problems.add(std::string(name) + " " + in_quotes(value) + ": " + *complaint);
}

void overlay_databases(const ConfigOverrides& over, Config& config, Problems& problems) {
  if (!over.databases.empty()) {
    std::vector<DatabaseConfig> chosen;
    for (const std::string& given : over.databases) {
      if (const Complaint complaint = check_database_path(given)) {
        problems.add(in_quotes(given) + ": " + *complaint);
        continue;
      }
      const auto whole = canonical_path(given);
      const auto same = std::find_if(config.databases.begin(), config.databases.end(), [&](const DatabaseConfig& known) {
        const auto other = canonical_path(known.path);
        return whole && other && *other == *whole;
      });
      chosen.push_back(same != config.databases.end() ? *same : DatabaseConfig{});
      chosen.back().path = given;
    }
    config.databases = std::move(chosen);
  }
  for (DatabaseConfig& database : config.databases) {
    if (!over.tables.empty()) database.tables = over.tables;
    if (!over.exclude.empty()) database.exclude = over.exclude;
    if (over.adopt) option(problems, "--adopt", *over.adopt, choose(kAdopts, *over.adopt, database.adopt));
  }
  if (over.name) {
    option(problems, "--name", *over.name, check_name(*over.name));
    if (config.databases.size() == 1) config.databases[0].name = *over.name;
    else option(problems, "--name", *over.name, "names one database, but there are " + std::to_string(config.databases.size()) + ": set name in a file's [[database]]");
  }
}

void overlay_nats(const ConfigOverrides& over, NatsConfig& nats, Problems& problems) {
  if (over.join && !over.nats_urls.empty()) problems.add("--join and --nats exclude each other: keep one of them");
  if (!over.nats_urls.empty()) {
    for (const std::string& url : over.nats_urls) option(problems, "--nats", url, check_url(url));
    nats.urls = over.nats_urls;
    nats.join = false;
  } else if (over.join) {
    option(problems, "--join", *over.join, check_host(*over.join));
    nats.urls = {"nats://" + with_port(*over.join)};
    nats.join = true;
  }
  if (over.listen) {
    option(problems, "--listen", *over.listen, check_host(*over.listen));
    nats.listen = with_port(*over.listen);
  }
}

void overlay(const ConfigOverrides& over, Config& config, Problems& problems) {
  overlay_databases(over, config, problems);
  overlay_nats(over, config.nats, problems);
  if (over.cluster) {
    option(problems, "--cluster", *over.cluster, check_name(*over.cluster));
    config.cluster = *over.cluster;
  }
  if (over.node_id) {
    const auto id = parse_integer(*over.node_id);
    const bool good = id && *id >= 0 && *id <= static_cast<int64_t>(kMaxNodeId);
    if (good) config.node_id = static_cast<uint64_t>(*id);
    else option(problems, "--node-id", *over.node_id, "expected a whole number from 0 to " + std::to_string(kMaxNodeId));
  }
  if (over.data_dir) {
    if (over.data_dir->empty()) option(problems, "--data-dir", "", "expected a folder");
    else config.data_dir = beside("", *over.data_dir);
  }
  if (over.log_level) option(problems, "--log-level", *over.log_level, choose(kLevels, *over.log_level, config.log_level));
  if (over.log_format) option(problems, "--log-format", *over.log_format, choose(kFormats, *over.log_format, config.log_format));
}

// Names, defaults that depend on others, and what must not stand together.
void complete(Config& config, Problems& problems) {
  std::set<std::string> names;
  std::set<std::string> paths;
  for (DatabaseConfig& database : config.databases) {
    if (database.path.empty()) continue;  // reported
    const std::string shown = database.path;
    if (auto whole = canonical_path(shown)) database.path = *std::move(whole);
    else problems.add(whole.error().message + ": make it first");
    if (database.name.empty()) {
      database.name = fs::path(shown).stem().string();
      if (const Complaint complaint = check_name(database.name)) {
        problems.add(shown + ": " + in_quotes(database.name) + " cannot be a database name: " + *complaint +
                     "; choose one with --name, or name in [[database]]");
      }
    }
    if (!paths.insert(database.path).second) problems.add(shown + ": given twice: one entry a file");
    if (!names.insert(database.name).second) {
      problems.add(shown + ": two databases are named " + in_quotes(database.name) + ": give one another name in [[database]]");
    }
  }
  if (config.databases.empty() && problems.empty()) {
    problems.add(config.file.empty() ? "no database given: try marmot agent app.db"
                                     : config.file + ": no database: add [[database]] with path = \"app.db\"");
  }
  if (config.data_dir.empty() && !config.databases.empty()) config.data_dir = marmot_dir(config.databases[0].path);

  const NatsConfig& nats = config.nats;
  const std::string where = config.file.empty() ? "" : config.file + ": ";
  if (!nats.embedded() && !nats.listen.empty()) {
    problems.add(where + "nats.listen = " + in_quotes(nats.listen) +
                 ": is for the embedded server, but servers are given (nats.urls, --nats or --join): leave one of them out");
  }
  const bool client_only = !nats.nkey_seed.empty() || !nats.credentials.empty() || !nats.tls_ca.empty() ||
                           !nats.tls_cert.empty() || !nats.tls_key.empty();
  if (nats.embedded() && client_only) {
    problems.add(where + "nats: nkey_seed, credentials and tls_* are for servers of your own: set nats.urls too");
  }
  if (nats.user.empty() != nats.password.empty()) problems.add(where + "nats: user and password go together: set both");
  if (!nats.user.empty() && !nats.token.empty()) problems.add(where + "nats: user and token exclude each other: keep one");
  if (nats.tls_cert.empty() != nats.tls_key.empty()) {
    problems.add(where + "nats: tls_cert and tls_key go together: set both");
  }
}

std::string toml_strings(const std::vector<std::string>& strings) {
  std::string out = "[";
  for (const std::string& text : strings) {
    if (out.size() > 1) out += ", ";
    out += toml::format(toml::value(text), std::numeric_limits<size_t>::max());
  }
  return out + "]";
}

std::string toml_string(const std::string& text) {
  return toml::format(toml::value(text), std::numeric_limits<size_t>::max());
}

// nats://user:secret@host -> nats://***@host
std::string without_secret(const std::string& url) {
  const size_t start = url.find("://");
  const size_t at = url.rfind('@');
  if (start == std::string::npos || at == std::string::npos || at < start) return url;
  return url.substr(0, start + 3) + "***" + url.substr(at);
}

}  // namespace

std::string_view to_string(Adopt adopt) { return name_of(kAdopts, adopt); }
std::string_view to_string(IdsMode mode) { return name_of(kIdModes, mode); }
std::string_view to_string(IdsAdopt adopt) { return name_of(kIdAdopts, adopt); }
std::string_view to_string(UniqueLosers losers) { return name_of(kUniqueLosers, losers); }

Result<Config> load_config(const ConfigOverrides& overrides) {
  Config config;
  Problems problems;
  config.file = overrides.file;
  if (!overrides.file.empty()) TRY(parse_file(overrides.file, config, problems));
  overlay(overrides, config, problems);
  complete(config, problems);
  if (!problems.empty()) return make_error(Errc::bad_input, problems.text());
  return config;
}

std::string to_toml(const Config& config) {
  std::ostringstream out;
  const auto secret = [](const std::string& text) { return text.empty() ? std::string() : std::string("***"); };
  out << "node_id = " << config.node_id << "\ncluster = " << toml_string(config.cluster)
      << "\ndata_dir = " << toml_string(config.data_dir) << "\npoll_interval_ms = " << config.poll_interval_ms
      << "\natomic_rows = " << config.atomic_rows << "\nmax_clock_drift_ms = " << config.max_clock_drift_ms
      << "\nanti_entropy_interval_seconds = " << config.anti_entropy_interval_s << "\nretention = \"" << config.retention_ms << "ms\""
      << "\nunique_losers = " << toml_string(std::string(to_string(config.unique_losers)))
      << "\nconflict_log_rows = " << config.conflict_log_rows << "\n";
  for (const DatabaseConfig& database : config.databases) {
    out << "\n[[database]]\nname = " << toml_string(database.name) << "\npath = " << toml_string(database.path)
        << "\ntables = " << toml_strings(database.tables) << "\nexclude = " << toml_strings(database.exclude)
        << "\nadopt = " << toml_string(std::string(to_string(database.adopt))) << "\n";
  }
  std::vector<std::string> urls;
  for (const std::string& url : config.nats.urls) urls.push_back(without_secret(url));
  out << "\n[nats]\n";
  if (config.nats.join) out << "join = " << toml_string(config.nats.urls[0].substr(7)) << "\n";
  else if (!urls.empty()) out << "urls = " << toml_strings(urls) << "\n";
  else out << "# no urls: the embedded server\n";
  const std::pair<const char*, std::string> optional[] = {
      {"listen", config.nats.listen}, {"user", config.nats.user}, {"password", secret(config.nats.password)},
      {"token", secret(config.nats.token)}, {"nkey_seed", secret(config.nats.nkey_seed)},
      {"credentials", config.nats.credentials}, {"tls_ca", config.nats.tls_ca}, {"tls_cert", config.nats.tls_cert},
      {"tls_key", config.nats.tls_key}};
  for (const auto& [key, value] : optional) {
    if (!value.empty()) out << key << " = " << toml_string(value) << "\n";
  }
  out << "\n[log]\nreplicas = " << config.log.replicas << "\nmax_age = \"" << config.log.max_age_ms
      << "ms\"\nmax_bytes = \"" << config.log.max_bytes << "B\"\ncompress = " << (config.log.compress ? "true" : "false")
      << "\nupdate_existing = " << (config.log.update_existing ? "true" : "false") << "\n";
  out << "\n[snapshot]\ninterval = \"" << config.snapshot.interval_ms << "ms\"\nkeep = " << config.snapshot.keep << "\n";
  out << "\n[ids]\nmode = " << toml_string(std::string(to_string(config.ids.mode))) << "\nadopt = "
      << toml_string(std::string(to_string(config.ids.adopt))) << "\nnarrow = " << toml_strings(config.ids.narrow) << "\n";
  out << "\n[extensions]\nload = " << toml_strings(config.extensions) << "\n";
  out << "\n[hooks]\n";
  if (config.on_schema_change.empty()) out << "# no on_schema_change: nothing is run\n";
  else out << "on_schema_change = " << toml_string(config.on_schema_change) << "\n";
  out << "\n[logging]\nlevel = " << toml_string(std::string(name_of(kLevels, config.log_level)))
      << "\nformat = " << toml_string(std::string(name_of(kFormats, config.log_format))) << "\n";
  return out.str();
}

}  // namespace marmot::agent
