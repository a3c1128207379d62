#include "common/replica/table.hpp"

#include <algorithm>

#include "common/core/comparison.hpp"
#include "common/core/row_hash.hpp"
#include "common/replica/column_id.hpp"
#include "common/replica/effects.hpp"
#include "common/replica/probe.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::quote_identifier;
using sqlite::Statement;

namespace {

std::string parameters(int first, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += (i == 0 ? "?" : ", ?") + std::to_string(first + static_cast<int>(i));
  return out;
}

}  // namespace

Table::Table(sqlite::Database& db, Store& store, const RowLife& life, int64_t table_id, TableInfo table_info)
    : id(table_id), info(std::move(table_info)), db_(db), store_(store), life_(life),
      quoted_(quote_identifier(info.name)), rowid_(info.rowid_name.empty() ? "" : quote_identifier(info.rowid_name)) {
  for (size_t i = 0; i < info.columns.size(); ++i) {
    const Column& column = info.columns[i];
    if (column.generated) continue;
    stored_.push_back(static_cast<int>(i));
    column_list_ += (column_list_.empty() ? "" : ", ") + quote_identifier(column.name);
  }
  for (const KeyColumn& key : info.key) {
    const auto at = std::find(stored_.begin(), stored_.end(), key.column);
    key_in_stored_.push_back(static_cast<int>(at - stored_.begin()));
  }
  read_head_ = "SELECT " + column_list_ + " FROM " + quoted_;
  remove_head_ = "DELETE FROM " + quoted_;
  rowid_head_ = "SELECT " + rowid_ + " FROM " + quoted_;
  update_head_ = "UPDATE OR ABORT " + quoted_ + " SET ";
  for (size_t i = 0; i < stored_.size(); ++i) {
    update_head_ += (i == 0 ? "" : ", ") + quote_identifier(info.columns[static_cast<size_t>(stored_[i])].name) + " = ?" +
                    std::to_string(i + 1);
  }
  for (const UniqueIndex& index : info.unique) {
    UniqueRead read;
    read.head = "SELECT ";
    for (size_t term = 0; term < index.terms.size(); ++term) read.head += (term == 0 ? "" : ", ") + index.terms[term];
    read.head += " FROM " + quoted_;
    if (!index.where.empty()) read.tail = " AND (" + index.where + ")";
    unique_.push_back(std::move(read));
  }
}

Table::~Table() = default;

std::optional<std::string> Table::unusable() const {
  constexpr size_t kFewColumns = 1900;  // SQLite's limit is 2,000 where nobody has changed it, for a table and for what is read of it
  const auto complaint = [&](const std::string& select) { return db_.prepare(select) ? std::string() : std::string(sqlite3_errmsg(db_.get())); };
  for (size_t i = 0; i < info.unique.size(); ++i) {
    const UniqueIndex& index = info.unique[i];
    const bool plain = index.where.empty() && std::all_of(index.terms.begin(), index.terms.end(), [](const std::string& term) { return term.front() == '"'; });
    const std::string why = plain ? std::string() : complaint(unique_[i].head + " WHERE 1" + unique_[i].tail);
    if (!why.empty()) return "its unique index " + index.name + " cannot be used by this agent: " + why + "; drop it";
  }
  if (stored_.size() < kFewColumns) return std::nullopt;
  const std::string why = complaint("SELECT " + (rowid_.empty() ? std::string() : rowid_ + ", ") + column_list_ + " FROM " + quoted_);
  if (why.empty()) return std::nullopt;
  return "its " + std::to_string(stored_.size()) + " columns cannot be read by this agent: " + why + "; drop some";
}

Status Table::save() {
  TRY_ASSIGN(Statement* const update, store_.statement(sql::kUpdateTable));
  update->bind(1, id).bind(2, info.name);
  if (permanent_id) {
    update->bind(3, static_cast<int64_t>(permanent_id->hlc.value))
        .bind(4, static_cast<int64_t>(permanent_id->origin.node.value))
        .bind(5, static_cast<int64_t>(permanent_id->origin.incarnation.value));
  } else {
    update->bind_null(3).bind_null(4).bind_null(5);
  }
  if (sql.empty()) update->bind_null(6);
  else update->bind(6, sql);
  update->bind(7, int64_t{baseline ? 1 : 0}).bind(8, int64_t{rehash ? 1 : 0});
  if (stopped) update->bind(9, *stopped);
  else update->bind_null(9);
  return update->run();
}

std::vector<std::string> Table::stored_names() const {
  std::vector<std::string> names;
  for (const int column : stored_) names.push_back(info.columns[static_cast<size_t>(column)].name);
  return names;
}

std::vector<std::string> Table::stored_ids() const {
  std::vector<std::string> ids;
  for (const int column : stored_) ids.push_back(info.columns[static_cast<size_t>(column)].spelled_id);
  return ids;
}

UnitTable Table::unit_table() const {
  UnitTable out{permanent_id.value_or(Version{}), info.name, stored_ids(), {}};
  for (size_t i = 0; i < info.key.size(); ++i) {
    const Column& column = info.columns[static_cast<size_t>(info.key[i].column)];
    out.key.push_back(UnitKeyColumn{static_cast<uint32_t>(key_in_stored_[i]), info.key[i].collation, column.affinity, info.nullable_key});
  }
  return out;
}

bool Table::same_key(const UnitTable& sent) const {
  if (sent.key.size() != info.key.size()) return false;
  for (size_t i = 0; i < info.key.size(); ++i) {
    const Column& column = info.columns[static_cast<size_t>(info.key[i].column)];
    const UnitKeyColumn& part = sent.key[i];
    if (column_base(sent.columns[part.column]) != column.id || part.collation != info.key[i].collation || part.affinity != column.affinity ||
        part.nullable != info.nullable_key) {
      return false;
    }
  }
  return true;
}

std::vector<SentColumn> Table::map_columns(const std::vector<std::string>& ids) const {
  std::vector<SentColumn> map;
  for (const int stored : stored_) {
    const Column& column = info.columns[static_cast<size_t>(stored)];
    SentColumn& from = map.emplace_back();
    const auto at = std::find_if(ids.begin(), ids.end(), [&](const std::string& sent) { return column_base(sent) == column.id; });
    if (at == ids.end()) continue;
    from.at = static_cast<int>(at - ids.begin());
    if (*at != column.spelled_id) from.given_up = given_up(parse_column_id(*at), parse_column_id(column.spelled_id));
  }
  return map;
}

void Table::values_for(const std::vector<SentColumn>& map, const ValueView* sent, Coercer& coercer, std::deque<std::string>& storage,
                       std::vector<ValueView>& out) const {
  out.clear();
  for (size_t i = 0; i < map.size(); ++i) out.push_back(value_for(i, map[i], sent, coercer, storage));
}

ValueView Table::value_for(size_t at, const SentColumn& from, const ValueView* sent, Coercer& coercer, std::deque<std::string>& storage) const {
  const Column& column = info.columns[static_cast<size_t>(stored_[at])];
  if (from.at < 0) return column.default_value;
  const ValueView value = coercer.stored_if_changed(column.affinity, sent[from.at], storage);
  if (column.not_null && value.type == ValueType::null) return column.default_value;
  for (const std::string& fill : from.given_up) {
    std::string bytes;
    if (same_value(value, coercer.stored_if_changed(column.affinity, fill_value(fill, bytes), storage))) return column.default_value;
  }
  return value;
}

std::string Table::key_where(int first) const {
  std::string out;
  for (const KeyColumn& key : info.key) {
    if (!out.empty()) out += " AND ";
    out += quote_identifier(info.columns[static_cast<size_t>(key.column)].name) + " = ?" + std::to_string(first++);
  }
  return out;
}

Result<Statement*> Table::bind_key(Slots& slots, const std::string& head, const std::string& tail, int first,
                                   std::string_view key) {
  TRY_ASSIGN(decoded_, decode_key(key));
  if (decoded_.is_rowid) {
    if (rowid_.empty()) return make_error(Errc::schema, "table " + info.name + " has no rowid");
    TRY_ASSIGN(const auto here, rowid_here(decoded_.rowid));
    if (!here) return static_cast<Statement*>(nullptr);
    Statement& slot = slots.by_rowid;
    if (!slot) {
    TRY_ASSIGN(slot, db_.prepare(head + " WHERE " + rowid_ + " = ?" + std::to_string(first) + tail, true));
  }
    sqlite3_reset(slot.get());
    slot.bind(first, *here);
    return &slot;
  }
  if (decoded_.parts.size() != info.key.size()) {
    return make_error(Errc::schema, "table " + info.name + " has " + std::to_string(info.key.size()) +
                                        " key columns, the key " + describe_key(key) + " has " +
                                        std::to_string(decoded_.parts.size()));
  }
  Statement& slot = slots.by_key;
  if (!slot) {
    TRY_ASSIGN(slot, db_.prepare(head + " WHERE " + key_where(first) + tail, true));
  }
  sqlite3_reset(slot.get());
  for (size_t i = 0; i < decoded_.parts.size(); ++i) slot.bind(first + static_cast<int>(i), decoded_.parts[i]);
  if (slot.unfit()) {  // no row here has such a key
    slot.reset();
    return static_cast<Statement*>(nullptr);
  }
  return &slot;
}

Result<std::optional<int64_t>> Table::rowid_here(const RowidIdentity& identity) {
  TRY_ASSIGN(Statement* const select, store_.statement(sql::kRowidByThere));
  select->bind(1, id).bind(2, static_cast<int64_t>(identity.life.value)).bind(3, identity.rowid);
  TRY_ASSIGN(const bool found, select->step());
  std::optional<int64_t> here;
  if (found) here = select->integer(0);
  sqlite3_reset(select->get());
  return here;
}

Result<bool> Table::rowid_taken(int64_t rowid) {
  if (!taken_) {
    TRY_ASSIGN(taken_, db_.prepare("SELECT 1 FROM " + quoted_ + " WHERE " + rowid_ + " = ?1", true));
  }
  taken_.bind(1, rowid);
  const sqlite::ResetGuard guard(taken_);
  return taken_.step();
}

Result<int64_t> Table::highest_rowid() {
  if (!highest_) {
    TRY_ASSIGN(highest_, db_.prepare("SELECT max(" + rowid_ + ") FROM " + quoted_, true));
  }
  const sqlite::ResetGuard guard(highest_);
  TRY(highest_.step());
  return highest_.integer(0);
}

Result<bool> Table::keyless_row_at(int64_t rowid) {
  if (!keyless_) {
    std::string where = " WHERE " + rowid_ + " = ?1", null_key;
    for (const KeyColumn& key : info.key) {
      null_key += (null_key.empty() ? "" : " OR ") + quote_identifier(info.columns[static_cast<size_t>(key.column)].name) + " IS NULL";
    }
    if (!null_key.empty()) where += " AND (" + null_key + ")";
    TRY_ASSIGN(keyless_, db_.prepare("SELECT 1 FROM " + quoted_ + where, true));
  }
  keyless_.bind(1, rowid);
  const sqlite::ResetGuard guard(keyless_);
  return keyless_.step();
}

Result<std::optional<RowidIdentity>> Table::identity_of(int64_t here) {
  TRY_ASSIGN(Statement* const select, store_.statement(sql::kRowidByHere));
  select->bind(1, id).bind(2, here);
  const sqlite::ResetGuard guard(*select);
  TRY_ASSIGN(const bool found, select->step());
  if (!found) return std::optional<RowidIdentity>{};
  return std::optional{RowidIdentity{NodeId{static_cast<uint64_t>(select->integer(0))}, select->integer(1)}};
}

// A row of that name may have been put elsewhere when it came back from the stream, or wait on the shelf, or it was deleted and others have
// yet to hear of it: what they do to it must not befall another one.
Result<bool> Table::is_given(const RowidIdentity& identity, bool dated) {
  TRY_ASSIGN(const auto elsewhere, rowid_here(identity));
  if (elsewhere) return true;
  std::string key;
  append_rowid_part(key, identity.life, identity.rowid);
  TRY_ASSIGN(const auto held, store_.find(id, key));
  if (held || dated) return held.has_value();
  TRY_ASSIGN(const auto pruned, pruned_version(store_, id, key));
  return pruned.has_value();
}

Result<RowidIdentity> Table::make_identity(int64_t here, std::optional<WallMs> came) {
  const bool dated = came && life_.dated;
  RowidIdentity identity{dated && !mutated(Mutation::names_undated) ? life_.at(*came) : life_.number, here};
  TRY_ASSIGN(bool given, is_given(identity, dated));
  if (given) {
    TRY_ASSIGN(Statement* const next, store_.statement(sql::kRowidNext));
    next->bind(1, id).bind(2, static_cast<int64_t>(identity.life.value));
    TRY(next->step());
    identity.rowid = std::max(next->integer(0), here < INT64_MAX ? here + 1 : 1);
    sqlite3_reset(next->get());
    for (;; ++identity.rowid) {
      TRY_ASSIGN(given, is_given(identity, dated));
      if (!given) break;
    }
  }
  TRY_ASSIGN(Statement* const put, store_.statement(sql::kRowidPut));
  put->bind(1, id).bind(2, static_cast<int64_t>(identity.life.value)).bind(3, identity.rowid).bind(4, here);
  TRY(put->run());
  return identity;
}

Status Table::adopt_rowid(std::string_view key, int64_t here) {
  TRY_ASSIGN(const DecodedKey decoded, decode_key(key));
  TRY_ASSIGN(Statement* const put, store_.statement(sql::kRowidPut));
  put->bind(1, id).bind(2, static_cast<int64_t>(decoded.rowid.life.value)).bind(3, decoded.rowid.rowid).bind(4, here);
  return put->run();
}

Result<std::string> Table::key_at(int64_t here) {
  TRY_ASSIGN(const auto identity, identity_of(here));
  std::string key;
  if (identity) append_rowid_part(key, identity->life, identity->rowid);
  return key;
}

Status Table::forget_rowid(std::string_view key) {
  TRY_ASSIGN(const DecodedKey decoded, decode_key(key));
  if (!decoded.is_rowid) return ok();
  TRY_ASSIGN(Statement* const remove, store_.statement(sql::kRowidRemove));
  remove->bind(1, id).bind(2, static_cast<int64_t>(decoded.rowid.life.value)).bind(3, decoded.rowid.rowid);
  return remove->run();
}

std::optional<int64_t> Table::keyless_of_log(const Statement& log, int first) const {
  const int parts = static_cast<int>(info.key.size());
  bool keyless = info.key.empty();
  for (int i = 0; i < parts; ++i) keyless = keyless || log.is_null(first + i);
  return keyless ? std::optional(log.integer(first + parts)) : std::nullopt;
}

Result<std::vector<std::string>> Table::keys_of_log(Statement& log, int first, LogOp op, WallMs at, bool reused, bool gone_too) {
  std::vector<std::string> keys;
  std::string key;
  for (size_t i = 0; i < info.key.size(); ++i) {
    const ValueView value = log.value(first + static_cast<int>(i));
    if (value.type == ValueType::null) {
      key.clear();
      break;
    }
    append_key_part(key, value, info.key[i].collation);
  }
  if (!key.empty()) return std::vector<std::string>{std::move(key)};
  const int64_t here = log.integer(first + static_cast<int>(info.key.size()));
  const auto add = [&](const RowidIdentity& identity) { append_rowid_part(keys.emplace_back(), identity.life, identity.rowid); };
  if (reused && op == LogOp::update) return keys;  // how it ended is told by what is left of the log
  TRY_ASSIGN(const bool taken, keyless_row_at(here));
  const bool there = taken && !reused;
  // A delete that is half of an UPDATE leaves the row where it is; one that an INSERT follows has that still to come.
  if (op == LogOp::insert || (op == LogOp::remove && !there)) {
    TRY_ASSIGN(const auto former, identity_of(here));
    if (former) {
      add(*former);
      TRY(forget_rowid(keys.back()));
    }
  }
  TRY_ASSIGN(auto identity, identity_of(here));
  if (!identity && (there || (gone_too && op == LogOp::insert))) {
    TRY_ASSIGN(identity, make_identity(here, at));
  }
  if (identity) add(*identity);
  if (identity && reused) TRY(forget_rowid(keys.back()));  // it is not the row that is there
  return keys;
}

Result<bool> Table::read(std::string_view key, std::vector<ValueView>& values) {
  TRY_ASSIGN(Statement* const select, bind_key(read_, read_head_, "", 1, key));
  values.clear();
  if (select == nullptr) return false;
  TRY_ASSIGN(const bool found, select->step());
  if (!found) return false;
  for (size_t i = 0; i < stored_.size(); ++i) values.push_back(select->value(static_cast<int>(i)));
  // A row whose key was NULL and is no longer is another row now: it is known by its key.
  const bool has_key = decoded_.is_rowid && std::none_of(key_in_stored_.begin(), key_in_stored_.end(), [&](int at) {
    return values[static_cast<size_t>(at)].type == ValueType::null;
  });
  return !has_key || info.key.empty();
}

void Table::release() {
  for (Statement* const statement : {&read_.by_key, &read_.by_rowid}) {
    if (*statement) statement->reset();
  }
}

uint64_t Table::hash(const std::vector<ValueView>& values) const { return hash_under(hash_key(), values); }

uint64_t Table::hash_under(const HashKey& key, const std::vector<ValueView>& values) const {
  uint64_t sum = 0;
  for (size_t i = 0; i < stored_.size(); ++i) {
    const Column& column = info.columns[static_cast<size_t>(stored_[i])];
    if (!same_value(values[i], column.default_value)) sum += value_hash(key, column.seed, values[i]);
  }
  return kept_hash(sum);
}

Hash128 Table::digest(const HashKey& seed, const std::vector<ValueView>& values) const {
  Hash128 sum;
  for (size_t i = 0; i < stored_.size(); ++i) {
    const Column& column = info.columns[static_cast<size_t>(stored_[i])];
    if (!same_value(values[i], column.default_value)) add(sum, value_hash128(seed, column.seed, values[i]));
  }
  return sum;
}

bool Table::key_of_values(const std::vector<ValueView>& values, std::string& key) const {
  key.clear();
  for (size_t i = 0; i < info.key.size(); ++i) {
    const ValueView& value = values[static_cast<size_t>(key_in_stored_[i])];
    if (value.type == ValueType::null) return false;
    append_key_part(key, value, info.key[i].collation);
  }
  return !info.key.empty();
}

bool Table::takes_key(std::string_view key) const {
  const auto decoded = decode_key(key);
  if (!decoded) return false;
  return decoded->is_rowid ? info.key_kind == KeyKind::rowid || info.nullable_key : decoded->parts.size() == info.key.size() && !info.key.empty();
}

Result<std::optional<int64_t>> Table::choose_rowid(std::string_view key, const std::set<int64_t>& held) {
  TRY_ASSIGN(const DecodedKey decoded, decode_key(key));
  if (decoded.is_rowid && decoded.rowid.life != kFormerKey) {
    // Under its number at home where that is free here, so that files look alike; else wherever SQLite puts it.
    TRY_ASSIGN(const bool taken, rowid_taken(decoded.rowid.rowid));
    if (!taken && held.count(decoded.rowid.rowid) == 0) {
      TRY_ASSIGN(const auto known, identity_of(decoded.rowid.rowid));
      if (!known) return std::optional(decoded.rowid.rowid);
    }
  }
  if (held.empty() || rowid_.empty() || info.key_kind == KeyKind::rowid_alias) return std::optional<int64_t>{};
  TRY_ASSIGN(const int64_t highest, db_.query_integer("SELECT coalesce(max(" + rowid_ + "), 0) FROM " + quoted_));
  const int64_t last = std::max(highest, *held.rbegin());
  if (last == INT64_MAX) return std::optional<int64_t>{};  // SQLite looks for a free one
  return std::optional(last + 1);
}

template <class F>
Status Table::write(F&& statement) {
  return effects == nullptr ? statement() : effects->write(std::forward<F>(statement));
}

Status Table::insert(std::string_view key, const std::vector<ValueView>& values, std::optional<int64_t> rowid) {
  TRY_ASSIGN(const DecodedKey decoded, decode_key(key));
  if (decoded.is_rowid && !rowid) {
    TRY_ASSIGN(rowid, choose_rowid(key, {}));
  }
  Statement& row = rowid ? insert_at_ : insert_;
  if (!row) {
    TRY_ASSIGN(row, db_.prepare("INSERT OR ABORT INTO " + quoted_ + "(" + (rowid ? rowid_ + ", " : std::string()) +
                                      column_list_ + ") VALUES(" + parameters(1, stored_.size() + (rowid ? 1 : 0)) + ")", true));
  }
  TRY(write([&] {
    int first = 1;
    if (rowid) row.bind(first++, *rowid);
    for (const ValueView& value : values) row.bind(first++, value);
    return row.run();
  }));
  if (decoded.is_rowid) {
    // Where it was known to be before, it may have gone unseen.
    const int64_t here = rowid ? *rowid : sqlite3_last_insert_rowid(db_.get());
    TRY_ASSIGN(const auto known, rowid_here(decoded.rowid));
    if (known != here) TRY(adopt_rowid(key, here));
  }
  return ok();
}

Result<bool> Table::update(std::string_view key, const std::vector<ValueView>& values) {
  bool there = false;
  TRY(write([&]() -> Status {
    TRY_ASSIGN(Statement* const row, bind_key(update_, update_head_, "", static_cast<int>(stored_.size()) + 1, key));
    if (row == nullptr) return ok();  // REPLACE put it out unseen, and another row has its rowid
    for (size_t i = 0; i < values.size(); ++i) row->bind(static_cast<int>(i) + 1, values[i]);
    TRY(row->run());
    there = sqlite3_changes(db_.get()) != 0;
    return ok();
  }));
  return there;
}

Status Table::remove(std::string_view key) {
  return write([&]() -> Status {
    TRY_ASSIGN(Statement* const row, bind_key(remove_, remove_head_, "", 1, key));
    return row == nullptr ? ok() : row->run();
  });
}

Result<std::optional<int64_t>> Table::rowid_to_keep(std::string_view key) {
  if (rowid_.empty() || info.key_kind == KeyKind::rowid_alias) return std::optional<int64_t>{};
  TRY_ASSIGN(Statement* const select, bind_key(rowid_of_, rowid_head_, "", 1, key));
  if (select == nullptr) return std::optional<int64_t>{};
  TRY_ASSIGN(const bool found, select->step());
  std::optional<int64_t> rowid;
  if (found) rowid = select->integer(0);
  sqlite3_reset(select->get());
  return rowid;
}

Result<bool> Table::scan(Position& position, int64_t limit, bool make_identities, const RowFn& fn) {
  const bool by_rowid = !rowid_.empty();
  std::string order = rowid_;
  if (!by_rowid) {
    for (const KeyColumn& key : info.key) {
      order += (order.empty() ? "" : ", ") + quote_identifier(info.columns[static_cast<size_t>(key.column)].name);
    }
  }
  const std::string head = "SELECT " + (by_rowid ? rowid_ + ", " : std::string()) + column_list_ + " FROM " + quoted_;
  const size_t bound = by_rowid ? 1 : info.key.size();
  const std::string where = position.started ? " WHERE (" + order + ") > (" + parameters(2, bound) + ")" : "";
  TRY_ASSIGN(Statement select, db_.prepare(head + where + " ORDER BY " + order + " LIMIT ?1"));
  select.bind(1, limit);
  const std::string after_key = position.key;  // position moves on while its start is still bound
  DecodedKey after;
  if (position.started && by_rowid) {
    select.bind(2, position.rowid);
  } else if (position.started) {
    TRY_ASSIGN(after, decode_key(after_key));
    for (size_t i = 0; i < after.parts.size(); ++i) select.bind(2 + static_cast<int>(i), after.parts[i]);
  }
  std::vector<ValueView> values;
  std::string key;
  int64_t seen = 0;
  for (;; ++seen) {
    TRY_ASSIGN(const bool more, select.step());
    if (!more) break;
    values.clear();
    const int first = by_rowid ? 1 : 0;
    for (size_t i = 0; i < stored_.size(); ++i) values.push_back(select.value(first + static_cast<int>(i)));
    const int64_t rowid = by_rowid ? select.integer(0) : 0;
    if (!key_of_values(values, key)) {
      TRY_ASSIGN(auto identity, identity_of(rowid));
      if (!identity && make_identities) {
        TRY_ASSIGN(identity, make_identity(rowid, std::nullopt));
      }
      key.clear();
      append_rowid_part(key, identity ? identity->life : life_.number, identity ? identity->rowid : rowid);
    }
    position.started = true;
    position.rowid = rowid;
    if (!by_rowid) position.key = key;
    TRY(fn(key, values));
  }
  return seen < limit;
}

std::optional<uint64_t> Table::unique_hash(const UniqueIndex& index, const Statement& row) const {
  std::string bytes;
  for (size_t term = 0; term < index.terms.size(); ++term) {
    const ValueView part = row.value(static_cast<int>(term));
    if (part.type == ValueType::null) return std::nullopt;
    append_key_part(bytes, part, index.collations[term]);
  }
  return kept_hash(siphash(hash_key(), index.id, bytes));
}

Result<Table::UniqueValue> Table::unique_value(size_t index, std::string_view key) {
  UniqueRead& read = unique_[index];
  UniqueValue value{info.unique[index].id, std::nullopt};
  TRY_ASSIGN(Statement* const select, bind_key(read.slots, read.head, read.tail, 1, key));
  if (select == nullptr) return value;
  TRY_ASSIGN(const bool found, select->step());
  if (found) value.hash = unique_hash(info.unique[index], *select);
  sqlite3_reset(select->get());
  return value;
}

Result<std::vector<Table::UniqueValue>> Table::unique_values(std::string_view key) {
  std::vector<UniqueValue> out;
  for (size_t i = 0; i < info.unique.size(); ++i) {
    TRY_ASSIGN(const UniqueValue value, unique_value(i, key));
    out.push_back(value);
  }
  return out;
}

Probe& Table::probe() {
  if (!probe_) probe_ = std::make_unique<Probe>(*this);
  return *probe_;
}

}  // namespace marmot::replica
