// Stamps that are too far ahead (docs/decisions/0032-a-clock-that-was-wrong.md).
//
// A node whose clock is ahead would win against later writes of others, and every clock would follow it. So what is sent is judged by the one
// time that all nodes share, the highest of JetStream's times of the messages up to the one that makes a unit whole and next: all nodes refuse
// the same units, at the same place. A refused unit counts as done and touches nothing, no clock either. Its sender gives what it held the time
// of the message that was refused, under a new incarnation, and applies what it had passed over for it.
#include <algorithm>
#include <map>

#include "common/base/mutation.hpp"
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

constexpr int64_t kOfOthersMs = 86'400'000;  // ahead may be what is sent again for others, or of a former life
constexpr int64_t kMostOverruled = 10'000;   // units; of more the oldest go, and a comparison of nodes finds what they held

Origin origin_in(const Statement& row, int first) {
  return Origin{NodeId{static_cast<uint64_t>(row.integer(first))}, Incarnation{static_cast<uint64_t>(row.integer(first + 1))}};
}

// As the stream will judge what is sent now. What others have brought is no fault of this file's.
WallMs limit_at(Replica::Impl::StreamClock stream, WallMs now) {
  stream.time = now;
  return stream.limit();
}

// Gives changes that the stream does not hold other stamps, in the order of those that they had, so that what was later stays so.
class Redating {
 public:
  Redating(Replica::Impl& impl, WallMs now) : impl_(impl), now_(now), limit_(limit_at(impl.state.stream, now)) {}

  Status run() {
    TRY(read_refused());
    TRY(read_rows());
    TRY(read_buried());
    read_schema();
    make();
    TRY(put_rows());
    TRY(put_buried());
    return put_schema();
  }

  size_t made() const { return made_.size(); }

 private:
  struct Row {
    int64_t table = 0;
    std::string shape, key;  // the shape only of a tombstone under a former key
    Version version;
    bool live = false;
  };

  Status read_refused() {
    TRY_ASSIGN(Statement* const select, impl_.store.statement(sql::kSelectMisdated));
    for (;;) {
      TRY_ASSIGN(const bool more, select->step());
      if (!more) return ok();
      const Incarnation incarnation{static_cast<uint64_t>(select->integer(0))};
      refused_[{incarnation, Hlc{static_cast<uint64_t>(select->integer(1))}}].value = static_cast<uint64_t>(select->integer(2));
    }
  }

  // False: it is not ours, or right.
  bool is_wrong(const Version& version) {
    const bool wrong = impl_.is_ours(version.origin.node) && (refused_.count({version.origin.incarnation, version.hlc}) != 0 || version.hlc.wall() > limit_);
    if (wrong) made_.emplace(version, Version{});
    else newest_right_ = std::max(newest_right_, version.hlc);
    return wrong;
  }

  Status read_rows() {
    TRY_ASSIGN(Statement* const select, impl_.store.statement(sql::kUnsentVersions));
    for (;;) {
      TRY_ASSIGN(const bool more, select->step());
      if (!more) return ok();
      TRY_ASSIGN(const Version version, impl_.store.version(select->integer(2), select->integer(3)));
      if (is_wrong(version)) rows_.push_back({select->integer(0), {}, std::string(select->blob(1)), version, select->integer(4) != 0});
    }
  }

  Status read_buried() {
    TRY_ASSIGN(Statement* const select, impl_.store.statement(sql::kUnsentBuried));
    for (;;) {
      TRY_ASSIGN(const bool more, select->step());
      if (!more) return ok();
      TRY_ASSIGN(const Version version, impl_.store.version(select->integer(3), select->integer(4)));
      if (is_wrong(version)) buried_.push_back({select->integer(0), std::string(select->blob(1)), std::string(select->blob(2)), version, false});
    }
  }

  void read_schema() {
    for (const SchemaRegister& one : impl_.registers.all()) {
      const bool told = impl_.registers.find(one.kind, one.table, one.id)->seq.has_value();
      if (!told && one.version != Version{} && is_wrong(one.version)) schema_.push_back(one);
    }
  }

  // The clock goes back to what the stream has brought, and to what this file knows of a former one.
  void make() {
    Replica::Impl::State& state = impl_.state;
    Hlc last;
    for (auto& [was, is] : made_) {
      const auto refused = refused_.find({was.origin.incarnation, was.hlc});
      const Hlc wanted = refused != refused_.end() ? refused->second : state.stream.behind(now_);
      last = std::max(Hlc{last.value + 1}, wanted);
      is = Version{last, impl_.self};
    }
    state.clock = HlcClock(state.stream.seen);
    for (const Hlc known : {last, newest_right_, state.pruned_hlc, state.floor.hlc}) state.clock.observe(known);
    state.not_lower = state.clock.last();
  }

  Status put_rows() {
    TRY_ASSIGN(const Store::OriginRow own, impl_.store.origin(impl_.self));
    TRY_ASSIGN(Statement* const put, impl_.store.statement(sql::kRedateVersion));
    for (const Row& row : rows_) {
      const Version& version = made_.at(row.version);
      put->bind(1, row.table).bind_blob(2, row.key).bind(3, version.hlc.stored()).bind(4, own.id);
      TRY(put->run());
      const Table* const table = impl_.tracing ? impl_.table_by_id(row.table) : nullptr;
      if (table == nullptr) continue;
      impl_.state.sent_again.push_back(Change{false, table->info.name, row.live ? Op::update : Op::remove, describe_key(row.key), version, 0});
    }
    return ok();
  }

  Status put_buried() {
    TRY_ASSIGN(const Store::OriginRow own, impl_.store.origin(impl_.self));
    TRY_ASSIGN(Statement* const put, impl_.store.statement(sql::kRedateBuried));
    for (const Row& row : buried_) {
      put->bind(1, row.table).bind_blob(2, row.shape).bind_blob(3, row.key).bind(4, made_.at(row.version).hlc.stored()).bind(5, own.id);
      TRY(put->run());
    }
    return ok();
  }

  Status put_schema() {
    for (SchemaRegister& one : schema_) {
      impl_.tables_dirty = true;
      const bool here = impl_.registers.find(one.kind, one.table, one.id)->here == spell_version(one.version);  // of a number
      one.version = made_.at(one.version);
      TRY(impl_.registers.put(one, std::nullopt));
      if (here) TRY(impl_.registers.set_here(one, spell_version(one.version)));
    }
    return ok();
  }

  Replica::Impl& impl_;
  const WallMs now_, limit_;
  std::map<std::pair<Incarnation, Hlc>, Hlc> refused_;     // by the stream, and the stamp in their place
  std::map<Version, Version> made_;                        // for those that are wrong
  Hlc newest_right_;                                       // of the others
  std::vector<Row> rows_, buried_;
  std::vector<SchemaRegister> schema_;
};

}  // namespace

WallMs Replica::Impl::StreamClock::limit() const { return std::max(time, seen.wall()) + (bound == 0 ? codec::kClockBoundMs : bound); }

Hlc Replica::Impl::StreamClock::behind(WallMs at) const { return std::max(Hlc::from_wall(at), Hlc{seen.value + 1}); }

int64_t Replica::Impl::StreamClock::judge(const Origin& sender, const std::vector<Version>& versions) {
  int64_t most = 0;
  if (time != 0 && !mutated(Mutation::misdated_applied)) {
    const WallMs of_others = was_reset ? limit() : std::max(limit(), time + kOfOthersMs);
    for (const Version& version : versions) {
      if (version.hlc.wall() > (version.origin == sender ? limit() : of_others)) most = std::max(most, version.hlc.wall() - time);
    }
  }
  if (most == 0) {
    for (const Version& version : versions) seen = std::max(seen, version.hlc);
  }
  return most;
}

bool Replica::Impl::is_ours(NodeId node) const {
  return node == self.node || std::find(former_nodes.begin(), former_nodes.end(), node) != former_nodes.end();
}

// True: nothing of it is applied.
Result<bool> Replica::Impl::refuse_misdated(const Origin& sender, const std::vector<Version>& versions, StreamSeq seq, ApplyResult& result) {
  const int64_t ahead = state.stream.judge(sender, versions);
  if (ahead == 0) return false;
  log(LogLevel::warn, "message " + std::to_string(seq) + ": node " + std::to_string(sender.node.value) + " stamped it " + std::to_string(ahead) +
                          " ms ahead of the stream's time: it is refused everywhere, and its sender stamps it anew");
  if (sender.node != self.node) return true;
  TRY_ASSIGN(Statement* const keep, store.statement(sql::kMisdate));
  for (const Version& version : versions) {
    if (version.origin.node != self.node) continue;
    keep->bind(1, static_cast<int64_t>(version.origin.incarnation.value)).bind(2, static_cast<int64_t>(version.hlc.value)).bind(3, static_cast<int64_t>(state.stream.behind(state.stream.time).value));
    TRY(keep->run());
  }
  result.misdated = true;
  return true;
}

bool Replica::Impl::waits_misdated(const Version& version, bool seen) const {
  return !seen && state.stream.time != 0 && !merging && is_ours(version.origin.node) && version.hlc.wall() > state.stream.limit();
}

Status Replica::Impl::keep_overruled(const Origin& sender, uint64_t unit, codec::Kind kind, std::string_view payload, StreamSeq seq) {
  if (applying_overruled || mutated(Mutation::overruled_forgotten)) return ok();
  TRY_ASSIGN(Statement* const keep, store.statement(sql::kOverrule));
  keep->bind(1, static_cast<int64_t>(seq)).bind(2, static_cast<int64_t>(sender.node.value)).bind(3, static_cast<int64_t>(sender.incarnation.value));
  keep->bind(4, static_cast<int64_t>(unit)).bind(5, static_cast<int64_t>(kind)).bind_blob(6, payload);
  TRY(keep->run());
  TRY_ASSIGN(Statement* const drop, store.statement(sql::kOverruledDropOldest));
  drop->bind(1, kMostOverruled);
  return drop->run();
}

Status Replica::Impl::apply_overruled() {
  ApplyResult result;
  for (int64_t after = 0;;) {
    TRY_ASSIGN(Statement* const next, store.statement(sql::kOverruledAfter));
    next->bind(1, after);
    TRY_ASSIGN(const bool found, next->step());
    if (!found) break;
    after = next->integer(0);
    const auto seq = static_cast<StreamSeq>(next->integer(1));
    const codec::Envelope envelope{static_cast<codec::Kind>(next->integer(5)), origin_in(*next, 2), static_cast<uint64_t>(next->integer(4)), 0, true, {}};
    const std::string payload(next->blob(6));
    next->reset();
    if (envelope.kind == codec::Kind::schema) {
      TRY_ASSIGN(const auto registers_sent, codec::decode_schema(payload));
      TRY(apply_schema(registers_sent, seq));
      continue;
    }
    TRY_ASSIGN(const codec::DecodedUnit decoded, codec::decode_unit(envelope, payload));
    applying_refused = applying_overruled = true;
    const Status applied = apply_unit(decoded.unit, payload, seq, result, nullptr);
    applying_refused = applying_overruled = false;
    TRY(applied);
  }
  overruled = false;
  if (tracing) state.sent_again.insert(state.sent_again.end(), result.changes.begin(), result.changes.end());
  TRY_ASSIGN(Statement* const forget, store.statement(sql::kForgetOverruled));
  return forget->run();
}

Result<int64_t> Replica::misdated(WallMs now) {
  const Impl::State& state = impl_->state;
  const WallMs last = state.clock.last().wall();
  TRY_ASSIGN(const int64_t refused, impl_->store.integer(sql::kAnyMisdated));
  Impl::StreamClock stream = state.stream;
  stream.seen = std::max(stream.seen, state.not_lower);
  return refused != 0 || last > limit_at(stream, now) ? std::max<int64_t>(last - now, 1) : 0;
}

Status Replica::redate(WallMs now, Incarnation incarnation) {
  Impl& impl = *impl_;
  const Origin former = impl.self;
  impl.self.incarnation = incarnation;
  const Status done = impl.write(false, nullptr, [&]() -> Status {
    Impl::State& state = impl.state;
    TRY(impl.tell_again("WHERE seq = 0"));
    state.half_told = !impl.registers.unsent().empty();
    TRY(impl.send_former_again());
    Redating redating(impl, now);
    TRY(redating.run());
    TRY_ASSIGN(Statement* const forget, impl.store.statement(sql::kForgetMisdated));
    TRY(forget->run());
    impl.log(LogLevel::warn, "what the stream does not hold of this file's changes was stamped by a clock that was ahead: " +
                                 std::to_string(redating.made()) + " stamps are JetStream's time now");
    state.next_unit = 1;
    state.ids_unit = 0;
    impl.touch_ids();
    state.floor_due = state.floor.hlc > state.floor_seen;
    state.start_outbox();
    TRY(impl.apply_overruled());
    for (const auto& table : impl.tables) {
      if (state.shelved > 0 && table->running()) TRY(impl.settle_table(*table));  // the rows in their way are older than they were
    }
    return ok();
  });
  if (!done) impl.self = former;
  return done;
}

}  // namespace marmot::replica
