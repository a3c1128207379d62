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

// Which of the stopped tables could run again, as far as can be told before their rows are tried.
std::vector<int64_t> Replica::Impl::restartable() const {
  std::vector<int64_t> ids;
  for (const auto& table : tables) {
    const auto is_reason = [&](const auto& one) { return table->stopped == one.second; };
    if (table->stopped && table->exists && may_be_tried(table->id) && std::none_of(unmade.begin(), unmade.end(), is_reason)) ids.push_back(table->id);
  }
  return ids;
}

// What the application did to them meanwhile has one version, so that its transactions win or lose as a whole.
Status Replica::Impl::drain_parked(const std::vector<Table*>& restarted) {
  TouchedKeys touched;
  touched.left_over = true;
  for (Table* const table : restarted) {
    if (!table->baseline) TRY(touch_all(*table, touched));  // it could not be read when the file was opened
    TRY_ASSIGN(Statement* const parked, store.statement(sql::kSelectParked));
    parked->bind(1, table->id);
    for (;;) {
      TRY_ASSIGN(const bool more, parked->step());
      if (!more) break;
      touched.add(table, parked->blob(0), parked->integer(1));
    }
  }
  TRY(drain_touched(touched, nullptr, tracing ? &state.sent_again : nullptr));
  for (const Table* const table : restarted) {
    TRY_ASSIGN(Statement* const forget, store.statement(sql::kDeleteParked));
    forget->bind(1, table->id);
    TRY(forget->run());
  }
  return ok();
}

Status Replica::Impl::restart(std::vector<int64_t>& ids, std::optional<int64_t>& failed) {
  tables_dirty = true;
  // All that the application did comes first, as before every apply.
  TRY(drain_to_outbox());
  if (!unmade.empty()) {
    TRY(migrate());
    TRY(refresh_schema());
  }
  const std::vector<int64_t> able = restartable();
  std::erase_if(ids, [&](int64_t id) { return std::find(able.begin(), able.end(), id) == able.end(); });
  if (ids.empty()) return make_error(Errc::schema, "what stopped them stands");
  std::vector<Table*> restarted;
  for (const int64_t id : ids) restarted.push_back(table_by_id(id));
  for (Table* const table : restarted) {
    table->stopped.reset();
    TRY(table->save());
  }
  if (Status drained = drain_parked(restarted); !drained) {
    for (Table* const table : restarted) {
      if (blamed.erase(fold_name(table->info.name)) == 0) continue;
      failed = table->id;
    }
    return failed ? Status(make_error(Errc::schema, drained.error().message)) : drained;
  }
  for (Table* const table : restarted) {
    failed = table->id;
    TRY(apply_waiting(*table));
    TRY(settle_table(*table));
  }
  failed.reset();
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
  TRY(impl.fill_indexes());
  TRY_ASSIGN(const int64_t schema_now, impl.store.integer("PRAGMA schema_version"));
  if (schema_now != impl.schema_version) impl.end_pauses();  // what was in the way may be gone
  bool any = false;
  if (!impl.unmade.empty() && impl.may_be_tried(Impl::kUnmade)) {
    const size_t before = impl.unmade.size();
    TRY(impl.write(false, nullptr, [&]() -> Status {
      TRY(impl.drain_to_outbox());
      TRY(impl.migrate());
      return impl.refresh_schema();
    }));
    any = impl.unmade.size() < before;
    if (any) impl.retries.erase(Impl::kUnmade);
    else impl.put_off(Impl::kUnmade, Impl::kLongestWrite);
  }
  // All at once, so that a transaction over several of them is whole when it shows; without those whose rows still cannot be written.
  std::vector<int64_t> ids = impl.restartable();
  std::erase_if(ids, [&](int64_t id) {
    if (impl.retries.count(id) == 0 || impl.try_to_read(*impl.table_by_id(id))) return false;
    impl.put_off(id);
    return true;
  });
  while (!ids.empty()) {
    std::optional<int64_t> failed;
    const Status resumed = impl.write(false, nullptr, [&] { return impl.restart(ids, failed); });
    if (resumed) break;
    const Errc code = resumed.error().code;
    if (code == Errc::busy || code == Errc::full || code == Errc::io) return resumed.error();
    if (!failed) {
      for (const int64_t id : ids) impl.put_off(id, Impl::kLongestWrite);
      ids.clear();
      break;
    }
    impl.put_off(*failed, Impl::kLongestWrite);
    std::erase(ids, *failed);
  }
  for (const int64_t id : ids) impl.retries.erase(id);
  for (const int64_t id : ids) impl.log(LogLevel::info, "table " + impl.table_by_id(id)->info.name + " is replicated again");
  any = any || !ids.empty();
  if (any) TRY(impl.write(false, nullptr, [&] { return impl.forget_waiting(); }));
  return any;
}

}  // namespace marmot::replica
