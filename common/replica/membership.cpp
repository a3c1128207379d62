// Meeting a stream: founding it, joining it with data of one's own, losing its history (docs/design.md, "Joining").
#include "common/core/row_hash.hpp"
#include "common/replica/capture.hpp"
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

// The application goes on while the agent prepares the file, and no drain runs yet: what it did to its schema comes first.
// True: `tables` are others now.
Result<bool> Replica::Impl::catch_up_with_schema() {
  TRY_ASSIGN(const int64_t now, store.integer("PRAGMA schema_version"));
  if (now == schema_version) return false;
  TRY(write(false, nullptr, [&]() -> Status {
    TouchedKeys touched;
    TRY(schema_changed(touched));
    TRY(drain_touched(touched, nullptr, nullptr));
    if (touched.size() > 0) state.start_outbox();  // what it was to send so far ends before these versions
    return ok();
  }));
  baseline_at = {};
  return true;
}

Result<bool> Replica::baseline() {
  Impl& impl = *impl_;
  TRY_ASSIGN(const bool moved, impl.catch_up_with_schema());
  if (moved) return false;
  bool all = true;
  for (const auto& owned : impl.tables) {
    if (owned->baseline || !owned->running()) continue;
    all = false;
    Table& table = *owned;
    const Table::Position before = impl.baseline_at;
    const Status done = impl.write(false, nullptr, [&]() -> Status {
      TRY_ASSIGN(const int64_t schema_now, impl.store.integer("PRAGMA schema_version"));
      if (schema_now != impl.schema_version) return make_error(Errc::busy, "the schema was changed just now");
      return impl.baseline_slice(table);
    });
    if (!done) {
      table.baseline = false;
      impl.baseline_at = before;
      if (!stops_table(done.error())) return done.error();
      impl.baseline_at = {};
      TRY(impl.stop_apart(table.id, done.error().message));
    }
    break;
  }
  return all;
}

// The first versions of some rows of one table.
Status Replica::Impl::baseline_slice(Table& table) {
  const int64_t began = env.monotonic_us();
  bool end = false;
  do {
    TRY_ASSIGN(end, table.scan(baseline_at, 500, true, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
      TRY_ASSIGN(Statement* const insert, store.statement(sql::kBaselineVersion));
      insert->bind(1, table.id).bind_blob(2, key).bind(3, static_cast<int64_t>(table.hash(values)));
      TRY(insert->run());
      return keep_unique(table, key);
    }));
    table.baseline = end;
  } while (!end && env.monotonic_us() - began < settings.slice_us);
  if (!table.baseline) return ok();
  tables_dirty = true;
  baseline_at = {};
  return table.save();
}

bool Replica::empty_file() const {
  for (const auto& table : impl_->tables) {
    if (!table->exists) continue;
    const auto rows = impl_->db.query_integer("SELECT EXISTS(SELECT 1 FROM " + sqlite::quote_identifier(table->info.name) + ")");
    if (!rows || *rows != 0) return false;
  }
  return true;
}

Status Replica::Impl::become_member() {
  if (state.floor_seen > state.floor.hlc) TRY(drop_pruned_meanwhile(state.floor_seen));
  state.floor.hlc = std::max(state.floor.hlc, state.floor_seen);
  state.floor_due = state.floor.hlc > state.floor_seen;
  forget_brought_along();
  state.membership = Membership::member;
  state.start_outbox();
  TRY(store.set_meta(meta::kMembership, static_cast<int64_t>(state.membership)));
  // Anything whose schema nobody else has sent is ours to send.
  TRY(settle_schema_versions());
  return ok();
}

// It is read from behind `before` on.
void Replica::Impl::enter_stream(uint64_t stream_id, StreamSeq before) {
  state.position = Position{stream_id, before};
  state.gap = {};
  state.stream = {0, {}, 0, !state.resets->empty()};  // what is read again is judged as it was: by what came before it
}

Status Replica::found(uint64_t stream_id, StreamSeq before, const std::optional<HashKey>& key) {
  Impl& impl = *impl_;
  return impl.write(false, nullptr, [&]() -> Status {
    TRY(impl.take_hash_key(key));
    TRY(impl.forget_resets(0));
    impl.enter_stream(stream_id, before);
    return impl.become_member();
  });
}

Status Replica::join(uint64_t stream_id, StreamSeq end, StreamSeq before, const std::optional<HashKey>& key) {
  Impl& impl = *impl_;
  impl.forget_compared();
  return impl.write(false, nullptr, [&]() -> Status {
    TRY(impl.take_hash_key(key));
    TRY(impl.forget_resets(0));
    impl.enter_stream(stream_id, before);
    impl.state.membership = Membership::joining;
    impl.state.join_end = end;
    return ok();
  });
}

Status Replica::stream_ends(StreamSeq end) {
  Impl& impl = *impl_;
  if (impl.state.membership != Membership::joining || impl.state.join_end <= end) return ok();
  return impl.write(false, nullptr, [&]() -> Status {
    impl.state.join_end = end;
    return impl.state.position.seq >= end ? impl.become_member() : ok();
  });
}

Status Replica::history_lost(uint64_t stream_id, StreamSeq end, Incarnation incarnation, StreamSeq before,
                             const std::optional<HashKey>& key) {
  Impl& impl = *impl_;
  const Origin former = impl.self;
  impl.self.incarnation = incarnation;
  const Status done = impl.write(false, nullptr, [&]() -> Status {
    bool more = true;
    std::vector<OutUnit> unused;  // published again from the outbox
    impl.state.membership = Membership::joining;
    while (more) {
      more = false;
      TRY(impl.drain_log(unused, nullptr, &more));
    }
    ApplyResult ignored;
    TRY_ASSIGN(Statement* const refused, impl.store.statement(sql::kRefusedUpTo));
    refused->bind(1, INT64_MAX);
    TRY(impl.apply_refused(*refused, impl.state.position.seq, ignored));  // their sender may be lost with the stream
    TRY(impl.take_hash_key(key));
    TRY(impl.forget_resets(stream_id == impl.state.position.stream_id ? end : 0));
    impl.enter_stream(stream_id, before);
    impl.state.join_end = end;
    impl.state.next_unit = 1;
    impl.state.trimmed = false;
    impl.state.floor.seq = 0;  // of the stream that is gone
    impl.state.floor_seen = {};
    impl.state.fence = 0;
    impl.state.reread = true;
    TRY(impl.store.set_meta(meta::kTrimmed, int64_t{0}));
    // Nothing is known to be in the stream until it has been read there again.
    TRY(impl.db.exec("UPDATE __marmot_version SET seq = NULL WHERE seq IS NOT NULL"));
    TRY(impl.db.exec("UPDATE __marmot_buried SET seq = -1"));
    TRY(impl.tell_again(""));
    impl.state.ids_unit = 0;
    impl.touch_ids();
    TRY(impl.db.exec("UPDATE __marmot_origin SET unit = 0"));
    TRY(impl.db.exec("DELETE FROM __marmot_part; DELETE FROM __marmot_reread"));
    impl.store.forget();
    if (end == 0) return impl.become_member();
    return ok();
  });
  if (!done) impl.self = former;
  return done;
}

void Replica::Impl::forget_compared() {
  compared.clear();
  compared_parts.clear();
  compared_key.reset();
  compared_clock = {};
  compared_resets.clear();
}

Status Replica::compare(const Incoming& message) {
  Impl& impl = *impl_;
  auto envelope = codec::open(message.bytes);
  if (!envelope && envelope.error().code == Errc::corrupt) return ok();  // apply() will quarantine it
  TRY(envelope);
  impl.compared_clock.time = std::max(impl.compared_clock.time, message.at);
  if (envelope->kind == codec::Kind::genesis) {
    const auto genesis = codec::decode_genesis(envelope->slice);
    if (genesis && genesis->clock_bound_ms != 0) impl.compared_clock.bound = genesis->clock_bound_ms;
  }
  if (envelope->kind == codec::Kind::clock) {
    const auto change = codec::decode_clock(envelope->slice);  // it fits into one message
    if (change) impl.compare_clock(*change, message.seq);
  }
  if (envelope->kind != codec::Kind::rows) return ok();
  const std::string unit_id = to_hex(envelope->origin.node.value) + '.' + to_hex(envelope->origin.incarnation.value) + '.' +
                              to_hex(envelope->number);
  std::string& payload = impl.compared_parts[unit_id];
  payload.append(envelope->slice);
  if (!envelope->last) return ok();
  const std::string whole = std::move(payload);
  impl.compared_parts.erase(unit_id);
  auto decoded = codec::decode_unit(*envelope, whole);
  if (!decoded && decoded.error().code == Errc::corrupt) return ok();
  TRY(decoded);
  for (const Impl::KnownReset& one : impl.compared_resets) {
    if (decoded->unit.base >= one.seq) continue;
    for (Version& version : decoded->unit.versions) version.hlc = one.reset.lowered_in_flight(version.hlc);
  }
  if (impl.compared_clock.judge(envelope->origin, decoded->unit.versions) != 0) return ok();  // as apply() will refuse it
  std::vector<ValueView> values;
  for (const UnitRow& row : decoded->unit.rows) {
    const UnitTable& wanted = decoded->unit.tables[row.table];
    if (impl.not_ours.count(fold_name(wanted.name)) != 0) continue;
    const Version& version = decoded->unit.versions[row.version];
    Impl::Remote& remote = impl.compared[fold_name(wanted.name)][std::string(row.key)];
    if (version < remote.version) continue;
    remote.version = version;
    remote.live = row.op != Op::remove;
    remote.hash = 0;
    Table* const table = impl.table_by_name(wanted.name);
    if (!remote.live || table == nullptr) continue;
    const std::vector<SentColumn> map = table->map_columns(wanted.columns);
    std::deque<std::string> storage;
    table->values_for(map, &decoded->unit.values[row.first_value], impl.coercer, storage, values);
    remote.hash = table->hash_under(impl.compared_key.value_or(impl.store.hash_key), values);
  }
  return ok();
}

namespace {

// Live keyless rows of the stream by what they hold, each to be taken once.
class TwinsThere {
 public:
  template <class Remotes>
  explicit TwinsThere(const Remotes& remotes) {
    for (const auto& [key, row] : remotes) {
      const auto decoded = row.live ? decode_key(key) : Result<DecodedKey>(DecodedKey{});
      if (decoded && decoded->is_rowid) ++count_[row.hash];
    }
  }
  bool take(uint64_t hash) {
    const auto found = count_.find(hash);
    if (found == count_.end() || found->second == 0) return false;
    --found->second;
    return true;
  }

 private:
  std::unordered_map<uint64_t, size_t> count_;
};

}  // namespace

Result<Comparison> Replica::comparison() {
  Impl& impl = *impl_;
  TRY_ASSIGN(const bool moved, impl.catch_up_with_schema());
  if (moved) return make_error(Errc::busy, "the schema was changed while it was compared: it is compared again");
  Comparison out;
  const auto example = [&](const Table& table, const std::string& key, const char* what) {
    if (out.examples.size() < 10) out.examples.push_back(table.info.name + " " + describe_key(key) + ": " + what);
  };
  for (const auto& owned : impl.tables) {
    Table& table = *owned;
    if (!table.exists) continue;
    auto& remote = impl.compared[fold_name(table.info.name)];
    TwinsThere twins(remote);
    size_t met = 0;
    Table::Position position;
    TRY(table.scan(position, INT64_MAX, false, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
      TRY_ASSIGN(const auto local, impl.store.find(table.id, key));
      if (local && local->origin_id != 0) return ok();  // written since it is watched: a change like any other
      auto there = remote.find(key);
      if (there == remote.end()) {
        // A keyless row has its origin's name in the stream and ours here: it is known by what it holds, as join() knows it.
        TRY_ASSIGN(const DecodedKey decoded, decode_key(key));
        if (decoded.is_rowid && twins.take(table.hash(values))) {
          ++out.equal;
          ++met;
          return ok();
        }
      }
      if (there == remote.end() || !there->second.live) {
        ++out.only_here;
        example(table, key, there == remote.end() ? "only here" : "deleted in the cluster");
      } else if (there->second.hash == table.hash_under(impl.compared_key.value_or(impl.store.hash_key), values)) {
        ++out.equal;
        ++met;
      } else {
        ++out.differing;
        ++met;
        example(table, key, "differs");
      }
      return ok();
    }));
    int64_t live = 0;
    for (const auto& [key, row] : remote) live += row.live ? 1 : 0;
    out.only_there += live - static_cast<int64_t>(met);
  }
  return out;
}

Status Replica::discard_rows() {
  Impl& impl = *impl_;
  return impl.write(false, nullptr, [&]() -> Status {
    for (const auto& table : impl.tables) {
      if (!table->exists) continue;
      TRY(impl.effects.write([&] { return impl.db.exec("DELETE FROM " + sqlite::quote_identifier(table->info.name)); }));
    }
    for (const std::string_view internal : kTablesOfRows) TRY(impl.db.exec("DELETE FROM __marmot_" + std::string(internal)));
    impl.state.shelved = 0;
    return ok();
  });
}

}  // namespace marmot::replica
