#include "tests/sim/replaced.hpp"

#include <algorithm>

namespace marmot::sim {

namespace {

// Does the log hold that key? Keys that are declared and whole stand in its first columns, as they are.
Result<bool> logged(sqlite::Database& db, const TableSpec& table, const std::string& key) {
  std::string columns;
  for (size_t i = 1; i <= table.id.key.size(); ++i) columns += ", k" + std::to_string(i);
  TRY_ASSIGN(auto log, db.prepare("SELECT l.tbl" + columns + " FROM __marmot_log l JOIN __marmot_table t ON t.id = l.tbl WHERE t.name = " +
                                  sqlite::quote_text(table.name())));
  for (;;) {
    TRY_ASSIGN(const bool more, log.step());
    if (!more) return false;
    std::string held;
    bool whole = true;
    for (size_t i = 0; i < table.id.key.size(); ++i) {
      const ValueView part = log.value(static_cast<int>(i) + 1);
      whole = whole && part.type != ValueType::null;
      if (whole) append_key_part(held, part, table.id.key[i].second);
    }
    if (whole && held == key) return true;
  }
}

// The version that a deletion gets of which only the file tells (decision 0034): the very next one. None: the file knows no such row.
Result<std::optional<Version>> next_version(sqlite::Database& db, const Place& place) {
  TRY_ASSIGN(auto select, db.prepare("SELECT v.hlc, (SELECT value FROM __marmot_meta WHERE key = 'node_id') FROM __marmot_version v"
                                     " JOIN __marmot_table t ON t.id = v.tbl WHERE t.name = ?1 AND v.key = ?2 AND v.state IN (1, 2)"));
  select.bind(1, place.table).bind_blob(2, place.key);
  TRY_ASSIGN(const bool known, select.step());
  if (!known) return std::optional<Version>();
  return std::optional<Version>({Hlc{Hlc::from_stored(select.integer(0)).value + 1}, Origin{NodeId{static_cast<uint64_t>(select.integer(1))}, {}}});
}

}  // namespace

Status mark_unseen(sqlite::Database& db, const SchemaSpec& schema, std::vector<Change>& changes) {
  for (Change& change : changes) {
    if (change.after || change.id.key.front() != 'k') continue;  // of rows without a key nothing is known here
    const auto table = std::find_if(schema.tables.begin(), schema.tables.end(), [&](const TableSpec& one) { return one.name() == change.id.table; });
    if (table == schema.tables.end() || table->unique.empty()) continue;
    const Place place{change.id.table, change.id.key.substr(1)};
    TRY_ASSIGN(const bool seen, logged(db, *table, place.key));
    if (seen) continue;
    TRY_ASSIGN(change.unseen, next_version(db, place));
  }
  return ok();
}

}  // namespace marmot::sim
