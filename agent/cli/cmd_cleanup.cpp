#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "agent/cli/commands.hpp"
#include "agent/config/paths.hpp"
#include "agent/report/text.hpp"
#include "common/replica/capture.hpp"
#include "common/replica/meta.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::agent {

namespace {

namespace fs = std::filesystem;

constexpr int kLockedMs = 5000;

// What the agent wrote into __marmot_meta before it switched the file to WAL; empty when it switched nothing.
Result<std::string> journal_mode_before(sqlite::Database& db) {
  TRY_ASSIGN(const int64_t count,
             db.query_integer("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '__marmot_meta'"));
  if (count == 0) return std::string();
  auto mode = db.query_text("SELECT value FROM __marmot_meta WHERE key = " + sqlite::quote_text(replica::meta::kJournalModeBefore));
  if (!mode && mode.error().code == Errc::not_found) return std::string();
  if (!mode) return std::move(mode).error();
  for (const char* known : {"delete", "truncate", "persist", "memory", "off"}) {
    if (*mode == known) return mode;
  }
  return std::string();
}

Result<int64_t> count_ours(sqlite::Database& db) {
  return db.query_integer("SELECT count(*) FROM sqlite_schema WHERE substr(name, 1, 9) = '__marmot_'");
}

// The file itself. Tells what it did.
Status clean_file(const std::string& path, std::string& told) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    told += path + " does not exist\n";
    return ok();
  }
  TRY_ASSIGN(sqlite::Database db, sqlite::Database::open(path, SQLITE_OPEN_READWRITE));
  sqlite3_busy_timeout(db.get(), kLockedMs);
  TRY_ASSIGN(const std::string mode, journal_mode_before(db));
  TRY_ASSIGN(const int64_t before, count_ours(db));
  if (before == 0) {
    told += path + " holds nothing of Marmot\n";
    return ok();
  }
  TRY(replica::cleanup(db));
  TRY_ASSIGN(const int64_t after, count_ours(db));
  if (after != 0) return make_error(Errc::internal, grouped(after) + " schema objects of Marmot are left");
  told += path + ": removed " + counted(before, "schema object") + " of Marmot\n";
  if (mode.empty()) return ok();
  const auto now = db.query_text("PRAGMA journal_mode = " + mode);
  if (now && *now == mode) {
    told += path + ": journal mode is " + mode + " again\n";
  } else {
    told += path + ": journal mode stays WAL (" + (now ? *now : now.error().message) +
            "); when no other program has it open: sqlite3 " + path + " 'PRAGMA journal_mode = " + mode + "'\n";
  }
  return ok();
}

// Everything of the agent's folder but the NATS server's store: other nodes may not have all of it yet.
Status clean_folder(const std::string& folder, std::string& told) {
  std::error_code error;
  bool kept = false;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    entries.push_back(it->path());
  }
  if (error) return make_error(Errc::io, "read " + folder + ": " + error.message(), error.value());
  for (const fs::path& entry : entries) {
    if (entry.filename() == "nats" && fs::exists(entry / "jetstream", error)) {
      kept = true;
      continue;
    }
    fs::remove_all(entry, error);
    if (error) return make_error(Errc::io, "remove " + entry.string() + ": " + error.message(), error.value());
  }
  if (kept) {
    told += "kept " + folder + "/nats: the cluster's log, from which other nodes catch up; delete it with: rm -r " +
            folder + "\n";
    return ok();
  }
  fs::remove(folder, error);
  if (error) return make_error(Errc::io, "remove " + folder + ": " + error.message(), error.value());
  told += "removed " + folder + "\n";
  return ok();
}

Status clean_up_files(const TargetOptions& options, std::string& told) {
  TRY_ASSIGN(const Target target, find_target(options));
  if (target.agent) {
    return make_error(Errc::refused, "an agent runs for " + target.shown + " (pid " +
                                         std::to_string(target.agent->pid) + "): stop it first, then clean up");
  }
  std::error_code error;
  for (const std::string& path : target.databases) {
    const std::string folder = marmot_dir(path);
    if (!fs::exists(path, error) && !fs::exists(folder, error)) {
      return make_error(Errc::not_found, path + ": no such file");
    }
    // No agent may start in the middle; the lock's file goes with the folder.
    TRY_ASSIGN(const AgentLock lock, AgentLock::acquire(folder, ""));
    TRY_IN("clean up " + path, clean_file(path, told));
    TRY(clean_folder(folder, told));
  }
  const bool own_folder = !options.config.empty() && options.database.empty() && fs::exists(target.data_dir, error);
  return own_folder ? clean_folder(target.data_dir, told) : ok();
}

}  // namespace

int cmd_cleanup(const TargetOptions& options) {
  std::string told;
  const Status done = clean_up_files(options, told);
  if (options.json) {
    if (done) print_json({{"ok", true}, {"text", told}});
  } else {
    print(told);  // what was done before it failed, too
  }
  return done ? kExitOk : fail(done.error());
}

}  // namespace marmot::agent
