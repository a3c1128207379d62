#include "common/replica/store.hpp"

#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

Result<Statement*> Store::statement(std::string_view sql) {
  auto found = statements_.find(sql.data());
  if (found == statements_.end()) {
    TRY_ASSIGN(Statement prepared, db_->prepare(sql, true));
    found = statements_.emplace(sql.data(), std::move(prepared)).first;
  } else {
    sqlite3_reset(found->second.get());
  }
  return &found->second;
}

Result<int64_t> Store::integer(std::string_view sql) {
  TRY_ASSIGN(Statement* const select, statement(sql));
  TRY_ASSIGN(const bool found, select->step());
  if (!found) return make_error(Errc::not_found, "no row from: " + std::string(sql));
  const int64_t value = select->integer(0);
  sqlite3_reset(select->get());
  return value;
}

Result<std::optional<int64_t>> Store::meta_integer(std::string_view key) {
  TRY_ASSIGN(Statement* const get, statement(sql::kMetaGet));
  get->bind(1, key);
  TRY_ASSIGN(const bool found, get->step());
  std::optional<int64_t> value;
  if (found && !get->is_null(0)) value = get->integer(0);
  get->reset();
  return value;
}

Result<std::string> Store::meta_text(std::string_view key) {
  TRY_ASSIGN(Statement* const get, statement(sql::kMetaGet));
  get->bind(1, key);
  TRY_ASSIGN(const bool found, get->step());
  std::string value;
  if (found) value = std::string(get->text(0));
  get->reset();
  return value;
}

Status Store::set_meta(std::string_view key, int64_t value) {
  TRY_ASSIGN(Statement* const set, statement(sql::kMetaSet));
  set->bind(1, key).bind(2, value);
  return set->run();
}

Status Store::set_meta(std::string_view key, std::string_view value) {
  TRY_ASSIGN(Statement* const set, statement(sql::kMetaSet));
  set->bind(1, key).bind(2, value);
  return set->run();
}

Status Store::load_hash_key() {
  TRY_ASSIGN(const std::string text, meta_text(meta::kHashKey));
  const auto key = parse_hash_key(text);
  if (!key) return make_error(Errc::corrupt, "__marmot_meta: hash_key is '" + text + "', and not 32 hexadecimal digits");
  hash_key = *key;
  return ok();
}

Status Store::keep_hash_key(const HashKey& key) {
  TRY(set_meta(meta::kHashKey, to_text(key)));
  hash_key = key;
  return ok();
}

Status Store::load_origins() {
  if (origins_loaded_) return ok();
  TRY_ASSIGN(Statement* const all, statement(sql::kSelectOrigins));
  for (;;) {
    TRY_ASSIGN(const bool more, all->step());
    if (!more) break;
    const Origin origin{NodeId{static_cast<uint64_t>(all->integer(1))}, Incarnation{static_cast<uint64_t>(all->integer(2))}};
    origins_[origin] = OriginRow{all->integer(0), static_cast<uint64_t>(all->integer(3))};
    origins_by_id_[all->integer(0)] = origin;
  }
  origins_loaded_ = true;
  return ok();
}

void Store::forget() {
  origins_loaded_ = false;
  origins_.clear();
  origins_by_id_.clear();
}

Result<Store::OriginRow> Store::origin(const Origin& origin) {
  TRY(load_origins());
  const auto found = origins_.find(origin);
  if (found != origins_.end()) return found->second;
  TRY_ASSIGN(Statement* const insert, statement(sql::kInsertOrigin));
  insert->bind(1, static_cast<int64_t>(origin.node.value)).bind(2, static_cast<int64_t>(origin.incarnation.value)).bind(3, int64_t{0});
  TRY_ASSIGN(const bool made, insert->step());
  assert(made);
  (void)made;
  const OriginRow row{insert->integer(0), 0};
  TRY(insert->run());
  origins_[origin] = row;
  origins_by_id_[row.id] = origin;
  return row;
}

Result<uint64_t> Store::units_of(const Origin& origin) {
  TRY(load_origins());
  const auto found = origins_.find(origin);
  return found == origins_.end() ? 0 : found->second.unit;
}

Result<Origin> Store::origin_of(int64_t id) {
  if (id == 0) return Origin{};
  TRY(load_origins());
  const auto found = origins_by_id_.find(id);
  if (found == origins_by_id_.end()) {
    return make_error(Errc::corrupt, "__marmot_origin has no row " + std::to_string(id) + ", which __marmot_version names");
  }
  return found->second;
}

Result<Version> Store::version(int64_t hlc, int64_t origin) {
  TRY_ASSIGN(const Origin of, origin_of(origin));
  return Version{Hlc::from_stored(hlc), of};
}

Result<std::optional<Version>> Store::version_in(Statement& select) {
  TRY_ASSIGN(const bool found, select.step());
  if (!found) return std::optional<Version>{};
  const int64_t hlc = select.integer(0), origin = select.integer(1);
  select.reset();
  TRY_ASSIGN(const Version out, version(hlc, origin));
  return std::optional{out};
}

Status Store::set_unit(const Origin& origin, uint64_t unit) {
  TRY_ASSIGN(const OriginRow row, this->origin(origin));
  TRY_ASSIGN(Statement* const update, statement(sql::kUpdateOrigin));
  update->bind(1, row.id).bind(2, static_cast<int64_t>(unit));
  TRY(update->run());
  origins_[origin].unit = unit;
  return ok();
}

Result<std::optional<Register>> Store::find(int64_t table, std::string_view key) {
  TRY_ASSIGN(Statement* const select, statement(sql::kSelectVersion));
  select->bind(1, table).bind_blob(2, key);
  TRY_ASSIGN(const bool found, select->step());
  if (!found) return std::optional<Register>{};
  Register out;
  out.version.hlc = Hlc::from_stored(select->integer(0));
  out.origin_id = select->integer(1);
  if (!select->is_null(2)) out.seq = static_cast<StreamSeq>(select->integer(2));
  out.hash = static_cast<uint64_t>(select->integer(3));
  out.state = static_cast<RowState>(select->integer(4));
  sqlite3_reset(select->get());
  TRY_ASSIGN(out.version.origin, origin_of(out.origin_id));
  return std::optional<Register>{out};
}

Status Store::put(int64_t table, std::string_view key, bool exists, const Version& version, std::optional<StreamSeq> seq,
                  uint64_t hash, RowState state) {
  TRY_ASSIGN(const OriginRow origin_row, origin(version.origin));
  TRY_ASSIGN(Statement* const write, statement(exists ? sql::kUpdateVersion : sql::kInsertVersion));
  write->bind(1, table).bind_blob(2, key).bind(3, version.hlc.stored()).bind(4, origin_row.id);
  if (seq) write->bind(5, static_cast<int64_t>(*seq));
  else write->bind_null(5);
  write->bind(6, static_cast<int64_t>(hash)).bind(7, static_cast<int64_t>(state));
  return write->run();
}

Status Store::remove(int64_t table, std::string_view key) {
  TRY_ASSIGN(Statement* const remove, statement(sql::kDeleteVersion));
  remove->bind(1, table).bind_blob(2, key);
  return remove->run();
}

Status Store::unmark(int64_t table, std::string_view key) {
  TRY_ASSIGN(Statement* const unmark, statement(sql::kUnmarkVersion));
  unmark->bind(1, table).bind_blob(2, key);
  return unmark->run();
}

Status Store::mark(int64_t table, std::string_view key, StreamSeq seq) {
  TRY_ASSIGN(Statement* const mark, statement(sql::kMarkVersion));
  mark->bind(1, table).bind_blob(2, key).bind(3, static_cast<int64_t>(seq));
  return mark->run();
}

Status Store::set_state(int64_t table, std::string_view key, RowState state) {
  TRY_ASSIGN(Statement* const set, statement(sql::kSetRowState));
  set->bind(1, table).bind_blob(2, key).bind(3, static_cast<int64_t>(state));
  return set->run();
}

}  // namespace marmot::replica
