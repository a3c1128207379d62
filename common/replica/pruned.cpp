// Tombstones that are pruned, and what is kept of them: so much that each is known again, should a row come that it beats
// (docs/decisions/0033-what-is-kept-of-the-pruned.md).
#include "common/base/mutation.hpp"
#include "common/core/siphash.hpp"
#include "common/replica/merge.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

constexpr size_t kPruneRows = 500;  // in one transaction, or as many as Settings::slice_us allows: keys' hashes lie everywhere in their index
constexpr size_t kLookRows = 50;    // between two looks at the clock
constexpr int64_t kMergeRows = 250;

int64_t hash_of(const Store& store, std::string_view key) { return static_cast<int64_t>(siphash(store.hash_key, 0, key)); }

bool forgets() { return mutated(Mutation::pruned_forgotten) || mutated(Mutation::tombstone_early) || mutated(Mutation::tombstone_by_clock); }

// In the file of `store`, which may be a snapshot.
Result<std::optional<Version>> version_of(Store& store, int64_t table, int64_t hash) {
  TRY_ASSIGN(Statement* const select, store.statement(sql::kPrunedOfKey));
  select->bind(1, table).bind(2, hash);
  return store.version_in(*select);
}

}  // namespace

Result<std::optional<Version>> pruned_version(Store& store, int64_t table, std::string_view key) {
  if (forgets()) return std::optional<Version>{};
  return version_of(store, table, hash_of(store, key));
}

Status Replica::Impl::remember_pruned(int64_t table, int64_t hash, const Version& version) {
  TRY_ASSIGN(const Store::OriginRow origin, store.origin(version.origin));
  TRY_ASSIGN(Statement* const put, store.statement(sql::kPrunedPut));
  put->bind(1, table).bind(2, hash).bind(3, version.hlc.stored()).bind(4, origin.id);
  state.pruned_hlc = std::max(state.pruned_hlc, version.hlc);
  return put->run();
}

Status Replica::Impl::forget_pruned(Statement& deletion) {
  for (;;) {
    TRY_ASSIGN(const bool more, deletion.step());
    if (!more) return ok();
    state.floor.hlc = std::max(state.floor.hlc, Hlc::from_stored(deletion.integer(0)));
  }
}

Status Replica::Impl::forget_oldest_pruned() {
  TRY_ASSIGN(Statement* const oldest, store.statement(sql::kPrunedDropOldest));
  oldest->bind(1, settings.pruned_rows);
  return forget_pruned(*oldest);
}

Status Replica::Impl::forget_pruned_of(int64_t table) {
  TRY_ASSIGN(Statement* const all, store.statement(sql::kPrunedDropTable));
  all->bind(1, table);
  return forget_pruned(*all);
}

Status Replica::Impl::prune_tombstones() {
  if (mutated(Mutation::tombstone_by_clock)) {
    TRY_ASSIGN(Statement by_age, db.prepare("DELETE FROM __marmot_version WHERE state = 0 AND seq IS NOT NULL AND hlc < ?1"));
    by_age.bind(1, static_cast<int64_t>(Hlc::from_wall(env.now() - 1000).value));
    TRY(by_age.run());
  }
  if (!state.prune_due) return ok();
  struct Dead {
    int64_t table = 0;
    std::string key;
    Version version;
  };
  std::vector<Dead> dead;
  TRY_ASSIGN(Statement* const select, store.statement(sql::kSelectPruned));
  select->bind(1, static_cast<int64_t>(state.floor.seq)).bind(2, static_cast<int64_t>(kPruneRows));
  for (;;) {
    TRY_ASSIGN(const bool more, select->step());
    if (!more) break;
    TRY_ASSIGN(const Version version, store.version(select->integer(2), select->integer(3)));
    dead.push_back({select->integer(0), std::string(select->blob(1)), version});
  }
  const int64_t began = dead.size() > kLookRows ? env.monotonic_us() : 0;
  size_t done = 0;
  for (const Dead& one : dead) {
    if (done % kLookRows == 0 && done > 0 && env.monotonic_us() - began >= settings.slice_us) break;
    ++done;
    TRY(remember_pruned(one.table, hash_of(store, one.key), one.version));
    TRY(store.remove(one.table, one.key));
  }
  if (!dead.empty()) TRY(forget_oldest_pruned());
  state.prune_due = done == kPruneRows || done < dead.size();
  return ok();
}

Status Replica::Impl::recall(const Table& table, std::string_view key, const Version& coming, std::optional<Register>& local) {
  if (local) {
    if (!pruned(*local) || local->version <= coming || forgets()) return ok();
    TRY(store.unmark(table.id, key));
    local->seq.reset();
  } else {
    if (coming.hlc > state.pruned_hlc) return ok();  // as it mostly is: nothing has to be looked up
    TRY_ASSIGN(const auto tombstone, pruned_version(store, table.id, key));
    if (!tombstone || *tombstone <= coming) return ok();
    TRY(store.put(table.id, key, false, *tombstone, std::nullopt, 0, RowState::dead));
    TRY_ASSIGN(local, store.find(table.id, key));
  }
  state.start_outbox();
  return ok();
}

// What the snapshot remembers, this file remembers too. True: all of it was looked at.
Result<bool> Replica::Impl::merge_pruned(int64_t& after, int64_t& looked_at) {
  Merge& merge = *merging;
  struct Remembered {
    int64_t table = 0, hash = 0, origin = 0;
    Hlc hlc;
  };
  std::vector<Remembered> page;
  TRY_ASSIGN(Statement* const select, merge.store.statement(sql::kPrunedAfter));
  select->bind(1, after).bind(2, kMergeRows);
  for (;;) {
    TRY_ASSIGN(const bool more, select->step());
    if (!more) break;
    after = select->integer(0);
    page.push_back(Remembered{select->integer(1), select->integer(2), select->integer(4), Hlc::from_stored(select->integer(3))});
  }
  for (const Remembered& one : page) {
    const auto pair = std::find_if(merge.tables.begin(), merge.tables.end(), [&](const MergePair& p) { return p.there->id == one.table; });
    if (pair == merge.tables.end() || !table_by_id(pair->here)->same_key(pair->there->unit_table())) continue;
    Version version{one.hlc, {}};
    TRY_ASSIGN(version.origin, merge.store.origin_of(one.origin));
    TRY_ASSIGN(const auto here, version_of(store, pair->here, one.hash));
    if (!here || *here < version) TRY(remember_pruned(pair->here, one.hash, version));
  }
  TRY(forget_oldest_pruned());
  looked_at += static_cast<int64_t>(page.size());
  return page.size() < static_cast<size_t>(kMergeRows);
}

}  // namespace marmot::replica
