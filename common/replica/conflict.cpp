// The conflict log: every row that lost where its writer meant to keep it, in full, bounded.
#include "common/core/row.hpp"
#include "common/replica/shelf.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

std::string Replica::Impl::json_of(const Table& table, const std::vector<ValueView>& values) const {
  std::vector<RowColumn> row;
  for (size_t i = 0; i < values.size(); ++i) {
    row.push_back({table.info.columns[static_cast<size_t>(table.stored()[i])].name, values[i]});
  }
  return row_json(row);
}

Status Replica::Impl::keep_conflict(const Conflict& conflict) {
  TRY_ASSIGN(const bool handled, is_handled(conflict));
  if (handled) return ok();
  TRY_ASSIGN(Statement* const insert, store.statement(sql::kConflict));
  insert->bind(1, env.now()).bind(2, conflict.kind).bind(3, conflict.table).bind_blob(4, conflict.key);
  const auto bind_version = [&](int first, const Version& version) {
    insert->bind(first, static_cast<int64_t>(version.hlc.value));
    insert->bind(first + 1, static_cast<int64_t>(version.origin.node.value));
    insert->bind(first + 2, static_cast<int64_t>(version.origin.incarnation.value));
  };
  if (conflict.winner) bind_version(5, *conflict.winner);
  else insert->bind_null(5).bind_null(6).bind_null(7);
  if (conflict.winner_row.empty()) insert->bind_null(8);
  else insert->bind(8, conflict.winner_row);
  bind_version(9, conflict.loser);
  insert->bind(12, conflict.loser_row).bind(13, conflict.reason);
  TRY(insert->run());
  if (sqlite3_changes(db.get()) == 0) return ok();  // known already
  note_lost(conflict.table, false, sqlite3_last_insert_rowid(db.get()), [&] {
    return "conflict (" + std::string(conflict.kind) + "): " + std::string(conflict.table) + " " + describe_key(conflict.key) + " of node " +
           std::to_string(conflict.loser.origin.node.value) +
           (conflict.winner ? " lost to node " + std::to_string(conflict.winner->origin.node.value) : " lost");
  });
  if (state.conflicts < 0) {
    TRY_ASSIGN(state.conflicts, store.integer(sql::kConflictCount));
  } else {
    ++state.conflicts;
  }
  if (state.conflicts <= settings.conflict_log_rows) return ok();
  TRY_ASSIGN(state.conflicts, store.integer(sql::kConflictCount));  // people discard some, too
  const int64_t surplus = state.conflicts - settings.conflict_log_rows;
  if (surplus <= 0) return ok();
  TRY_ASSIGN(Statement* const drop, store.statement(sql::kDropOldestConflicts));
  drop->bind(1, surplus);
  TRY(drop->run());
  state.conflicts -= surplus;
  TRY_ASSIGN(const auto dropped, store.meta_integer(meta::kConflictsDropped));
  return store.set_meta(meta::kConflictsDropped, dropped.value_or(0) + surplus);
}

Status Replica::Impl::keep_shelved_row(Table& table, std::string_view key, const Register& now, std::string_view kind,
                                       const Version* winner, const std::string& winner_row, std::string reason) {
  Conflict conflict;
  std::vector<ValueView> values;
  std::string storage, shelved_kind;
  {
    TRY_ASSIGN(Statement* const select, store.statement(sql::kShelfGet));
    select->bind(1, table.id).bind_blob(2, key);
    TRY_ASSIGN(const bool found, select->step());
    if (!found) return ok();
    shelved_kind = select->text(1);
    if (reason.empty()) reason = select->text(2);
    select->reset();
  }
  TRY_ASSIGN(const bool there, read_row(table, key, now, values, storage));
  if (!there) return ok();
  conflict.kind = kind.empty() ? std::string_view(shelved_kind) : kind;
  conflict.table = table.info.name;
  conflict.key = key;
  conflict.loser = now.version;
  conflict.loser_row = json_of(table, values);
  conflict.reason = std::move(reason);
  if (winner != nullptr) {
    conflict.winner = *winner;
    conflict.winner_row = winner_row;
  } else if (shelved_kind == "unique") {
    TRY_ASSIGN(const auto in_the_way, find_blocker(store, table, key, now));
    if (in_the_way) {
      conflict.winner = in_the_way->now.version;
      TRY_ASSIGN(const bool visible, table.read(in_the_way->key, values));
      if (visible) conflict.winner_row = json_of(table, values);
      table.release();
    }
  }
  return keep_conflict(conflict);
}

Status Replica::Impl::keep_row(Table& table, std::string_view key, const Register& held, std::string_view kind, std::string reason) {
  std::vector<ValueView> values;
  std::string storage;
  TRY_ASSIGN(const bool there, read_row(table, key, held, values, storage));
  if (there) {
    TRY(keep_conflict({kind, table.info.name, key, held.version, json_of(table, values), std::nullopt, "", std::move(reason)}));
  }
  table.release();
  return ok();
}

}  // namespace marmot::replica
