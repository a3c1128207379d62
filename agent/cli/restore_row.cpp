#include "agent/cli/restore_row.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "agent/cli/kept_row.hpp"
#include "agent/cli/row_tables.hpp"
#include "common/core/key.hpp"
#include "common/replica/references.hpp"

namespace marmot::agent {

namespace {

using replica::ForeignKey;
using replica::LostRow;
using replica::RowPlace;
using sqlite::quote_identifier;
using sqlite::Statement;

bool same_name(std::string_view a, std::string_view b) { return fold_text(a, Collation::nocase) == fold_text(b, Collation::nocase); }

std::string named(const LostRow& lost) {
  return "#" + std::string(lost.shelved ? "s" : "") + std::to_string(lost.id) + " " + lost.table + " " + describe_key(lost.key);
}

using Values = std::vector<std::pair<std::string, ValueView>>;  // of columns

// One transaction's work. The rows that refer to lost ones are found before anything is written: what is restored is not among them.
class Restoring {
 public:
  Restoring(sqlite::Database& db, const std::vector<LostRow>& lost, const RestoreOptions& options)
      : db_(db), lost_(lost), options_(options), tables_(db), was_(lost.size()), now_(lost.size()) {}

  Result<Restored> run() {
    TRY_ASSIGN(keys_, replica::foreign_keys(db_));
    TRY(replica::find_referrers(db_, keys_, lost_, !options_.with_children, [this](const replica::Referrer& one) {
      referrers_.push_back({one.lost, one.by, one.place});
      return ok();
    }));
    if (options_.with_children) {
      TRY_ASSIGN(pairs_, replica::find_lost_referrers(db_, keys_, lost_));
    }
    for (const size_t i : parents_first()) {
      order_.push_back(i);
      TRY(restore(i));
    }
    for (const Assignment& assignment : options_.set) {
      if (used_.count(assignment.column) == 0) {
        return make_error(Errc::bad_input, "--set " + assignment.column + "=" + assignment.value + ": no lost row has a column that it is for");
      }
    }
    if (options_.with_children) TRY(move_referrers());
    else result_.left_behind = std::count_if(referrers_.begin(), referrers_.end(), [this](const Reference& one) { return !changes(*one.by, one.lost).empty(); });
    result_.rows = static_cast<int64_t>(lost_.size());
    return std::move(result_);
  }

 private:
  struct Reference {
    size_t lost;
    const ForeignKey* by;
    RowPlace place;
  };

  std::vector<size_t> parents_first() const {
    std::vector<size_t> out;
    std::vector<bool> seen(lost_.size(), false);
    std::vector<std::vector<size_t>> parents(lost_.size());
    for (const replica::LostPair& pair : pairs_) parents[pair.child].push_back(pair.parent);
    std::vector<std::pair<size_t, size_t>> path;  // a row, and how many of its parents were looked at
    for (size_t first = 0; first < lost_.size(); ++first) {
      if (seen[first]) continue;
      seen[first] = true;
      path.emplace_back(first, 0);
      while (!path.empty()) {
        auto& [row, looked] = path.back();
        if (looked == parents[row].size()) {
          out.push_back(row);
          path.pop_back();
          continue;
        }
        const size_t parent = parents[row][looked++];
        if (seen[parent]) continue;
        seen[parent] = true;
        path.emplace_back(parent, 0);
      }
    }
    return out;
  }

  // With `all`, an assignment is for the tables that have the column, and NULL for those that SQLite then gives a new key.
  Result<bool> is_for(const Assignment& assignment, const LostRow& lost, const OwnedRow& row) {
    const bool has = std::any_of(row.columns.begin(), row.columns.end(), [&](const RowColumn& one) { return same_name(one.name, assignment.column); });
    if (!options_.all) return has ? Result<bool>(true) : make_error(Errc::bad_input, "--set " + assignment.column + ": " + named(lost) + " has no such column");
    const bool is_null = fold_text(assignment.value, Collation::nocase) == "null";
    if (has && !is_null) return true;
    TRY_ASSIGN(const replica::Table* const table, tables_.find(lost.table));
    const auto& info = table->info;
    const bool new_key = has && info.key_kind == replica::KeyKind::rowid_alias &&
                         same_name(info.columns[static_cast<size_t>(info.key[0].column)].name, assignment.column);
    if (is_null && !new_key && std::find(result_.kept_keys.begin(), result_.kept_keys.end(), lost.table) == result_.kept_keys.end()) {
      result_.kept_keys.push_back(lost.table);
    }
    return new_key;
  }

  Status assign(OwnedRow& row, size_t i) {
    for (const Assignment& assignment : options_.set) {
      TRY_ASSIGN(const bool its, is_for(assignment, lost_[i], row));
      if (!its) continue;
      used_.insert(assignment.column);
      row.find(assignment.column)->value = spoken_value(assignment.value, row);
    }
    for (const replica::LostPair& pair : pairs_) {  // it refers to what its parent is now
      if (pair.child != i || !now_[pair.parent]) continue;
      for (size_t at = 0; at < pair.by->from.size(); ++at) {
        RowColumn* const column = row.find(pair.by->from[at]);
        if (column != nullptr) column->value = now_[pair.parent]->row.value(pair.by->to[at]);
      }
    }
    return ok();
  }

  Status restore(size_t i) {
    const LostRow& lost = lost_[i];
    TRY_ASSIGN(was_[i], read_kept_row(lost.loser_row));
    TRY_ASSIGN(OwnedRow row, read_kept_row(lost.loser_row));
    auto table = tables_.find(lost.table);
    if (!table) return std::move(table).error().in(named(lost) + " cannot be restored");
    TRY(assign(row, i));
    std::string columns, parameters;
    for (const RowColumn& column : row.columns) {
      columns += (columns.empty() ? "" : ", ") + quote_identifier(column.name);
      parameters += parameters.empty() ? "?" : ", ?";
    }
    auto insert = db_.prepare("INSERT OR ABORT INTO main." + quote_identifier(lost.table) + "(" + columns + ") VALUES(" + parameters + ")" +
                              Tables::returning(**table));
    if (!insert) return std::move(insert).error().in(named(lost) + " cannot be restored");
    int at = 1;
    for (const RowColumn& column : row.columns) insert->bind(at++, column.value);
    auto written = Tables::write(**table, *insert);
    if (!written) return explain(lost, row, std::move(written).error());
    if (!*written) return make_error(Errc::refused, named(lost) + " cannot be restored: a trigger of " + lost.table + " leaves its insert out" + hint(lost));
    now_[i] = std::move(**written);
    if (lost.shelved) return ok();
    return replica::forget_conflict(db_, lost);
  }

  // What follows a refusal of one among several.
  std::string hint(const LostRow& lost) const {
    if (!options_.all) return {};
    const std::string id = std::to_string(lost.id);
    return "\nnothing was restored; first `restore " + id + " --set COLUMN=VALUE` or `discard " + id + "`, or leave its table out with --table";
  }

  Error explain(const LostRow& lost, const OwnedRow& row, Error error) {
    std::string message = named(lost) + " cannot be restored: " + error.message;
    const auto others = replica::rows_in_the_way(db_, lost.table, row.columns);
    if (!others || others->empty()) return make_error(error.code, message + hint(lost));
    for (const std::string& other : *others) message += "\nin its way: " + other;
    return make_error(Errc::refused, message + (options_.all ? hint(lost) : "\nchange or delete that row first, or restore with another value: --set COLUMN=VALUE"));
  }

  // Of the columns that refer to row `i`: those that it has other values in now.
  Values changes(const ForeignKey& by, size_t i) const {
    Values out;
    for (size_t at = 0; at < by.from.size(); ++at) {
      const ValueView now = now_[i]->row.value(by.to[at]);
      if (!same_value(was_[i].value(by.to[at]), now)) out.emplace_back(by.from[at], now);
    }
    return out;
  }

  // Each row once, for it may refer to several.
  Status move_referrers() {
    std::map<RowPlace, std::pair<size_t, Values>> moves;
    const auto add = [&](const RowPlace& place, const ForeignKey& by, size_t to) {
      const Values changed = changes(by, to);
      if (changed.empty()) return;
      auto& move = moves[place];
      move.first = to;
      move.second.insert(move.second.end(), changed.begin(), changed.end());
    };
    for (const Reference& one : referrers_) add(one.place, *one.by, one.lost);
    for (const replica::LostPair& pair : pairs_) {  // in a circle, one child comes before its parent
      const auto place_of = [this](size_t i) { return std::find(order_.begin(), order_.end(), i); };
      if (place_of(pair.child) < place_of(pair.parent)) add(now_[pair.child]->place, *pair.by, pair.parent);
    }
    for (const auto& [place, move] : moves) {
      if (auto done = update(place, move.second, 0); !done) {
        return std::move(done).error().in(named(lost_[move.first]) + " cannot be restored: a row that refers to it does not follow: " + place.table);
      }
    }
    return ok();
  }

  // Rows that refer to the row at `place` by one of `columns`.
  Result<std::vector<Reference>> followers(const RowPlace& place, const Values& columns) {
    std::vector<Reference> out;
    for (const ForeignKey& key : keys_) {
      const bool concerned = std::any_of(key.to.begin(), key.to.end(), [&](const std::string& to) {
        return std::any_of(columns.begin(), columns.end(), [&](const auto& one) { return same_name(one.first, to); });
      });
      if (concerned) TRY(tables_.find_followers(key, place, [&](const RowPlace& child) { out.push_back({0, &key, child}); }));
    }
    return out;
  }

  Status update(const RowPlace& at, const Values& columns, int level) {
    if (level > Tables::kMostLevels) return make_error(Errc::refused, "rows of " + at.table + " refer to each other in a circle");
    const auto moved = moved_to_.find(at);
    const RowPlace place = moved == moved_to_.end() ? at : moved->second;
    TRY_ASSIGN(const replica::Table* const table, tables_.find(place.table));
    TRY_ASSIGN(const std::vector<Reference> follow, followers(place, columns));
    std::string set;
    for (size_t i = 0; i < columns.size(); ++i) set += (i == 0 ? "" : ", ") + quote_identifier(columns[i].first) + " = ?" + std::to_string(i + 1);
    const int first = static_cast<int>(columns.size()) + 1;
    TRY_ASSIGN(Statement statement, db_.prepare("UPDATE OR ABORT main." + quote_identifier(place.table) + " SET " + set +
                                                Tables::where(*table, "", first) + Tables::returning(*table)));
    for (size_t i = 0; i < columns.size(); ++i) statement.bind(static_cast<int>(i) + 1, columns[i].second);
    DecodedKey decoded;
    TRY(Tables::bind_place(*table, place, decoded, first, statement));
    TRY_ASSIGN(const auto written, Tables::write(*table, statement));
    if (!written) return make_error(Errc::refused, "a trigger of " + place.table + " leaves its update out");
    ++result_.moved;
    moved_to_[at] = written->place;
    for (const Reference& one : follow) {
      Values its;
      for (size_t i = 0; i < one.by->from.size(); ++i) its.emplace_back(one.by->from[i], written->row.value(one.by->to[i]));
      TRY(update(one.place, its, level + 1));
    }
    return ok();
  }

  sqlite::Database& db_;
  const std::vector<LostRow>& lost_;
  const RestoreOptions& options_;
  Tables tables_;
  std::vector<ForeignKey> keys_;
  std::vector<Reference> referrers_;
  std::vector<replica::LostPair> pairs_;
  std::vector<size_t> order_;                 // in which they were restored
  std::vector<OwnedRow> was_;                 // as they were lost
  std::vector<std::optional<Written>> now_;   // as they are
  std::map<RowPlace, RowPlace> moved_to_;
  std::set<std::string> used_;                // columns of options_.set
  Restored result_;
};

}  // namespace

Result<Assignment> parse_assignment(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) return make_error(Errc::bad_input, "--set " + text + ": expected COLUMN=VALUE");
  return Assignment{text.substr(0, equals), text.substr(equals + 1)};
}

Result<Restored> restore_rows(sqlite::Database& db, const std::vector<LostRow>& lost, const RestoreOptions& options) {
  TRY_ASSIGN(auto transaction, sqlite::Transaction::begin(db, sqlite::Transaction::Kind::immediate));
  Restoring restoring(db, lost, options);
  TRY_ASSIGN(Restored done, restoring.run());
  TRY(transaction.commit());
  return done;
}

}  // namespace marmot::agent
