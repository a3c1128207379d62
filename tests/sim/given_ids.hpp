// Ids that SQLite gave to rows of tables which the workload fills without choosing any: no id of a node's own block names two rows
// (docs/decisions/0037-ids-that-never-collide.md).
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/sqlite/database.hpp"
#include "tests/sim/ledger.hpp"

namespace marmot::sim {

class GivenIds {
 public:
  // A transaction of the node's application, just committed: which of the ids that it was given lie in a block of the node's own, as its
  // file has it. `former`: node ids that the file had.
  Status commit(sqlite::Database& db, const std::vector<Change>& changes);
  // What is wrong with the file as it stands after a commit of its agent: the next id of some table is none of its own. Empty: nothing.
  // `apart`: nor may it lie where another machine gives out ids, as its file stood after its own agent's last commit.
  Result<std::string> check_next(sqlite::Database& db, int node, const std::vector<NodeId>& former, bool apart);
  void forget(int node);  // its file is another one
  // What is wrong in the end, of what some stream had. Empty: nothing.
  std::string check(const Ledger& ledger) const;

  int64_t given() const { return given_; }
  int64_t inside() const { return inside_; }

 private:
  std::map<RowId, std::set<std::string>> contents_;  // of ids in own blocks
  std::map<std::string, std::map<int, std::pair<int64_t, int64_t>>> ranges_;  // table -> machine -> what is left of its block
  int64_t given_ = 0, inside_ = 0;
};

}  // namespace marmot::sim
