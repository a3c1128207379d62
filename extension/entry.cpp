// libmarmot: `.load libmarmot`, load_extension('libmarmot'). It gives a connection Marmot's functions and nothing else:
// no hook, no thread, no socket, and no built-in of SQLite's is touched.
#include <string>

#include "common/sqlite/api.hpp"
#include "common/sqlite/database.hpp"
#include "extension/functions.hpp"
#include "extension/guarded.hpp"
#include "extension/tables.hpp"

extern "C" {
SQLITE_EXTENSION_INIT1
}

namespace {

constexpr int kOldestSqlite = 3035000;

// A second load must not register again: SQLite refuses to replace a function while a statement runs, and
// `SELECT load_extension(...)` is one.
bool is_loaded(sqlite3* db) {
  sqlite3_stmt* statement = nullptr;
  const int rc = sqlite3_prepare_v2(db, "SELECT marmot_version()", -1, &statement, nullptr);
  sqlite3_finalize(statement);
  return rc == SQLITE_OK;
}

marmot::Status load(sqlite3* db) {
  if (sqlite3_libversion_number() < kOldestSqlite) {
    return marmot::make_error(marmot::Errc::refused, std::string("this program has SQLite ") + sqlite3_libversion() +
                                                         "; Marmot needs 3.35.0 or newer");
  }
  if (is_loaded(db)) return marmot::ok();
  TRY(marmot::extension::register_functions(db));
  return marmot::extension::register_tables(db);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int sqlite3_marmot_init(sqlite3* db, char** error,
                                                                          const sqlite3_api_routines* api) {
  SQLITE_EXTENSION_INIT2(api);
  return marmot::extension::guarded([&] { return load(db); },
                                    [&](int, const char* text) { *error = sqlite3_mprintf("libmarmot: %s", text); });
}
