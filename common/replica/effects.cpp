#include "common/replica/effects.hpp"

#include <algorithm>
#include <utility>

#include "common/replica/sql_text.hpp"

namespace marmot::replica {

namespace {

// One of the application's triggers, and which of its statements are wanted here.
struct Source {
  std::string name;
  std::string table;  // spelled as the schema spells it
  TriggerSql sql;
  std::vector<std::string> wanted;
};

class Installer {
 public:
  Installer(sqlite::Database& db, const std::function<bool(const std::string&)>& replicated)
      : db_(db), replicated_(replicated) {}

  Result<std::vector<SkippedEffect>> run() {
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
      Source source{std::string(rows.text(0)), std::string(rows.text(1)), {}, {}};
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
      TRY_ASSIGN(const bool wanted, is_effect(statement));
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
  Result<bool> is_effect(const TriggerStatement& statement) {
    if (sqlite3_strnicmp(statement.target.c_str(), "__marmot_", 9) == 0) return false;
    TRY_ASSIGN(sqlite::Statement row, db_.prepare("SELECT name FROM main.sqlite_schema WHERE type IN ('table', 'view') "
                                                  "AND name = ?1 COLLATE NOCASE"));
    row.bind(1, statement.target);
    TRY_ASSIGN(const bool found, row.step());
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
    if (!source.sql.when.empty()) sql += " WHEN " + source.sql.when + "\n";
    sql += " BEGIN ";
    for (const std::string& statement : statements) sql += statement + "\n; ";
    sql += "END";
    const auto failed = [&](const Error& error) {
      return "does not compile: " + error.message + (statements.size() == 1 ? ": " + statements.front() : "");
    };
    if (const Status made = db_.exec(sql); !made) return failed(made.error());
    TRY_ASSIGN(const std::string probe, probe_statement(source));
    sqlite3_stmt* statement = nullptr;
    const int rc = sqlite3_prepare_v2(db_.get(), probe.c_str(), -1, &statement, nullptr);
    sqlite3_finalize(statement);
    if (rc == SQLITE_OK) return std::string();
    std::string reason = failed(db_.error(rc));
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
  Status drop_last() { return db_.exec("DROP TRIGGER temp.\"" + trigger_name(last_number_) + "\""); }
  void skip(const std::string& trigger, std::string reason) { skipped_.push_back({trigger, std::move(reason)}); }

  sqlite::Database& db_;
  const std::function<bool(const std::string&)>& replicated_;
  std::vector<SkippedEffect> skipped_;
  int64_t last_number_ = 0;
};

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

Result<std::vector<SkippedEffect>> install_effects(sqlite::Database& db,
                                                   const std::function<bool(const std::string&)>& replicated) {
  const TriggersOff off(db.get());
  return Installer(db, replicated).run();
}

}  // namespace marmot::replica
