// Another key for the hashes of rows and unique values (decision 0027): that of the stream that the file enters.
#include "common/replica/engine.hpp"

namespace marmot::replica {

// A row that is not what its register says, which capture missed, stays so under the new key: the scrub is to find it.
Status Replica::Impl::hash_anew(Table& table, const HashKey& former) {
  const auto anew = [&](const std::string& key, const Register& known, const std::vector<ValueView>& values) -> Status {
    const bool fits = known.hash == table.hash_under(former, values);
    return set_hash(table, key, known.hash, table.hash(values) + (fits ? 0 : 1));
  };
  Table::Position position;
  TRY(table.scan(position, INT64_MAX, false, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
    TRY_ASSIGN(const auto known, store.find(table.id, key));
    return known && known->visible() ? anew(key, *known, values) : ok();
  }));
  TRY(scan_shelf(table, anew));
  if (table.running()) return rebuild_unique(table, "");
  return db.exec("UPDATE __marmot_table SET uniques = '' WHERE id = " + std::to_string(table.id));  // restart() makes them anew
}

Status Replica::Impl::take_hash_key(const std::optional<HashKey>& key) {
  if (!key || *key == store.hash_key) return ok();
  std::vector<OutUnit> unused;
  for (bool more = true; more;) {  // what the log says of a row is told by its hash, and REPLACE's victims by what they held
    more = false;
    TRY(drain_log(unused, nullptr, &more));
  }
  const HashKey former = store.hash_key;
  TRY(store.keep_hash_key(*key));
  state.hash_key = *key;
  TRY(db.exec("DELETE FROM __marmot_pruned"));  // hashes under the former key
  state.floor.hlc = std::max(state.floor.hlc, state.pruned_hlc);
  for (const auto& table : tables) {
    if (table->exists) TRY_IN("hash the rows of " + table->info.name, hash_anew(*table, former));
  }
  return ok();
}

}  // namespace marmot::replica
