// Scrub: rows against their versions (repair.hpp).
#include <algorithm>
#include <map>

#include "common/base/mutation.hpp"
#include "common/replica/capture.hpp"
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

constexpr int64_t kSliceRows = 500;
constexpr int64_t kStepRows = 50;  // rows may be large: the clock is asked after so many
constexpr int64_t kSliceUs = 5000;
constexpr int kTriggers = 3;         // of a table

}  // namespace

// From `at` on: what does not fit its version goes to `touched`. `make`: identities of keyless rows may be made, which
// writes.
Status Replica::Impl::scrub_slice(Scrub& at, bool make, TouchedKeys& touched, int64_t* rows) {
  const int64_t began = env.monotonic_us();
  const int64_t limit = *rows + kSliceRows;
  std::vector<ValueView> values;
  while (*rows < limit && env.monotonic_us() - began < kSliceUs) {
    Table* table = nullptr;
    for (const auto& candidate : tables) {  // in the order of their ids
      if (candidate->id >= at.table && candidate->running() && candidate->baseline) {
        table = candidate.get();
        break;
      }
    }
    if (table == nullptr) {
      at.done = true;
      return ok();
    }
    if (table->id != at.table) at = Scrub{table->id, false, {}, {}, false};
    const WallMs now = env.now();
    if (!at.versions) {
      TRY_ASSIGN(const bool end, table->scan(at.rows, kStepRows, make, [&](const std::string& key, const std::vector<ValueView>& row) -> Status {
        ++*rows;
        TRY_ASSIGN(const auto held, store.find(table->id, key));
        const bool fits = held && held->visible() && held->hash == table->hash(row);
        if (!fits) touched.add(table, key, now);
        return ok();
      }));
      if (end) at.versions = true;
      continue;
    }
    std::vector<std::string> live;
    int64_t seen = 0;
    {
      TRY_ASSIGN(Statement* const select, store.statement(sql::kScrubVersions));
      const std::string after = at.key;
      select->bind(1, table->id).bind_blob(2, after).bind(3, kStepRows);
      for (;; ++seen) {
        TRY_ASSIGN(const bool more, select->step());
        if (!more) break;
        at.key = select->blob(0);
        const auto kept = static_cast<RowState>(select->integer(1));
        if (kept != RowState::dead && !is_shelved(kept)) live.push_back(at.key);
      }
    }
    *rows += seen;
    for (const std::string& key : live) {
      TRY_ASSIGN(const bool there, table->read(key, values));
      if (!there) touched.add(table, key, now);
    }
    if (seen < kStepRows) at = Scrub{table->id + 1, false, {}, {}, false};
  }
  return ok();
}

// A tool that writes sqlite_schema (PRAGMA writable_schema) need not change its version.
Result<bool> Replica::Impl::triggers_missing() {
  if (mutated(Mutation::schema_unasked)) return false;
  TRY_ASSIGN(const std::vector<InstalledTrigger> triggers, installed_triggers(db));
  std::map<int64_t, int> have;
  for (const InstalledTrigger& trigger : triggers) ++have[trigger.table_id];
  return std::any_of(tables.begin(), tables.end(), [&](const auto& table) { return table->exists && have[table->id] < kTriggers; });
}

// Every connection, this one too, reads the schema anew, and the next drain takes the table for one that was rebuilt.
Status Replica::Impl::renew_schema(bool polite, int64_t* held_us) {
  log(LogLevel::warn, "triggers of Marmot's are gone, and SQLite was not told (PRAGMA writable_schema): they are put back, and rows that were "
                      "written meanwhile are looked for");
  return write(polite, held_us, [&]() -> Status {
    TRY_ASSIGN(const int64_t version, db.query_integer("PRAGMA main.schema_version"));
    if (version != schema_version) return ok();
    TRY(db.bump_schema_version());
    return db.exec("PRAGMA writable_schema = RESET");
  });
}

Result<ScrubResult> Replica::scrub(bool polite) {
  Impl& impl = *impl_;
  ScrubResult result;
  if (impl.state.membership != Membership::member || impl.merging) {
    result.not_now = true;
    return result;
  }
  const Impl::Scrub from = impl.scrub;
  Impl::Scrub at = from;
  TouchedKeys seen;
  bool renew = false;
  {
    // One snapshot, in which nothing waits to be drained: what differs then is not merely on its way.
    TRY_ASSIGN(auto transaction, sqlite::Transaction::begin(impl.db, sqlite::Transaction::Kind::deferred));
    TRY_ASSIGN(const int64_t empty, impl.store.integer(sql::kLogEmpty));
    TRY_ASSIGN(const int64_t schema, impl.store.integer("PRAGMA schema_version"));
    result.not_now = empty == 0 || schema != impl.schema_version;
    if (!result.not_now && from.table == 0) {
      TRY_ASSIGN(renew, impl.triggers_missing());
      result.not_now = renew;
    }
    Status looked = result.not_now ? ok() : impl.scrub_slice(at, false, seen, &result.rows);
    for (const auto& table : impl.tables) table->release();
    transaction.rollback();
    if (!looked && stops_table(looked.error())) {
      TRY_IN("scrub", impl.stop_apart(at.table, looked.error().message));
      result.not_now = true;
      return result;
    }
    TRY_IN("scrub", looked);
  }
  if (renew) TRY_IN("scrub", impl.renew_schema(polite, &result.held_us));
  if (result.not_now) return result;
  if (seen.size() > 0) {
    TRY(impl.write(polite, &result.held_us, [&]() -> Status {
      result.units.clear();
      result.changes.clear();
      result.found.clear();
      bool more = false;
      TRY(impl.drain_log(result.units, impl.tracing ? &result.changes : nullptr, &more));
      at = from;
      if (more || impl.state.membership != Membership::member) return ok();  // the same slice again later
      TouchedKeys touched;
      touched.unseen = true;
      int64_t rows = 0;
      TRY_IN("scrub", impl.scrub_slice(at, true, touched, &rows));  // it went well a moment ago
      UnitStream out(impl.self, impl.state.position.seq, &impl.state.next_unit, impl.settings);
      TRY_IN("scrub", impl.drain_touched(touched, &out, &result.found));
      TRY_ASSIGN(auto units, out.finish(false));
      for (OutUnit& unit : units) result.units.push_back(std::move(unit));
      return ok();
    }));
    if (impl.tracing) result.changes.insert(result.changes.end(), result.found.begin(), result.found.end());
  }
  result.done = at.done;
  impl.scrub = at.done ? Impl::Scrub{} : at;
  return result;
}

void Replica::scrub_again() { impl_->scrub = {}; }

}  // namespace marmot::replica
