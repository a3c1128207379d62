// What a former life of this agent, or a lost stream, left unacknowledged is published again with the versions it has.
#include <algorithm>

#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

// Rows that stood here before they were watched get a version as they are sent: fewer at a time, because each is written.
constexpr size_t kBaselineRows = 5000;

struct Pending {
  std::string key;
  Version version;
  int64_t origin_id = 0;
  uint64_t hash = 0;
  RowState state = RowState::dead;
};

// One walk over the outbox, as far as one transaction goes.
class Walk {
 public:
  Walk(Replica::Impl& impl, UnitStream& out)
      : impl_(impl), out_(out), limit_(impl.settings.atomic_rows > 0 ? static_cast<size_t>(impl.settings.atomic_rows) : SIZE_MAX) {}

  // True: there is more.
  Result<bool> run() {
    Replica::Impl::State& state = impl_.state;
    for (const auto& table : impl_.tables) {
      if (!table->running() || table->id < state.outbox_table) continue;
      if (table->id > state.outbox_table) {
        state.outbox_table = table->id;
        state.outbox_key.clear();
      }
      for (bool end = false; !end;) {
        TRY_ASSIGN(std::vector<Pending> page, read_page(*table, &end));  // first: rows are written while they are sent
        for (Pending& item : page) {
          if (sent_ >= limit_ || baseline_ >= kBaselineRows) return true;
          state.outbox_key = item.key;
          TRY(send(*table, item));
        }
      }
    }
    return false;
  }

 private:
  Result<std::vector<Pending>> read_page(const Table& table, bool* end) {
    std::vector<Pending> page;
    TRY_ASSIGN(Statement* const rows, impl_.store.statement(sql::kOutboxRows));
    const std::string after = impl_.state.outbox_key;
    rows->bind(1, table.id).bind_blob(2, after);
    while (page.size() < 1000) {
      TRY_ASSIGN(const bool found, rows->step());
      *end = !found;
      if (*end) break;
      page.push_back(Pending{std::string(rows->blob(0)), Version{Hlc::from_stored(rows->integer(1)), {}},
                             rows->integer(2), static_cast<uint64_t>(rows->integer(3)), static_cast<RowState>(rows->integer(4))});
    }
    rows->reset();
    return page;
  }

  Status send(Table& table, Pending& item) {
    Replica::Impl::State& state = impl_.state;
    TRY_ASSIGN(item.version.origin, impl_.store.origin_of(item.origin_id));
    if (item.version.origin == impl_.self && item.version.hlc > state.outbox_until) return ok();  // a drain sent it
    Register now;
    now.version = item.version;
    now.state = item.state;
    if (now.shelved() && item.origin_id == 0) {
      // It stood here before this file met the cluster, whose row has its value: the cluster wins, and it never goes out.
      TRY(impl_.keep_shelved_row(table, item.key, now, "", nullptr, "", ""));
      TRY(impl_.erase_row(table, item.key, now));
      return impl_.store.remove(table.id, item.key);
    }
    if (item.state != RowState::dead) {
      TRY_ASSIGN(const bool there, impl_.read_row(table, item.key, now, values_, storage_));
      // Another content than the version names: only the next drain may give it a version.
      if (!there || table.hash(values_) != item.hash) {
        state.outbox_passed = true;
        return ok();
      }
    }
    if (item.origin_id == 0) TRY(give_version(table, item));
    const Op op = item.state == RowState::dead ? Op::remove : is_inserted(item.state) ? Op::insert : Op::update;
    ++sent_;
    return out_.row(table, item.version, op, item.key, values_);
  }

  // A row that stood here before it was watched.
  Status give_version(const Table& table, Pending& item) {
    Replica::Impl::State& state = impl_.state;
    if (!baseline_version_) baseline_version_ = Version{state.clock.tick(impl_.env.now(), impl_.env.now()), impl_.self};
    item.version = *baseline_version_;
    item.state = RowState::inserted;
    if (state.outbox_until < item.version.hlc) state.outbox_until = item.version.hlc;
    ++baseline_;
    return impl_.store.put(table.id, item.key, true, item.version, std::nullopt, item.hash, item.state);
  }

  Replica::Impl& impl_;
  UnitStream& out_;
  const size_t limit_;
  size_t sent_ = 0, baseline_ = 0;
  std::vector<ValueView> values_;
  std::string storage_;
  std::optional<Version> baseline_version_;
};

}  // namespace

// What a former life had on its way together with a schema change goes with that once more, at once, and so does what a migration wrote while no
// agent ran. Elsewhere the outbox waits until what came round meanwhile is applied.
Status Replica::Impl::send_half_told(UnitStream& out) {
  if (!std::exchange(state.half_told, false)) return ok();
  TRY(out.end_unit());
  TRY(Walk(*this, out).run());
  return ok();
}

bool Replica::outbox_again() const { return impl_->state.outbox_again && impl_->state.membership == Membership::member; }

Status Replica::unit_lost() {
  return impl_->write(false, nullptr, [this] {
    ApplyResult unused;
    return impl_->send_lost_again(unused);
  });
}

Result<DrainResult> Replica::publish_outbox(bool polite) {
  Impl& impl = *impl_;
  DrainResult result;
  if (!impl.state.outbox_due || impl.state.membership != Membership::member) return result;
  TRY(impl.write(polite, &result.held_us, [&]() -> Status {
    Impl::State& state = impl.state;
    bool more = false;
    UnitStream out(impl.self, state.position.seq, &state.next_unit, impl.settings);
    TRY(impl.drain_into(out, true, impl.tracing ? &result.changes : nullptr, &more));
    TRY(out.end_unit());  // what was just drained may be in the outbox too
    state.outbox_again = false;
    // Units of a former life that wait for one that never came: any unit of this life ends them, everywhere.
    TRY_ASSIGN(Statement* const former, impl.store.statement(sql::kFormerUnits));
    former->bind(1, static_cast<int64_t>(impl.self.node.value)).bind(2, static_cast<int64_t>(impl.self.incarnation.value));
    TRY_ASSIGN(const bool waiting, former->step());
    former->reset();
    if (waiting && state.next_unit == 1) TRY(out.floor(Floor{}));
    TRY_ASSIGN(result.more, Walk(impl, out).run());
    if (!result.more) state.outbox_due = false;
    // Last: whoever hears of it takes for deleted what it has not been told of by then.
    const bool all = std::all_of(impl.tables.begin(), impl.tables.end(), [](const auto& table) { return table->running(); });
    if (!result.more && all && std::exchange(state.floor_due, false) && state.floor.hlc > state.floor_seen) {
      TRY(out.floor(Floor{0, state.floor.hlc}));
    }
    TRY_ASSIGN(auto units, out.finish(false));
    for (OutUnit& unit : units) result.units.push_back(std::move(unit));
    if (state.outbox_due || !state.reread) return ok();
    state.reread_until = state.next_unit - 1;
    return impl.end_reread();
  }));
  return result;
}

}  // namespace marmot::replica
