#include "agent/cli/client.hpp"

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "agent/config/config.hpp"
#include "agent/config/paths.hpp"

namespace marmot::agent {

namespace {

constexpr int kBusyMs = 5000;

}  // namespace

Result<Target> find_target(const TargetOptions& options) {
  Target target;
  if (options.database.empty() && options.config.empty()) {
    return make_error(Errc::bad_input, "name a database file, or --config FILE");
  }
  target.from_config = !options.config.empty();
  target.shown = options.database.empty() ? options.config : options.database;
  target.start = "marmot agent " + (options.config.empty() ? options.database : "--config " + options.config);
  if (options.config.empty()) {
    TRY_ASSIGN(std::string path, canonical_path(options.database));
    target.data_dir = marmot_dir(path);
    target.databases.push_back(std::move(path));
  } else {
    ConfigOverrides overrides;
    overrides.file = options.config;
    if (!options.database.empty()) overrides.databases = {options.database};
    TRY_ASSIGN(const Config config, load_config(overrides));
    for (const DatabaseConfig& database : config.databases) target.databases.push_back(database.path);
    target.data_dir = config.data_dir;
  }
  for (const std::string& database : target.databases) {
    TRY_ASSIGN(target.agent, find_agent(marmot_dir(database)));
    if (target.agent) return target;
  }
  return target;
}

Result<std::string> single_database(const Target& target) {
  if (target.databases.size() == 1) return target.databases[0];
  return make_error(Errc::bad_input, target.shown + " names " + std::to_string(target.databases.size()) +
                                         " databases: give the one that is meant beside --config");
}

Status check_exists(const Target& target) {
  std::error_code error;
  for (const std::string& database : target.databases) {
    if (target.from_config || std::filesystem::exists(database, error)) continue;
    return make_error(Errc::not_found, target.shown + ": no such file: correct the path");
  }
  return ok();
}

Result<sqlite::Database> open_file(const Target& target) {
  TRY_ASSIGN(const std::string path, single_database(target));
  TRY(check_exists(target));
  TRY_ASSIGN(sqlite::Database db, sqlite::Database::open(path, SQLITE_OPEN_READWRITE));
  sqlite3_busy_timeout(db.get(), kBusyMs);
  TRY(db.learn_encoding());
  return db;
}

Result<ControlClient> connect_agent(const Target& target) {
  if (!target.agent) {
    TRY(check_exists(target));
    return make_error(Errc::not_found,
                      "no agent is running for " + target.shown + " (start one: " + target.start + ")");
  }
  constexpr auto kPatience = std::chrono::seconds{2};
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    auto client = ControlClient::connect(target.agent->socket);
    if (client || std::chrono::steady_clock::now() > deadline) {
      if (client) return client;
      return std::move(client).error().in("the agent of " + target.shown + " (pid " + std::to_string(target.agent->pid) +
                                          ") does not answer");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
}

int fail(const Error& error) {
  size_t from = 0;
  while (from <= error.message.size()) {
    const size_t end = std::min(error.message.find('\n', from), error.message.size());
    std::fprintf(stderr, "marmot: %.*s\n", static_cast<int>(end - from), error.message.c_str() + from);
    from = end + 1;
  }
  if (error.code == Errc::bad_input) return kExitUsage;
  return error.code == Errc::timeout ? kExitDifferent : kExitFailed;
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void print_json(const Json& json) { print(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"); }

Result<Json> ask_of_database(const TargetOptions& options, Json request, std::chrono::milliseconds timeout) {
  TRY_ASSIGN(const Target target, find_target(options));
  TRY_ASSIGN(request["db"], single_database(target));
  TRY_ASSIGN(ControlClient client, connect_agent(target));
  return client.call(std::move(request), timeout);
}

}  // namespace marmot::agent
