// A snapshot lands in one transaction: whoever reads sees the file as it was, or as it is where the snapshot was taken, and no transaction in part.
// What differs is found before, in slices that hold no write lock. What the log holds has its versions by then. Later only this agent makes
// versions, of what the application writes meanwhile, and all of them are later ones: what was found stays what has to be looked at.
#include <algorithm>

#include "common/base/mutation.hpp"
#include "common/replica/local_schema.hpp"
#include "common/replica/merge.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

constexpr int64_t kPageRows = 1000;
constexpr size_t kBatchKeys = 250;  // whose rows are in memory at once
constexpr int64_t kMostKeys = 1'000'000;  // that are kept in memory, where atomic_rows sets no limit

struct Known {
  std::string key;
  Version version;
  std::optional<StreamSeq> seq;
};

// The next registers of a table behind `after`, which moves on.
Result<std::vector<Known>> next_registers(Store& store, int64_t table, std::string& after) {
  std::vector<Known> page;
  TRY_ASSIGN(Statement* const select, store.statement(sql::kVersionsAfter));
  const std::string from = after;
  select->bind(1, table).bind_blob(2, from).bind(3, kPageRows);
  for (;;) {
    TRY_ASSIGN(const bool more, select->step());
    if (!more) break;
    Known one{std::string(select->blob(0)), {}, select->is_null(3) ? std::nullopt : std::optional(static_cast<StreamSeq>(select->integer(3)))};
    TRY_ASSIGN(one.version, store.version(select->integer(1), select->integer(2)));
    page.push_back(std::move(one));
  }
  if (!page.empty()) after = page.back().key;
  return page;
}

}  // namespace

void Replica::Impl::merge_in_slices(const std::string& why) {
  Merge& merge = *merging;
  log(LogLevel::warn, "the snapshot is merged in slices, for " + why + ": transactions can be seen in part until that is done");
  ++split_units;
  merge.differs = {};
  merge.total += merge.total;
  merge.at = {};
  merge.at.phase = Merge::Phase::schema;
}

// The snapshot's tables, with those that they are here, if they are. Their schema is not merged yet.
Status Replica::Impl::begin_compare() {
  Merge& merge = *merging;
  merge.tables.clear();
  TRY_ASSIGN(const std::vector<LocalTable> theirs, read_local_tables(merge.snapshot));
  for (const LocalTable& there : theirs) {
    auto info = read_table(merge.snapshot, there.name);
    if (!info && info.error().code == Errc::not_found) continue;  // dropped
    TRY(info);
    name_columns(*info, there.column_ids);
    const Target target = target_of(UnitTable{there.permanent_id.value_or(Version{}), there.name, {}, {}});
    if (target.to == Target::To::nowhere || target.to == Target::To::dropped) continue;
    MergePair pair;
    pair.here = target.table == nullptr ? 0 : target.table->id;
    pair.there = std::make_unique<Table>(merge.snapshot, merge.store, state.life, there.id, std::move(*info));
    if (target.table != nullptr && !target.table->same_key(pair.there->unit_table())) {
      merge_in_slices("table " + there.name + " has another key there");
      return ok();
    }
    merge.tables.push_back(std::move(pair));
  }
  merge.at.phase = mutated(Mutation::merge_in_pieces) ? Merge::Phase::schema : Merge::Phase::compare_theirs;
  return ok();
}

// Without a transaction.
Status Replica::Impl::compare_piece(int64_t& looked_at) {
  Merge& merge = *merging;
  Merge::Progress& at = merge.at;
  if (at.table == merge.tables.size()) {
    at.phase = at.phase == Merge::Phase::compare_theirs ? Merge::Phase::compare_ours : Merge::Phase::whole;
    at.table = 0;
    return ok();
  }
  const bool theirs = at.phase == Merge::Phase::compare_theirs;
  const MergePair& pair = merge.tables[at.table];
  Store& from = theirs ? merge.store : store;
  Store& other = theirs ? store : merge.store;
  TRY_ASSIGN(const std::vector<Known> page, next_registers(from, theirs ? pair.there->id : pair.here, at.after));
  std::vector<std::string>& differing = (theirs ? merge.differs.changed : merge.differs.absent)[pair.there->id];
  for (const Known& one : page) {
    TRY_ASSIGN(const auto known, other.find(theirs ? pair.here : pair.there->id, one.key));
    if (known && (!theirs || (known->version == one.version && known->seq == one.seq && known->seq))) continue;
    differing.push_back(one.key);
    ++merge.differs.keys;
  }
  looked_at += static_cast<int64_t>(page.size());
  if (merge.differs.keys > (settings.atomic_rows > 0 ? settings.atomic_rows : kMostKeys)) {
    merge_in_slices("more than " + std::to_string(merge.differs.keys - 1) + " rows differ (atomic_rows)");
    return ok();
  }
  if (page.size() < static_cast<size_t>(kPageRows)) {
    ++at.table;
    at.after.clear();
  }
  return ok();
}

Status Replica::Impl::merge_whole() {
  Merge& merge = *merging;
  TRY_IN("merge the schema", merge_schema());
  for (MergePair& pair : merge.tables) {
    std::span<const std::string> left = merge.differs.changed[pair.there->id];
    for (; !left.empty(); left = left.subspan(std::min(left.size(), kBatchKeys))) TRY(merge_keys(pair, left.first(std::min(left.size(), kBatchKeys))));
  }
  for (MergePair& pair : merge.tables) TRY(merge_absent_keys(pair, merge.differs.absent[pair.there->id]));
  merge.at.phase = Merge::Phase::pruned;
  return ok();
}

}  // namespace marmot::replica
