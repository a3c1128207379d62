#include "agent/cli/discard_row.hpp"

#include <set>

#include "agent/cli/row_tables.hpp"

namespace marmot::agent {

namespace {

using replica::LostRow;
using replica::RowPlace;
using sqlite::Statement;

class Discarding {
 public:
  explicit Discarding(sqlite::Database& db) : db_(db), tables_(db) {}

  // Deletes who refers to `lost`.
  Status remove_children(const std::vector<LostRow>& lost) {
    TRY_ASSIGN(keys_, replica::foreign_keys(db_));
    std::vector<RowPlace> children;
    TRY(replica::find_referrers(db_, keys_, lost, true, [&](const replica::Referrer& one) {
      children.push_back(one.place);
      return ok();
    }));
    for (const RowPlace& child : children) TRY(remove(child, 0));
    return ok();
  }

  int64_t removed() const { return static_cast<int64_t>(removed_.size()); }

 private:
  // Who refers to it first, so that no foreign key is broken in between.
  Status remove(const RowPlace& place, int level) {
    if (!removed_.insert(place).second) return ok();
    if (level > Tables::kMostLevels) return make_error(Errc::refused, "too many rows refer to each other, one behind the other, up to one of " + place.table);
    std::vector<RowPlace> follow;
    for (const replica::ForeignKey& key : keys_) TRY(tables_.find_followers(key, place, [&](const RowPlace& one) { follow.push_back(one); }));
    for (const RowPlace& one : follow) TRY(remove(one, level + 1));
    TRY_ASSIGN(const replica::Table* const table, tables_.find(place.table));
    TRY_ASSIGN(Statement statement, db_.prepare("DELETE FROM main." + sqlite::quote_identifier(place.table) + Tables::where(*table, "", 1)));
    DecodedKey decoded;
    TRY(Tables::bind_place(*table, place, decoded, 1, statement));
    return statement.run();
  }

  sqlite::Database& db_;
  Tables tables_;
  std::vector<replica::ForeignKey> keys_;
  std::set<RowPlace> removed_;
};

Status forget(sqlite::Database& db, const LostRow& lost) {
  if (!lost.shelved) return replica::forget_conflict(db, lost);
  TRY_ASSIGN(Statement statement, db.prepare("UPDATE __marmot_shelf SET discard = 1 WHERE id = ?1"));
  statement.bind(1, lost.id);
  return statement.run();
}

}  // namespace

Result<Discarded> discard_rows(sqlite::Database& db, const std::vector<LostRow>& lost, bool with_children) {
  TRY_ASSIGN(auto transaction, sqlite::Transaction::begin(db, sqlite::Transaction::Kind::immediate));
  Discarding discarding(db);
  if (with_children) TRY(discarding.remove_children(lost));
  for (const LostRow& one : lost) TRY(forget(db, one));
  TRY(transaction.commit());
  return Discarded{static_cast<int64_t>(lost.size()), discarding.removed()};
}

}  // namespace marmot::agent
