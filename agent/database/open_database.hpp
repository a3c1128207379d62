// Opens a live database file as the agent needs it: WAL mode, synchronous NORMAL, a short busy timeout, the configured
// SQLite extensions loaded. Every way in which that can fail is told with the path and the cure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/base/log.hpp"
#include "common/base/result.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::agent {

struct OpenOptions {
  std::string path;
  bool may_create = true;               // a missing file is made, empty
  std::vector<std::string> extensions;  // paths as load_extension() takes them
  int64_t busy_limit_ms = 30'000;       // how long another process may keep the file locked
  std::function<bool()> cancelled;      // asked at least ten times a second; may be empty
  LogSink log;
};

struct OpenedDatabase {
  sqlite::Database db;
  bool created = false;
  bool installed = false;  // it held no internal tables of ours
};

// Blocks, and for as long as it takes where the schema cannot be read by this SQLite (Errc::unreadable); the database thread calls it. Errc::bad_input and Errc::refused: the message is for the user and complete.
// Errc::busy: another process kept it locked for busy_limit_ms, or `cancelled`.
Result<OpenedDatabase> open_database(const OpenOptions& options);

// Loads SQLite extensions (OpenOptions::extensions) into a connection, before its first statement. Errc::bad_input names the
// one that does not load.
Status load_extensions(const std::vector<std::string>& extensions, sqlite::Database& db);

// Whether a database file can stand at `path`, before anything is made on the disk: its folder, its permissions, and that a file
// that is there begins as a database does. Errc::bad_input as open_database() says it. Call it while this process has no
// connection to the file: closing a descriptor of it drops SQLite's locks.
Status check_database_file(const std::string& path);

// Errc::corrupt of SQLite's own, told with the cure: what is damaged, and is it the file?
std::string explain_damage(const Error& error);

// In slices, so that a stop request is honoured while somebody else holds the lock.
inline constexpr int kBusyTimeoutMs = 50;

}  // namespace marmot::agent
