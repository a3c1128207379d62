// Full-text indexes over a table or view of the application's (content=), where replication made them: filled as soon as their content can be
// read, and told until then (docs/decisions/0039-content-that-is-not-there.md).
#include <algorithm>

#include "common/replica/engine.hpp"
#include "common/replica/full_text.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

constexpr WallMs kFirstFillPause = 5'000, kLongestFillPause = 600'000;

std::string rebuild_of(const std::string& index) {
  const std::string name = sqlite::quote_identifier(index);
  return "INSERT INTO main." + name + "(" + name + ") VALUES('rebuild')";
}

std::string rows_of(const std::string& index, std::string_view columns, std::string_view rest) {
  return "SELECT " + std::string(columns) + " FROM main." + sqlite::quote_identifier(index) + " " + std::string(rest);
}

// Every full-text index of this file over other content, that the settings choose.
Result<std::map<std::string, bool>> indexes_over_content(sqlite::Database& db, const Settings& settings) {  // true: FTS5
  TRY_ASSIGN(Statement rows, db.prepare("SELECT name, sql FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0"));
  std::map<std::string, bool> out;
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return out;
    if (!is_over_content(rows.text(1)) || !is_chosen(settings.include, settings.exclude, rows.text(0))) continue;
    out.emplace(rows.text(0), fold_name(module_of(rows.text(1))) == "fts5");
  }
}

// Has it any words?
Result<bool> holds_words(sqlite::Database& db, const std::string& index, bool fts5) {
  const std::string segments = sqlite::quote_identifier(index + (fts5 ? "_idx" : "_segdir"));
  TRY_ASSIGN(const int64_t any, db.query_integer("SELECT EXISTS(SELECT 1 FROM main." + segments + ")"));
  return any != 0;
}

}  // namespace

bool is_of_the_file(const Error& error) {
  switch (error.code) {
    case Errc::full:
    case Errc::io:
    case Errc::busy:
    case Errc::unreadable:
    case Errc::stale: return true;
    case Errc::corrupt: return !is_virtual_table_complaint(error);
    default: return false;
  }
}

Result<std::optional<std::string>> complaint_of(sqlite::Database& db, const std::string& select, bool* rows) {
  const auto read = [&]() -> Status {
    TRY_ASSIGN(Statement first, db.prepare(select));
    TRY_ASSIGN(const bool any, first.step());
    if (rows != nullptr) *rows = any;
    return ok();
  };
  const Status done = read();
  if (done) return std::optional<std::string>{};
  if (is_of_the_file(done.error())) return done.error();
  return std::optional(done.error().message);
}

Result<std::optional<std::string>> why_unreadable(sqlite::Database& db, const std::string& index) {
  return complaint_of(db, rows_of(index, "1", "WHERE rowid = 0"), nullptr);
}

Status Replica::Impl::note_unfilled(const std::string& index, bool failed) {
  TRY_ASSIGN(Statement* const note, store.statement(sql::kNoteUnfilled));
  note->bind(1, index).bind(2, int64_t{failed ? 1 : 0});
  return note->run();
}

Status Replica::Impl::forget_unfilled(const std::string& index) {
  fill_again.erase(index);
  TRY_ASSIGN(Statement* const forget, store.statement(sql::kDeleteUnfilled));
  forget->bind(1, index);
  return forget->run();
}

Status Replica::Impl::rename_unfilled(const std::string& former, const std::string& now) {
  TRY_ASSIGN(Statement* const rename, store.statement(sql::kRenameUnfilled));
  rename->bind(1, former).bind(2, now);
  return rename->run();
}

// After an error inside FTS5 what the transaction does next fails as well: it begins again, and leaves the index to a transaction of its own.
Result<bool> Replica::Impl::fill_new_index(const std::string& index) {
  if (fill_again.count(index) != 0) {
    TRY(note_unfilled(index, true));
    return false;
  }
  bool has_rows = false;
  TRY_ASSIGN(const auto complaint, complaint_of(db, rows_of(index, "1", "LIMIT 1"), &has_rows));
  TRY(note_unfilled(index, complaint.has_value()));
  if (!complaint && !has_rows) made_empty.insert(index);
  if (complaint || !has_rows) return false;
  if (const Status done = db.exec(rebuild_of(index)); !done) {
    if (is_of_the_file(done.error())) return done.error();
    fill_again[index] = FillAgain{};
    return make_error(Errc::busy, "full-text index " + index + " cannot be filled (" + done.error().message + "): once more without that");
  }
  // Rows that are still to come may go by no trigger.
  if (state.membership == Membership::member && !merging) TRY(forget_unfilled(index));
  return true;
}

// So that a table, its rows and its index that come in one transaction are seen together.
Status Replica::Impl::fill_made_empty() {
  if (state.membership != Membership::member || merging) return ok();
  for (const std::string& index : std::exchange(made_empty, {})) {
    if (!effects.feeds(index)) TRY(fill_new_index(index));
  }
  return ok();
}

// Why it could not be filled; nullopt: it is filled, or there is nothing to fill it from. Its content can be read, as far as that shows without reading it all.
Result<std::optional<std::string>> Replica::Impl::fill_owed(const std::string& index, bool fts5, bool failed, bool* filled) {
  using Why = std::optional<std::string>;
  if (const auto pause = fill_again.find(index); pause != fill_again.end() && env.now() < pause->second.at) return Why(pause->second.reason);
  if (!failed && effects.feeds(index)) {  // all that came since it was made has gone into it
    TRY_ASSIGN(const bool holds, holds_words(db, index, fts5));
    if (holds) {
      TRY(write(false, nullptr, [&] { return forget_unfilled(index); }));
      return Why{};
    }
  }
  bool has_rows = false;
  TRY_ASSIGN(Why why, complaint_of(db, rows_of(index, "1", "LIMIT 1"), &has_rows));
  if (!why && !has_rows) return Why{};
  // What fails does so before the write lock is taken.
  if (!why) {
    TRY_ASSIGN(why, complaint_of(db, rows_of(index, "count(*)", ""), nullptr));
  }
  if (!why) {
    Status done = write(false, nullptr, [&]() -> Status {
      const Status rebuilt = db.exec(rebuild_of(index));
      if (!rebuilt && !is_of_the_file(rebuilt.error())) return make_error(Errc::schema, rebuilt.error().message);
      TRY(rebuilt);
      return forget_unfilled(index);
    });
    *filled = static_cast<bool>(done);
    if (done) return Why{};
    if (is_of_the_file(done.error())) return done.error();
    why = done.error().message;
  }
  if (!failed) TRY(write(false, nullptr, [&] { return note_unfilled(index, true); }));
  FillAgain& again = fill_again[index];
  again.pause = std::clamp(again.pause * 2, kFirstFillPause, kLongestFillPause);
  again.at = env.now() + again.pause;
  again.reason = *why;
  return why;
}

Status Replica::Impl::tell_unreadable(std::map<std::string, std::string> now) {
  for (const auto& [index, reason] : now) {
    const auto known = unreadable.find(index);
    if (known == unreadable.end() || known->second != reason) log(LogLevel::warn, "full-text index " + index + ": " + reason);
  }
  unreadable = std::move(now);
  TRY_ASSIGN(unfilled, store.integer(sql::kCountUnfilled));
  return ok();
}

Status Replica::Impl::fill_indexes() {
  if (state.membership != Membership::member || merging || !(indexes_due || unfilled > 0 || !unreadable.empty())) return ok();
  TRY(trusted());
  const Status done = look_at_indexes();
  if (!done && done.error().code == Errc::io) in_doubt = done.error().message + ": its virtual tables are in doubt";  // as write() has it
  return done;
}

Status Replica::Impl::look_at_indexes() {
  TRY_ASSIGN(const auto indexes, indexes_over_content(db, settings));
  std::map<std::string, bool> owed;  // true: failed
  {
    TRY_ASSIGN(Statement* const rows, store.statement(sql::kSelectUnfilled));
    for (;;) {
      TRY_ASSIGN(const bool more, rows->step());
      if (!more) break;
      owed.emplace(rows->text(0), rows->integer(1) != 0);
    }
    rows->reset();
  }
  std::map<std::string, std::string> now;
  for (const auto& [index, fts5] : indexes) {
    const auto its = owed.find(index);
    bool filled = false;
    TRY_ASSIGN(auto why, why_unreadable(db, index));
    if (!why && its != owed.end()) {
      TRY_ASSIGN(why, fill_owed(index, fts5, its->second, &filled));
    }
    if (filled) log(LogLevel::info, "full-text index " + index + " is filled from what it is about");
    if (!why) continue;
    now[index] = "its content cannot be read here: " + *why + "; make what its definition names (content=), or drop the index" +
                 (its == owed.end() ? "" : "; it is filled by itself then");
  }
  for (const auto& [index, failed] : owed) {
    if (indexes.count(index) == 0) TRY(write(false, nullptr, [&, name = index] { return forget_unfilled(name); }));
  }
  TRY(tell_unreadable(std::move(now)));
  indexes_due = false;
  return ok();
}

}  // namespace marmot::replica
