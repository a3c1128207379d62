#include "agent/database/open_database.hpp"

#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "agent/database/file_identity.hpp"
#include "agent/database/sharing.hpp"
#include "common/replica/capture.hpp"
#include "common/replica/meta.hpp"

namespace marmot::agent {

namespace {

using Clock = std::chrono::steady_clock;

Error bad_file(const std::string& path, const std::string& what) {
  return make_error(Errc::bad_input, path + ": " + what);
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// The first watching of a file that others reach without its folder is refused. One that belongs to a cluster already goes on, for a backup
// tool may have made the link.
Status check_sharing(const OpenOptions& options, bool member) {
  const std::string alone = shared_alone(options.path);
  if (alone.empty()) return ok();
  if (!member) return make_error(Errc::refused, options.path + ": " + alone);
  options.log(LogLevel::warn, options.path + ": " + alone);
  return ok();
}

// What the file system says before SQLite is asked: SQLite's own words ("unable to open database file") name no cure.
// The database file is never opened here: closing a descriptor of it would drop SQLite's locks in this process.
Result<bool> check_path(const OpenOptions& options) {
  const std::string folder = folder_of(options.path);
  struct stat facts {};
  if (::stat(folder.c_str(), &facts) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return bad_file(options.path, "the folder " + folder + " does not exist: make it, or correct the path");
    }
    return bad_file(options.path, "cannot look into " + folder + ": " + std::strerror(errno));
  }
  bool exists = true;
  if (::stat(options.path.c_str(), &facts) != 0) {
    if (errno != ENOENT) return bad_file(options.path, std::string(std::strerror(errno)) + ": check the permissions of " + folder);
    exists = false;
    if (!options.may_create) return bad_file(options.path, "no such file: correct the path");
  } else if (S_ISDIR(facts.st_mode)) {
    return bad_file(options.path, "is a folder: name the database file in it");
  } else if (!S_ISREG(facts.st_mode)) {
    return bad_file(options.path, "is not a regular file");
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    return bad_file(options.path, "the folder " + folder + " is not writable (" + std::strerror(errno) +
                                      "): SQLite needs it for the -wal and -shm files; give this user write permission");
  }
  if (exists && ::access(options.path.c_str(), R_OK) != 0) {
    return bad_file(options.path, std::string("cannot be read (") + std::strerror(errno) + "): give this user read and write permission");
  }
  if (exists && ::access(options.path.c_str(), W_OK) != 0) {
    return bad_file(options.path, std::string("is read-only (") + std::strerror(errno) +
                                      "): the agent keeps its change log in the file; give this user write permission");
  }
  // Nothing stands in it yet that could belong to a cluster, and a snapshot may be put in its place.
  if (exists && facts.st_size == 0 && ::access((options.path + "-wal").c_str(), F_OK) != 0) {
    TRY(check_sharing(options, false));
  }
  struct statfs system {};
  if (::statfs(folder.c_str(), &system) == 0) {
    const auto type = static_cast<unsigned long>(system.f_type) & 0xffffffffUL;
    if (type == 0x6969UL || type == 0x517bUL || type == 0xff534d42UL || type == 0xfe534d42UL) {
      return bad_file(options.path, "lies on a network file system: WAL mode needs shared memory between processes of one"
                                    " machine; move the file to a local disk");
    }
  }
  return exists;
}

Error not_a_database(const OpenOptions& options) {
  return bad_file(options.path, "is not a database (or is encrypted): correct the path");
}

// SQLite's words for what went wrong, with the path and what can be done about it.
Error explain(const OpenOptions& options, const Error& error) {
  switch (error.code) {
    case Errc::corrupt:
      if ((error.detail & 0xff) == SQLITE_NOTADB) return not_a_database(options);
      return bad_file(options.path, explain_damage(error));
    case Errc::full: return bad_file(options.path, "the disk is full: make room and start again");
    case Errc::io:
      if ((error.detail & 0xff) == SQLITE_READONLY) {
        return bad_file(options.path, "is read-only: give this user write permission for the file and its folder");
      }
      return bad_file(options.path, error.message + ": check the disk and the permissions of the file and its folder");
    default: return Error(error).in(options.path);
  }
}

// Runs `step` until it is not busy any more, and the schema can be read.
Status while_busy(const OpenOptions& options, const char* verb, const std::function<Status()>& step) {
  const auto start = Clock::now();
  bool told = false;
  for (;;) {
    Status done = step();
    const bool unreadable = !done && done.error().code == Errc::unreadable;
    if (done || (done.error().code != Errc::busy && !unreadable)) {
      if (!done) return explain(options, std::move(done).error().in(verb));
      return ok();
    }
    const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
    if (options.cancelled && options.cancelled()) return make_error(Errc::busy, options.path + ": stopped while it could not be read");
    if (unreadable) {
      if (!told) options.log(LogLevel::error, options.path + ": " + done.error().message + " (waiting until it can be read)");
      told = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(kBusyTimeoutMs));
      continue;
    }
    if (waited > options.busy_limit_ms) {
      return make_error(Errc::busy, options.path + ": " + verb + ": another process has kept the database locked for " +
                                        std::to_string(waited / 1000) + " s: end its transaction (`fuser -v " + options.path +
                                        "` shows who has it open) and start again");
    }
    if (!told && waited > 1000) {
      told = true;
      options.log(LogLevel::warn, options.path + ": locked by another process, waiting");
    }
  }
}

// SQLite changes the mode only while nobody else has a transaction open.
Status into_wal(const OpenOptions& options, sqlite::Database& db) {
  std::string before;
  const auto read_mode = [&]() -> Status {
    TRY_ASSIGN(before, db.query_text("PRAGMA journal_mode"));
    return ok();
  };
  TRY(while_busy(options, "read the journal mode", read_mode));
  if (before == "wal") return ok();
  const auto remember_mode = [&]() -> Status {
    TRY_ASSIGN(sqlite::Transaction transaction, sqlite::Transaction::begin(db, sqlite::Transaction::Kind::immediate));
    TRY(replica::install(db));
    TRY(write_meta(db, replica::meta::kJournalModeBefore, before));
    return transaction.commit();
  };
  TRY(while_busy(options, "remember the journal mode", remember_mode));
  std::string now;
  const auto switch_mode = [&]() -> Status {
    TRY_ASSIGN(now, db.query_text("PRAGMA journal_mode = WAL"));
    return ok();
  };
  TRY(while_busy(options, "switch to WAL mode", switch_mode));
  if (now != "wal") {
    return make_error(Errc::refused, options.path + ": cannot be switched to WAL mode (it stays in `" + now +
                                         "`): the file system under it gives no shared memory; move it to a local disk");
  }
  options.log(LogLevel::info, options.path + ": journal mode changed from " + before + " to wal (`marmot cleanup` changes it back)");
  return ok();
}

}  // namespace

Status load_extensions(const std::vector<std::string>& extensions, sqlite::Database& db) {
  if (extensions.empty()) return ok();
  // Through C only: the SQL function load_extension() stays off.
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, nullptr);
  Status done = ok();
  for (const std::string& extension : extensions) {
    char* text = nullptr;
    const int rc = sqlite3_load_extension(db.get(), extension.c_str(), nullptr, &text);
    if (rc != SQLITE_OK) {
      done = make_error(Errc::bad_input, "extensions.load: " + extension + ": " + (text != nullptr ? text : sqlite3_errstr(rc)) +
                                             ": correct the path, or remove it from the configuration", rc);
    }
    sqlite3_free(text);
    if (!done) break;
  }
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  return done;
}

Status check_database_file(const std::string& path) {
  OpenOptions options;
  options.path = path;
  TRY_ASSIGN(const bool exists, check_path(options));
  // A journal may hold the first page: SQLite has to look at that.
  if (!exists || ::access((path + "-wal").c_str(), F_OK) == 0 || ::access((path + "-journal").c_str(), F_OK) == 0) return ok();
  constexpr std::string_view kMagic("SQLite format 3\0", 16);
  char head[16];
  std::ifstream file(path, std::ios::binary);
  file.read(head, sizeof head);
  const std::string_view begins(head, static_cast<size_t>(file.gcount()));
  if (begins.empty() || begins == kMagic) return ok();
  return not_a_database(options);
}

std::string explain_damage(const Error& error) {
  if ((error.detail & 0xff) == SQLITE_NOTADB) return "is not a database (or is encrypted): correct the path, or put the database back that was there";
  if (error.detail == SQLITE_CORRUPT_VTAB) {
    return error.message + ": a virtual table complains, the tables are not concerned: a full-text index over a table of its own is made "
                           "whole by INSERT INTO name(name) VALUES('rebuild')";
  }
  return error.message + ": restore it from a backup, or rescue it with `sqlite3 FILE .recover`";
}

Result<OpenedDatabase> open_database(const OpenOptions& options) {
  TRY_ASSIGN(const bool exists, check_path(options));
  auto opened = sqlite::Database::open(options.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX);
  if (!opened) return explain(options, opened.error());
  sqlite::Database db = *std::move(opened);
  sqlite3_busy_timeout(db.get(), kBusyTimeoutMs);
  // Before the first statement: indexes and generated columns may need them to read the schema.
  TRY(load_extensions(options.extensions, db));
  bool installed = false, member = false;
  const auto look_inside = [&]() -> Status {
    TRY_ASSIGN(const int64_t known, db.query_integer("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '__marmot_meta'"));
    installed = known == 0;
    const auto membership = read_meta(db, replica::meta::kMembership);
    if (!membership && membership.error().code != Errc::not_found) return membership.error();
    member = membership && !membership->empty() && *membership != "0";
    return ok();
  };
  TRY(while_busy(options, "read", look_inside));
  TRY(check_sharing(options, member));
  TRY(into_wal(options, db));
  TRY(while_busy(options, "set up", [&] {
    return db.exec("PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000");
  }));
  return OpenedDatabase{std::move(db), !exists, installed};
}

}  // namespace marmot::agent
