// What is really in the tables, for comparing nodes.
#include "common/core/row_hash.hpp"
#include "common/replica/engine.hpp"

namespace marmot::replica {

namespace {
constexpr int kBuckets = 256;
int bucket_of(std::string_view key) { return static_cast<int>(bytes_hash(key) >> 56); }

// Of the key and the row together: rows that swapped their contents are others.
Hash128 row_digest(const HashKey& seed, std::string_view key, const Hash128& row) {
  return siphash128(HashKey{seed.low ^ row.high, seed.high}, row.low, key);
}
}  // namespace

Result<std::vector<TableDigest>> Replica::digests(const HashKey& seed) {
  std::vector<TableDigest> out;
  for (const auto& table : impl_->tables) {
    if (!table->exists) continue;
    TableDigest digest;
    digest.table = table->info.name;
    digest.buckets.resize(kBuckets);
    Table::Position position;
    const auto scanned = table->scan(position, INT64_MAX, false, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
      TableDigest::Bucket& bucket = digest.buckets[static_cast<size_t>(bucket_of(key))];
      ++bucket.rows;
      ++digest.rows;
      add(bucket.sum, row_digest(seed, key, table->digest(seed, values)));
      return ok();
    });
    if (!scanned) {
      if (!stops_table(scanned.error())) return scanned.error();
      TRY(impl_->stop_apart(table->id, scanned.error().message));
      continue;
    }
    out.push_back(std::move(digest));
  }
  return out;
}

Result<std::vector<KeyHash>> Replica::bucket_keys(const HashKey& seed, const std::string& name, int bucket) {
  Table* const table = impl_->table_by_name(name);
  if (table == nullptr) return make_error(Errc::not_found, "no table " + name + " is replicated here");
  std::vector<KeyHash> out;
  Table::Position position;
  TRY(table->scan(position, INT64_MAX, false, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
    if (bucket_of(key) == bucket) out.push_back(KeyHash{key, table->digest(seed, values)});
    return ok();
  }));
  return out;
}

}  // namespace marmot::replica
