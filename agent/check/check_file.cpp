#include "agent/check/check_file.hpp"

#include <sys/stat.h>

#include <chrono>
#include <utility>

#include "agent/database/open_database.hpp"
#include "agent/report/text.hpp"

namespace marmot::agent {

namespace {

constexpr int kBusyMs = 5000;
constexpr size_t kNamed = 8;  // tables of one finding; --json has all

Result<sqlite::Database> open_to_read(const CheckRequest& request) {
  struct stat facts {};
  if (::stat(request.path.c_str(), &facts) != 0) return make_error(Errc::bad_input, request.path + ": no such file: correct the path");
  if (!S_ISREG(facts.st_mode)) return make_error(Errc::bad_input, request.path + ": is no regular file: name the database file");
  // A connection that may write takes its -wal and -shm files away again when it is the last one; a read-only one leaves
  // them. Where there is a WAL, it is left as it is.
  TRY_ASSIGN(sqlite::Database db, sqlite::Database::open(request.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX));
  const bool has_wal = ::stat((request.path + "-wal").c_str(), &facts) == 0 && facts.st_size > 0;
  if (has_wal) sqlite3_db_config(db.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_busy_timeout(db.get(), kBusyMs);
  TRY(load_extensions(request.extensions, db));
  TRY(db.exec("PRAGMA query_only = ON"));
  return db;
}

Result<CheckReport> read_report(const CheckRequest& request) {
  TRY_ASSIGN(sqlite::Database db, open_to_read(request));
  TRY_ASSIGN(const sqlite::Transaction snapshot, sqlite::Transaction::begin(db, sqlite::Transaction::Kind::deferred));
  CheckReport report;
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  TRY_ASSIGN(report.facts, read_schema_facts(db, request.include, request.exclude, now.count()));
  report.findings = find_findings(report.facts);
  return report;
}

std::string unique_text(const TableFacts& table) {
  std::string out;
  for (const std::string& one : table.unique) out += (out.empty() ? "" : "; ") + one;
  return out.empty() ? "-" : out;
}

// Findings that say the same of several tables are one paragraph.
bool alike(const Finding& a, const Finding& b) { return a.rule == b.rule && a.what == b.what; }

std::string paragraph(const std::vector<const Finding*>& group) {
  std::string tables;
  for (size_t i = 0; i < group.size() && i < kNamed; ++i) {
    tables += (i == 0 ? "" : ", ") + printable(group[i]->table);
    if (!group[i]->subject.empty()) tables += " (" + printable(group[i]->subject) + ")";
  }
  if (group.size() > kNamed) tables += ", and " + std::to_string(group.size() - kNamed) + " more";
  // A cure may name its table: `exclude` takes them all.
  std::string cure = group.front()->cure, names;
  for (const Finding* const one : group) names += (names.empty() ? "\"" : ", \"") + one->table + "\"";
  const std::string own = "\"" + group.front()->table + "\"";
  if (const size_t at = cure.find(own); at != std::string::npos) cure.replace(at, own.size(), names);
  return std::string(to_string(group.front()->severity)) + ": " + group.front()->rule + ": " + tables + "\n    " +
         printable(group.front()->what) + "\n    cure: " + printable(cure) + "\n";
}

}  // namespace

std::string kind_text(const TableFacts& table) {
  if (table.not_watched == replica::NotWatched::virtual_table) return "virtual (" + table.module + ")";
  if (table.not_watched) return "not replicated";
  if (!table.unreadable.empty()) return "cannot be replicated";
  return key_text(table);
}

Result<CheckReport> check_file(const CheckRequest& request) {
  auto report = read_report(request);
  if (report || report.error().code == Errc::bad_input) return report;
  return std::move(report).error().in(request.path);
}

std::string report_text(const std::string& shown, const CheckReport& report) {
  std::string out = printable(shown) + ": " + counted(static_cast<int64_t>(report.facts.tables.size()), "table") + ", ";
  out += report.findings.empty() ? "nothing to do\n" : counted(static_cast<int64_t>(report.findings.size()), "finding") + ", the worst first\n";
  std::vector<bool> done(report.findings.size());
  for (size_t i = 0; i < report.findings.size(); ++i) {
    if (done[i]) continue;
    std::vector<const Finding*> group;
    for (size_t j = i; j < report.findings.size(); ++j) {
      if (done[j] || !alike(report.findings[i], report.findings[j])) continue;
      done[j] = true;
      group.push_back(&report.findings[j]);
    }
    out += "\n" + paragraph(group);
  }
  std::vector<std::vector<std::string>> rows{{"table", "key", "unique"}};
  for (const TableFacts& table : report.facts.tables) rows.push_back({printable(table.name), printable(kind_text(table)), printable(unique_text(table))});
  return report.facts.tables.empty() ? out : out + "\n" + columns(rows);
}

}  // namespace marmot::agent
