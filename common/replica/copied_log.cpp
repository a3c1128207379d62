#include "common/replica/copied_log.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace marmot::replica {

namespace {

constexpr size_t kMostSteps = 4'000'000;  // some tenths of a second, and that once

using Identities = std::map<int64_t, int>;  // by rowid

struct Course {
  Identities rows;
  std::set<int> changed;
  int unusual = 0;  // inserts below the highest rowid: SQLite gives the one behind it

  bool follow(const LoggedRow& entry);
};

// One entry of the log. False: it cannot have been so.
bool Course::follow(const LoggedRow& entry) {
  if (!entry.keyless) return true;
  if (entry.op == LogOp::insert) {
    if (!rows.empty() && entry.rowid < rows.rbegin()->first) ++unusual;
    return rows.emplace(entry.rowid, kNewRow).second;
  }
  const auto row = rows.find(entry.rowid);
  if (row == rows.end()) return false;
  changed.insert(row->second);
  if (entry.op == LogOp::remove) rows.erase(row);
  return true;
}

// The log in two pieces: what it tells up to the copy names rows by their former rowids, and what it tells behind it by the new ones.
class CopyPoints {
 public:
  CopyPoints(const std::vector<DrainedRow>& former, const std::vector<LoggedRow>& log, const std::vector<RowHere>& here)
      : former_(former), log_(log), here_(here) {}

  std::optional<Identities> told() {
    count_behind();
    Course course;
    for (size_t i = 0; i < former_.size(); ++i) course.rows.emplace(former_[i].rowid, static_cast<int>(i));
    size_t steps = 0;
    bool followed = true;
    for (size_t at = 0; followed; ++at) {
      if (counted_[at].dense && counted_[at].keyless == course.rows.size()) {
        steps += here_.size() + log_.size();
        if (steps > kMostSteps) return std::nullopt;
        copied_at(at, course);
      }
      if (at == log_.size()) break;
      followed = course.follow(log_[at]);
    }
    // Or the rows have their rowids still: the index that keeps them was gone, and no VACUUM ran.
    if (followed) judge(course);
    return several_ ? std::nullopt : best_;
  }

 private:
  struct Counted {
    bool dense = false;  // the table's rowids were 1, 2, 3, ...
    size_t keyless = 0;
  };

  // One entry backward, from what is here: which rowids there were, and whether their rows had no key.
  static bool take_back(const LoggedRow& entry, std::map<int64_t, bool>& rows) {
    if (entry.op == LogOp::remove) return rows.emplace(entry.rowid, entry.keyless).second;
    const auto row = rows.find(entry.rowid);
    if (row == rows.end() || row->second != entry.keyless) return false;
    if (entry.op == LogOp::insert) rows.erase(row);
    return true;
  }

  std::map<int64_t, bool> rowids_here() const {
    std::map<int64_t, bool> rows;
    for (const RowHere& row : here_) rows.emplace_hint(rows.end(), row.rowid, row.keyless);
    return rows;
  }

  void count_behind() {
    counted_.assign(log_.size() + 1, {});
    auto rows = rowids_here();
    auto keyless = static_cast<size_t>(std::count_if(here_.begin(), here_.end(), [](const RowHere& row) { return row.keyless; }));
    for (size_t at = log_.size();; --at) {
      const bool dense = rows.empty() || (rows.begin()->first == 1 && rows.rbegin()->first == static_cast<int64_t>(rows.size()));
      counted_[at] = {dense, keyless};
      if (at == 0 || !take_back(log_[at - 1], rows)) return;
      if (!log_[at - 1].keyless) continue;
      if (log_[at - 1].op == LogOp::remove) ++keyless;
      if (log_[at - 1].op == LogOp::insert) --keyless;
    }
  }

  // The copy was made before log_[at], it may be.
  void copied_at(size_t at, Course course) {
    auto rowids = rowids_here();
    for (size_t i = log_.size(); i > at; --i) take_back(log_[i - 1], rowids);
    const Identities before = std::exchange(course.rows, {});
    auto former = before.begin();
    for (const auto& [rowid, keyless] : rowids) {
      if (keyless) course.rows.emplace_hint(course.rows.end(), rowid, (former++)->second);
    }
    for (size_t i = at; i < log_.size(); ++i) {
      if (!course.follow(log_[i])) return;
    }
    judge(course);
  }

  // It counts where every row stands here, and those that the log does not name are as they were. Of several such the one is taken with the fewest
  // unusual inserts, and of these the one that leaves most rows as they were.
  void judge(const Course& course) {
    size_t keyless = 0;
    int as_before = 0;
    for (const RowHere& row : here_) {
      if (!row.keyless) continue;
      ++keyless;
      const auto at = course.rows.find(row.rowid);
      if (at == course.rows.end()) return;
      if (at->second == kNewRow) continue;
      const auto& hash = former_[static_cast<size_t>(at->second)].hash;
      if (hash && *hash == row.hash) ++as_before;
      else if (hash && course.changed.count(at->second) == 0) return;
    }
    const std::pair likely{-course.unusual, as_before};
    if (keyless != course.rows.size() || (best_ && likely < likely_)) return;
    several_ = best_ && likely == likely_ && (several_ || *best_ != course.rows);
    best_ = course.rows;
    likely_ = likely;
  }

  const std::vector<DrainedRow>& former_;
  const std::vector<LoggedRow>& log_;
  const std::vector<RowHere>& here_;
  std::vector<Counted> counted_;  // by how much of the log stands before
  std::optional<Identities> best_;
  std::pair<int, int> likely_;
  bool several_ = false;  // as good as best_, and different
};

}  // namespace

std::optional<std::map<int64_t, int>> rows_by_log(const std::vector<DrainedRow>& former, const std::vector<LoggedRow>& log, const std::vector<RowHere>& here,
                                                  bool nullable_key) {
  // An UPDATE that changes a key's column, and one behind which the row was deleted: the log has the same of them.
  const auto is_twofold = [&](size_t i) { return log[i].op == LogOp::remove && log[i - 1].op == LogOp::update && log[i - 1].rowid == log[i].rowid; };
  for (size_t i = 1; nullable_key && i < log.size(); ++i) {
    if (is_twofold(i)) return std::nullopt;
  }
  return CopyPoints(former, log, here).told();
}

}  // namespace marmot::replica
