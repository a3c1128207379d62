// A table for whose sake a drain, a baseline, a scrub or a comparison fails stops alone (docs/decisions/0005-stopped-tables.md).
#include <algorithm>

#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {
constexpr WallMs kFirstRetry = 5'000;
}

// The table's fault, not the disk's: the table stops, the rest goes on.
bool stops_table(const Error& error) {
  const bool bad_key = error.code == Errc::corrupt && error.detail == 0;  // not SQLite's own word on the file
  return error.code == Errc::constraint || error.code == Errc::schema || error.code == Errc::bad_input || bad_key;
}

Error Replica::Impl::blame(const Table& table, const Error& error) {
  blamed[fold_name(table.info.name)] = error.message + "; resolve it in this file, the table then resumes by itself";
  return make_error(Errc::busy, "table " + table.info.name + ": " + error.message + ": once more without it");
}

Status Replica::Impl::stop_blamed() {
  for (const auto& [name, reason] : blamed) {
    Table* const table = table_by_name(name);
    if (table == nullptr || !table->running()) continue;
    TRY(stop(*table, reason));
    put_off(table->id);
  }
  return ok();
}

void Replica::Impl::forget_blamed() {
  std::erase_if(blamed, [this](const auto& one) {
    const Table* const table = table_by_name(one.first);
    return table == nullptr || !table->running();
  });
}

Status Replica::Impl::stop_apart(int64_t id, const std::string& reason) {
  return write(false, nullptr, [&]() -> Status {
    Table* const table = table_by_id(id);
    if (table == nullptr) return make_error(Errc::busy, "the schema was changed just now");
    put_off(id);
    return stop(*table, reason + "; resolve it in this file, the table then resumes by itself");
  });
}

bool Replica::Impl::may_be_tried(int64_t table) const {
  const auto its = retries.find(table);
  if (its == retries.end()) return true;
  const WallMs left = its->second.at - env.now();
  return left <= 0 || left > its->second.pause;  // more: the clock was set back
}

void Replica::Impl::put_off(int64_t table, WallMs longest) {
  Pause& its = retries[table];
  its.pause = std::clamp(its.pause * 2, kFirstRetry, longest);
  its.at = env.now() + its.pause;
}

void Replica::Impl::end_pauses() {
  for (auto& [table, pause] : retries) pause.at = 0;
}

Status Replica::Impl::try_to_read(Table& table) {
  TRY_ASSIGN(sqlite::Transaction transaction, sqlite::Transaction::begin(db, sqlite::Transaction::Kind::deferred));
  std::vector<ValueView> values;
  const auto read = [&](std::string_view key) -> Status {
    TRY(table.unique_values(key));
    TRY(table.read(key, values));
    return ok();
  };
  Status done = ok();
  if (!table.baseline) {
    Table::Position position;
    const auto scanned = table.scan(position, INT64_MAX, false, [&](const std::string& key, const std::vector<ValueView>&) { return read(key); });
    if (!scanned) done = scanned.error();
  }
  TRY_ASSIGN(Statement* const parked, store.statement(sql::kSelectParked));
  parked->bind(1, table.id);
  for (bool more = true; done && more;) {
    TRY_ASSIGN(more, parked->step());
    if (more) done = read(parked->blob(0));
  }
  parked->reset();
  table.release();
  transaction.rollback();
  return done;
}

}  // namespace marmot::replica
