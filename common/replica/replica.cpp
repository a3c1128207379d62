#include "common/replica/replica.hpp"

#include "common/replica/capture.hpp"
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

std::string_view op_name(Op op) {
  switch (op) {
    case Op::insert: return "insert";
    case Op::update: return "update";
    case Op::remove: return "delete";
  }
  return "?";
}

Status Replica::Impl::load_state(Hlc high_water) {
  TRY_ASSIGN(const auto format, store.meta_integer(meta::kFormat));
  if (format && *format > meta::kFormatVersion) {
    return make_error(Errc::newer_format, "the file was written by a later Marmot (internal tables of format " +
                                              std::to_string(*format) + ", this one knows " +
                                              std::to_string(meta::kFormatVersion) + "): install that version");
  }
  if (!format) TRY(store.set_meta(meta::kFormat, meta::kFormatVersion));
  TRY_ASSIGN(const auto hlc, store.meta_integer(meta::kHlc));
  const Hlc kept{static_cast<uint64_t>(hlc.value_or(0))};
  state.clock = HlcClock(std::max(kept, high_water));
  TRY_ASSIGN(const auto stream, store.meta_integer(meta::kStreamId));
  state.position.stream_id = static_cast<uint64_t>(stream.value_or(0));
  TRY_ASSIGN(const auto seq, store.meta_integer(meta::kCursorSeq));
  state.position.seq = static_cast<StreamSeq>(seq.value_or(0));
  TRY_ASSIGN(state.position.msg_id, store.meta_text(meta::kCursorMsgId));
  TRY_ASSIGN(const auto membership, store.meta_integer(meta::kMembership));
  state.membership = static_cast<Membership>(membership.value_or(0));
  TRY_ASSIGN(const auto join_end, store.meta_integer(meta::kJoinEnd));
  state.join_end = static_cast<StreamSeq>(join_end.value_or(0));
  TRY_ASSIGN(const auto trimmed, store.meta_integer(meta::kTrimmed));
  state.trimmed = trimmed.value_or(0) != 0;
  // Whatever a former life left unacknowledged is due; what this one drains is sent as it is drained.
  state.start_outbox();
  return ok();
}

Status Replica::Impl::save_state(const State& before) {
  if (state.clock.last() != before.clock.last()) TRY(store.set_meta(meta::kHlc, static_cast<int64_t>(state.clock.last().value)));
  if (state.position.stream_id != before.position.stream_id) {
    TRY(store.set_meta(meta::kStreamId, static_cast<int64_t>(state.position.stream_id)));
  }
  if (state.position.seq != before.position.seq || state.position.msg_id != before.position.msg_id) {
    TRY(store.set_meta(meta::kCursorSeq, static_cast<int64_t>(state.position.seq)));
    TRY(store.set_meta(meta::kCursorMsgId, state.position.msg_id));
  }
  if (state.membership != before.membership) TRY(store.set_meta(meta::kMembership, static_cast<int64_t>(state.membership)));
  if (state.join_end != before.join_end) TRY(store.set_meta(meta::kJoinEnd, static_cast<int64_t>(state.join_end)));
  return ok();
}

void Replica::Impl::roll_back_memory(const State& saved) {
  state = saved;
  store.forget();
  if (!tables_dirty) return;
  // Read again from the file as it is now; if even that fails, the next transaction does it.
  tables_dirty = false;
  schema_version = -1;
}

Replica::Replica(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Replica::~Replica() = default;
Replica::Replica(Replica&&) noexcept = default;
Replica& Replica::operator=(Replica&&) noexcept = default;

Result<Replica> Replica::open(sqlite::Database db, Settings settings, Environment environment, Identity identity) {
  auto impl = std::make_unique<Impl>(std::move(db), std::move(settings), std::move(environment), identity);
  sqlite3* const handle = impl->db.get();
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_FKEY, 0, nullptr);
  TRY(impl->db.exec("PRAGMA ignore_check_constraints = ON; PRAGMA recursive_triggers = OFF"));
  TRY(impl->write(false, nullptr, [&]() -> Status {
    TRY_IN("create internal tables", install(impl->db));
    TRY(impl->load_state(identity.high_water));
    // Sent by a former life, perhaps not received.
    TRY(impl->db.exec("UPDATE __marmot_table SET seq = NULL WHERE seq = 0"));
    // Rows found now are baseline rows: baseline() gives them their versions.
    return impl->schema_changed(nullptr);
  }));
  return Replica(std::move(impl));
}

Membership Replica::membership() const { return impl_->state.membership; }
Position Replica::position() const { return impl_->state.position; }
Hlc Replica::last_hlc() const { return impl_->state.clock.last(); }
Origin Replica::origin() const { return impl_->self; }
void Replica::trace(bool on) { impl_->tracing = on; }
void Replica::set_max_message(size_t bytes) { impl_->settings.max_message = bytes; }
sqlite::Database& Replica::database() { return impl_->db; }

Result<bool> Replica::has_work() {
  Impl& impl = *impl_;
  TRY_ASSIGN(const int64_t data_version, impl.store.integer("PRAGMA data_version"));
  if (data_version == impl.data_version) return false;
  TRY_ASSIGN(const int64_t log, impl.store.integer("SELECT EXISTS(SELECT 1 FROM __marmot_log)"));
  TRY_ASSIGN(const int64_t schema, impl.store.integer("PRAGMA schema_version"));
  if (log != 0 || schema != impl.schema_version) return true;  // asked again until a drain has taken it
  impl.data_version = data_version;
  return false;
}

Result<Counters> Replica::counters() {
  TRY_ASSIGN(Statement* const select, impl_->store.statement(sql::kCounters));
  TRY_ASSIGN(const bool found, select->step());
  assert(found);
  (void)found;
  const Counters out{select->integer(0), select->integer(1), select->integer(2), select->integer(3), select->integer(4), select->integer(5),
                     impl_->split_units};
  sqlite3_reset(select->get());
  return out;
}

std::vector<StoppedTable> Replica::stopped() const {
  std::vector<StoppedTable> out;
  for (const auto& table : impl_->tables) {
    if (table->stopped) out.push_back(StoppedTable{table->info.name, *table->stopped});
  }
  return out;
}

std::vector<std::string> Replica::watched() const {
  std::vector<std::string> out;
  for (const auto& table : impl_->tables) out.push_back(table->info.name);
  return out;
}

}  // namespace marmot::replica
