#include "common/replica/effects.hpp"

#include <algorithm>
#include <utility>

#include "common/replica/catalog.hpp"
#include "common/replica/sql_text.hpp"

namespace marmot::replica {

namespace {

// In the WHEN of every copy: its number.
constexpr const char* kGuard = "__marmot_effect";

// One of the application's triggers, and which of its statements are wanted here.
struct Source {
  std::string name;
  std::string table;  // spelled as the schema spells it
  TriggerSql sql;
  std::vector<std::string> wanted;
  std::set<std::string> full_text;  // indexes that they write to
};

std::string rebuild_sql(const std::string& index) {
  const std::string name = sqlite::quote_identifier(index);
  return "INSERT INTO " + name + "(" + name + ") VALUES('rebuild')";
}

std::string cure_of(const std::set<std::string>& full_text) {
  std::string out;
  for (const std::string& index : full_text) out += (out.empty() ? "" : "; ") + rebuild_sql(index);
  return out.empty() ? out : "a full-text index over a table of its own is made whole by " + out;
}

}  // namespace

class EffectInstaller {
 public:
  EffectInstaller(sqlite::Database& db, const std::function<bool(const std::string&)>& replicated, Effects& effects)
      : db_(db), replicated_(replicated), effects_(effects) {}

  Result<std::vector<SkippedEffect>> run() {
    TRY(add_guard());
    TRY(drop_former());
    TRY_ASSIGN(std::vector<Source> sources, read_sources());
    // A statement that writes to a view compiles only once the view has its INSTEAD OF trigger.
    std::stable_sort(sources.begin(), sources.end(), [](const Source& a, const Source& b) {
      return (a.sql.timing == "INSTEAD OF") > (b.sql.timing == "INSTEAD OF");
    });
    for (const Source& source : sources) TRY_IN("effects of trigger " + source.name, copy(source));
    return std::move(skipped_);
  }

 private:
  Status add_guard() {
    if (effects_.guarded_) return ok();
    using Held = std::shared_ptr<Effects::State>;
    const auto ask = [](sqlite3_context* context, int, sqlite3_value** values) {
      Effects::State& state = **static_cast<Held*>(sqlite3_user_data(context));
      const int64_t number = sqlite3_value_int64(values[0]);
      const bool on = !state.all_off && state.off.count(number) == 0;
      if (on) state.last = number;
      sqlite3_result_int(context, on ? 1 : 0);
    };
    const auto let_go = [](void* held) { delete static_cast<Held*>(held); };
    const int rc = sqlite3_create_function_v2(db_.get(), kGuard, 1, SQLITE_UTF8, new Held(effects_.state_), ask, nullptr, nullptr, let_go);
    if (rc != SQLITE_OK) return db_.error(rc).in("guard the effects of triggers");
    effects_.guarded_ = true;
    return ok();
  }

  // A TEMP trigger whose table another connection dropped is an orphan: it cannot be dropped, and would wake when a
  // table of that name comes back. So a name is never used twice on one connection, and every call tries to drop all.
  Status drop_former() {
    std::vector<std::string> drops;
    TRY_ASSIGN(sqlite::Statement rows, db_.prepare("SELECT name, CAST(substr(name, 13) AS INT) FROM temp.sqlite_schema "
                                                   "WHERE type = 'trigger' AND name GLOB '__marmot_fx_[0-9]*'"));
    for (;;) {
      TRY_ASSIGN(const bool more, rows.step());
      if (!more) break;
      drops.push_back("DROP TRIGGER IF EXISTS temp." + sqlite::quote_identifier(rows.text(0)));
      last_number_ = std::max(last_number_, rows.integer(1));
    }
    for (const std::string& drop : drops) TRY(db_.exec(drop));
    effects_.installed_.clear();
    return ok();
  }

  Result<std::vector<Source>> read_sources() {
    TRY_ASSIGN(sqlite::Statement rows,
               db_.prepare("SELECT name, tbl_name, sql FROM main.sqlite_schema "
                           "WHERE type = 'trigger' AND name NOT GLOB '__marmot_*' ORDER BY rowid"));
    std::vector<Source> out;
    for (;;) {
      TRY_ASSIGN(const bool more, rows.step());
      if (!more) return out;
      Source source{std::string(rows.text(0)), std::string(rows.text(1)), {}, {}, {}};
      auto parsed = parse_create_trigger(rows.text(2));
      if (!parsed) {
        skip(source.name, "could not be read: " + parsed.error().message);
        continue;
      }
      source.sql = *std::move(parsed);
      TRY(choose(source));
      out.push_back(std::move(source));
    }
  }

  Status choose(Source& source) {
    const TriggerStatement* guard = nullptr;
    for (const TriggerStatement& statement : source.sql.statements) {
      if (statement.verb == "SELECT") {
        if (statement.raises) guard = &statement;
        continue;
      }
      TRY_ASSIGN(const bool wanted, is_effect(statement, source));
      if (!wanted) continue;
      if (statement.raises) skip(source.name, "has RAISE, left out: " + statement.sql);
      else source.wanted.push_back(statement.sql);
    }
    // A check alone says nothing about other tables, and the row has passed it where it was written. One that stands
    // before effects may have meant to prevent them.
    if (guard != nullptr && !source.wanted.empty()) skip(source.name, "has RAISE, left out: " + guard->sql);
    return ok();
  }

  // Does it write to a table that is not replicated?
  Result<bool> is_effect(const TriggerStatement& statement, Source& source) {
    if (sqlite3_strnicmp(statement.target.c_str(), "__marmot_", 9) == 0) return false;
    TRY_ASSIGN(sqlite::Statement row, db_.prepare("SELECT name, type = 'table' AND rootpage = 0, sql FROM main.sqlite_schema "
                                                  "WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE"));
    row.bind(1, statement.target);
    TRY_ASSIGN(const bool found, row.step());
    if (found && row.integer(1) != 0 && is_full_text(row.text(2))) source.full_text.emplace(row.text(0));
    return !replicated_(found ? std::string(row.text(0)) : statement.target);
  }

  Status copy(const Source& source) {
    // A view can be written to only with an INSTEAD OF trigger, though nothing of it may be wanted here.
    const bool on_view = source.sql.timing == "INSTEAD OF";
    if (source.wanted.empty()) return on_view ? create_stub(source) : ok();
    TRY_ASSIGN(const std::string whole, create(source, source.wanted));
    if (whole.empty()) return ok();
    if (source.wanted.size() == 1) {
      skip(source.name, whole);
      return on_view ? create_stub(source) : ok();
    }
    std::vector<std::string> good;
    for (const std::string& statement : source.wanted) {
      TRY_ASSIGN(const std::string reason, create(source, {statement}));
      if (!reason.empty()) {
        skip(source.name, reason);
        continue;
      }
      TRY(drop_last());
      good.push_back(statement);
    }
    if (good.empty()) return on_view ? create_stub(source) : ok();
    TRY_ASSIGN(const std::string reason, create(source, good));
    if (!reason.empty()) skip(source.name, reason);
    return ok();
  }

  Status create_stub(const Source& source) {
    Source stub = source;
    stub.sql.when.clear();
    TRY_ASSIGN(const std::string reason, create(stub, {"SELECT 1"}));
    if (!reason.empty()) skip(source.name, reason);
    return ok();
  }

  // Makes one TEMP trigger. The answer is empty, or why it does not compile: then it is not there.
  Result<std::string> create(const Source& source, const std::vector<std::string>& statements) {
    std::string sql =
        "CREATE TEMP TRIGGER \"" + trigger_name(++last_number_) + "\" " + source.sql.timing + " " + source.sql.event;
    for (size_t i = 0; i < source.sql.columns.size(); ++i) {
      sql += (i == 0 ? " OF " : ", ") + sqlite::quote_identifier(source.sql.columns[i]);
    }
    sql += " ON main." + sqlite::quote_identifier(source.table);
    // What was read may end in a comment of its line: hence the line breaks.
    sql += " WHEN CASE WHEN " + std::string(kGuard) + "(" + std::to_string(last_number_) + ") THEN (" +
           (source.sql.when.empty() ? "1" : source.sql.when + "\n") + ") END";
    sql += " BEGIN ";
    for (const std::string& statement : statements) sql += statement + "\n; ";
    sql += "END";
    const auto failed = [&](const Error& error) {
      return "does not compile: " + error.message + (statements.size() == 1 ? ": " + statements.front() : "");
    };
    const bool inside = db_.in_transaction();
    // An I/O error is none of its text, and SQLite may have ended the transaction with it: what comes next would be written outside of any.
    const auto ends_all = [&](const Error& error) { return error.code == Errc::io || error.code == Errc::full || inside != db_.in_transaction(); };
    if (Status made = db_.exec(sql); !made) {
      if (ends_all(made.error())) return std::move(made).error();
      return failed(made.error());
    }
    TRY_ASSIGN(const std::string probe, probe_statement(source));
    sqlite3_stmt* statement = nullptr;
    const int rc = sqlite3_prepare_v2(db_.get(), probe.c_str(), -1, &statement, nullptr);
    sqlite3_finalize(statement);
    effects_.installed_[last_number_] = {source.name, source.table, source.full_text};
    if (rc == SQLITE_OK) return std::string();
    Error complaint = db_.error(rc);
    if (ends_all(complaint)) return complaint;
    std::string reason = failed(complaint);
    TRY(drop_last());
    return reason;
  }

  // SQLite compiles a trigger's body with the statement that fires it, not when the trigger is made.
  Result<std::string> probe_statement(const Source& source) {
    const std::string table = "main." + sqlite::quote_identifier(source.table);
    if (source.sql.event == "INSERT") return "INSERT INTO " + table + " DEFAULT VALUES";
    if (source.sql.event == "DELETE") return "DELETE FROM " + table;
    std::string column;
    if (!source.sql.columns.empty()) {
      column = source.sql.columns.front();
    } else {
      TRY_ASSIGN(sqlite::Statement row,
                 db_.prepare("SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE hidden = 0"));
      row.bind(1, source.table);
      TRY_ASSIGN(const bool found, row.step());
      if (found) column = row.text(0);
    }
    column = sqlite::quote_identifier(column);
    return "UPDATE " + table + " SET " + column + " = " + column;
  }

  static std::string trigger_name(int64_t number) { return "__marmot_fx_" + std::to_string(number); }
  Status drop_last() {
    effects_.installed_.erase(last_number_);
    return db_.exec("DROP TRIGGER temp.\"" + trigger_name(last_number_) + "\"");
  }
  void skip(const std::string& trigger, std::string reason) { skipped_.push_back({trigger, std::move(reason)}); }

  sqlite::Database& db_;
  const std::function<bool(const std::string&)>& replicated_;
  Effects& effects_;
  std::vector<SkippedEffect> skipped_;
  int64_t last_number_ = 0;
};

namespace {

// The application's own triggers must not run, nor be compiled, while ours are tried.
class TriggersOff {
 public:
  explicit TriggersOff(sqlite3* db) : db_(db) {
    sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_TRIGGER, -1, &before_);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  }
  ~TriggersOff() { sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_TRIGGER, before_, nullptr); }
  TriggersOff(const TriggersOff&) = delete;
  TriggersOff& operator=(const TriggersOff&) = delete;

 private:
  sqlite3* db_;
  int before_ = 1;
};

}  // namespace

Result<std::vector<SkippedEffect>> Effects::install(sqlite::Database& db, const std::function<bool(const std::string&)>& replicated) {
  db_ = db.get();
  const TriggersOff off(db_);
  return EffectInstaller(db, replicated, *this).run();
}

bool is_virtual_table_complaint(const Error& error) { return error.detail == SQLITE_CORRUPT_VTAB; }

bool Effects::may_be_effect(const Error& error) {
  switch (error.code) {
    case Errc::constraint:
    case Errc::schema: return true;
    case Errc::corrupt: return is_virtual_table_complaint(error);
    default: return false;
  }
}

void Effects::tell(int64_t number, const std::string& reason) const {
  const auto found = installed_.find(number);
  if (!left_out || found == installed_.end()) return;
  const Installed& one = found->second;
  left_out({one.trigger, one.table, reason, cure_of(one.full_text)});
}

bool Effects::feeds(const std::string& index) const {
  return std::any_of(installed_.begin(), installed_.end(), [&](const auto& one) { return one.second.full_text.count(index) != 0; });
}

std::string Effects::cure() const {
  std::set<std::string> full_text;
  for (const auto& [number, one] : installed_) full_text.insert(one.full_text.begin(), one.full_text.end());
  return cure_of(full_text);
}

}  // namespace marmot::replica
