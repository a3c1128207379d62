// The tables as the engine has them in memory, and what happens when PRAGMA schema_version moves: changes of the
// application become registers (schema_detect.cpp), and rows are compared where our triggers were absent
// (schema_rows.cpp). The other way round: schema_message.cpp and schema_migrate.cpp.
#include <algorithm>

#include "common/replica/autoincrement.hpp"
#include "common/replica/capture.hpp"
#include "common/replica/column_id.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/local_schema.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

Table* Replica::Impl::table_by_id(int64_t id) {
  for (const auto& table : tables) {
    if (table->id == id) return table.get();
  }
  return nullptr;
}

Table* Replica::Impl::table_by_name(std::string_view name) {
  const std::string wanted = fold_name(name);
  for (const auto& table : tables) {
    if (table->exists && fold_name(table->info.name) == wanted) return table.get();
  }
  return nullptr;
}

namespace {

// A column that no schema change has told of yet: that one waits, or is lost and comes once more. Without its value the row would have the
// version that it has with it.
bool knows_columns(const Registers& registers, const Table& table, const UnitTable& wanted) {
  if (!table.permanent_id) return true;
  std::optional<TableSpec> spec;
  for (const std::string& id : wanted.columns) {
    const auto is_it = [base = column_base(id)](const Column& column) { return column.id == base; };
    if (std::any_of(table.info.columns.begin(), table.info.columns.end(), is_it)) continue;
    if (!spec) spec = registers.table(registers.root_of(*table.permanent_id));
    if (registers.column(*spec, id) == nullptr) return false;
  }
  return true;
}

// Rows may wait for a column that is known now: resume_stopped() brings them in.
Status wake_widened(Replica::Impl& impl) {
  const std::set<Version> widened = impl.registers.take_widened();
  if (widened.empty()) return ok();
  TRY_ASSIGN(const int64_t waiting, impl.db.query_integer("SELECT count(*) FROM __marmot_waiting"));
  if (waiting == 0) return ok();
  std::set<Version> roots;
  for (const Version& id : widened) roots.insert(impl.registers.root_of(id));
  for (const auto& table : impl.tables) {
    if (!table->running() || !table->permanent_id || roots.count(impl.registers.root_of(*table->permanent_id)) == 0) continue;
    table->stopped = "a column of it was missing when rows with it arrived; they are applied now";
    TRY(table->save());
  }
  return ok();
}

}  // namespace

bool Replica::Impl::replicated(const std::string& name) { return table_by_name(name) != nullptr; }

Replica::Impl::Target Replica::Impl::target_of(const UnitTable& wanted) {
  const auto is_here = [&](Table* table) {
    return knows_columns(registers, *table, wanted) ? Target{Target::To::table, table} : Target{Target::To::wait, nullptr, true};
  };
  if (registers.is_dropped(wanted.id)) return {Target::To::dropped, nullptr};
  if (registers.knows(wanted.id)) {
    const Version root = registers.root_of(wanted.id);
    for (const auto& table : tables) {
      if (table->exists && table->permanent_id && registers.root_of(*table->permanent_id) == root) return is_here(table.get());
    }
    return {chooses(registers.table(root).name) ? Target::To::wait : Target::To::nowhere, nullptr};
  }
  // Its schema has not come, or did not decode.
  if (Table* const table = table_by_name(wanted.name)) return is_here(table);
  if (not_ours.count(fold_name(wanted.name)) != 0) return {Target::To::nowhere, nullptr};
  return {Target::To::wait, nullptr, true};
}

bool Replica::Impl::chooses(const std::string& table) const {
  if (!is_chosen(settings.include, settings.exclude, table)) return false;
  if (spells_out(settings.include, table)) return true;
  for (const Registers::Entry* const entry : registers.objects()) {
    const SchemaRegister& object = entry->value;
    if (object.dropped || object.id.rfind("virtual ", 0) != 0 || is_own_module(module_of(object.body))) continue;
    if (is_backing_name(object.name, table)) return false;
  }
  return true;
}

Status Replica::Impl::stop(Table& table, std::string reason) {
  if (table.stopped == reason) return ok();
  log(LogLevel::error, "table " + table.info.name + " is stopped: " + reason);
  tables_dirty = true;
  table.stopped = std::move(reason);
  return table.save();
}

Result<std::unique_ptr<Table>> Replica::Impl::load_table(const LocalTable& local) {
  auto info = read_table(db, local.name);
  const bool exists = static_cast<bool>(info);
  if (!info && info.error().code != Errc::not_found && info.error().code != Errc::schema) return std::move(info).error();
  TableInfo absent;
  absent.name = local.name;
  if (exists) name_columns(*info, local.column_ids);
  auto table = std::make_unique<Table>(db, store, state.life, local.id, exists ? std::move(*info) : std::move(absent));
  table->exists = exists;
  table->effects = &effects;
  table->permanent_id = local.permanent_id;
  table->sql = local.sql;
  table->adoptable = settings.ids.adopt && table->plain_ids() && with_autoincrement(local.sql);
  table->id_use.busy_at = env.now();
  if (opened && state.ids_lost) table->id_use.go_ahead();  // it was made after the copy
  TRY_ASSIGN(Statement rest, db.prepare("SELECT baseline, rehash, stopped FROM __marmot_table WHERE id = ?1"));
  rest.bind(1, local.id);
  TRY(rest.step());
  table->baseline = rest.integer(0) != 0;
  table->rehash = rest.integer(1) != 0;
  if (!rest.is_null(2)) table->stopped = std::string(rest.text(2));
  rest.reset();
  if (!exists) TRY(stop(*table, info.error().message + "; change it back, or drop it"));
  if (const auto why = table->stopped ? std::nullopt : table->unusable()) {
    TRY(stop(*table, *why + ", or leave the table out (exclude = [\"" + local.name + "\"])"));
  }
  return table;
}

Status Replica::Impl::load_tables() {
  tables.clear();
  forget_brought_along();
  TRY_ASSIGN(const std::vector<LocalTable> known, read_local_tables(db));
  for (const LocalTable& local : known) {
    TRY_ASSIGN(auto table, load_table(local));
    tables.push_back(std::move(table));
  }
  return ok();
}

Status Replica::Impl::refresh_schema() {
  tables_dirty = true;
  TRY(fire_first(db));
  TRY(load_tables());
  TRY(wake_widened(*this));
  TRY_ASSIGN(const auto candidates, list_tables(db, settings.include, settings.exclude));
  const auto known = std::move(not_ours);
  not_ours.clear();
  virtual_tables = false;
  for (const Candidate& candidate : candidates) {
    virtual_tables = virtual_tables || candidate.not_watched == NotWatched::virtual_table;
    if (table_by_name(candidate.name) != nullptr) continue;
    const std::string folded = fold_name(candidate.name);
    not_ours.emplace(folded, 0);
    const bool internal = candidate.not_watched == NotWatched::internal || candidate.not_watched == NotWatched::sqlite_own;
    if (known.count(folded) != 0 || internal || !candidate.not_watched) continue;
    log(LogLevel::info, "table " + candidate.name + " is not watched: " + candidate.reason());
  }
  indexes_due = virtual_tables;
  for (auto& [index, again] : fill_again) again.at = 0;
  end_pauses();
  TRY_ASSIGN(unfilled, store.integer(sql::kCountUnfilled));
  TRY(check_unique_indexes());
  TRY(prepare_log());
  TRY_ASSIGN(const auto skipped, effects.install(db, [this](const std::string& name) { return replicated(name); }));
  for (const SkippedEffect& effect : skipped) {
    if (!told_effects.insert(effect.trigger + ": " + effect.reason).second) continue;
    log(LogLevel::warn, "trigger " + effect.trigger + " does not act on rows of other nodes: " + effect.reason);
  }
  TRY_ASSIGN(schema_version, db.query_integer("PRAGMA schema_version"));
  return ok();
}

void Replica::Impl::tell_failed(const std::string& what, std::string text) {
  if (told_failures.size() >= FailedEffects::kMost || !told_failures.insert(what).second) return;
  log(LogLevel::warn, text);
  failed_effects.different = told_failures.size();
  failed_effects.last = std::move(text);
}

void Replica::Impl::tell_left_out(const Effects::LeftOut& effect) {
  tell_failed(effect.trigger + " " + effect.table + ": " + effect.reason,
              "trigger " + effect.trigger + " failed on a row of table " + effect.table +
                  " that came from another node: the row is kept, and what the trigger writes to tables that are not replicated is left out: " +
                  effect.reason + (effect.cure.empty() ? "" : "; " + effect.cure));
}

// A full-text index that is damaged itself says so when its pieces are written: with the next statement, or with COMMIT.
Error Replica::Impl::again_without_effects(const Error& complaint) {
  effects_in_doubt = true;
  const std::string cure = effects.cure();
  tell_failed(complaint.message, "a virtual table refuses what triggers write to it (" + complaint.message +
                                     "): rows of other nodes are applied without that" + (cure.empty() ? "" : "; " + cure));
  return make_error(Errc::busy, "a virtual table refuses what triggers write to it: once more without that");
}

Status Replica::Impl::schema_changed(TouchedKeys& touched) {
  tables_dirty = true;
  TRY(registers.load());
  TRY(dealt.load());
  std::vector<Rebuilt> rebuilt;
  std::vector<int64_t> found;
  std::set<int64_t> unkept, compared_ids;
  TRY_ASSIGN(const int64_t copied, store.integer(sql::kCopiedWithoutRowids));
  if (copied != 0) TRY(put_back_numbers());
  TRY(notice_changes(rebuilt, found, unkept));
  TRY(note_numbers());
  TRY(refresh_schema());
  for (const Rebuilt& one : rebuilt) {
    TRY(compare_rows(one, touched));
    compared_ids.insert(one.id);
  }
  if (copied != 0 || !unkept.empty()) TRY(compare_copied(copied != 0, unkept, compared_ids, touched));
  for (const int64_t id : found) {
    Table& table = *table_by_id(id);
    if (!opened && state.membership == Membership::none) continue;  // baseline() gives its rows their versions
    // Made since this file met a stream, whether the agent ran or not: its rows are changes, sent with the table.
    TRY(touch_all(table, touched));
  }
  return ok();
}

Status Replica::Impl::touch_all(Table& table, TouchedKeys& touched) {
  table.baseline = true;
  Table::Position position;
  const WallMs now = env.now();
  TRY(table.scan(position, INT64_MAX, true, [&](const std::string& key, const std::vector<ValueView>&) -> Status {
    touched.add(&table, key, now);
    return ok();
  }));
  return table.save();
}

Status Replica::Impl::check_schema(TouchedKeys& touched) {
  TRY_ASSIGN(const int64_t now, store.integer("PRAGMA schema_version"));
  return now == schema_version && !adoption_is_due() ? note_numbers() : schema_changed(touched);
}

}  // namespace marmot::replica
