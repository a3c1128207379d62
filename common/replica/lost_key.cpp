// A table that lost its primary key (decision 0012): its rows go by a hash of the key that they had.
#include <map>
#include <set>

#include "common/replica/engine.hpp"
#include "common/replica/former_row.hpp"
#include "common/replica/schema_migrate.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

// What the columns of a key that went held, and added to their rows' hashes.
class LostKey {
 public:
  LostKey(const TableInfo& before, const Table& table) : hash_key_(table.hash_key()), key_(before.key) {
    const std::vector<std::string> ids = table.stored_ids();
    for (const KeyColumn& part : before.key) {
      const Column& was = before.columns[static_cast<size_t>(part.column)];
      const bool here = std::any_of(ids.begin(), ids.end(), [&](const std::string& id) { return same_column_id(id, was.id); });
      columns_.push_back(here || was.generated ? nullptr : &was);
    }
  }

  // nullopt: the key has text that is folded.
  std::optional<uint64_t> added(const DecodedKey& key, Coercer& coercer) const {
    uint64_t sum = 0;
    std::deque<std::string> storage;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i] == nullptr) continue;
      if (key.parts[i].type == ValueType::text && key_[i].collation != Collation::binary) return std::nullopt;
      const Column& was = *columns_[i];
      const ValueView value = coercer.stored_if_changed(was.affinity, key.parts[i], storage);
      if (!same_value(value, was.default_value)) sum += value_hash(hash_key_, was.seed, value);
    }
    return sum;
  }

 private:
  HashKey hash_key_;
  const std::vector<KeyColumn>& key_;
  std::vector<const Column*> columns_;  // null: it is still there
};

}  // namespace

std::string former_identity(const std::vector<std::string>& columns, const std::vector<UnitKeyColumn>& key, std::string_view bytes) {
  std::string shape;
  for (const UnitKeyColumn& part : key) append_key_part(shape, ValueView::of_text(column_base(columns[part.column])));
  for (const UnitKeyColumn& part : key) shape += static_cast<char>('0' + static_cast<int>(part.collation));
  std::string out;
  append_rowid_part(out, kFormerKey, static_cast<int64_t>(bytes_hash(bytes, bytes_hash(shape))));
  return out;
}

Status Replica::Impl::lose_key(const TableInfo& before, Table& table, const TableMigration* carried, TouchedKeys* touched) {
  const UnitTable was = Table(db, store, state.life, table.id, before).unit_table();
  const auto identity = [&](std::string_view key) { return former_identity(was.columns, was.key, key); };
  forget_brought_along();
  std::set<std::string> unfit;
  if (carried != nullptr) {
    TRY(park_logged(table.id, identity));  // what the log says of them is yet to be drained
    for (const std::string& key : carried->unfit) {
      TRY_ASSIGN(const DecodedKey decoded, decode_key(key));
      unfit.insert(decoded.is_rowid ? key : identity(key));
    }
  } else TRY(db.exec("DELETE FROM __marmot_parked WHERE tbl = " + std::to_string(table.id)));  // seen by comparing
  for (const char* of_rows : {"unique", "log"}) TRY(db.exec("DELETE FROM __marmot_" + std::string(of_rows) + " WHERE tbl = " + std::to_string(table.id)));
  TRY(forget_pruned_of(table.id));
  std::map<std::string, std::string> converted;  // a key as its columns would have it now, where that is another -> as it was
  TRY(name_by_former_keys(before, table, identity, converted));
  if (touched != nullptr) {
    TRY(match_former_keys(before, table, [&](std::string_view key) {
      const auto was_key = converted.find(std::string(key));
      return identity(was_key == converted.end() ? key : was_key->second);
    }));
  }
  if (carried != nullptr) {
    for (const FormerRow& row : carried->former) TRY(table.adopt_rowid(identity(row.key), row.rowid));
  }
  state.start_outbox();  // it goes by keys

  const FormerHash former(before, table, true);
  const WallMs now = env.now();
  std::set<std::string> met;
  Table::Position position;
  TRY(table.scan(position, INT64_MAX, true, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
    TRY_ASSIGN(const auto known, store.find(table.id, key));
    const bool here = known && known->visible();
    if (here && touched != nullptr) met.insert(key);
    const auto told = !here ? FormerHash::Told::changed : carried != nullptr ? FormerHash::Told::same : former.compare(values, known->hash);
    if (told == FormerHash::Told::unknown) {
      TRY(send_again(table, key, true, *known, table.hash(values)));
    } else if (unfit.count(key) != 0) {
      return ok();
    } else if (told == FormerHash::Told::same) {
      TRY(set_hash(table, key, known->hash, table.hash(values)));
    } else if (told == FormerHash::Told::changed && touched != nullptr) {
      touched->add(&table, key, now);
      return ok();
    } else if (!known) {
      TRY_ASSIGN(Statement* const insert, store.statement(sql::kBaselineVersion));
      insert->bind(1, table.id).bind_blob(2, key).bind(3, static_cast<int64_t>(table.hash(values)));
      TRY(insert->run());
    }
    return keep_unique(table, key);
  }));
  // What waits on the shelf waits on, under its new name; once all is drained it is settled.
  if (touched == nullptr) return rehash_shelf(table);
  table.rehash = table.rehash || state.shelved > 0;
  TRY(table.save());
  TRY_ASSIGN(const auto live, live_keys(table));
  for (const auto& [key, hash] : live) {
    if (met.count(key) == 0) touched->add(&table, key, now);
  }
  return ok();
}

Result<std::map<std::string, uint64_t>> Replica::Impl::live_keys(const Table& table) {
  std::map<std::string, uint64_t> out;
  TRY_ASSIGN(Statement live, db.prepare(sql::kLiveKeys));
  live.bind(1, table.id);
  for (;;) {
    TRY_ASSIGN(const bool more, live.step());
    if (!more) return out;
    out.emplace(live.blob(0), static_cast<uint64_t>(live.integer(1)));
  }
}

// What the log says of a table that is changed while it is stopped: parked, until it resumes.
Status Replica::Impl::park_logged(int64_t id, const NameOfKey& identity) {
  Table* const table = table_by_id(id);
  if (table == nullptr) return ok();
  TRY_ASSIGN(const auto keys, logged_keys(*table));
  TRY(db.exec("DELETE FROM __marmot_parked WHERE tbl = " + std::to_string(id)));
  for (const std::string& key : keys) {
    TRY_ASSIGN(const DecodedKey decoded, decode_key(key));
    TRY(park(id, decoded.is_rowid ? key : identity(key), env.now()));
  }
  return ok();
}

// Every register, tombstones too. Their hashes are then without the key columns that went.
Status Replica::Impl::name_by_former_keys(const TableInfo& before, const Table& table, const NameOfKey& identity,
                                          std::map<std::string, std::string>& converted) {
  struct Named {
    std::string from, to;
    uint64_t hash = 0;
  };
  std::vector<Named> named;
  std::map<std::string, std::string> taken;  // by whom
  const LostKey lost(before, table);
  const UnitTable was = Table(db, store, state.life, table.id, before).unit_table();
  const FormerKey former_key(was.columns, was.key, table);
  TRY_ASSIGN(Statement all, db.prepare("SELECT key, hash, state FROM __marmot_version WHERE tbl = ?1"));
  all.bind(1, table.id);
  for (;;) {
    TRY_ASSIGN(const bool more, all.step());
    if (!more) break;
    Named one{std::string(all.blob(0)), std::string(all.blob(0)), static_cast<uint64_t>(all.integer(1))};
    TRY_ASSIGN(const DecodedKey key, decode_key(one.from));
    if (!key.is_rowid) {
      one.to = identity(one.from);
      if (auto now = former_key.told() ? former_key.of_key(one.from, coercer) : std::nullopt; now && *now != one.from) converted.emplace(*std::move(now), one.from);
      const auto added = lost.added(key, coercer);
      if (added && static_cast<RowState>(all.integer(2)) != RowState::dead) one.hash = kept_hash(one.hash - *added);
    }
    const auto [other, free] = taken.emplace(one.to, one.from);
    if (!free) {  // 64 bits of hash: once in a blue moon, and then never two rows as one
      return make_error(Errc::constraint, "table " + table.info.name + " lost its key, and its rows " + describe_key(other->second) + " and " +
                                              describe_key(one.from) + " can no longer be told apart: give one of them another key first");
    }
    if (!key.is_rowid) named.push_back(std::move(one));
  }
  all.reset();
  TRY_ASSIGN(Statement rename, db.prepare("UPDATE OR ABORT __marmot_version SET key = ?3, hash = ?4 WHERE tbl = ?1 AND key = ?2"));
  TRY_ASSIGN(Statement shelf, db.prepare("UPDATE OR ABORT __marmot_shelf SET key = ?3 WHERE tbl = ?1 AND key = ?2"));
  for (const Named& one : named) {
    rename.bind(1, table.id).bind_blob(2, one.from).bind_blob(3, one.to).bind(4, static_cast<int64_t>(one.hash));
    TRY(rename.run());
    shelf.bind(1, table.id).bind_blob(2, one.from).bind_blob(3, one.to);
    TRY(shelf.run());
  }
  return ok();
}

// Whose rows they are that a rebuild of the application's left: by what is still there of the key, else by what else they hold.
Status Replica::Impl::match_former_keys(const TableInfo& before, Table& table, const NameOfKey& identity) {
  struct Row {
    int64_t rowid = 0;
    std::string name;  // by its former key; empty: not to be told
    uint64_t hash = 0;
  };
  const FormerHash former(before, table, true);
  const UnitTable was = Table(db, store, state.life, table.id, before).unit_table();
  const FormerKey former_key(was.columns, was.key, table);
  std::vector<Row> rows;
  Table::Position position;
  TRY(table.scan(position, INT64_MAX, false, [&](const std::string&, const std::vector<ValueView>& values) -> Status {
    const auto key = former_key.told() ? former_key.of_row(values) : std::nullopt;
    rows.push_back({position.rowid, key ? identity(*key) : "", former.shared(values)});
    return ok();
  }));
  TRY_ASSIGN(auto free, live_keys(table));
  std::set<std::string> used;
  std::vector<bool> placed(rows.size());
  std::vector<std::pair<std::string, int64_t>> places;
  const auto place = [&](size_t at, const std::string& key) {
    placed[at] = true;
    used.insert(key);
    places.emplace_back(key, rows[at].rowid);
  };
  // Of several rows that have what was one's key, the one that is as it was.
  for (const bool unchanged : {true, false}) {
    for (size_t i = 0; i < rows.size(); ++i) {
      if (placed[i] || rows[i].name.empty() || used.count(rows[i].name) != 0) continue;
      const auto own = free.find(rows[i].name);
      if (!unchanged || (own != free.end() && own->second == rows[i].hash)) place(i, rows[i].name);
    }
  }
  std::multimap<uint64_t, std::string> by_hash;
  for (const auto& [key, hash] : free) {
    if (used.count(key) == 0) by_hash.emplace(hash, key);
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto same = placed[i] ? by_hash.end() : by_hash.find(rows[i].hash);
    if (same == by_hash.end()) continue;
    place(i, same->second);
    by_hash.erase(same);
  }
  TRY(db.exec("DELETE FROM __marmot_rowid WHERE tbl = " + std::to_string(table.id)));
  for (const auto& [key, rowid] : places) TRY(table.adopt_rowid(key, rowid));
  const auto strangers = std::count(placed.begin(), placed.end(), false);
  if (!by_hash.empty() && strangers != 0) {
    log(LogLevel::warn, "table " + table.info.name + " lost its key: which former rows " + std::to_string(strangers) +
                            " of its rows are cannot be told; they are new ones, and " + std::to_string(by_hash.size()) + " former ones are deleted");
  }
  return ok();
}

}  // namespace marmot::replica
