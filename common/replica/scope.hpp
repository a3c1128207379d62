// A transaction for functions that may be called inside the caller's.
#pragma once

#include <utility>

#include "common/base/result.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

// A savepoint in the caller's transaction, or BEGIN IMMEDIATE where there is none (a savepoint would begin a deferred
// transaction, which cannot wait for the write lock once it has read). Undone unless committed.
class Scope {
 public:
  static Result<Scope> begin(sqlite::Database& db) {
    const bool nested = db.in_transaction();
    TRY(db.exec(nested ? "SAVEPOINT __marmot" : "BEGIN IMMEDIATE"));
    return Scope(db, nested);
  }
  ~Scope() {
    // SQLite may have rolled back by itself (disk full, I/O error).
    if (db_ == nullptr || !db_->in_transaction()) return;
    (void)db_->exec(nested_ ? "ROLLBACK TO __marmot; RELEASE __marmot" : "ROLLBACK");
  }
  Scope(Scope&& other) noexcept : db_(std::exchange(other.db_, nullptr)), nested_(other.nested_) {}
  Scope& operator=(Scope&&) = delete;

  Status commit() {
    TRY(db_->exec(nested_ ? "RELEASE __marmot" : "COMMIT"));
    db_ = nullptr;
    return ok();
  }

 private:
  Scope(sqlite::Database& db, bool nested) : db_(&db), nested_(nested) {}
  sqlite::Database* db_;
  bool nested_;
};

}  // namespace marmot::replica
