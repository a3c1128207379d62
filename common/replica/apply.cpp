// Apply: messages of the stream become rows (docs/design.md, "Apply").
#include <algorithm>

#include "common/base/mutation.hpp"
#include "common/core/row_hash.hpp"
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using codec::Envelope;
using codec::Kind;
using sqlite::Statement;

namespace {

constexpr int64_t kDeadPart = 0;  // in place of a codec::Kind: the part is not in the stream, and will not be
constexpr uint64_t kMaxUnit = INT64_MAX / 2;  // that somebody else's id may name: room is left for ours behind it
constexpr int kMostLost = 100;

// One unit has been applied. It may have been a floor that ended the waiting of later ones: then they have passed as well.
Status pass_unit(Replica::Impl& impl, const Origin& origin, uint64_t number) {
  TRY_ASSIGN(const uint64_t passed, impl.store.units_of(origin));
  return passed < number ? impl.pass_units(origin, number) : ok();
}

bool stands_under(const Envelope& envelope, const codec::MessageId& id) {
  return id.origin == envelope.origin && id.number == envelope.number && id.part == envelope.part;
}

}  // namespace

// With `retry`, the unit's other tables have had their rows.
Status Replica::Impl::apply_unit(const Unit& unit, std::string_view payload, StreamSeq seq, ApplyResult& result, const Retry* retry) {
  std::vector<std::vector<const UnitRow*>> by_table(unit.tables.size());
  for (const UnitRow& row : unit.rows) {
    if (retry != nullptr) {
      const auto newest = retry->newest.find(std::string(row.key));
      if (newest != retry->newest.end() && unit.versions[row.version] < newest->second) continue;
    }
    by_table[row.table].push_back(&row);
  }
  result.rows += unit.rows.size();
  split_units += unit.more && !unit.rows.empty() ? 1 : 0;  // without rows it is a mark (together.cpp)
  bool waits = false, untold = false;
  for (size_t i = 0; i < unit.tables.size(); ++i) {
    const UnitTable& wanted = unit.tables[i];
    if (by_table[i].empty()) continue;
    const Target target = target_of(wanted);
    if (target.to == Target::To::nowhere) continue;
    if (target.to == Target::To::dropped) {
      if (retry == nullptr) TRY(keep_late_rows(unit, by_table[i], wanted));
      continue;
    }
    Table* const table = target.table;
    if (retry != nullptr && table != retry->table) continue;
    if (table == nullptr) {
      const bool here = table_by_name(wanted.name) != nullptr;
      log(LogLevel::error, "message " + std::to_string(seq) + (here ? ": a column of table " + wanted.name + " is not known here: rows with it wait apart"
                                                                    : ": no table " + wanted.name + " here: its rows wait apart"));
      waits = true;
      untold = untold || target.untold;
      continue;
    }
    if (table->running()) {
      const std::vector<SentColumn> map = table->map_columns(wanted.columns);
      Rekeyed made;
      TRY(present_keys(unit, wanted, map, *table, seq, by_table[i], made));
      if (auto done = apply_rows(unit, by_table[i], *table, map, seq, result); !done) {
        if (!stops_table(done.error()) || !db.in_transaction()) return done;
        TRY(stop(*table, done.error().message + "; resolve it in this file, the table then resumes by itself"));
      }
      if (mutated(Mutation::parts_singly)) TRY(db.exec("COMMIT; BEGIN IMMEDIATE"));
    }
    waits = waits || !table->running();
  }
  if (std::exchange(overruled, false)) TRY(keep_overruled(unit.origin, unit.number, Kind::rows, payload, seq));
  if (waits && retry == nullptr) {
    TRY_ASSIGN(Statement* const wait, store.statement(sql::kWait));
    wait->bind(1, static_cast<int64_t>(seq)).bind(2, static_cast<int64_t>(unit.origin.node.value));
    wait->bind(3, static_cast<int64_t>(unit.origin.incarnation.value)).bind(4, static_cast<int64_t>(unit.number)).bind_blob(5, payload);
    TRY(wait->run());
    if (untold && state.untold) ++*state.untold;
  }
  return ok();
}

// A unit of ours came round and landed nowhere, or never will come round: what it held goes out again in another one. What makes a
// unit that does not decode would do so again: not without end.
Status Replica::Impl::send_lost_again(ApplyResult& result) {
  if (mutated(Mutation::lost_unit_forgotten)) return ok();
  if (++state.lost_units > kMostLost) {
    if (state.lost_units == kMostLost + 1) log(LogLevel::error, "too many units of this agent are lost: what they held is sent again by its next start");
    return ok();
  }
  TRY(tell_again("WHERE seq = 0"));
  state.half_told = !registers.unsent().empty();
  TRY(send_former_again());
  state.ids_unit = 0;
  touch_ids();
  state.floor_due = state.floor.hlc > state.floor_seen;
  state.start_outbox();
  result.refused = true;
  return ok();
}

// All units of `origin` up to `number` have come round, or never will.
Status Replica::Impl::pass_units(const Origin& origin, uint64_t number) {
  if (origin == self) state.next_unit = std::max(state.next_unit, number + 1);  // somebody may have used ids that we have not
  return store.set_unit(origin, number);
}

// `ends_at`: the message that ended the unit, which may have waited for others.
Status Replica::Impl::apply_payload(const Envelope& envelope, std::string_view payload, StreamSeq seq, StreamSeq ends_at, ApplyResult& result) {
  const auto corrupt = [&](const Error& error) -> Status {
    TRY(quarantine(Incoming{seq, env.now(), {}, std::string(payload)}, error.message));
    return envelope.origin == self ? send_lost_again(result) : ok();
  };
  if (envelope.kind == Kind::schema) {
    auto registers_sent = codec::decode_schema(payload);
    if (!registers_sent && registers_sent.error().code == Errc::corrupt) return corrupt(registers_sent.error());
    TRY(registers_sent);
    std::vector<Version> versions;
    for (const SchemaRegister& one : *registers_sent) versions.push_back(one.version);
    TRY_ASSIGN(const bool misdated, refuse_misdated(envelope.origin, versions, seq, result));
    if (misdated) return ok();
    TRY(apply_schema(*registers_sent, seq));
    return std::exchange(overruled, false) ? keep_overruled(envelope.origin, envelope.number, Kind::schema, payload, seq) : ok();
  }
  if (envelope.kind == Kind::floor) {
    const auto floor = codec::decode_floor(payload);
    if (!floor) return corrupt(floor.error());
    // The HLC is of tombstones of whichever nodes.
    TRY_ASSIGN(const bool misdated, refuse_misdated(envelope.origin, {Version{floor->hlc, {}}}, seq, result));
    return misdated ? ok() : apply_floor(*floor, seq, result);
  }
  if (envelope.kind == Kind::ids) {
    const auto facts = codec::decode_ids(payload);
    return facts ? apply_ids(*facts, envelope.origin, envelope.number, ends_at) : corrupt(facts.error());
  }
  if (envelope.kind == Kind::handled) {
    const auto handled = codec::decode_handled(payload);
    return handled ? apply_handled(*handled, ends_at) : corrupt(handled.error());
  }
  if (envelope.kind == Kind::clock) {
    const auto change = codec::decode_clock(payload);
    return change ? apply_clock(*change, seq, result) : corrupt(change.error());
  }
  auto decoded = codec::decode_unit(envelope, payload);
  if (!decoded && decoded.error().code == Errc::corrupt) return corrupt(decoded.error());
  TRY(decoded);
  TRY_ASSIGN(const auto lowered, lowered_payload(decoded->unit, payload));
  if (lowered) {
    payload = *lowered;
    decoded = codec::decode_unit(envelope, payload);
    TRY(decoded);
  }
  note_base(envelope.origin, decoded->unit.base);
  TRY_ASSIGN(const bool misdated, refuse_misdated(envelope.origin, decoded->unit.versions, seq, result));
  if (misdated) return ok();
  const bool late = decoded->unit.base < std::max(state.floor.seq, state.fence);  // floor.cpp
  if (late && !mutated(Mutation::tombstone_early)) return refuse(decoded->unit, payload, seq, result);
  return apply_unit(decoded->unit, payload, seq, result, nullptr);
}

// Are all parts of a unit here, or is it known that one never comes?
Result<bool> Replica::Impl::parts_suffice(const Origin& origin, uint64_t number) {
  TRY_ASSIGN(Statement* const suffice, store.statement(sql::kPartsSuffice));
  suffice->bind(1, static_cast<int64_t>(origin.node.value)).bind(2, static_cast<int64_t>(origin.incarnation.value)).bind(3, static_cast<int64_t>(number));
  TRY(suffice->step());
  const bool enough = suffice->integer(0) != 0;
  suffice->reset();
  return enough;
}

// The parts of one unit joined, where all are here.
Result<std::optional<Replica::Impl::StagedUnit>> Replica::Impl::staged_unit(const Origin& origin, uint64_t number) {
  TRY_ASSIGN(const bool enough, parts_suffice(origin, number));
  if (!enough) return std::optional<StagedUnit>{};
  TRY_ASSIGN(Statement* const parts, store.statement(sql::kStagedParts));
  parts->bind(1, static_cast<int64_t>(origin.node.value)).bind(2, static_cast<int64_t>(origin.incarnation.value)).bind(3, static_cast<int64_t>(number));
  StagedUnit unit;
  bool whole = false;
  for (int64_t expected = 0; !whole; ++expected) {
    TRY_ASSIGN(const bool more, parts->step());
    if (!more) break;
    if (parts->integer(2) == kDeadPart) unit.dead = true;
    if (unit.dead || parts->integer(0) != expected) break;
    unit.payload.append(parts->blob(3));
    unit.kind = static_cast<Kind>(parts->integer(2));
    unit.ends_at = std::max(unit.ends_at, static_cast<StreamSeq>(parts->integer(4)));
    whole = parts->integer(1) != 0;
  }
  parts->reset();
  if (!whole && !unit.dead) return std::optional<StagedUnit>{};
  return std::optional<StagedUnit>{std::move(unit)};
}

// Units that are whole and whose turn has come.
Status Replica::Impl::apply_staged(const Origin& origin, StreamSeq seq, ApplyResult& result) {
  for (;;) {
    TRY_ASSIGN(const auto row, store.origin(origin));
    const uint64_t next = row.unit + 1;
    TRY_ASSIGN(const auto unit, staged_unit(origin, next));
    if (!unit) return ok();
    if (origin != self && is_mark(*unit, Mark::begin)) {
      TRY_ASSIGN(const bool whole, together_is_whole(origin, next));
      if (!whole) return ok();
    }
    if (next == 1) TRY(end_former_lives(origin, seq, result));
    if (!unit->dead) TRY(apply_payload(Envelope{unit->kind, origin, next, 0, true, {}}, unit->payload, seq, unit->ends_at, result));
    else if (origin == self) TRY(send_lost_again(result));
    TRY(pass_unit(*this, origin, next));
    TRY(drop_unit(origin, next));
  }
}

// Units that have waited long enough for what never came: those that are whole are applied, though one before them is missing
// (its rows were sent again, or are lost with the file that had them); halves go. What comes of them later is too late.
Status Replica::Impl::end_waiting(Statement& staged, StreamSeq seq, ApplyResult& result) {
  TRY_ASSIGN(const uint64_t own, store.units_of(self));
  std::vector<std::pair<Origin, uint64_t>> units;
  for (;;) {
    TRY_ASSIGN(const bool more, staged.step());
    if (!more) break;
    units.emplace_back(Origin{NodeId{static_cast<uint64_t>(staged.integer(0))}, Incarnation{static_cast<uint64_t>(staged.integer(1))}},
                       static_cast<uint64_t>(staged.integer(2)));
  }
  staged.reset();
  for (size_t i = 0; i < units.size(); ++i) {
    const auto& [origin, number] = units[i];
    TRY_ASSIGN(const auto unit, staged_unit(origin, number));
    if (unit && !unit->dead) TRY(apply_payload(Envelope{unit->kind, origin, number, 0, true, {}}, unit->payload, seq, unit->ends_at, result));
    TRY(pass_unit(*this, origin, number));
    TRY(drop_staged(origin, number));
    if (i + 1 == units.size() || units[i + 1].first != origin) TRY(apply_staged(origin, seq, result));
  }
  TRY_ASSIGN(const uint64_t own_now, store.units_of(self));
  return own_now == own ? ok() : send_lost_again(result);
}

// A node begins a new life: with its first unit that is applied, what its former ones had on the way is over. Not before: what a transaction that
// they sent in part did to the schema would be seen without its rows, which the new life sends again.
Status Replica::Impl::end_former_lives(const Origin& now, StreamSeq seq, ApplyResult& result) {
  TRY_ASSIGN(Statement* const staged, store.statement(sql::kFormerUnits));
  staged->bind(1, static_cast<int64_t>(now.node.value)).bind(2, static_cast<int64_t>(now.incarnation.value));
  TRY(end_waiting(*staged, seq, result));
  TRY_ASSIGN(Statement* const refused, store.statement(sql::kRefusedOfFormerLives));
  refused->bind(1, static_cast<int64_t>(now.node.value)).bind(2, static_cast<int64_t>(now.incarnation.value));
  return apply_refused(*refused, seq, result);
}

// Every live node applied message `last` a while ago. What still waits for something since then has a sender that is gone for
// good, or one that sends again what it lacks.
Status Replica::Impl::end_waiting_since(StreamSeq last, StreamSeq seq, ApplyResult& result) {
  TRY_ASSIGN(Statement* const staged, store.statement(sql::kUnitsUpTo));
  staged->bind(1, static_cast<int64_t>(last));
  TRY(end_waiting(*staged, seq, result));
  TRY_ASSIGN(Statement* const refused, store.statement(sql::kRefusedUpTo));
  refused->bind(1, static_cast<int64_t>(last));
  return apply_refused(*refused, seq, result);
}

Status Replica::Impl::drop_staged(const Origin& origin, uint64_t last) {
  TRY_ASSIGN(Statement* const drop, store.statement(sql::kDropStaged));
  drop->bind(1, static_cast<int64_t>(origin.node.value)).bind(2, static_cast<int64_t>(origin.incarnation.value));
  drop->bind(3, static_cast<int64_t>(last));
  return drop->run();
}

Status Replica::Impl::drop_unit(const Origin& origin, uint64_t number) {
  TRY_ASSIGN(Statement* const drop, store.statement(sql::kDropUnit));
  drop->bind(1, static_cast<int64_t>(origin.node.value)).bind(2, static_cast<int64_t>(origin.incarnation.value));
  drop->bind(3, static_cast<int64_t>(number));
  return drop->run();
}

Status Replica::Impl::apply_envelope(const Envelope& envelope, const Incoming& message, ApplyResult& result) {
  const Origin& origin = envelope.origin;
  TRY_ASSIGN(auto row, store.origin(origin));
  if (row.unit == 0 && state.trimmed && envelope.number > 1 && origin != self) {  // its first units are no longer in the stream
    TRY(end_former_lives(origin, message.seq, result));
    TRY(store.set_unit(origin, envelope.number - 1));
    TRY(drop_staged(origin, envelope.number - 1));
    row.unit = envelope.number - 1;
  }
  if (envelope.number <= row.unit) return take_late(envelope, message.seq, result);
  const bool next = envelope.number == row.unit + 1 || mutated(Mutation::units_out_of_order);
  const bool begins = origin != self && is_mark(envelope, Mark::begin);  // our own rows are here: nothing waits
  if (next && envelope.part == 0 && envelope.last && !begins) {
    if (row.unit == 0) TRY(end_former_lives(origin, message.seq, result));
    TRY(apply_payload(envelope, envelope.slice, message.seq, message.seq, result));
    TRY(pass_unit(*this, origin, envelope.number));
    return apply_staged(origin, message.seq, result);
  }
  return stage_part(envelope, static_cast<int64_t>(envelope.kind), message.seq, result);
}

Status Replica::Impl::put_part(const Envelope& envelope, int64_t part, int64_t kind, StreamSeq seq) {
  const Origin& origin = envelope.origin;
  TRY_ASSIGN(Statement* const stage, store.statement(sql::kStagePart));
  stage->bind(1, static_cast<int64_t>(origin.node.value)).bind(2, static_cast<int64_t>(origin.incarnation.value));
  stage->bind(3, static_cast<int64_t>(envelope.number)).bind(4, part).bind(5, static_cast<int64_t>(seq));
  stage->bind(6, int64_t{envelope.last ? 1 : 0}).bind(7, kind).bind_blob(8, envelope.slice);
  return stage->run();
}

// What is said of ids counts by its place in the stream, on all nodes alike: it does not wait for its sender's earlier units. In its turn
// nothing is left of it.
Status Replica::Impl::apply_ids_where_they_stand(const Envelope& envelope, StreamSeq seq) {
  TRY_ASSIGN(const auto unit, staged_unit(envelope.origin, envelope.number));
  if (!unit || unit->dead) return ok();
  const auto facts = codec::decode_ids(unit->payload);
  if (!facts || facts->empty()) return ok();  // what does not decode is told in its turn
  TRY(apply_ids(*facts, envelope.origin, envelope.number, unit->ends_at));
  TRY(drop_unit(envelope.origin, envelope.number));
  const std::string nothing = codec::encode_ids({});
  return put_part(Envelope{Kind::ids, envelope.origin, envelope.number, 0, true, nothing}, 0, static_cast<int64_t>(Kind::ids), seq);
}

Status Replica::Impl::stage_part(const Envelope& envelope, int64_t kind, StreamSeq seq, ApplyResult& result) {
  TRY(put_part(envelope, envelope.part, kind, seq));
  if (kind == static_cast<int64_t>(Kind::ids)) TRY(apply_ids_where_they_stand(envelope, seq));
  TRY(overtake(envelope.origin, seq, result));
  return apply_staged(envelope.origin, seq, result);
}

// An id was used for other bytes than its own (docs/design.md, "Publish"): the stream drops what is sent under it from then on.
Status Replica::Impl::lose_unit(const codec::MessageId& id, const Incoming& message, ApplyResult& result) {
  if (id.number == 0 || id.number > kMaxUnit) return ok();
  TRY_ASSIGN(const auto row, store.origin(id.origin));
  if (id.number <= row.unit) return ok();
  log(LogLevel::error, "message " + std::to_string(message.seq) + " stands under the id of unit " + std::to_string(id.number) + " of node " +
                           std::to_string(id.origin.node.value) + " and is not that: the unit is lost, its sender sends what it held again");
  return stage_part(Envelope{Kind::rows, id.origin, id.number, id.part, false, ""}, kDeadPart, message.seq, result);
}

// Is it the beginning of another stream than the one this file follows?
bool Replica::Impl::begins_anew(const Incoming& message) const {
  const auto envelope = codec::open(message.bytes);
  if (!envelope || envelope->kind != Kind::genesis) return false;
  const auto genesis = codec::decode_genesis(envelope->slice);
  return genesis && genesis->stream_id != state.position.stream_id;
}

Status Replica::Impl::apply_message(const Incoming& message, ApplyResult& result) {
  if (state.position.seq == 0 && message.seq > 1 && !state.trimmed) {
    state.trimmed = true;
    TRY(store.set_meta(meta::kTrimmed, int64_t{1}));
  }
  auto envelope = codec::open(message.bytes);
  const bool damaged = !envelope && envelope.error().code == Errc::corrupt;
  if (damaged) TRY(quarantine(message, envelope.error().message));
  else TRY(envelope);
  // Its id still says which unit is lost, so that the units after it do not wait for it.
  const auto id = codec::parse_message_id(message.msg_id);
  if (id && (damaged || !stands_under(*envelope, *id))) TRY(lose_unit(*id, message, result));
  if (damaged) return ok();
  if (envelope->kind == Kind::genesis) {  // the one that names this stream, for begins_anew() looked; or a clock probe
    const auto genesis = codec::decode_genesis(envelope->slice);
    if (genesis && genesis->clock_bound_ms != 0) state.stream.bound = genesis->clock_bound_ms;
    return ok();
  }
  return apply_envelope(*envelope, message, result);
}

Result<ApplyResult> Replica::apply(std::deque<Incoming>& queue, bool polite) {
  Impl& impl = *impl_;
  ApplyResult result;
  std::optional<Error> newer;
  TRY(impl.write(polite, &result.held_us, [&]() -> Status {
    const int64_t began = impl.env.monotonic_us();
    for (bool more = !mutated(Mutation::skipped_drain); more;) {  // all of it: what is not drained has no version to win by
      more = false;
      TRY(impl.drain_log(result.units, impl.tracing ? &result.changes : nullptr, &more));
    }
    for (const Incoming& message : queue) {
      TRY(impl.give_way());
      if (message.seq > impl.state.position.seq) {
        if (impl.begins_anew(message)) {
          result.begins_anew = message.seq;
          break;
        }
        if (mutated(Mutation::cursor_elsewhere)) {
          TRY(impl.store.set_meta(meta::kCursorSeq, static_cast<int64_t>(message.seq)));
          TRY(impl.store.set_meta(meta::kCursorMsgId, message.msg_id));
          TRY(impl.db.exec("COMMIT; BEGIN IMMEDIATE"));
        }
        if (impl.state.position.seq != 0 && (message.gone || message.seq > impl.state.position.seq + 1)) {
          TRY(impl.note_gap(message.gone ? message.seq : message.seq - 1, result));
        }
        if (!message.gone) impl.state.stream.time = std::max(impl.state.stream.time, message.at);
        Status done = message.gone ? ok() : impl.apply_message(message, result);
        if (!done && done.error().code == Errc::newer_format) {
          newer = std::move(done).error().in("message " + std::to_string(message.seq));
          break;
        }
        if (!done) return std::move(done).error().in("apply message " + std::to_string(message.seq));
        impl.state.position.seq = message.seq;
        impl.state.position.msg_id = message.msg_id;
        impl.state.position.at = message.gone ? Position::kGone : message.at;
      }
      ++result.messages;
      if (impl.env.monotonic_us() - began >= impl.settings.slice_us) break;
    }
    if (impl.state.membership == Membership::joining && impl.state.position.seq >= impl.state.join_end) TRY(impl.become_member());
    TRY(impl.forget_passed());
    TRY(impl.fill_made_empty());
    return impl.end_reread();
  }));
  queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(result.messages));
  if (newer && result.messages == 0) return std::move(*newer);
  return result;
}

}  // namespace marmot::replica
