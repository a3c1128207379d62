#include "extension/functions.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "common/core/hlc.hpp"
#include "common/replica/capture.hpp"
#include "common/replica/scope.hpp"
#include "common/sqlite/guarded.hpp"
#include "extension/new_id.hpp"

namespace marmot::extension {

namespace {

// One call from SQL. Functions set a result or return an error.
class Call {
 public:
  Call(sqlite3_context* context, int count, sqlite3_value** values)
      : context_(context),
        count_(count),
        values_(values),
        db_(sqlite::Database::borrow(sqlite3_context_db_handle(context))) {}

  sqlite::Database& db() { return db_; }
  int count() const { return count_; }
  bool is_null(int i) const { return sqlite3_value_type(values_[i]) == SQLITE_NULL; }

  // Borrowed for the length of the call.
  Result<std::string_view> text(int i, std::string_view what) const {
    if (sqlite3_value_type(values_[i]) != SQLITE_TEXT) return wrong(what, "text");
    const auto* data = reinterpret_cast<const char*>(sqlite3_value_text(values_[i]));
    return std::string_view(data, static_cast<size_t>(sqlite3_value_bytes(values_[i])));
  }
  Result<int64_t> integer(int i, std::string_view what) const {
    if (sqlite3_value_type(values_[i]) != SQLITE_INTEGER) return wrong(what, "an integer");
    return sqlite3_value_int64(values_[i]);
  }

  Status give(int64_t value) {
    sqlite3_result_int64(context_, value);
    return ok();
  }
  Status give(std::string_view text) {
    sqlite3_result_text(context_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    return ok();
  }
  Status give_null() {
    sqlite3_result_null(context_);
    return ok();
  }

 private:
  static Error wrong(std::string_view what, std::string_view wanted) {
    return make_error(Errc::bad_input, std::string(what) + " must be " + std::string(wanted));
  }

  sqlite3_context* context_;
  int count_;
  sqlite3_value** values_;
  sqlite::Database db_;
};

constexpr int64_t kJulianEpochMs = 210866760000000;  // 1970-01-01 as a Julian day, in milliseconds

// The clock that SQLite itself uses, so that it agrees with what the triggers log.
WallMs wall_now() {
  sqlite3_vfs* vfs = sqlite3_vfs_find(nullptr);
  sqlite3_int64 julian_ms = 0;
  if (vfs->iVersion >= 2 && vfs->xCurrentTimeInt64 != nullptr) {
    vfs->xCurrentTimeInt64(vfs, &julian_ms);
  } else {
    double days = 0;
    vfs->xCurrentTime(vfs, &days);
    julian_ms = static_cast<sqlite3_int64>(days * 86400000.0 + 0.5);
  }
  return julian_ms - kJulianEpochMs;
}

Result<bool> has_table(sqlite::Database& db, std::string_view name) {
  TRY_ASSIGN(sqlite::Statement row, db.prepare("SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?1"));
  row.bind(1, name);
  return row.step();
}

// --- watching ------------------------------------------------------------------------------------------------------

Result<replica::WatchMode> mode_of(const Call& call) {
  if (call.count() < 2) return replica::WatchMode::keys;
  TRY_ASSIGN(const std::string_view mode, call.text(1, "mode"));
  if (mode == "keys") return replica::WatchMode::keys;
  if (mode == "full") return replica::WatchMode::full;
  return make_error(Errc::bad_input, "unknown mode '" + std::string(mode) + "'; use 'keys'");
}

// The tables that `pattern` means: the one of that name, else those that it matches as a glob.
Result<std::vector<std::string>> tables_for(sqlite::Database& db, const std::string& pattern) {
  // The pattern beside "*": another sidecar's table is watched where the pattern spells it out.
  TRY_ASSIGN(const std::vector<replica::Candidate> tables, replica::list_tables(db, {"*", pattern}, {}));
  std::vector<std::string> out;
  for (const replica::Candidate& table : tables) {
    if (sqlite3_stricmp(table.name.c_str(), pattern.c_str()) == 0) {
      if (!table.not_watched) return std::vector<std::string>{table.name};
      return make_error(Errc::bad_input, table.name + " cannot be watched: it is " + table.reason());
    }
    if (!table.not_watched && sqlite3_strglob(pattern.c_str(), table.name.c_str()) == 0) out.push_back(table.name);
  }
  if (out.empty()) {
    return make_error(Errc::not_found, "no table is called or matches '" + pattern +
                                           "'; give a table's name or a GLOB such as '*'");
  }
  return out;
}

Status marmot_watch(Call& call) {
  TRY_ASSIGN(const std::string_view pattern, call.text(0, "table"));
  TRY_ASSIGN(const replica::WatchMode mode, mode_of(call));
  TRY_ASSIGN(replica::Scope scope, replica::Scope::begin(call.db()));
  TRY_ASSIGN(const std::vector<std::string> tables, tables_for(call.db(), std::string(pattern)));
  int64_t added = 0;
  for (const std::string& name : tables) {
    TRY_ASSIGN(const replica::TableInfo table, replica::read_table(call.db(), name));
    TRY_ASSIGN(const replica::Watched watched, replica::watch(call.db(), table, mode));
    added += watched.added ? 1 : 0;
  }
  TRY(scope.commit());
  return call.give(added);
}

Status marmot_unwatch(Call& call) {
  TRY_ASSIGN(const std::string_view table, call.text(0, "table"));
  TRY(replica::unwatch(call.db(), table));
  return call.give(1);
}

Status marmot_cleanup(Call& call) {
  TRY_ASSIGN(const bool installed, has_table(call.db(), "__marmot_table"));
  const Status done = replica::cleanup(call.db());
  if (!done && (done.error().detail & 0xff) == SQLITE_LOCKED) {
    return make_error(Errc::busy,
                      done.error().message + "; run SELECT marmot_cleanup() alone, with no other statement open",
                      done.error().detail);
  }
  TRY(done);
  return call.give(installed ? 1 : 0);
}

// --- identity and time ---------------------------------------------------------------------------------------------

Status marmot_version(Call& call) { return call.give(MARMOT_VERSION); }

Status marmot_node_id(Call& call) {
  TRY_ASSIGN(const bool installed, has_table(call.db(), "__marmot_meta"));
  if (!installed) return call.give_null();
  auto id = call.db().query_integer("SELECT value FROM main.__marmot_meta WHERE key = 'node_id'");
  if (!id && id.error().code == Errc::not_found) return call.give_null();
  TRY(id);
  return call.give(*id);
}

Status marmot_hlc_now(Call& call) { return call.give(static_cast<int64_t>(Hlc::from_wall(wall_now()).value)); }

// "2026-11-20 21:02:10.123", as SQLite's own date functions write and read it.
Status marmot_hlc_datetime(Call& call) {
  if (call.is_null(0)) return call.give_null();
  TRY_ASSIGN(const int64_t value, call.integer(0, "hlc"));
  if (value < 0) return make_error(Errc::bad_input, "an hlc is never negative, as " + std::to_string(value) + " is");
  std::string text = to_string(Hlc{static_cast<uint64_t>(value)});
  text.resize(text.find('Z'));
  std::replace(text.begin(), text.end(), 'T', ' ');
  return call.give(text);
}

Status marmot_new_id(Call& call) {
  static IdSource source;  // one a process: connections on different threads must not meet
  uint32_t random = 0;
  sqlite3_randomness(sizeof random, &random);
  const auto id = source.next(wall_now(), random);
  if (!id) return make_error(Errc::bad_input, "the clock stands outside the years 2020 to 2089; set it");
  return call.give(*id);
}

// --- progress ------------------------------------------------------------------------------------------------------

Status marmot_pending(Call& call) {
  TRY_ASSIGN(const bool installed, has_table(call.db(), "__marmot_version"));
  if (!installed) return call.give(0);
  TRY_ASSIGN(const int64_t count,
             call.db().query_integer("SELECT (SELECT count(*) FROM main.__marmot_log)"
                                     " + (SELECT count(*) FROM main.__marmot_version WHERE seq IS NULL)"));
  return call.give(count);
}

constexpr int64_t kLongestWaitMs = 24 * 3600 * 1000;
constexpr int64_t kLongestSleepMs = 16;

Status check_level(const std::string& level) {
  if (sqlite3_stricmp(level.c_str(), "PUBLISHED") == 0) return ok();
  for (const char* later : {"QUORUM", "ALL"}) {
    if (sqlite3_stricmp(level.c_str(), later) == 0) {
      return make_error(Errc::bad_input, "level '" + level + "' is not in this version; use 'PUBLISHED'");
    }
  }
  return make_error(Errc::bad_input, "unknown level '" + level + "'; use 'PUBLISHED'");
}

// A transaction would hold the snapshot in which nothing ever arrives (or the changes that nobody sees yet).
Status check_no_transaction(sqlite::Database& db) {
  if (!db.in_transaction() && sqlite3_txn_state(db.get(), "main") == SQLITE_TXN_NONE) return ok();
  return make_error(Errc::refused, "a transaction or another statement is open on this connection, so no progress can "
                                   "be seen; commit first, and run SELECT marmot_wait(...) alone");
}

// Busy (a recovery, a checkpoint with an exclusive lock) is "not yet".
Result<bool> all_published(sqlite::Database& db) {
  const auto published = db.query_integer("SELECT NOT EXISTS(SELECT 1 FROM main.__marmot_log)"
                                          " AND NOT EXISTS(SELECT 1 FROM main.__marmot_version WHERE seq IS NULL)");
  if (!published && published.error().code == Errc::busy) return false;
  TRY(published);
  return *published != 0;
}

Status marmot_wait(Call& call) {
  TRY_ASSIGN(const std::string_view level, call.text(0, "level"));
  TRY_ASSIGN(const int64_t timeout_ms, call.integer(1, "timeout_ms"));
  TRY(check_level(std::string(level)));
  if (timeout_ms < 0 || timeout_ms > kLongestWaitMs) {
    return make_error(Errc::bad_input, "timeout_ms must be between 0 and " + std::to_string(kLongestWaitMs));
  }
  TRY(check_no_transaction(call.db()));
  TRY_ASSIGN(const bool installed, has_table(call.db(), "__marmot_version"));
  if (!installed) {
    return make_error(Errc::not_found,
                      "this file is not watched; start `marmot agent` on it or SELECT marmot_watch('*')");
  }
  // Both clocks end it: time that SQLite's clock saw go by, and time slept (the former may be set back).
  const WallMs start = wall_now();
  int64_t slept_ms = 0;
  for (int64_t sleep_ms = 1;; sleep_ms = std::min(sleep_ms * 2, kLongestSleepMs)) {
    TRY_ASSIGN(const bool published, all_published(call.db()));
    if (published) return call.give(1);
    const int64_t left_ms = timeout_ms - std::max(slept_ms, wall_now() - start);
    if (left_ms <= 0) return call.give(0);
    slept_ms += sqlite3_sleep(static_cast<int>(std::min(sleep_ms, left_ms)));
  }
}

// --- registration --------------------------------------------------------------------------------------------------

using Body = Status (*)(Call&);

struct Function {
  const char* name;
  int arguments;
  int flags;
  Body body;
};

constexpr int kChanges = SQLITE_DIRECTONLY;    // never from a view, trigger or default of an untrusted file
constexpr int kHarmless = SQLITE_INNOCUOUS;    // and these from any, with trusted_schema off too
constexpr int kPure = SQLITE_INNOCUOUS | SQLITE_DETERMINISTIC;

constexpr std::array<Function, 11> kFunctions{{{"marmot_watch", 1, kChanges, marmot_watch},
                                               {"marmot_watch", 2, kChanges, marmot_watch},
                                               {"marmot_unwatch", 1, kChanges, marmot_unwatch},
                                               {"marmot_cleanup", 0, kChanges, marmot_cleanup},
                                               {"marmot_version", 0, kPure, marmot_version},
                                               {"marmot_node_id", 0, 0, marmot_node_id},
                                               {"marmot_hlc_now", 0, kHarmless, marmot_hlc_now},
                                               {"marmot_hlc_datetime", 1, kPure, marmot_hlc_datetime},
                                               {"marmot_new_id", 0, kHarmless, marmot_new_id},
                                               {"marmot_pending", 0, 0, marmot_pending},
                                               {"marmot_wait", 2, SQLITE_DIRECTONLY, marmot_wait}}};

extern "C" void call_function(sqlite3_context* context, int count, sqlite3_value** values) {
  const auto* function = static_cast<const Function*>(sqlite3_user_data(context));
  sqlite::guarded(
      [&] {
        Call call(context, count, values);
        return function->body(call);
      },
      [&](int rc, const char* text) {
        char* message = sqlite3_mprintf("%s: %s", function->name, text);
        sqlite3_result_error(context, message != nullptr ? message : text, -1);
        sqlite3_free(message);
        sqlite3_result_error_code(context, rc);
      });
}

}  // namespace

Status register_functions(sqlite3* db) {
  for (const Function& function : kFunctions) {
    void* self = const_cast<Function*>(&function);
    const int rc = sqlite3_create_function_v2(db, function.name, function.arguments, SQLITE_UTF8 | function.flags, self,
                                              call_function, nullptr, nullptr, nullptr);
    if (rc != SQLITE_OK) return sqlite::error_of(db, rc).in(function.name);
  }
  return ok();
}

}  // namespace marmot::extension
