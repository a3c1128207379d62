// What the commands that talk to a running agent share: finding it, asking it, and telling what went wrong.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/control/control.hpp"
#include "agent/control/lock.hpp"
#include "common/base/result.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::agent {

// Exit codes of every command.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitDifferent = 3;  // differences found, or not in time

// What a command is about: a database file, or all that a configuration names.
struct TargetOptions {
  std::string database;
  std::string config;
  bool json = false;
};

struct Target {
  std::string shown;                   // as the user wrote it, for messages
  std::string start;                   // the command that starts its agent
  std::vector<std::string> databases;  // canonical paths, at least one
  std::string data_dir;
  bool from_config = false;            // its files may be missing: the agent makes them from the cluster
  std::optional<RunningAgent> agent;   // nullopt: none runs
};

// Errc::bad_input: the configuration is wrong, or no such folder.
Result<Target> find_target(const TargetOptions& options);

// The one database a command needs. Errc::bad_input when the configuration names several.
Result<std::string> single_database(const Target& target);

// Errc::not_found when the user named a file that is not there.
Status check_exists(const Target& target);

// For commands that need no agent: one that runs is only another connection. Errors as of the two above, or SQLite's; a locked file is
// waited for some seconds, then Errc::busy.
Result<sqlite::Database> open_file(const Target& target);

// Errc::not_found as check_exists(), or with "no agent is running for app.db (start one: marmot agent app.db)". An agent that has its lock but no
// socket yet is given two seconds.
Result<ControlClient> connect_agent(const Target& target);

// Asks it about the one database that `options` name; `request` without its "db". Errors as of the above, of the agent, or of the connection.
Result<Json> ask_of_database(const TargetOptions& options, Json request, std::chrono::milliseconds timeout);

// Prints "marmot: <message>" on stderr and returns the exit code that fits.
int fail(const Error& error);

// Prints `text` on stdout and flushes it.
void print(const std::string& text);
// As one line.
void print_json(const Json& json);

}  // namespace marmot::agent
