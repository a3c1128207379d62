// The application's triggers do not run while the agent applies rows (their effects on replicated tables arrive as rows
// of their own). What they write to tables that are not replicated (FTS5, R-tree, excluded tables) must happen here: TEMP
// copies of just those statements, which run even with SQLITE_DBCONFIG_ENABLE_TRIGGER off (SQLite 3.35).
//
// A table that is not replicated differs from node to node, and so an effect may fail here that went well at home. It is no
// part of the row: the row is written, and the effect is left out and told.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutation.hpp"
#include "common/base/result.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

struct SkippedEffect {
  std::string trigger;
  std::string reason;  // has RAISE, does not compile: ...
};

// The effects on one connection. Used on its thread; the connection may outlive it.
class Effects {
 public:
  // `trigger`'s effect failed on a row of `table`; `cure` is empty where SQLite's words in `reason` have to do.
  struct LeftOut {
    std::string trigger, table, reason, cure;
  };
  std::function<void(const LeftOut&)> left_out;  // may be empty

  // Drops the TEMP triggers of a former call and makes them anew from sqlite_schema. `replicated(name)` says whether a table
  // is replicated here; it is given the name as the schema spells it. A check (SELECT RAISE(...)) is no effect and is left
  // out; it is reported only where it stands beside effects, which now run without it. Call it outside a transaction or
  // inside one; again after every schema change.
  Result<std::vector<SkippedEffect>> install(sqlite::Database& db, const std::function<bool(const std::string&)>& replicated);

  // Runs `statement`, one write to a table, which must be able to run again: SQLite takes back all that a statement did which
  // fails. Where the effect of a trigger may be what fails, once more without it. An error is the write's own.
  template <class F>
  Status write(F&& statement) {
    const bool inside = in_transaction();  // SQLite may end the transaction itself: nothing is done again outside of it
    state_->last = 0;
    Status done = statement();
    if (done || state_->last == 0) return done;
    std::map<int64_t, std::string> failed;  // trigger -> why
    while (!done && state_->last != 0 && in_transaction() == inside && may_be_effect(done.error()) && !mutated(Mutation::effect_blamed)) {
      failed.emplace(state_->last, done.error().message);
      state_->off.insert(std::exchange(state_->last, 0));
      done = statement();
    }
    state_->off.clear();
    if (done) {
      for (const auto& [number, reason] : failed) tell(number, reason);
    }
    return done;
  }

  // Without all of them: what FTS5 finds damaged when it writes its pieces, long after the statement that gave it words, is
  // nobody's in particular.
  void leave_out_all(bool all) { state_->all_off = all; }
  bool leaves_out_all() const { return state_->all_off; }
  // What to do about full-text indexes that effects write to and that are out of step; empty: there is none.
  std::string cure() const;
  bool feeds(const std::string& index) const;  // an effect writes to this full-text index

 private:
  friend class EffectInstaller;
  struct Installed {
    std::string trigger, table;
    std::set<std::string> full_text;  // that it writes to
  };
  // What the guard in each TEMP trigger's WHEN asks. The connection holds it too.
  struct State {
    bool all_off = false;
    std::set<int64_t> off;
    int64_t last = 0;  // the last trigger that was let run; 0: none since
  };

  // Could a trigger's statement have failed so? Not for want of a lock, of room or of a sound file.
  static bool may_be_effect(const Error& error);
  void tell(int64_t number, const std::string& reason) const;
  bool in_transaction() const { return db_ != nullptr && sqlite3_get_autocommit(db_) == 0; }

  sqlite3* db_ = nullptr;  // of the last install()
  std::shared_ptr<State> state_ = std::make_shared<State>();
  bool guarded_ = false;  // the guard function is there
  std::map<int64_t, Installed> installed_;
};

// SQLITE_CORRUPT_VTAB: a virtual table does not fit what it is told, the file around it is sound.
bool is_virtual_table_complaint(const Error& error);

}  // namespace marmot::replica
