// What a file says of a transaction, beside its rows: which of them REPLACE took away unseen (they were in its way by a unique index, and
// no trigger of ours fired for them), and which rows without a key have another tag and are the same all the same.
#pragma once

#include <map>
#include <vector>

#include "common/sqlite/database.hpp"
#include "tests/sim/ledger.hpp"
#include "tests/sim/schema_spec.hpp"

namespace marmot::sim {

// The rows without a key of a file, by their rowids, and where its log ended.
struct Keyless {
  std::map<RowId, int64_t> rowids;
  int64_t log_end = 0;
};
Result<Keyless> read_keyless(sqlite::Database& db, const SchemaSpec& schema);

// Of a transaction that `db` has just committed, and before which it was as `before` says: marks those of its deletions that the log does
// not hold (Change::unseen), where one of its statements was a REPLACE, and rows whose tag was changed (Change::was). To be called before
// anything else happens to the file.
Status mark_changes(sqlite::Database& db, const SchemaSpec& schema, const Keyless& before, bool replaces, std::vector<Change>& changes);

}  // namespace marmot::sim
