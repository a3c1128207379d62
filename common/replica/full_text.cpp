// Full-text indexes and what they are about: FTS's own check.
#include "common/replica/full_text.hpp"

#include "common/replica/engine.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

struct Index {
  std::string name;
  bool fts5 = false;
  bool over_content = false;
};

Result<std::vector<Index>> full_text_indexes(sqlite::Database& db) {
  TRY_ASSIGN(Statement rows, db.prepare("SELECT name, sql FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0 ORDER BY name"));
  std::vector<Index> out;
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return out;
    if (is_full_text(rows.text(1))) out.push_back({std::string(rows.text(0)), fold_name(module_of(rows.text(1))) == "fts5", is_over_content(rows.text(1))});
  }
}

// Ends a statement that takes longer than it may.
class TimeLimit {
 public:
  TimeLimit(sqlite::Database& db, const Environment& env, int64_t limit_us) : db_(db), env_(env), until_(env.monotonic_us() + limit_us) {
    constexpr int kInstructions = 1000;
    sqlite3_progress_handler(db_.get(), kInstructions, [](void* self) { return static_cast<TimeLimit*>(self)->over() ? 1 : 0; }, this);
  }
  ~TimeLimit() { sqlite3_progress_handler(db_.get(), 0, nullptr, nullptr); }
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;
  bool over() const { return env_.monotonic_us() > until_; }

 private:
  sqlite::Database& db_;
  const Environment& env_;
  int64_t until_;
};

}  // namespace

// The check is an INSERT: it takes the write lock, and writes nothing. Rolled back, it is no commit that anybody could notice.
Result<std::vector<FullTextFault>> Replica::check_full_text(int64_t limit_us) {
  Impl& impl = *impl_;
  TRY(impl.trusted());
  TRY_ASSIGN(const std::vector<Index> indexes, full_text_indexes(impl.db));
  std::vector<FullTextFault> out;
  for (const Index& index : indexes) {
    const std::string name = sqlite::quote_identifier(index.name), table = name + "(" + name;
    const char* const values = index.fts5 ? ", rank) VALUES('integrity-check', 1)" : ") VALUES('integrity-check')";
    std::optional<std::string> complaint;
    if (index.over_content) {
      TRY_ASSIGN(complaint, why_unreadable(impl.db, index.name));
    }
    if (complaint) {
      out.push_back({index.name, "not checked: its content cannot be read here: " + *complaint, false});
      continue;
    }
    TRY_ASSIGN(sqlite::Transaction transaction, sqlite::Transaction::begin(impl.db, sqlite::Transaction::Kind::immediate));
    Status done = ok();
    {
      const TimeLimit limit(impl.db, impl.env, limit_us);
      done = impl.db.exec("INSERT INTO main." + table + values);
    }
    transaction.rollback();
    if (done) continue;
    if (is_virtual_table_complaint(done.error())) {
      out.push_back({index.name, "out of step with what it is about; where that is a table of its own, cure it with INSERT INTO " + table + ") VALUES('rebuild')", true});
    } else if ((done.error().detail & 0xff) == SQLITE_INTERRUPT) {
      out.push_back({index.name, "not checked: that takes longer than applications are made to wait; check it yourself with INSERT INTO " + table + values, false});
    } else if (done.error().code != Errc::schema) {  // the table that it is about is not here, or it has none to compare with
      return std::move(done).error().in("check full-text index " + index.name);
    }
  }
  return out;
}

}  // namespace marmot::replica
