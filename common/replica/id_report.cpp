// What `marmot ids` tells of a file (docs/ids.md).
#include "common/replica/autoincrement.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/pace.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

Status report_table(Replica::Impl& impl, Table& table, const std::vector<IdForecast>& forecasts, IdReport& out) {
  TRY_ASSIGN(const int64_t last, impl.highest_id(table));
  TRY_ASSIGN(const int64_t highest, table.highest_rowid());
  const IdGeometry& geometry = impl.geometry_of(table);
  IdReport::Table its{table.info.name, last + 1, 0, highest, geometry.from, geometry.block, geometry.slots, table.id_use.pace.largest, {}, {}};
  if (out.own && !out.alone) its.left = left_in_block(geometry, *out.own, its.next);
  for (const IdForecast& forecast : forecasts) {
    if (forecast.table != its.name) continue;
    its.to_31_bits_ms = forecast.to_31_bits;
    its.to_53_bits_ms = forecast.to_53_bits;
  }
  out.tables.push_back(std::move(its));
  return ok();
}

Status report_collisions(sqlite::Database& db, IdReport& out) {
  TRY_ASSIGN(Statement rows, db.prepare(sql::kCountCollisions));
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return ok();
    out.collisions.push_back({std::string(rows.text(0)), rows.integer(1), rows.integer(2)});
  }
}

}  // namespace

Result<IdReport> Replica::ids() {
  Impl& impl = *impl_;
  IdReport out;
  out.own = impl.dealt.slot_of(impl.self.node);
  out.alone = impl.slots_here().others == 0;
  out.given = impl.state.ids_given;
  out.outside = impl.state.ids_outside;
  for (const auto& [slot, entry] : impl.dealt.slots()) out.slots.push_back({slot, entry.fact.owner, entry.fact.retired});
  TRY_ASSIGN(const std::vector<IdForecast> forecasts, id_forecasts(impl.db, impl.env.now()));
  for (const auto& table : impl.tables) {
    if (table->counts_ids()) TRY(report_table(impl, *table, forecasts, out));
    if (!table->plain_ids()) continue;
    const auto adoptable = with_autoincrement(table->sql);
    out.plain.push_back({table->info.name, adoptable ? std::string() : adoptable.error().message});
  }
  TRY(report_collisions(impl.db, out));
  return out;
}

}  // namespace marmot::replica
