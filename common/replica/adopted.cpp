// Tables with a plain INTEGER PRIMARY KEY whose ids are dealt to nodes all the same (docs/decisions/0041-adopted-tables.md): their text in each file
// gets the word AUTOINCREMENT. No other part of the engine sees that word: neither as a change of the application's nor in a comparison
// with the registers of columns (own_sql() in local_schema.hpp).
#include <algorithm>

#include "common/base/mutation.hpp"
#include "common/replica/autoincrement.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/local_schema.hpp"

namespace marmot::replica {

Status Replica::Impl::carry_out_adoption() {
  TRY_ASSIGN(const std::vector<LocalTable> locals, read_local_tables(db));
  for (const LocalTable& table : locals) {
    if (!table.permanent_id || table.wish) continue;
    const bool wanted = registers.adopts(*table.permanent_id);
    if (!wanted && !table.adopted) continue;
    TRY_ASSIGN(const std::string sql, table_sql(db, table.name));
    const bool has = without_autoincrement(sql) != sql;
    if (wanted && mutated(Mutation::adoption_once) && table.adopted) continue;
    if (wanted && !has && with_autoincrement(sql)) {  // also where a tool rebuilt it by its own text
      TRY_IN("adopt table " + table.name, add_autoincrement(db, table.name));
      TRY(tell_adopted(db, table.id, true));
      log(LogLevel::info, "table " + table.name + " is AUTOINCREMENT now, so that each node gives out ids of its own");
    } else if (!wanted) {
      if (has) TRY_IN("release table " + table.name, remove_autoincrement(db, table.name));
      TRY(tell_adopted(db, table.id, false));
      log(LogLevel::info, "table " + table.name + " is not AUTOINCREMENT any more: its ids are released");
    }
  }
  return ok();
}

bool Replica::Impl::adopts_by_itself(const Version& table) const {
  const bool may = settings.ids.adopt && !settings.ids.held && deals_ids() && state.membership == Membership::member;
  return may && registers.adoption(table) == nullptr;
}

bool Replica::Impl::adoption_is_due() const {
  return std::any_of(tables.begin(), tables.end(), [&](const auto& table) { return table->adoptable && table->permanent_id && adopts_by_itself(*table->permanent_id); });
}

}  // namespace marmot::replica
