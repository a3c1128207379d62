// libmarmot: `.load libmarmot`, load_extension('libmarmot'). It gives a connection Marmot's functions, and those of MySQL's that the
// host's SQLite lacks: no hook, no thread, no socket, and no built-in of SQLite's is touched. `.load libmarmotmysql`, the same file
// under its other name, gives MySQL's meaning to those too.
#include <memory>
#include <string>

#include "common/mysql/glue/register.hpp"
#include "common/mysql/glue/system_environment.hpp"
#include "common/sqlite/api.hpp"
#include "common/sqlite/database.hpp"
#include "common/sqlite/guarded.hpp"
#include "extension/functions.hpp"
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

marmot::Status load(sqlite3* db, marmot::mysql::Names names) {
  if (sqlite3_libversion_number() < kOldestSqlite) {
    return marmot::make_error(marmot::Errc::refused, std::string("this program has SQLite ") + sqlite3_libversion() +
                                                         "; Marmot needs 3.35.0 or newer");
  }
  if (!is_loaded(db)) {
    TRY(marmot::extension::register_functions(db));
    TRY(marmot::extension::register_tables(db));
  }
  auto session = std::make_shared<marmot::mysql::Session>(marmot::mysql::system_environment());
  session->inserted_rowid = [db] { return int64_t{sqlite3_last_insert_rowid(db)}; };
  session->changed_rows = [db] { return int64_t{sqlite3_changes(db)}; };
  return marmot::mysql::register_functions(db, names, std::move(session));
}

int enter(sqlite3* db, char** error, const sqlite3_api_routines* api, marmot::mysql::Names names) {
  SQLITE_EXTENSION_INIT2(api);
  return marmot::sqlite::guarded([&] { return load(db, names); },
                                 [&](int, const char* text) { *error = sqlite3_mprintf("libmarmot: %s", text); });
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int sqlite3_marmot_init(sqlite3* db, char** error,
                                                                          const sqlite3_api_routines* api) {
  return enter(db, error, api, marmot::mysql::Names::absent);
}

extern "C" __attribute__((visibility("default"))) int sqlite3_marmotmysql_init(sqlite3* db, char** error,
                                                                               const sqlite3_api_routines* api) {
  return enter(db, error, api, marmot::mysql::Names::all);
}
