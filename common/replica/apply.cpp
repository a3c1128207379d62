// Apply: messages of the stream become rows (DESIGN "Apply").
#include <algorithm>

#include "common/core/row_hash.hpp"
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using codec::Envelope;
using codec::Kind;
using sqlite::Statement;

namespace {

constexpr int64_t kDeadPart = 0;  // in place of a codec::Kind: the part is in quarantine

// The table's fault, not the disk's: the table stops, the rest goes on.
bool stops_table(const Error& error) {
  const bool bad_key = error.code == Errc::corrupt && error.detail == 0;  // not SQLite's own word on the file
  return error.code == Errc::constraint || error.code == Errc::schema || error.code == Errc::bad_input || bad_key;
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
  split_units += unit.more ? 1 : 0;
  bool waits = false;
  for (size_t i = 0; i < unit.tables.size(); ++i) {
    const UnitTable& wanted = unit.tables[i];
    if (by_table[i].empty() || not_ours.count(fold_name(wanted.name)) != 0) continue;
    Table* const table = table_by_name(wanted.name);
    if (retry != nullptr && table != retry->table) continue;
    if (table == nullptr) {
      log(LogLevel::error, "message " + std::to_string(seq) + ": no table " + wanted.name + " here: its rows wait apart");
      waits = true;
      continue;
    }
    if (table->running()) {
      auto map = table->map_columns(wanted.columns);
      if (!map) {
        TRY(stop(*table, "a message holds other columns than the table here has; bring both to one schema and restart the agent"));
      } else if (auto done = apply_rows(unit, by_table[i], *table, std::move(*map), seq, result); !done) {
        if (!stops_table(done.error()) || !db.in_transaction()) return done;
        TRY(stop(*table, done.error().message + "; resolve it in this file, the table then resumes by itself"));
      }
    }
    waits = waits || !table->running();
  }
  if (waits && retry == nullptr) {
    TRY_ASSIGN(Statement* const wait, store.statement(sql::kWait));
    wait->bind(1, static_cast<int64_t>(seq)).bind(2, static_cast<int64_t>(unit.origin.node.value));
    wait->bind(3, static_cast<int64_t>(unit.origin.incarnation.value)).bind(4, static_cast<int64_t>(unit.number)).bind_blob(5, payload);
    TRY(wait->run());
  }
  return ok();
}

Status Replica::Impl::quarantine(const Incoming& message, const std::string& reason) {
  log(LogLevel::error, "message " + std::to_string(message.seq) + " is quarantined (" + reason + "): see __marmot_quarantine");
  TRY_ASSIGN(Statement* const insert, store.statement(sql::kQuarantine));
  insert->bind(1, static_cast<int64_t>(message.seq)).bind(2, message.at).bind(3, reason).bind_blob(4, message.bytes);
  return insert->run();
}

Status Replica::Impl::apply_payload(const Envelope& envelope, std::string_view payload, StreamSeq seq, ApplyResult& result) {
  const auto corrupt = [&](const Error& error) {
    return quarantine(Incoming{seq, env.now(), {}, std::string(payload)}, error.message);
  };
  if (envelope.kind == Kind::schema) {
    auto objects = codec::decode_schema(payload);
    if (!objects && objects.error().code == Errc::corrupt) return corrupt(objects.error());
    TRY(objects);
    return apply_schema(*objects, seq, envelope.origin);
  }
  auto decoded = codec::decode_unit(envelope, payload);
  if (!decoded && decoded.error().code == Errc::corrupt) return corrupt(decoded.error());
  TRY(decoded);
  return apply_unit(decoded->unit, payload, seq, result, nullptr);
}

// Units that are whole and whose turn has come.
Status Replica::Impl::apply_staged(const Origin& origin, StreamSeq seq, ApplyResult& result) {
  for (;;) {
    TRY_ASSIGN(const auto row, store.origin(origin));
    const uint64_t next = row.unit + 1;
    TRY_ASSIGN(Statement* const parts, store.statement(sql::kStagedParts));
    const auto node = static_cast<int64_t>(origin.node.value);
    const auto incarnation = static_cast<int64_t>(origin.incarnation.value);
    parts->bind(1, node).bind(2, incarnation).bind(3, static_cast<int64_t>(next));
    std::string payload;
    bool whole = false, dead = false;
    Envelope envelope{Kind::rows, origin, next, 0, true, {}};
    for (int64_t expected = 0;; ++expected) {
      TRY_ASSIGN(const bool more, parts->step());
      if (!more) break;
      if (parts->integer(2) == kDeadPart) dead = true;  // a part of it is in quarantine
      if (dead || parts->integer(0) != expected) break;
      payload.append(parts->blob(3));
      envelope.kind = static_cast<Kind>(parts->integer(2));
      whole = parts->integer(1) != 0;
    }
    parts->reset();
    if (!whole && !dead) return ok();
    if (!dead) TRY(apply_payload(envelope, payload, seq, result));
    TRY(store.set_unit(origin, next));
    TRY_ASSIGN(Statement* const drop, store.statement(sql::kDropStaged));
    drop->bind(1, node).bind(2, incarnation).bind(3, static_cast<int64_t>(next));
    TRY(drop->run());
  }
}

Status Replica::Impl::apply_envelope(const Envelope& envelope, const Incoming& message, ApplyResult& result) {
  const Origin& origin = envelope.origin;
  TRY_ASSIGN(auto row, store.origin(origin));
  if (row.unit == 0) {
    // A new life: what its former ones left half sent, it sends again.
    TRY_ASSIGN(Statement* const drop, store.statement(sql::kDropFormerLives));
    drop->bind(1, static_cast<int64_t>(origin.node.value)).bind(2, static_cast<int64_t>(origin.incarnation.value));
    TRY(drop->run());
    if (state.trimmed && envelope.number > 1) {  // its first units are no longer in the stream
      TRY(store.set_unit(origin, envelope.number - 1));
      row.unit = envelope.number - 1;
    }
  }
  if (envelope.number <= row.unit) return ok();  // delivered before
  if (envelope.number == row.unit + 1 && envelope.part == 0 && envelope.last) {
    TRY(apply_payload(envelope, envelope.slice, message.seq, result));
    TRY(store.set_unit(origin, envelope.number));
    return apply_staged(origin, message.seq, result);
  }
  return stage_part(envelope, static_cast<int64_t>(envelope.kind), message.seq, result);
}

Status Replica::Impl::stage_part(const Envelope& envelope, int64_t kind, StreamSeq seq, ApplyResult& result) {
  const Origin& origin = envelope.origin;
  TRY_ASSIGN(Statement* const stage, store.statement(sql::kStagePart));
  stage->bind(1, static_cast<int64_t>(origin.node.value)).bind(2, static_cast<int64_t>(origin.incarnation.value));
  stage->bind(3, static_cast<int64_t>(envelope.number)).bind(4, int64_t{envelope.part}).bind(5, static_cast<int64_t>(seq));
  stage->bind(6, int64_t{envelope.last ? 1 : 0}).bind(7, kind).bind_blob(8, envelope.slice);
  TRY(stage->run());
  return apply_staged(origin, seq, result);
}

Status Replica::Impl::apply_message(const Incoming& message, ApplyResult& result) {
  if (state.position.seq == 0 && message.seq > 1 && !state.trimmed) {
    state.trimmed = true;
    TRY(store.set_meta(meta::kTrimmed, int64_t{1}));
  }
  auto envelope = codec::open(message.bytes);
  if (!envelope && envelope.error().code == Errc::corrupt) {
    TRY(quarantine(message, envelope.error().message));
    // Its id still says which unit is lost, so that the units after it do not wait for it.
    const auto id = codec::parse_message_id(message.msg_id);
    if (!id || id->number == 0) return ok();
    TRY_ASSIGN(const auto row, store.origin(id->origin));
    if (id->number <= row.unit) return ok();
    return stage_part(Envelope{Kind::rows, id->origin, id->number, id->part, false, ""}, kDeadPart, message.seq, result);
  }
  TRY(envelope);
  if (envelope->kind == Kind::genesis) return ok();  // read by the agent before it subscribed
  return apply_envelope(*envelope, message, result);
}

Result<ApplyResult> Replica::apply(std::deque<Incoming>& queue, bool polite) {
  Impl& impl = *impl_;
  ApplyResult result;
  std::optional<Error> newer;
  TRY(impl.write(polite, &result.held_us, [&]() -> Status {
    const int64_t began = impl.env.monotonic_us();
    for (bool more = true; more;) {  // all of it: what is not drained has no version to win by
      more = false;
      TRY(impl.drain_log(result.units, impl.tracing ? &result.changes : nullptr, &more));
    }
    for (const Incoming& message : queue) {
      TRY(impl.give_way());
      if (message.seq > impl.state.position.seq) {
        Status done = impl.apply_message(message, result);
        if (!done && done.error().code == Errc::newer_format) {
          newer = std::move(done).error().in("message " + std::to_string(message.seq));
          break;
        }
        if (!done) return std::move(done).error().in("apply message " + std::to_string(message.seq));
        impl.state.position.seq = message.seq;
        impl.state.position.msg_id = message.msg_id;
      }
      ++result.messages;
      if (impl.env.monotonic_us() - began >= impl.settings.slice_us) break;
    }
    if (impl.state.membership == Membership::joining && impl.state.position.seq >= impl.state.join_end) TRY(impl.become_member());
    return ok();
  }));
  queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(result.messages));
  if (newer && result.messages == 0) return std::move(*newer);
  return result;
}

}  // namespace marmot::replica
