// Small owning wrappers over sqlite3. A Database may borrow (the extension is a guest on the host's connection) or own.
// Not thread-safe: one thread owns a connection and its statements.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.hpp"
#include "common/core/value.hpp"
#include "common/sqlite/api.hpp"

namespace marmot::sqlite {

// The one converter: keeps SQLite's message and extended code, and maps it to what a caller can do.
Error error_of(sqlite3* db, int rc);

// A prepared statement: reset (and its bindings cleared) by Statement::reset or on destruction, never left running.
// Move-only; must not outlive its Database.
class Statement {
 public:
  Statement() = default;
  // `wide`: of a UTF-16 file whose text is to come through whole (common/core/wide_text.hpp).
  explicit Statement(sqlite3_stmt* stmt, bool wide = false) : stmt_(stmt), wide_(wide) {}
  ~Statement() { sqlite3_finalize(stmt_); }
  Statement(Statement&& other) noexcept { *this = std::move(other); }
  Statement& operator=(Statement&& other) noexcept {
    std::swap(stmt_, other.stmt_);
    std::swap(wide_, other.wide_);
    std::swap(unfit_, other.unfit_);
    std::swap(narrowed_, other.narrowed_);
    return *this;
  }

  explicit operator bool() const { return stmt_ != nullptr; }
  sqlite3_stmt* get() const { return stmt_; }

  // Parameters and columns are numbered as SQLite numbers them: from 1 and from 0. Text and blobs are NOT copied: they
  // must live until the next reset().
  Statement& bind(int index, int64_t value);
  Statement& bind(int index, std::string_view text);  // Marmot's own: what a UTF-16 file cannot hold as text goes in as a blob
  Statement& bind_blob(int index, std::string_view bytes);
  Statement& bind_null(int index);
  // An application's. Text that the file cannot hold (common/core/wide_text.hpp) makes unfit(), and step() an Errc::constraint.
  Statement& bind(int index, const ValueView& value);
  bool unfit() const { return unfit_; }

  // True: a row is there. False: done. After false or an error the statement is reset.
  Result<bool> step();
  // Steps to the end, ignoring rows.
  Status run();
  void reset();

  int64_t integer(int column) const { return sqlite3_column_int64(stmt_, column); }
  bool is_null(int column) const { return sqlite3_column_type(stmt_, column) == SQLITE_NULL; }
  std::string_view text(int column) const;  // also of a blob; valid until the next step or reset
  std::string_view blob(int column) const;
  ValueView value(int column) const;
  int columns() const { return sqlite3_column_count(stmt_); }

 private:
  sqlite3_stmt* stmt_ = nullptr;
  bool wide_ = false;
  bool unfit_ = false;
  mutable std::vector<std::string> narrowed_;  // by column, what text() has given out
};

// Resets a statement at scope exit.
class ResetGuard {
 public:
  explicit ResetGuard(Statement& statement) : statement_(statement) {}
  ~ResetGuard() { statement_.reset(); }
  ResetGuard(const ResetGuard&) = delete;
  ResetGuard& operator=(const ResetGuard&) = delete;

 private:
  Statement& statement_;
};

class Database {
 public:
  // Errc::bad_input names the path when it is missing, unreadable or not a database.
  static Result<Database> open(const std::string& path, int flags);
  static Database borrow(sqlite3* db) { return Database(db, false); }

  ~Database();
  Database(Database&& other) noexcept;
  Database& operator=(Database&& other) noexcept;

  sqlite3* get() const { return db_; }

  // Runs any number of statements.
  Status exec(const std::string& sql);
  // Errc::bad_input when `sql` is not exactly one statement. `keep`: SQLITE_PREPARE_PERSISTENT.
  Result<Statement> prepare(std::string_view sql, bool keep = false);
  // The first column of the first row. Errc::not_found when there is no row.
  Result<int64_t> query_integer(std::string_view sql);
  Result<std::string> query_text(std::string_view sql);

  // From here on text of a UTF-16 file comes and goes whole. Once the file holds a table: until then it has no encoding.
  Status learn_encoding();
  // Ends every statement of this connection that is in its middle, whoever began it.
  void reset_statements();
  // In a write transaction of the caller's: the schema is another one. Other connections read it anew with their next statement, this one with
  // PRAGMA writable_schema = RESET.
  Status bump_schema_version();
  bool wide() const { return wide_; }  // learnt: it is a UTF-16 file

  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }
  Error error(int rc) const { return error_of(db_, rc); }

 private:
  Database(sqlite3* db, bool owned) : db_(db), owned_(owned) {}
  sqlite3* db_ = nullptr;
  bool owned_ = false;
  bool wide_ = false;  // UTF-16
};

// Rolls back unless committed.
class Transaction {
 public:
  enum class Kind { deferred, immediate };
  static Result<Transaction> begin(Database& db, Kind kind);
  ~Transaction();
  Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;

  Status commit();
  void rollback();

 private:
  explicit Transaction(Database& db) : db_(&db) {}
  Database* db_;
};

// "name" with quotes doubled, 'text' likewise.
std::string quote_identifier(std::string_view name);
std::string quote_text(std::string_view text);

}  // namespace marmot::sqlite
