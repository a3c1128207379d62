// Who refers to a lost row, by the foreign keys that tables declare: the children that it had when it lost, and that belong to the
// winner now. On any connection with Probe::attach, with or without an agent on the file.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/core/key.hpp"
#include "common/replica/review.hpp"

namespace marmot::replica {

struct ForeignKey {
  std::string child, parent;            // tables, as sqlite_schema spells them
  std::vector<std::string> from, to;    // their columns, one for one
  std::vector<Collation> collations;    // of `to`: under which the two are compared
};

// Those of the main schema. One that cannot be followed is not among them: its parent is not there, or it compares a column that is
// generated, or under a collation that is not SQLite's own.
Result<std::vector<ForeignKey>> foreign_keys(sqlite::Database& db);

// Where a row is, as long as nobody gives it another key.
struct RowPlace {
  std::string table;
  int64_t rowid = 0;
  std::string key;  // canonical; of a row without a declared key it may be empty, for nobody has named it yet
  bool operator<(const RowPlace& other) const;
};

// A row that refers to a lost one, and was written by the node that wrote that: as far as its version says. A row without a version was
// written here.
struct Referrer {
  size_t lost = 0;                // index of the lost row
  const ForeignKey* by = nullptr;
  RowPlace place;
  std::function<std::string()> row;  // JSON; while the Referrer is there
};
using ReferrerFn = std::function<Status(const Referrer&)>;

// `fn` must not write. `each_once`: who refers to one row by two keys comes once, else twice.
Status find_referrers(sqlite::Database& db, const std::vector<ForeignKey>& keys, const std::vector<LostRow>& lost, bool each_once,
                      const ReferrerFn& fn);
// How many there are of each.
Result<std::vector<int64_t>> count_referrers(sqlite::Database& db, const std::vector<LostRow>& lost);

// Rows that refer by `key` to those of its parent that "WHERE ..." finds; it names the parent's columns behind "l.". Whoever wrote them.
Status find_referrers_of(sqlite::Database& db, const ForeignKey& key, const std::string& where,
                         const std::function<Status(sqlite::Statement&)>& bind, const std::function<void(const RowPlace&)>& fn);

// Lost rows that refer to lost rows of their own node.
struct LostPair {
  size_t child = 0, parent = 0;  // indexes
  const ForeignKey* by = nullptr;
};
Result<std::vector<LostPair>> find_lost_referrers(sqlite::Database& db, const std::vector<ForeignKey>& keys, const std::vector<LostRow>& lost);

}  // namespace marmot::replica
