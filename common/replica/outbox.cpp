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

}  // namespace

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
  const size_t limit = impl.settings.atomic_rows > 0 ? static_cast<size_t>(impl.settings.atomic_rows) : SIZE_MAX;
  TRY(impl.write(polite, &result.held_us, [&]() -> Status {
    bool more = false;
    TRY(impl.drain_log(result.units, impl.tracing ? &result.changes : nullptr, &more));
    impl.state.outbox_again = false;
    UnitStream out(impl.self, impl.state.position.seq, &impl.state.next_unit, impl.settings);
    Impl::State& state = impl.state;
    // Units of a former life that wait for one that never came: any unit of this life ends them, everywhere.
    TRY_ASSIGN(Statement* const former, impl.store.statement(sql::kFormerUnits));
    former->bind(1, static_cast<int64_t>(impl.self.node.value)).bind(2, static_cast<int64_t>(impl.self.incarnation.value));
    TRY_ASSIGN(const bool waiting, former->step());
    former->reset();
    if (waiting && state.next_unit == 1) TRY(out.floor(Floor{}));
    size_t sent = 0, baseline = 0;
    std::vector<ValueView> values;
    std::string storage;
    std::optional<Version> baseline_version;
    for (const auto& table : impl.tables) {
      if (!table->running() || table->id < state.outbox_table) continue;
      if (table->id > state.outbox_table) {
        state.outbox_table = table->id;
        state.outbox_key.clear();
      }
      for (bool end = false; !end;) {
        // Read a page first: rows are written while they are sent.
        std::vector<Pending> page;
        TRY_ASSIGN(Statement* const rows, impl.store.statement(sql::kOutboxRows));
        const std::string after = state.outbox_key;
        rows->bind(1, table->id).bind_blob(2, after);
        while (page.size() < 1000) {
          TRY_ASSIGN(const bool found, rows->step());
          end = !found;
          if (end) break;
          page.push_back(Pending{std::string(rows->blob(0)), Version{Hlc::from_stored(rows->integer(1)), {}},
                                 rows->integer(2), static_cast<uint64_t>(rows->integer(3)), static_cast<RowState>(rows->integer(4))});
        }
        rows->reset();
        for (Pending& item : page) {
          if (sent >= limit || baseline >= kBaselineRows) {
            result.more = true;
            break;
          }
          state.outbox_key = item.key;
          TRY_ASSIGN(item.version.origin, impl.store.origin_of(item.origin_id));
          if (item.version.origin == impl.self && item.version.hlc > state.outbox_until) continue;  // a drain sent it
          Register now;
          now.version = item.version;
          now.state = item.state;
          if (now.shelved() && item.origin_id == 0) {
            // It stood here before this file met the cluster, whose row has its value: the cluster wins, and it never goes out.
            TRY(impl.keep_shelved_row(*table, item.key, now, "", nullptr, "", ""));
            TRY(impl.erase_row(*table, item.key, now));
            TRY(impl.store.remove(table->id, item.key));
            continue;
          }
          if (item.state != RowState::dead) {
            TRY_ASSIGN(const bool there, impl.read_row(*table, item.key, now, values, storage));
            // Another content than the version names: only the next drain may give it a version.
            if (!there || table->hash(values) != item.hash) {
              state.outbox_passed = true;
              continue;
            }
          }
          if (item.origin_id == 0) {
            if (!baseline_version) baseline_version = Version{state.clock.tick(impl.env.now(), impl.env.now()), impl.self};
            item.version = *baseline_version;
            TRY(impl.store.put(table->id, item.key, true, item.version, std::nullopt, item.hash, RowState::inserted));
            item.state = RowState::inserted;
            if (state.outbox_until < item.version.hlc) state.outbox_until = item.version.hlc;
            ++baseline;
          }
          const Op op = item.state == RowState::dead ? Op::remove : is_inserted(item.state) ? Op::insert : Op::update;
          TRY(out.row(*table, item.version, op, item.key, values));
          ++sent;
        }
        if (result.more) break;
      }
      if (result.more) break;
    }
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
