// The floor: up to which message tombstones are gone everywhere, and why nothing deleted can come back.
//
// A tombstone may be forgotten once nobody can send a row that it would have beaten. So every rows unit names what its
// sender had applied when it drained (Unit::base), a floor message names a message P that every member had applied, and
// from that floor message on a unit with a base below P is refused by everybody, at the same place of the stream. Its
// origin is among them: it has seen the tombstones by then, and sends again what is left of the unit (refused.cpp).
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

// A floor without a number is one of a former stream, told by a node that has pruned up to it. It is a fence too: whoever had not
// applied it may have sent again what was deleted then, and knows better now.
Status Replica::Impl::apply_floor(const Floor& floor, StreamSeq seq, ApplyResult& result) {
  const bool told = floor.seq == 0 && floor.hlc > Hlc{};
  if (told) state.fence = seq;
  if (told && state.membership == Membership::member && floor.hlc > state.floor.hlc) TRY(drop_pruned_meanwhile(floor.hlc));
  // Before the tombstones go that its rows may meet. There are floors among what waits, this one perhaps too.
  if (floor.seq > std::max(state.floor.seq, state.ending)) {
    const StreamSeq outer = std::exchange(state.ending, floor.seq);
    Status ended = end_waiting_since(floor.seq, seq, result);
    state.ending = outer;
    TRY(ended);
  }
  raise_floor(floor);
  return ok();
}

void Replica::Impl::raise_floor(const Floor& floor) {
  state.floor_seen = std::max(state.floor_seen, floor.hlc);
  if (state.membership == Membership::member) state.floor.hlc = std::max(state.floor.hlc, floor.hlc);
  if (floor.seq > state.floor.seq) {
    state.floor.seq = floor.seq;
    state.prune_due = true;
  }
}

// The row is gone everywhere, its tombstone too: here it goes without one.
Status Replica::Impl::forget_row(Table& table, const std::string& key, const Register& found) {
  if (found.live()) {
    if (!found.seq && found.version.origin.node == self.node) {
      TRY(keep_row(table, key, found, "lost-update", "it was deleted in the cluster while this change waited to be published"));
    }
    TRY(erase_row(table, key, found));
    TRY(settle_freed());
  }
  return store.remove(table.id, key);
}

// A floor that this file never applied, of a stream that it reads again: a row that it holds from before, of which nobody has
// told that stream anything, and whose version is below that floor, was deleted while the file was away.
Status Replica::Impl::drop_pruned_meanwhile(Hlc floor) {
  if (!state.reread) return ok();
  std::vector<std::pair<int64_t, std::string>> stale;
  TRY_ASSIGN(Statement* const select, store.statement(sql::kSelectUnsent));
  select->bind(1, static_cast<int64_t>(floor.value));
  for (;;) {
    TRY_ASSIGN(const bool more, select->step());
    if (!more) break;
    stale.emplace_back(select->integer(0), std::string(select->blob(1)));
  }
  for (const auto& [id, key] : stale) {
    Table* const table = table_by_id(id);
    if (table == nullptr || !table->running()) continue;
    TRY_ASSIGN(const auto found, store.find(id, key));
    if (found) TRY(forget_row(*table, key, *found));
  }
  if (!stale.empty()) {
    log(LogLevel::warn, std::to_string(stale.size()) + " rows were deleted in the cluster while this file was away: they are gone here too");
  }
  return ok();
}

Status Replica::Impl::note_spoken_of(const Table& table, std::string_view key) {
  if (!state.reread) return ok();
  TRY_ASSIGN(Statement* const known, store.statement(sql::kReread));
  known->bind(1, table.id).bind_blob(2, key);
  return known->run();
}

// Over, where the last unit that publish_outbox() made of it has come round.
Status Replica::Impl::end_reread() {
  if (!state.reread || !state.reread_until) return ok();
  TRY_ASSIGN(const auto own, store.origin(self));
  if (own.unit < *state.reread_until) return ok();
  state.reread = false;
  state.reread_until.reset();
  TRY_ASSIGN(Statement* const forget, store.statement(sql::kForgetReread));
  return forget->run();
}

StreamSeq Replica::floor() const { return impl_->state.floor.seq; }

Result<DrainResult> Replica::announce_floor(StreamSeq seq, bool polite) {
  Impl& impl = *impl_;
  DrainResult result;
  TRY(impl.write(polite, &result.held_us, [&]() -> Status {
    TRY(impl.drain_log(result.units, impl.tracing ? &result.changes : nullptr, &result.more));
    if (impl.state.membership != Membership::member) return ok();
    const Floor floor{std::min(seq, impl.state.position.seq), impl.state.floor.hlc};
    const auto any = [&](std::string_view of) -> Result<bool> {
      TRY_ASSIGN(Statement* const up_to, impl.store.statement(of));
      up_to->bind(1, static_cast<int64_t>(floor.seq));
      TRY(up_to->step());
      const bool found = up_to->integer(0) != 0;
      up_to->reset();
      return found;
    };
    TRY_ASSIGN(const bool dead, any(sql::kTombstoneUpTo));
    TRY_ASSIGN(const bool waiting, any(sql::kStagesUpTo));
    const bool ends_gap = impl.gap_open() && floor.seq >= impl.state.gap.last;
    if (!dead && !waiting && !ends_gap) return ok();
    UnitStream out(impl.self, impl.state.position.seq, &impl.state.next_unit, impl.settings);
    TRY(out.floor(floor));
    TRY_ASSIGN(auto units, out.finish(false));
    for (OutUnit& unit : units) result.units.push_back(std::move(unit));
    return ok();
  }));
  return result;
}

}  // namespace marmot::replica
