#include "common/base/mutation.hpp"
#include "common/replica/replica.hpp"

#include "common/replica/capture.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/merge.hpp"
#include "common/replica/probe.hpp"
#include "common/replica/quarantine.hpp"
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

Status Replica::Impl::load_state(const Identity& identity) {
  TRY_ASSIGN(const auto format, store.meta_integer(meta::kFormat));
  if (format && *format > meta::kFormatVersion) {
    return make_error(Errc::newer_format, "the file was written by a later Marmot (internal tables of format " +
                                              std::to_string(*format) + ", this one knows " +
                                              std::to_string(meta::kFormatVersion) + "): install that version");
  }
  if (format && *format < meta::kOldestFormat) {
    return make_error(Errc::refused, "the file was written by an earlier Marmot (internal tables of format " + std::to_string(*format) +
                                         ", this one knows " + std::to_string(meta::kFormatVersion) + "), from before the first release: its rows"
                                         " are hashed otherwise. `marmot cleanup` takes that Marmot's tables away and leaves yours; do it once all"
                                         " that this file holds has reached the others, then start again");
  }
  if (!format) TRY(store.keep_hash_key(identity.hash_key));
  if (format != meta::kFormatVersion) TRY(store.set_meta(meta::kFormat, meta::kFormatVersion));
  TRY(store.load_hash_key());
  state.hash_key = store.hash_key;
  TRY_ASSIGN(const auto life, store.meta_integer(meta::kRowLife));
  TRY_ASSIGN(const auto dated, store.meta_integer(meta::kDatedLife));
  state.life = RowLife{NodeId{static_cast<uint64_t>(life.value_or(0))}, life == dated};
  if (std::find(identity.lives.begin(), identity.lives.end(), state.life.number) != identity.lives.end()) former_lives = identity.lives;
  TRY_ASSIGN(const int64_t logged, store.integer("SELECT EXISTS(SELECT 1 FROM __marmot_log)"));
  const bool put_back = !former_nodes.empty();  // a copy of what stood here before: nobody goes on with its log
  if (!life || (identity.copied && !put_back) || logged == 0) TRY(begin_life());
  TRY_ASSIGN(const auto hlc, store.meta_integer(meta::kHlc));
  const Hlc kept{static_cast<uint64_t>(hlc.value_or(0))};
  state.file_hlc = kept;
  state.clock = HlcClock(kept);
  state.clock.observe(identity.high_water);
  TRY_ASSIGN(const auto seen, store.meta_integer(meta::kSeenHlc));
  if (seen) {
    state.stream.seen.value = static_cast<uint64_t>(*seen);
  } else if (format) {  // an earlier Marmot's
    TRY_ASSIGN(const int64_t newest, store.integer(sql::kNewestSeen));
    state.stream.seen.value = static_cast<uint64_t>(newest);
  }
  if (!seen) TRY(store.set_meta(meta::kSeenHlc, static_cast<int64_t>(state.stream.seen.value)));
  TRY_ASSIGN(const auto bound, store.meta_integer(meta::kClockBound));
  state.stream.bound = bound.value_or(0);
  opened_at = std::max<WallMs>(env.now(), 0);
  state.ids_lost = format && (kept < identity.high_water || identity.older || identity.copied);
  TRY_ASSIGN(const auto stream, store.meta_integer(meta::kStreamId));
  state.position.stream_id = static_cast<uint64_t>(stream.value_or(0));
  TRY_ASSIGN(const auto seq, store.meta_integer(meta::kCursorSeq));
  state.position.seq = static_cast<StreamSeq>(seq.value_or(0));
  TRY_ASSIGN(state.position.msg_id, store.meta_text(meta::kCursorMsgId));
  TRY_ASSIGN(const auto cursor_at, store.meta_integer(meta::kCursorAt));
  state.position.at = cursor_at.value_or(0);
  TRY_ASSIGN(const auto stream_time, store.meta_integer(meta::kStreamTime));
  state.stream.time = std::max<WallMs>(stream_time.value_or(state.position.at), 0);
  TRY_ASSIGN(const auto membership, store.meta_integer(meta::kMembership));
  state.membership = static_cast<Membership>(membership.value_or(0));
  TRY_ASSIGN(const auto join_end, store.meta_integer(meta::kJoinEnd));
  state.join_end = static_cast<StreamSeq>(join_end.value_or(0));
  TRY_ASSIGN(const auto trimmed, store.meta_integer(meta::kTrimmed));
  state.trimmed = trimmed.value_or(0) != 0;
  TRY_ASSIGN(const auto floor_seq, store.meta_integer(meta::kFloorSeq));
  TRY_ASSIGN(const auto floor_hlc, store.meta_integer(meta::kFloorHlc));
  TRY_ASSIGN(const auto floor_seen, store.meta_integer(meta::kFloorSeen));
  state.floor = Floor{static_cast<StreamSeq>(floor_seq.value_or(0)), Hlc{static_cast<uint64_t>(floor_hlc.value_or(0))}};
  TRY_ASSIGN(const auto pruned_hlc, store.meta_integer(meta::kPrunedHlc));
  state.pruned_hlc.value = static_cast<uint64_t>(pruned_hlc.value_or(0));
  state.floor_seen.value = static_cast<uint64_t>(floor_seen.value_or(0));
  TRY_ASSIGN(const auto gap_first, store.meta_integer(meta::kGapFirst));
  TRY_ASSIGN(const auto gap_last, store.meta_integer(meta::kGapLast));
  state.gap = Gap{static_cast<StreamSeq>(gap_first.value_or(0)), static_cast<StreamSeq>(gap_last.value_or(0))};
  TRY_ASSIGN(const auto fence, store.meta_integer(meta::kFence));
  state.fence = static_cast<StreamSeq>(fence.value_or(0));
  state.floor_due = state.floor.hlc > state.floor_seen;
  TRY_ASSIGN(const auto reread, store.meta_integer(meta::kReread));
  state.reread = reread.value_or(0) != 0;
  state.prune_due = state.floor.seq > 0;
  TRY(load_resets());
  TRY_ASSIGN(state.touched, true_time(Hlc{INT64_MAX}));
  TRY(load_passed_over());
  TRY_ASSIGN(state.shelved, store.integer(sql::kShelfCount));
  state.retire_due = state.shelved > 0;
  // Whatever a former life left unacknowledged is due; what this one drains is sent as it is drained.
  state.start_outbox();
  return ok();
}

// In the transaction that finds the log empty: so a log row behind it is named by this life, however often it is drained because
// the file was rolled back, and one before it by the former one.
Status Replica::Impl::begin_life() {
  if (state.life.number == new_life) return ok();
  state.life = RowLife{new_life};
  TRY(store.set_meta(meta::kRowLife, static_cast<int64_t>(new_life.value)));
  return store.set_meta(meta::kDatedLife, static_cast<int64_t>(new_life.value));
}

// Restored from a backup under a running agent, the file has forgotten what memory takes for kept. Only a new incarnation
// may write it: versions of this one may have been given to other contents.
Status Replica::Impl::check_file() {
  if (!loaded) return ok();
  const auto stream = store.meta_integer(meta::kStreamId);
  const auto seq = store.meta_integer(meta::kCursorSeq);
  const auto hlc = store.meta_integer(meta::kHlc);
  if (stream && seq && hlc && stream->value_or(0) == static_cast<int64_t>(state.position.stream_id) &&
      seq->value_or(0) == static_cast<int64_t>(state.position.seq) && hlc->value_or(0) == static_cast<int64_t>(state.file_hlc.value)) {
    return ok();
  }
  for (const auto* read : {&stream, &seq, &hlc}) {
    if (!*read && read->error().code != Errc::schema) return read->error();  // schema: no such table
  }
  return make_error(Errc::stale, "the file was rolled back or replaced while the agent ran");
}

Status Replica::Impl::save_state(const State& before) {
  if (state.clock.last() != before.clock.last()) {
    TRY(store.set_meta(meta::kHlc, static_cast<int64_t>(state.clock.last().value)));
    state.file_hlc = state.clock.last();
  }
  if (state.stream.seen != before.stream.seen) TRY(store.set_meta(meta::kSeenHlc, static_cast<int64_t>(state.stream.seen.value)));
  if (state.stream.time != before.stream.time) TRY(store.set_meta(meta::kStreamTime, state.stream.time));
  if (state.stream.bound != before.stream.bound) TRY(store.set_meta(meta::kClockBound, state.stream.bound));
  if (state.position.stream_id != before.position.stream_id) {
    TRY(store.set_meta(meta::kStreamId, static_cast<int64_t>(state.position.stream_id)));
  }
  if (state.position.seq != before.position.seq || state.position.msg_id != before.position.msg_id) {
    TRY(store.set_meta(meta::kCursorSeq, static_cast<int64_t>(state.position.seq)));
    TRY(store.set_meta(meta::kCursorMsgId, state.position.msg_id));
    TRY(store.set_meta(meta::kCursorAt, state.position.at));
  }
  if (state.floor.seq != before.floor.seq) TRY(store.set_meta(meta::kFloorSeq, static_cast<int64_t>(state.floor.seq)));
  if (state.floor.hlc != before.floor.hlc) TRY(store.set_meta(meta::kFloorHlc, static_cast<int64_t>(state.floor.hlc.value)));
  if (state.pruned_hlc != before.pruned_hlc) TRY(store.set_meta(meta::kPrunedHlc, static_cast<int64_t>(state.pruned_hlc.value)));
  if (state.floor_seen != before.floor_seen) TRY(store.set_meta(meta::kFloorSeen, static_cast<int64_t>(state.floor_seen.value)));
  if (state.gap.first != before.gap.first) TRY(store.set_meta(meta::kGapFirst, static_cast<int64_t>(state.gap.first)));
  if (state.gap.last != before.gap.last) TRY(store.set_meta(meta::kGapLast, static_cast<int64_t>(state.gap.last)));
  if (state.fence != before.fence) TRY(store.set_meta(meta::kFence, static_cast<int64_t>(state.fence)));
  if (state.reread != before.reread) TRY(store.set_meta(meta::kReread, int64_t{state.reread ? 1 : 0}));
  if (state.membership != before.membership) TRY(store.set_meta(meta::kMembership, static_cast<int64_t>(state.membership)));
  if (state.join_end != before.join_end) TRY(store.set_meta(meta::kJoinEnd, static_cast<int64_t>(state.join_end)));
  return ok();
}

Status Replica::Impl::tell_again(std::string_view where) {
  tables_dirty = true;
  for (const char* kept : {"schema", "slot", "geometry", "handled"}) TRY(db.exec("UPDATE __marmot_" + std::string(kept) + " SET seq = NULL " + std::string(where)));
  TRY_ASSIGN(const int64_t handled, store.integer(sql::kHandledAnyUnsent));
  state.handled_due = state.handled_due || handled != 0;
  TRY(registers.load());
  return dealt.load();
}

void Replica::Impl::roll_back_memory(const State& saved) {
  state = saved;
  for (const auto& table : tables) table->id_use.forget_transaction();
  for (; !paces_before.empty(); paces_before.pop_back()) {
    Table* const table = table_by_id(paces_before.back().first);
    if (table != nullptr) table->id_use.pace = paces_before.back().second;
  }
  store.forget();
  store.hash_key = state.hash_key;
  if (brought_along_made) forget_brought_along();
  for (const auto& [table, row] : given_out) brought_along[table].insert(row);
  if (!tables_dirty) return;
  // Read again from the file as it is now; if even that fails, the next transaction does it.
  tables_dirty = false;
  schema_version = -1;
}

Replica::Impl::Impl(sqlite::Database database, Settings s, Environment e, Identity identity)
    : db(std::move(database)), settings(std::move(s)), env(std::move(e)), self{identity.node, identity.incarnation},
      former_nodes(std::move(identity.former)), new_life(life_of(self)), store(db), registers(db), dealt(db) {
  effects.left_out = [this](const Effects::LeftOut& effect) { tell_left_out(effect); };
}
Replica::Impl::~Impl() = default;

Replica::Replica(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Replica::~Replica() = default;
Replica::Replica(Replica&&) noexcept = default;
Replica& Replica::operator=(Replica&&) noexcept = default;

namespace {

// A table of the cluster's that the settings choose, and that is not here or is here in a former shape: in former lives of this file
// they chose otherwise.
Result<bool> lacks_what_is_chosen(Replica::Impl& impl) {
  for (const TableSpec& spec : impl.registers.tables()) {
    if (spec.dropped() || !impl.chooses(spec.name)) continue;
    const bool here = std::any_of(impl.tables.begin(), impl.tables.end(), [&](const auto& table) {
      return table->permanent_id && impl.registers.root_of(*table->permanent_id) == spec.root;
    });
    if (!here) return true;
  }
  TRY_ASSIGN(const bool fit, impl.schema_fits());
  return !fit;
}

}  // namespace

Result<Replica> Replica::open(sqlite::Database db, Settings settings, Environment environment, Identity identity) {
  auto impl = std::make_unique<Impl>(std::move(db), std::move(settings), std::move(environment), identity);
  sqlite3* const handle = impl->db.get();
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, mutated(Mutation::user_triggers) ? 1 : 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_FKEY, 0, nullptr);
  TRY(impl->db.exec("PRAGMA ignore_check_constraints = ON; PRAGMA recursive_triggers = OFF"));
  TRY_IN("attach", Probe::attach(impl->db));
  TRY(impl->make_lowering_functions());
  const auto prepare = [&]() -> Status {
    TRY_IN("create internal tables", install(impl->db));
    TRY_IN("shorten the quarantine", shorten_quarantine(impl->db));
    if (!mutated(Mutation::text_by_sqlite)) TRY(impl->db.learn_encoding());
    TRY(impl->load_state(identity));
    impl->loaded = true;
    // Sent by a former life, perhaps not received.
    TRY(impl->tell_again("WHERE seq = 0"));
    TRY(impl->send_former_again());
    // Rows of tables that are new are baseline rows: baseline() gives them their versions. What is found changed in a table
    // that was rebuilt goes out with the outbox.
    TouchedKeys touched;
    TRY(impl->schema_changed(touched));
    TRY(impl->drain_touched(touched, nullptr, nullptr));
    impl->state.half_told = impl->state.membership == Membership::member && !impl->registers.unsent().empty();
    TRY_ASSIGN(const bool wait, impl->numbers_wait());
    TRY_ASSIGN(const bool lacks, lacks_what_is_chosen(*impl));
    if (wait || lacks) {  // for what could not be made in a former life: perhaps it can now
      TRY(impl->migrate());
      TRY(impl->refresh_schema());
    }
    impl->state.start_outbox();
    impl->state.outbox_again = false;  // whoever opened it asks in time
    return ok();
  };
  for (size_t failed = 0;; failed = impl->fill_again.size()) {
    const Status prepared = impl->write(false, nullptr, prepare);
    if (prepared) break;
    if (impl->fill_again.size() == failed) return prepared.error();
    impl->loaded = false;
  }
  impl->opened = true;
  return Replica(std::move(impl));
}

Membership Replica::membership() const { return impl_->state.membership; }
HashKey Replica::hash_key() const { return impl_->state.hash_key; }
Position Replica::position() const { return impl_->state.position; }
Hlc Replica::last_hlc() const { return impl_->state.clock.last(); }
WallMs Replica::now() const { return impl_->env.now(); }
Origin Replica::origin() const { return impl_->self; }
void Replica::follows_to(StreamSeq end) { impl_->follows_to = end; }
void Replica::trace(bool on) { impl_->tracing = on; }
void Replica::set_max_message(size_t bytes) { impl_->settings.max_message = bytes; }
sqlite::Database& Replica::database() { return impl_->db; }

Result<uint64_t> Replica::own_units() { return impl_->store.units_of(impl_->self); }
bool Replica::being_copied() const { return impl_->copies.use_count() > 1; }
bool Replica::wants_echoes() const {
  const Impl::State& state = impl_->state;
  return state.shelved > 0 || state.ids_unit != 0 || state.reread || state.membership != Membership::member;
}

Result<int64_t> Replica::data_version() { return impl_->store.integer("PRAGMA data_version"); }

Result<int64_t> Replica::undrained() {
  TRY_ASSIGN(Statement* const range, impl_->store.statement(sql::kLogRange));
  TRY_ASSIGN(const bool found, range->step());
  const int64_t rows = found && !range->is_null(0) ? range->integer(1) - range->integer(0) + 1 : 0;
  sqlite3_reset(range->get());
  return rows;
}

Result<bool> Replica::has_work() {
  Impl& impl = *impl_;
  TRY(impl.trusted());
  if (!impl.state.lost_lately.empty()) impl.tell_lost();
  if (impl.may_retire()) return true;
  TRY_ASSIGN(const int64_t data_version, this->data_version());
  if (impl.state.prune_due && impl.state.membership == Membership::member) return true;
  const bool tells = impl.registers.has_unsent() || impl.has_former_numbers() || impl.dealt.has_unsent() || impl.says_ids() || impl.says_handled() || impl.adoption_is_due();
  if (impl.state.membership == Membership::member && tells) return true;
  if (data_version == impl.data_version) return false;
  TRY(impl.check_file());  // whoever put another state there need not have logged anything
  TRY_ASSIGN(const int64_t handled, impl.store.integer(sql::kHandledAnyUnsent));
  impl.state.handled_due = impl.state.handled_due || handled != 0;
  if (impl.state.membership == Membership::member && impl.says_handled()) return true;
  if (impl.state.shelved > 0) {
    TRY_ASSIGN(const int64_t discarded, impl.store.integer(sql::kShelfDiscarded));
    impl.state.retire_due = impl.state.retire_due || discarded != 0;
    if (impl.may_retire()) return true;
  }
  TRY_ASSIGN(const int64_t log, impl.store.integer("SELECT EXISTS(SELECT 1 FROM __marmot_log)"));
  TRY_ASSIGN(const int64_t schema, impl.store.integer("PRAGMA schema_version"));
  TRY_ASSIGN(const bool numbers, impl.numbers_moved());
  if (log != 0 || schema != impl.schema_version || numbers) return true;  // asked again until a drain has taken it
  TRY_ASSIGN(const bool ids, impl.ids_moved_back());
  if (ids) return true;
  impl.data_version = data_version;
  return false;
}

std::set<std::string> Replica::take_schema_changes() { return std::exchange(impl_->state.schema_changes, {}); }

Result<Counters> Replica::counters() {
  TRY_ASSIGN(Statement* const select, impl_->store.statement(sql::kCounters));
  TRY_ASSIGN(const bool found, select->step());
  assert(found);
  (void)found;
  Counters out{select->integer(0), select->integer(1), select->integer(2), select->integer(3), select->integer(4), select->integer(5),
               select->integer(6), 0, impl_->split_units, select->integer(7)};
  sqlite3_reset(select->get());
  TRY_ASSIGN(const auto dropped, impl_->store.meta_integer(meta::kConflictsDropped));
  out.conflicts_dropped = dropped.value_or(0);
  return out;
}

std::vector<StoppedTable> Replica::stopped() const {
  std::vector<StoppedTable> out;
  for (const auto& table : impl_->tables) {
    if (table->stopped) out.push_back(StoppedTable{table->info.name, *table->stopped});
  }
  for (const auto& unmade : impl_->unmade) {
    const std::string& reason = unmade.second;
    const bool told = std::any_of(out.begin(), out.end(), [&](const StoppedTable& table) { return table.reason == reason; });
    if (!told) out.push_back(StoppedTable{unmade.first, reason});
  }
  return out;
}

std::vector<StoppedTable> Replica::unfilled() const {
  std::vector<StoppedTable> out;
  for (const auto& [index, reason] : impl_->unreadable) out.push_back(StoppedTable{index, reason});
  return out;
}

bool Replica::resumes() const { return impl_->indexes_due || impl_->unfilled > 0 || !impl_->unreadable.empty() || !stopped().empty(); }

const FailedEffects& Replica::failed_effects() const { return impl_->failed_effects; }

std::vector<std::string> Replica::watched() const {
  std::vector<std::string> out;
  for (const auto& table : impl_->tables) out.push_back(table->info.name);
  return out;
}

}  // namespace marmot::replica
