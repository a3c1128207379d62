// A table that stopped is tried again with everything that waited for it, all or nothing.
#include <algorithm>
#include <optional>

#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

struct WaitingUnit {
  int64_t id = 0;
  StreamSeq seq = 0;
  std::string payload;
  codec::DecodedUnit decoded;
};

// The first waiting unit behind `after`; nullopt: there is none.
Result<std::optional<WaitingUnit>> next_waiting(Store& store, int64_t after) {
  TRY_ASSIGN(Statement* const select, store.statement(sql::kSelectWaiting));
  select->bind(1, after);
  TRY_ASSIGN(const bool found, select->step());
  if (!found) return std::optional<WaitingUnit>{};
  WaitingUnit unit;
  unit.id = select->integer(0);
  unit.seq = static_cast<StreamSeq>(select->integer(1));
  const Origin origin{NodeId{static_cast<uint64_t>(select->integer(2))}, Incarnation{static_cast<uint64_t>(select->integer(3))}};
  const codec::Envelope envelope{codec::Kind::rows, origin, static_cast<uint64_t>(select->integer(4)), 0, true, {}};
  unit.payload = std::string(select->blob(5));
  select->reset();
  TRY_ASSIGN(unit.decoded, codec::decode_unit(envelope, unit.payload));
  return std::optional<WaitingUnit>{std::move(unit)};
}

}  // namespace

Status Replica::Impl::apply_waiting(Table& table) {
  std::vector<WaitingUnit> units;
  Retry retry{&table, {}};
  for (int64_t after = 0;;) {
    TRY_ASSIGN(auto found, next_waiting(store, after));
    if (!found) break;
    WaitingUnit& unit = *found;
    after = unit.id;
    for (const UnitRow& row : unit.decoded.unit.rows) {
      if (target_of(unit.decoded.unit.tables[row.table]).table != &table) continue;
      Version& newest = retry.newest[std::string(row.key)];
      newest = std::max(newest, unit.decoded.unit.versions[row.version]);
    }
    units.push_back(std::move(unit));
  }
  ApplyResult ignored;
  retrying = true;
  Status done = ok();
  for (size_t i = 0; done && i < units.size(); ++i) {
    done = apply_unit(units[i].decoded.unit, units[i].payload, units[i].seq, ignored, &retry);
    if (done && table.stopped) done = make_error(Errc::constraint, *table.stopped);
  }
  retrying = false;
  return done;
}

Status Replica::Impl::restart(int64_t id) {
  tables_dirty = true;
  TouchedKeys touched;
  TRY(check_schema(touched));
  TRY(drain_touched(touched, nullptr, nullptr));
  touched = {};  // tables are read anew
  if (!unmade.empty()) {
    TRY(migrate());
    TRY(refresh_schema());
  }
  Table* const found = table_by_id(id);
  if (found == nullptr || !found->exists) return make_error(Errc::schema, "it is gone");
  Table& table = *found;
  for (const auto& [what, reason] : unmade) {
    if (table.stopped == reason) return make_error(Errc::schema, reason);
  }
  table.stopped.reset();
  TRY(table.save());
  // What the application did to it meanwhile comes first, as before every apply.
  {
    TRY_ASSIGN(Statement* const parked, store.statement(sql::kSelectParked));
    parked->bind(1, id);
    touched.left_over = true;
    for (;;) {
      TRY_ASSIGN(const bool more, parked->step());
      if (!more) break;
      touched.add(&table, parked->blob(0), parked->integer(1));
    }
  }
  TRY(drain_touched(touched, nullptr, nullptr));
  TRY_ASSIGN(Statement* const forget, store.statement(sql::kDeleteParked));
  forget->bind(1, id);
  TRY(forget->run());
  TRY(apply_waiting(table));
  TRY(settle_table(table));
  // What was just drained goes out with the outbox.
  state.start_outbox();
  return ok();
}

bool Replica::Impl::is_untold(const Unit& unit) {
  return std::any_of(unit.tables.begin(), unit.tables.end(), [&](const UnitTable& wanted) { return target_of(wanted).untold; });
}

// A unit has waited long enough once every table it names is here and runs.
Status Replica::Impl::forget_waiting() {
  int64_t untold = 0;
  for (int64_t after = 0;;) {
    TRY_ASSIGN(const auto unit, next_waiting(store, after));
    if (!unit) break;
    after = unit->id;
    untold += is_untold(unit->decoded.unit) ? 1 : 0;
    bool waits = false;
    for (const UnitTable& wanted : unit->decoded.unit.tables) {
      const Target target = target_of(wanted);
      waits = waits || target.to == Target::To::wait || (target.table != nullptr && !target.table->running());
    }
    if (waits) continue;
    TRY_ASSIGN(Statement* const remove, store.statement(sql::kDeleteWaiting));
    remove->bind(1, after);
    TRY(remove->run());
  }
  state.untold = untold;
  return ok();
}

Result<int64_t> Replica::untold_units() {
  Impl& impl = *impl_;
  if (impl.state.untold) return *impl.state.untold;
  int64_t untold = 0;
  for (int64_t after = 0;;) {
    TRY_ASSIGN(const auto unit, next_waiting(impl.store, after));
    if (!unit) break;
    after = unit->id;
    untold += impl.is_untold(unit->decoded.unit) ? 1 : 0;
  }
  impl.state.untold = untold;
  return untold;
}

Result<bool> Replica::resume_stopped() {
  Impl& impl = *impl_;
  bool any = false;
  if (!impl.unmade.empty()) {
    const size_t before = impl.unmade.size();
    TRY(impl.write(false, nullptr, [&]() -> Status {
      TouchedKeys touched;
      TRY(impl.check_schema(touched));
      TRY(impl.drain_touched(touched, nullptr, nullptr));
      if (touched.size() > 0) impl.state.start_outbox();
      TRY(impl.migrate());
      return impl.refresh_schema();
    }));
    any = impl.unmade.size() < before;
  }
  std::vector<int64_t> ids;  // tables are read again when a try fails
  for (const auto& table : impl.tables) {
    if (table->stopped && table->exists) ids.push_back(table->id);
  }
  const auto tell = [&](int64_t id) {
    impl.log(LogLevel::info, "table " + impl.table_by_id(id)->info.name + " is replicated again");
    any = true;
  };
  // All at once, so that a transaction over several of them is whole when it shows; else one by one.
  const Status together = ids.empty() ? ok() : impl.write(false, nullptr, [&]() -> Status {
    for (const int64_t id : ids) TRY(impl.restart(id));
    return ok();
  });
  for (const int64_t id : ids) {
    const Status resumed = together || ids.size() == 1 ? together : impl.write(false, nullptr, [&] { return impl.restart(id); });
    if (resumed) tell(id);
    else if (resumed.error().code == Errc::busy || resumed.error().code == Errc::full || resumed.error().code == Errc::io) return resumed.error();
  }
  if (any) TRY(impl.write(false, nullptr, [&] { return impl.forget_waiting(); }));
  return any;
}

}  // namespace marmot::replica
