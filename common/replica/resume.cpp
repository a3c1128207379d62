// A table that stopped is tried again with everything that waited for it, all or nothing.
#include <optional>

#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

struct WaitingUnit {
  int64_t seq = 0;
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
  unit.seq = select->integer(0);
  const Origin origin{NodeId{static_cast<uint64_t>(select->integer(1))}, Incarnation{static_cast<uint64_t>(select->integer(2))}};
  const codec::Envelope envelope{codec::Kind::rows, origin, static_cast<uint64_t>(select->integer(3)), 0, true, {}};
  unit.payload = std::string(select->blob(4));
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
    after = unit.seq;
    for (const UnitRow& row : unit.decoded.unit.rows) {
      if (fold_name(unit.decoded.unit.tables[row.table].name) != fold_name(table.info.name)) continue;
      Version& newest = retry.newest[std::string(row.key)];
      newest = std::max(newest, unit.decoded.unit.versions[row.version]);
    }
    units.push_back(std::move(unit));
  }
  ApplyResult ignored;
  for (const WaitingUnit& unit : units) {
    TRY(apply_unit(unit.decoded.unit, unit.payload, static_cast<StreamSeq>(unit.seq), ignored, &retry));
    if (table.stopped) return make_error(Errc::constraint, *table.stopped);
  }
  return ok();
}

Status Replica::Impl::restart(int64_t id) {
  tables_dirty = true;
  TRY(check_schema(nullptr));
  Table& table = *table_by_id(id);
  if (table.shape != table.info.shape()) return make_error(Errc::schema, "its columns are not those of the cluster");
  table.stopped.reset();
  TRY(table.save());
  // What the application did to it meanwhile comes first, as before every apply.
  TouchedKeys touched;
  {
    TRY_ASSIGN(Statement* const parked, store.statement(sql::kSelectParked));
    parked->bind(1, id);
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
  // What was just drained goes out with the outbox.
  state.start_outbox();
  return ok();
}

// A unit has waited long enough once every table it names is here and runs.
Status Replica::Impl::forget_waiting() {
  for (int64_t after = 0;;) {
    TRY_ASSIGN(const auto unit, next_waiting(store, after));
    if (!unit) return ok();
    after = unit->seq;
    bool waits = false;
    for (const UnitTable& wanted : unit->decoded.unit.tables) {
      const Table* const table = table_by_name(wanted.name);
      waits = waits || (table != nullptr ? !table->running() : not_ours.count(fold_name(wanted.name)) == 0);
    }
    if (waits) continue;
    TRY_ASSIGN(Statement* const remove, store.statement(sql::kDeleteWaiting));
    remove->bind(1, after);
    TRY(remove->run());
  }
}

Result<bool> Replica::resume_stopped() {
  Impl& impl = *impl_;
  bool any = false;
  std::vector<int64_t> ids;  // tables are read again when a try fails
  for (const auto& table : impl.tables) {
    if (table->stopped && table->exists) ids.push_back(table->id);
  }
  for (const int64_t id : ids) {
    const Status resumed = impl.write(false, nullptr, [&] { return impl.restart(id); });
    if (resumed) {
      impl.log(LogLevel::info, "table " + impl.table_by_id(id)->info.name + " is replicated again");
      any = true;
    } else if (resumed.error().code == Errc::busy || resumed.error().code == Errc::full || resumed.error().code == Errc::io) {
      return resumed.error();
    }
  }
  if (any) TRY(impl.write(false, nullptr, [&] { return impl.forget_waiting(); }));
  return any;
}

}  // namespace marmot::replica
