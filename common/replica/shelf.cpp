#include "common/replica/shelf.hpp"

#include "common/base/mutation.hpp"
#include "common/core/row.hpp"
#include "common/replica/probe.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

constexpr std::string_view kUnique = "unique";
constexpr std::string_view kRefused = "refused";

bool is_constraint(const Error& error) { return error.code == Errc::constraint; }
// Another row is in the way; else the table's definition refuses this one.
bool is_collision(const Error& error) { return error.detail == SQLITE_CONSTRAINT_UNIQUE; }

std::string encode(const Table& table, const std::vector<ValueView>& values) {
  std::string out;
  for (size_t i = 0; i < values.size(); ++i) {
    append_row_column(out, table.info.columns[static_cast<size_t>(table.stored()[i])].spelled_id, values[i]);
  }
  return out;
}

// In the order of the stored columns as they are now: a column that the row does not know has its fill. Views into `row`,
// which becomes the row as it would be put on the shelf now.
Result<std::vector<ValueView>> decode(const Table& table, std::string& row) {
  TRY_ASSIGN(const std::vector<RowColumn> columns, decode_row(row));
  Coercer coercer;
  std::deque<std::string> storage;
  std::vector<std::string> ids;
  std::vector<ValueView> sent, out;
  for (const RowColumn& column : columns) {
    ids.emplace_back(column.name);
    sent.push_back(column.value);
  }
  const std::vector<SentColumn> map = table.map_columns(ids);
  table.values_for(map, sent.data(), coercer, storage, out);
  row = encode(table, out);
  TRY_ASSIGN(const std::vector<RowColumn> now, decode_row(row));
  for (size_t i = 0; i < out.size(); ++i) out[i] = now[i].value;
  return out;
}

struct ShelvedRow {
  std::string row, kind, reason;
};

Result<std::optional<ShelvedRow>> find_shelved(Store& store, const Table& table, std::string_view key) {
  TRY_ASSIGN(Statement* const select, store.statement(sql::kShelfGet));
  select->bind(1, table.id).bind_blob(2, key);
  TRY_ASSIGN(const bool found, select->step());
  std::optional<ShelvedRow> out;
  if (found) out = ShelvedRow{std::string(select->blob(0)), std::string(select->text(1)), std::string(select->text(2))};
  select->reset();
  return out;
}

Result<std::vector<std::string>> shelf_keys(Store& store, const Table& table) {
  TRY_ASSIGN(Statement* const select, store.statement(sql::kShelfKeys));
  select->bind(1, table.id);
  std::vector<std::string> out;
  for (;;) {
    TRY_ASSIGN(const bool more, select->step());
    if (!more) return out;
    out.emplace_back(select->blob(0));
  }
}

Status remove_from_shelf(Replica::Impl& impl, const Table& table, std::string_view key) {
  TRY_ASSIGN(Statement* const remove, impl.store.statement(sql::kShelfRemove));
  remove->bind(1, table.id).bind_blob(2, key);
  TRY(remove->run());
  impl.state.shelved -= sqlite3_changes(impl.db.get());
  return ok();
}

// A row's kept unique values: of one that is not in the table, too.
Result<std::vector<Table::UniqueValue>> kept_unique(Store& store, const Table& table, std::string_view key) {
  std::vector<Table::UniqueValue> out;
  for (const UniqueIndex& index : table.info.unique) {
    TRY_ASSIGN(Statement* const select, store.statement(sql::kUniqueOfKey));
    select->bind(1, table.id).bind(2, static_cast<int64_t>(index.id)).bind_blob(3, key);
    TRY_ASSIGN(const bool found, select->step());
    if (found) out.push_back({index.id, static_cast<uint64_t>(select->integer(0))});
    select->reset();
  }
  return out;
}

Status put_unique(Store& store, const Table& table, std::string_view key, const std::vector<Table::UniqueValue>& values) {
  for (const Table::UniqueValue& value : values) {
    TRY_ASSIGN(Statement* const write, store.statement(value.hash ? sql::kUniquePut : sql::kUniqueRemove));
    write->bind(1, table.id).bind(2, static_cast<int64_t>(value.index)).bind_blob(3, key);
    if (value.hash) write->bind(4, static_cast<int64_t>(*value.hash));
    TRY(write->run());
  }
  return ok();
}

// Whoever holds one of these values, `key` apart, and is in the table.
Result<std::map<std::string, Register>> visible_holders(Store& store, const Table& table, std::string_view key,
                                                        const std::vector<Table::UniqueValue>& values) {
  std::vector<std::string> keys;
  for (const Table::UniqueValue& value : values) {
    if (!value.hash) continue;
    TRY_ASSIGN(Statement* const select, store.statement(sql::kUniqueHolders));
    select->bind(1, table.id).bind(2, static_cast<int64_t>(value.index)).bind(3, static_cast<int64_t>(*value.hash)).bind_blob(4, key);
    for (;;) {
      TRY_ASSIGN(const bool more, select->step());
      if (!more) break;
      keys.emplace_back(select->blob(0));
    }
  }
  std::map<std::string, Register> out;
  for (const std::string& holder : keys) {
    TRY_ASSIGN(const auto now, store.find(table.id, holder));
    if (now && now->visible()) out.emplace(holder, *now);
  }
  return out;
}

bool ranks_above(const Version& a, std::string_view a_key, const Version& b, std::string_view b_key) {
  return a != b ? a > b : a_key < b_key;
}

}  // namespace

// --- Settle --------------------------------------------------------------------------------------------------------

Status Settle::take_out_of_table(std::string_view key) {
  TRY_ASSIGN(const auto rowid, table_.rowid_to_keep(key));
  if (rowid) {
    rowids_.emplace(std::string(key), *rowid);
    held_.insert(*rowid);
  }
  TRY(table_.remove(key));
  return impl_.drop_unique(table_, key);
}

Status Settle::take_out(std::string_view key, const Register& before) {
  if (before.visible()) return take_out_of_table(key);
  if (!before.shelved()) return ok();
  TRY(remove_from_shelf(impl_, table_, key));
  std::vector<Table::UniqueValue> none;  // a shelved row is in nobody's way: nothing is freed
  for (const UniqueIndex& index : table_.info.unique) none.push_back({index.id, std::nullopt});
  return put_unique(impl_.store, table_, key, none);
}

void Settle::put_in(std::string_view key, const Version& version, RowState state, ReadFn read) {
  Candidate candidate;
  candidate.state = state;
  candidate.read = std::move(read);
  queue_.emplace(Rank{version, std::string(key)}, std::move(candidate));
}

Status Settle::again(std::string_view key, const Register& now) {
  Candidate candidate;
  candidate.state = now.state;
  std::vector<ValueView> values;
  TRY_ASSIGN(const bool there, table_.read(key, values));
  if (there) candidate.row = encode(table_, values);
  table_.release();
  // A register whose row went by unseen: what it held is in nobody's way, and repair finds out.
  if (!there) return impl_.drop_unique(table_, key);
  TRY_ASSIGN(candidate.unique, kept_unique(impl_.store, table_, key));
  TRY(take_out_of_table(key));
  queue_.emplace(Rank{now.version, std::string(key)}, std::move(candidate));
  return ok();
}

void Settle::shelved(std::string_view key, const Register& now) {
  Candidate candidate;
  candidate.state = from_shelf(now.state);
  candidate.on_shelf = true;
  queue_.emplace(Rank{now.version, std::string(key)}, std::move(candidate));
}

Status Settle::all_shelved() {
  TRY_ASSIGN(const auto keys, shelf_keys(impl_.store, table_));
  for (const std::string& key : keys) {
    TRY_ASSIGN(const auto now, impl_.store.find(table_.id, key));
    if (now && now->shelved()) shelved(key, *now);
  }
  return ok();
}

Status Settle::join_freed() {
  const auto found = impl_.freed.find(table_.id);
  if (found == impl_.freed.end()) return ok();
  const auto keys = std::move(found->second);
  impl_.freed.erase(found);
  for (const std::string& key : keys) {
    TRY_ASSIGN(const auto now, impl_.store.find(table_.id, key));
    if (now && now->shelved()) shelved(key, *now);
  }
  return ok();
}

Status Settle::run() {
  for (;;) {
    TRY(join_freed());
    if (queue_.empty()) return ok();
    auto first = queue_.extract(queue_.begin());
    TRY(place(first.key(), first.mapped()));
  }
}

Result<std::vector<ValueView>> Settle::content(const Rank& rank, Candidate& candidate) {
  if (candidate.read) {
    std::vector<ValueView> values;
    candidate.read(values);
    return values;
  }
  if (candidate.on_shelf) {
    TRY_ASSIGN(auto shelved, find_shelved(impl_.store, table_, rank.key));
    if (!shelved) return make_error(Errc::corrupt, "the shelf has no row " + describe_key(rank.key) + " of " + table_.info.name);
    candidate.row = std::move(shelved->row);
  }
  return decode(table_, candidate.row);
}

Result<std::optional<int64_t>> Settle::rowid_for(const Rank& rank, const Candidate& candidate) {
  const auto held = rowids_.find(rank.key);
  if (!candidate.on_shelf && held != rowids_.end()) return std::optional(held->second);
  return table_.choose_rowid(rank.key, held_);
}

Status Settle::make_visible(const Rank& rank, const Candidate& candidate) {
  if (candidate.on_shelf) {
    TRY(remove_from_shelf(impl_, table_, rank.key));
    TRY(impl_.store.set_state(table_.id, rank.key, candidate.state));
    impl_.log(LogLevel::info, table_.info.name + " " + describe_key(rank.key) + " of node " +
                                  std::to_string(rank.version.origin.node.value) + " is visible again");
  }
  return impl_.keep_unique(table_, rank.key);
}

Status Settle::place(const Rank& rank, Candidate& candidate) {
  TRY_ASSIGN(const std::vector<ValueView> values, content(rank, candidate));
  TRY_ASSIGN(const auto rowid, rowid_for(rank, candidate));
  Status done = table_.insert(rank.key, values, rowid);
  if (done) return make_visible(rank, candidate);
  if (!is_constraint(done.error())) return std::move(done).error().in("insert " + table_.info.name + " " + describe_key(rank.key));
  const auto refused = [&](const Error& error) { return shelve(rank, candidate, values, {}, kRefused, error.message); };
  if (!is_collision(done.error())) return refused(done.error());

  std::vector<Table::UniqueValue> unique = std::move(candidate.unique);
  if (candidate.on_shelf) {
    TRY_ASSIGN(unique, kept_unique(impl_.store, table_, rank.key));
  }
  if (unique.empty()) {
    TRY(table_.probe().prepare(impl_.db));
    auto probed = table_.probe().unique_values(values);
    if (!probed && is_constraint(probed.error())) return refused(probed.error());
    TRY(probed);
    unique = *std::move(probed);
  }
  TRY_ASSIGN(const auto holders, visible_holders(impl_.store, table_, rank.key, unique));
  for (const auto& [key, now] : holders) {
    if (!ranks_above(now.version, key, rank.version, rank.key)) continue;
    return shelve(rank, candidate, values, unique, kUnique,
                  done.error().message + ": " + describe_key(key) + " of node " + std::to_string(now.version.origin.node.value) + " is newer");
  }
  for (const auto& [key, now] : holders) TRY(again(key, now));
  TRY_ASSIGN(const auto rowid_now, rowid_for(rank, candidate));
  done = table_.insert(rank.key, values, rowid_now);
  if (done) return make_visible(rank, candidate);
  if (!is_constraint(done.error())) return std::move(done).error().in("insert " + table_.info.name + " " + describe_key(rank.key));
  // A row that no register speaks of (written past the triggers) is in the way. Repair gives it a version.
  return shelve(rank, candidate, values, unique, kUnique, done.error().message);
}

Status Settle::shelve(const Rank& rank, const Candidate& candidate, const std::vector<ValueView>& values,
                      const std::vector<Table::UniqueValue>& unique, std::string_view kind, std::string reason) {
  const std::string row = encode(table_, values);
  TRY_ASSIGN(Statement* const put, impl_.store.statement(sql::kShelfPut));
  put->bind(1, table_.id).bind_blob(2, rank.key).bind_blob(3, row).bind(4, kind).bind(5, reason).bind(6, impl_.env.now());
  TRY(put->run());
  TRY(put_unique(impl_.store, table_, rank.key, unique));
  impl_.state.retire_due = true;
  if (candidate.on_shelf) return ok();
  ++impl_.state.shelved;
  TRY(impl_.store.set_state(table_.id, rank.key, to_shelf(candidate.state)));
  TRY(table_.forget_rowid(rank.key));
  rowids_.erase(rank.key);
  impl_.note_lost(table_.info.name, true, 0, [&] {
    return table_.info.name + " " + describe_key(rank.key) + " of node " + std::to_string(rank.version.origin.node.value) +
           " is not shown here, but kept (marmot conflicts): " + reason;
  });
  return ok();
}

// --- Impl ----------------------------------------------------------------------------------------------------------

Result<bool> read_live_row(Store& store, Table& table, std::string_view key, const Register& now, std::vector<ValueView>& values,
                           std::string& storage) {
  if (now.visible()) return table.read(key, values);
  if (!now.shelved()) return false;
  TRY_ASSIGN(auto shelved, find_shelved(store, table, key));
  if (!shelved) return false;
  storage = std::move(shelved->row);
  TRY_ASSIGN(values, decode(table, storage));
  return true;
}

Result<bool> Replica::Impl::read_row(Table& table, std::string_view key, const Register& now, std::vector<ValueView>& values,
                                     std::string& storage) {
  return read_live_row(store, table, key, now, values, storage);
}

Status Replica::Impl::note_given_up(Table& table, const Table::UniqueValue& value, std::string_view key) {
  if (mutated(Mutation::shelf_not_revisited)) return ok();
  TRY_ASSIGN(Statement* const held, store.statement(sql::kUniqueOfKey));
  held->bind(1, table.id).bind(2, static_cast<int64_t>(value.index)).bind_blob(3, key);
  TRY_ASSIGN(const bool found, held->step());
  const int64_t before = found ? held->integer(0) : 0;
  held->reset();
  if (!found || (value.hash && static_cast<int64_t>(*value.hash) == before)) return ok();
  TRY_ASSIGN(Statement* const holders, store.statement(sql::kShelvedHolders));
  holders->bind(1, table.id).bind(2, static_cast<int64_t>(value.index)).bind(3, before);
  for (;;) {
    TRY_ASSIGN(const bool more, holders->step());
    if (!more) return ok();
    freed[table.id].emplace(holders->blob(0));
  }
}

Status Replica::Impl::replace_shelved(Table& table, std::string_view key, const Register& before, const Version& version,
                                      const std::vector<ValueView>& values) {
  if (before.hash != table.hash(values)) {
    TRY(keep_shelved_row(table, key, before, "insert", &version, json_of(table, values), ""));
  }
  return remove_from_shelf(*this, table, key);
}

Status Replica::Impl::settle_freed() {
  while (!freed.empty()) {
    Table* const table = table_by_id(freed.begin()->first);
    if (table == nullptr || !table->running()) {  // resume settles all of its shelf
      freed.erase(freed.begin());
      continue;
    }
    TRY_IN("settle " + table->info.name, Settle(*this, *table).run());
  }
  return ok();
}

Status Replica::Impl::scan_shelf(Table& table, const ShelvedFn& fn) {
  if (state.shelved == 0) return ok();
  TRY_ASSIGN(const auto keys, shelf_keys(store, table));
  std::string storage;
  for (const std::string& key : keys) {
    TRY_ASSIGN(const auto now, store.find(table.id, key));
    if (!now || !now->shelved()) continue;
    std::vector<ValueView> values;
    TRY_ASSIGN(const bool there, read_row(table, key, *now, values, storage));
    if (there) TRY(fn(key, *now, values));
  }
  return ok();
}

Status Replica::Impl::erase_row(Table& table, std::string_view key, const Register& now) {
  TRY(Settle(*this, table).take_out(key, now));
  return table.forget_rowid(key);
}

Result<std::optional<Blocker>> find_blocker(Store& store, const Table& table, std::string_view key, const Register& now) {
  TRY_ASSIGN(const auto unique, kept_unique(store, table, key));
  TRY_ASSIGN(const auto holders, visible_holders(store, table, key, unique));
  std::optional<Blocker> highest;
  for (const auto& [holder, other] : holders) {
    if (!ranks_above(other.version, holder, now.version, key)) continue;
    if (!highest || ranks_above(other.version, holder, highest->now.version, highest->key)) highest = Blocker{holder, other};
  }
  return highest;
}

Status Replica::Impl::clear_shelf(Table& table, std::string_view kind, std::string_view reason) {
  TRY_ASSIGN(const auto keys, shelf_keys(store, table));
  for (const std::string& key : keys) {
    TRY_ASSIGN(const auto now, store.find(table.id, key));
    if (!now || !now->shelved()) continue;
    TRY(keep_shelved_row(table, key, *now, kind, nullptr, "", std::string(reason)));
    TRY(Settle(*this, table).take_out(key, *now));
  }
  return ok();
}

// The origin of a loser deletes it for everybody once its message has come round: from then on nobody waits for it.
Status Replica::Impl::retire_losers(UnitStream& out, std::vector<Change>* changes) {
  if (!may_retire()) return ok();
  state.retire_due = false;
  if (state.shelved == 0) return ok();
  std::vector<std::pair<int64_t, std::string>> losers;
  {
    TRY_ASSIGN(Statement* const select, store.statement(sql::kShelfToRetire));
    select->bind(1, static_cast<int64_t>(self.node.value)).bind(2, int64_t{settings.retire_losers ? 1 : 0});
    for (;;) {
      TRY_ASSIGN(const bool more, select->step());
      if (!more) break;
      losers.emplace_back(select->integer(0), select->blob(1));
    }
  }
  std::optional<Version> version;
  for (const auto& [id, key] : losers) {
    Table* const table = table_by_id(id);
    if (table == nullptr || !table->running()) continue;
    TRY_ASSIGN(const auto now, store.find(id, key));
    if (!now || !now->shelved()) continue;
    if (!version) version = Version{state.clock.tick(env.now(), env.now()), self};
    TRY(keep_shelved_row(*table, key, *now, "", nullptr, "", ""));
    TRY(erase_row(*table, key, *now));
    TRY(store.put(id, key, true, *version, std::nullopt, 0, RowState::dead));
    TRY(out.row(*table, *version, Op::remove, key, {}));
    if (changes != nullptr) changes->push_back(Change{false, table->info.name, Op::remove, describe_key(key), *version, 0});
  }
  return ok();
}

}  // namespace marmot::replica
