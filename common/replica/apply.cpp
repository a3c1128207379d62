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

// A row of a unit that is newer than what stands here.
struct Winner {
  const UnitRow* row = nullptr;
  Version version;
  uint64_t hash = 0;
  bool had_register = false;
  bool was_live = false;
  bool same_content = false;  // only the version moves
};

// The table's fault, not the disk's: the table stops, the rest goes on.
bool stops_table(const Error& error) {
  const bool bad_key = error.code == Errc::corrupt && error.detail == 0;  // not SQLite's own word on the file
  return error.code == Errc::constraint || error.code == Errc::schema || error.code == Errc::bad_input || bad_key;
}

// The rows of one unit for one table, decided and written.
class TableApply {
 public:
  TableApply(Replica::Impl& impl, const Unit& unit, Table& table, std::vector<int> map, StreamSeq seq, ApplyResult& result)
      : impl_(impl), unit_(unit), table_(table), map_(std::move(map)), seq_(seq), result_(result) {}

  Status run(const std::vector<const UnitRow*>& rows) {
    for (const UnitRow* row : rows) TRY(decide(*row));
    if (winners_.empty()) return ok();
    // In place first: rows that keep their key are updated. A unique index in the way (a value swap) needs every changing
    // row taken out before any is put in.
    Status written = in_savepoint([&] { return write_in_place(); });
    if (!written && (written.error().detail & 0xff) == SQLITE_CONSTRAINT && !table_.info.unique.empty()) {
      written = in_savepoint([&] { return take_out_and_put_in(); });
    }
    TRY(written);
    for (const Winner& winner : winners_) TRY(keep_version(winner));
    return ok();
  }

 private:
  void values_of(const UnitRow& row, std::vector<ValueView>& out) const {
    out.clear();
    for (const int column : map_) out.push_back(unit_.values[row.first_value + static_cast<size_t>(column)]);
  }

  Status decide(const UnitRow& row) {
    const Version& version = unit_.versions[row.version];
    TRY_ASSIGN(auto local, impl_.store.find(table_.id, row.key));
    Winner winner{&row, version};
    if (row.op != Op::remove) {
      values_of(row, values_);
      winner.hash = table_.hash(values_);
    }
    if (!local && row.op != Op::remove) TRY(match_baseline_row(row, winner.hash, local));
    if (local) {
      const bool both_insert = row.op == Op::insert && local->live() && local->origin_id != 0 &&
                               local->version.origin.node != version.origin.node && local->hash != winner.hash;
      if (both_insert) TRY(keep_conflict(row, version, *local));
      if (version <= local->version) {
        // Ours and unacknowledged stays so until its own message comes round.
        if (local->seq || version == local->version) TRY(impl_.store.mark(table_.id, row.key, seq_));
        return ok();
      }
      winner.had_register = true;
      winner.was_live = local->live();
      winner.same_content = local->live() && row.op != Op::remove && local->hash == winner.hash;
    }
    winners_.push_back(winner);
    return ok();
  }

  // Files copied from one another hold the same keyless rows under the same rowids: when such a row, not yet replicated,
  // equals the one that arrives, it is that row.
  Status match_baseline_row(const UnitRow& row, uint64_t hash, std::optional<Register>& local) {
    TRY_ASSIGN(const DecodedKey key, decode_key(row.key));
    if (!key.is_rowid || key.rowid.origin == impl_.self.node) return ok();
    std::string own;
    append_rowid_part(own, impl_.self.node, key.rowid.rowid);
    TRY_ASSIGN(const auto baseline, impl_.store.find(table_.id, own));
    if (!baseline || !baseline->live() || baseline->origin_id != 0 || baseline->hash != hash) return ok();
    TRY_ASSIGN(const auto here, table_.rowid_to_keep(own));
    if (!here) return ok();
    TRY(table_.forget_rowid(own));
    TRY(table_.adopt_rowid(row.key, *here));
    TRY_ASSIGN(Statement* const remove, impl_.store.statement(sql::kDeleteVersion));
    remove->bind(1, table_.id).bind_blob(2, own);
    TRY(remove->run());
    TRY(impl_.drop_unique(table_, own));
    TRY(impl_.store.put(table_.id, row.key, false, Version{}, std::nullopt, hash, RowState::live));
    local = baseline;
    return ok();
  }

  // Two applications took the same id: the loser is kept in full.
  Status keep_conflict(const UnitRow& row, const Version& incoming, const Register& local) {
    const bool incoming_wins = incoming > local.version;
    std::vector<ValueView> loser;
    if (incoming_wins) {
      TRY_ASSIGN(const bool there, table_.read(row.key, loser));
      if (!there) return ok();
    } else {
      values_of(row, loser);
    }
    std::string json = "{";
    for (size_t i = 0; i < loser.size(); ++i) {
      TRY_ASSIGN(Statement* const member, impl_.store.statement(sql::kJsonMember));
      const std::string& name = table_.info.columns[static_cast<size_t>(table_.stored()[i])].name;
      member->bind(1, name).bind(2, loser[i]);
      TRY_ASSIGN(const bool made, member->step());
      if (made) json += (i == 0 ? "" : ", ") + std::string(member->text(0));
      member->reset();
    }
    json += "}";
    const Version& winner = incoming_wins ? incoming : local.version;
    const Version& lost = incoming_wins ? local.version : incoming;
    TRY_ASSIGN(Statement* const insert, impl_.store.statement(sql::kConflict));
    insert->bind(1, impl_.env.now()).bind(2, table_.info.name).bind_blob(3, row.key);
    int at = 4;
    for (const Version* version : {&winner, &lost}) {
      insert->bind(at++, static_cast<int64_t>(version->hlc.value));
      insert->bind(at++, static_cast<int64_t>(version->origin.node.value));
      insert->bind(at++, static_cast<int64_t>(version->origin.incarnation.value));
    }
    insert->bind(at, json);
    TRY(insert->run());
    if (sqlite3_changes(impl_.db.get()) > 0) {
      impl_.log(LogLevel::warn, "conflict: two nodes inserted " + table_.info.name + " " + describe_key(row.key) + "; node " +
                                    std::to_string(winner.origin.node.value) + " wins, the other row is in marmot_conflicts");
    }
    return ok();
  }

  template <class Body>
  Status in_savepoint(Body&& body) {
    TRY(impl_.db.exec("SAVEPOINT __marmot_apply"));
    Status done = body();
    if (!done && !impl_.db.in_transaction()) return done;  // SQLite itself rolled everything back (disk full)
    if (!done) TRY(impl_.db.exec("ROLLBACK TO __marmot_apply"));
    TRY(impl_.db.exec("RELEASE __marmot_apply"));
    return done;
  }

  Error failed(const UnitRow& row, Error error) const {
    return std::move(error).in(std::string(op_name(row.op)) + " " + table_.info.name + " " + describe_key(row.key));
  }

  Status remove(const UnitRow& row) {
    if (auto done = table_.remove(row.key); !done) return failed(row, std::move(done).error());
    return ok();
  }

  Status insert(const UnitRow& row, std::optional<int64_t> rowid) {
    values_of(row, values_);
    if (auto done = table_.insert(row.key, values_, rowid); !done) return failed(row, std::move(done).error());
    return ok();
  }

  Status write_in_place() {
    for (const Winner& winner : winners_) {
      if (winner.row->op == Op::remove && winner.was_live) TRY(remove(*winner.row));
    }
    for (const Winner& winner : winners_) {
      if (winner.row->op == Op::remove || !winner.was_live || winner.same_content) continue;
      values_of(*winner.row, values_);
      if (auto done = table_.update(winner.row->key, values_); !done) return failed(*winner.row, std::move(done).error());
    }
    for (const Winner& winner : winners_) {
      if (winner.row->op != Op::remove && !winner.was_live) TRY(insert(*winner.row, std::nullopt));
    }
    return ok();
  }

  Status take_out_and_put_in() {
    std::vector<std::optional<int64_t>> rowids(winners_.size());
    for (size_t i = 0; i < winners_.size(); ++i) {
      if (!winners_[i].was_live || winners_[i].same_content) continue;
      TRY_ASSIGN(rowids[i], table_.rowid_to_keep(winners_[i].row->key));
      TRY(remove(*winners_[i].row));
    }
    for (size_t i = 0; i < winners_.size(); ++i) {
      if (winners_[i].row->op != Op::remove && !winners_[i].same_content) TRY(insert(*winners_[i].row, rowids[i]));
    }
    return ok();
  }

  Status keep_version(const Winner& winner) {
    const UnitRow& row = *winner.row;
    const bool live = row.op != Op::remove;
    TRY(impl_.store.put(table_.id, row.key, winner.had_register, winner.version, seq_, winner.hash,
                         live ? RowState::live : RowState::dead));
    impl_.state.clock.observe(winner.version.hlc);
    const std::string key(row.key);
    if (live) {
      TRY(impl_.keep_unique(table_, key));
    } else {
      TRY(impl_.drop_unique(table_, key));
      TRY(table_.forget_rowid(key));
    }
    ++result_.rows_changed;
    if (impl_.tracing) {
      result_.changes.push_back(Change{true, table_.info.name, row.op, describe_key(row.key), winner.version, seq_});
    }
    return ok();
  }

  Replica::Impl& impl_;
  const Unit& unit_;
  Table& table_;
  std::vector<int> map_;
  StreamSeq seq_;
  ApplyResult& result_;
  std::vector<Winner> winners_;
  std::vector<ValueView> values_;
};

}  // namespace

// `only`: a stopped table that is tried again; the unit's other tables have had their rows.
Status Replica::Impl::apply_unit(const Unit& unit, std::string_view payload, StreamSeq seq, ApplyResult& result, Table* only) {
  std::vector<std::vector<const UnitRow*>> by_table(unit.tables.size());
  for (const UnitRow& row : unit.rows) by_table[row.table].push_back(&row);
  result.rows += unit.rows.size();
  bool waits = false;
  for (size_t i = 0; i < unit.tables.size(); ++i) {
    const UnitTable& wanted = unit.tables[i];
    if (by_table[i].empty() || not_ours.count(fold_name(wanted.name)) != 0) continue;
    Table* const table = table_by_name(wanted.name);
    if (only != nullptr && table != only) continue;
    if (table == nullptr) {
      log(LogLevel::error, "message " + std::to_string(seq) + ": no table " + wanted.name + " here: its rows wait apart");
      waits = true;
      continue;
    }
    if (table->running()) {
      auto map = table->map_columns(wanted.columns);
      if (!map) {
        TRY(stop(*table, "a message holds other columns than the table here has; bring both to one schema and restart the agent"));
      } else if (auto done = TableApply(*this, unit, *table, std::move(*map), seq, result).run(by_table[i]); !done) {
        if (!stops_table(done.error()) || !db.in_transaction()) return done;
        TRY(stop(*table, done.error().message + "; resolve it in this file, the table then resumes by itself"));
      }
    }
    waits = waits || !table->running();
  }
  if (waits && only == nullptr) {
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
      if (parts->integer(2) == 0) dead = true;  // a part of it is in quarantine
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
  TRY_ASSIGN(Statement* const stage, store.statement(sql::kStagePart));
  stage->bind(1, static_cast<int64_t>(origin.node.value)).bind(2, static_cast<int64_t>(origin.incarnation.value));
  stage->bind(3, static_cast<int64_t>(envelope.number)).bind(4, int64_t{envelope.part}).bind(5, static_cast<int64_t>(message.seq));
  stage->bind(6, int64_t{envelope.last ? 1 : 0}).bind(7, static_cast<int64_t>(envelope.kind)).bind_blob(8, envelope.slice);
  TRY(stage->run());
  return apply_staged(origin, message.seq, result);
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
    TRY_ASSIGN(Statement* const stage, store.statement(sql::kStagePart));
    stage->bind(1, static_cast<int64_t>(id->origin.node.value)).bind(2, static_cast<int64_t>(id->origin.incarnation.value));
    stage->bind(3, static_cast<int64_t>(id->number)).bind(4, int64_t{id->part}).bind(5, static_cast<int64_t>(message.seq));
    stage->bind(6, int64_t{0}).bind(7, int64_t{0}).bind_blob(8, "");
    TRY(stage->run());
    return apply_staged(id->origin, message.seq, result);
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

// A stopped table is tried again with everything that waits for it, all or nothing.
Result<bool> Replica::resume_stopped() {
  Impl& impl = *impl_;
  bool any = false;
  std::vector<int64_t> ids;  // tables are read again when a try fails
  for (const auto& table : impl.tables) {
    if (table->stopped && table->exists) ids.push_back(table->id);
  }
  for (const int64_t id : ids) {
    const Status resumed = impl.write(false, nullptr, [&]() -> Status {
      impl.tables_dirty = true;
      Table& table = *impl.table_by_id(id);
      TRY_ASSIGN(const TableInfo now, read_table(impl.db, table.info.name));
      if (now.shape() != table.shape) return make_error(Errc::schema, "its columns are not those of the cluster");
      table.stopped.reset();
      TRY(table.save());
      // What the application did to it meanwhile comes first, as before every apply.
      TouchedKeys touched;
      TRY_ASSIGN(Statement* const parked, impl.store.statement(sql::kSelectParked));
      parked->bind(1, id);
      for (;;) {
        TRY_ASSIGN(const bool more, parked->step());
        if (!more) break;
        touched.add(&table, std::string(parked->blob(0)), parked->integer(1));
      }
      TRY(impl.drain_touched(touched, nullptr, nullptr));
      TRY_ASSIGN(Statement* const forget, impl.store.statement(sql::kDeleteParked));
      forget->bind(1, id);
      TRY(forget->run());
      ApplyResult result;
      for (int64_t after = 0;;) {
        TRY_ASSIGN(Statement* const waiting, impl.store.statement(sql::kSelectWaiting));
        waiting->bind(1, after);
        TRY_ASSIGN(const bool more, waiting->step());
        if (!more) break;
        after = waiting->integer(0);
        const Envelope envelope{Kind::rows,
                                Origin{NodeId{static_cast<uint64_t>(waiting->integer(1))}, Incarnation{static_cast<uint64_t>(waiting->integer(2))}},
                                static_cast<uint64_t>(waiting->integer(3)), 0, true, {}};
        const std::string payload(waiting->blob(4));
        waiting->reset();
        TRY_ASSIGN(const auto decoded, codec::decode_unit(envelope, payload));
        TRY(impl.apply_unit(decoded.unit, payload, static_cast<StreamSeq>(after), result, &table));
        if (table.stopped) return make_error(Errc::constraint, *table.stopped);
      }
      impl.state.outbox_due = impl.state.membership == Membership::member;
      impl.state.outbox_until = impl.state.clock.last();
      return ok();
    });
    if (resumed) {
      impl.log(LogLevel::info, "table " + impl.table_by_id(id)->info.name + " is replicated again");
      any = true;
    } else if (resumed.error().code == Errc::busy || resumed.error().code == Errc::full || resumed.error().code == Errc::io) {
      return resumed.error();
    }
  }
  if (any && stopped().empty()) TRY(impl.db.exec("DELETE FROM __marmot_waiting"));
  return any;
}

}  // namespace marmot::replica
