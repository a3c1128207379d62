#include <nlohmann/json.hpp>

#include "agent/commands.hpp"
#include "agent/text.hpp"
#include "common/core/hlc.hpp"
#include "common/core/key.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::agent {

namespace {

constexpr int kBusyMs = 5000;

// Conflicts stand in the file itself, so no agent is asked; one that runs is only another connection.
Result<sqlite::Database> open_file(const std::string& path) {
  TRY_ASSIGN(sqlite::Database db, sqlite::Database::open(path, SQLITE_OPEN_READWRITE));
  sqlite3_busy_timeout(db.get(), kBusyMs);
  return db;
}

Result<bool> has_conflict_table(sqlite::Database& db) {
  TRY_ASSIGN(const int64_t count,
             db.query_integer("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '__marmot_conflict'"));
  return count == 1;
}

Result<Json> list_conflicts(sqlite::Database& db) {
  Json found = Json::array();
  TRY_ASSIGN(const bool any, has_conflict_table(db));
  if (!any) return found;
  TRY_ASSIGN(sqlite::Statement rows,
             db.prepare("SELECT id, at, kind, tbl, key, winner_hlc, winner_node, loser_hlc, loser_node, loser_row"
                        " FROM __marmot_conflict ORDER BY id"));
  const auto hlc = [&](int column) { return to_string(Hlc{static_cast<uint64_t>(rows.integer(column))}); };
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return found;
    Json row = Json::parse(rows.text(9), nullptr, false);
    if (row.is_discarded()) row = std::string(rows.text(9));
    found.push_back({{"id", rows.integer(0)},
                     {"at_ms", rows.integer(1)},
                     {"kind", std::string(rows.text(2))},
                     {"table", std::string(rows.text(3))},
                     {"key", describe_key(rows.blob(4))},
                     {"winner", {{"hlc", hlc(5)}, {"node", rows.integer(6)}}},
                     {"loser", {{"hlc", hlc(7)}, {"node", rows.integer(8)}, {"row", std::move(row)}}}});
  }
}

// The number of conflicts forgotten.
Result<int64_t> discard(sqlite::Database& db, const std::string& which) {
  const bool all = which == "all";
  if (!all && (which.empty() || which.size() > 18 || which.find_first_not_of("0123456789") != std::string::npos)) {
    return make_error(Errc::bad_input, "--discard " + which + ": expected the id of a conflict, or all");
  }
  TRY_ASSIGN(const bool any, has_conflict_table(db));
  if (any) {
    TRY_ASSIGN(sqlite::Statement statement, db.prepare(all ? "DELETE FROM __marmot_conflict"
                                                           : "DELETE FROM __marmot_conflict WHERE id = ?"));
    if (!all) statement.bind(1, static_cast<int64_t>(std::stoll(which)));
    TRY(statement.run());
    if (all || sqlite3_changes(db.get()) > 0) return static_cast<int64_t>(sqlite3_changes(db.get()));
  }
  if (all) return int64_t{0};
  return make_error(Errc::not_found, "there is no conflict " + which);
}

std::string conflicts_text(const Json& conflicts, const std::string& shown) {
  if (conflicts.empty()) return "no conflicts\n";
  std::string out;
  for (const Json& conflict : conflicts) {
    const Json& loser = conflict["loser"];
    const Json& winner = conflict["winner"];
    const auto version = [](const Json& side) {
      return "node " + std::to_string(side["node"].get<int64_t>()) + " at " + side["hlc"].get<std::string>();
    };
    out += "#" + std::to_string(conflict["id"].get<int64_t>()) + "  " + printable(text_in(conflict, "kind")) + " into " +
           printable(text_in(conflict, "table")) + ", key " + printable(text_in(conflict, "key")) + "\n" +
           columns({{"  kept", version(winner)},
                    {"  lost", version(loser)},
                    {"  its row", loser["row"].dump(-1, ' ', false, Json::error_handler_t::replace)}});
  }
  return out + counted(static_cast<int64_t>(conflicts.size()), "conflict") + "; forget one: marmot conflicts " + shown +
         " --discard ID\n";
}

Status run(const ConflictsOptions& options) {
  TRY_ASSIGN(const Target target, find_target(options.target));
  TRY_ASSIGN(const std::string path, single_database(target));
  TRY_ASSIGN(sqlite::Database db, open_file(path));
  if (!options.discard.empty()) {
    TRY_ASSIGN(const int64_t count, discard(db, options.discard));
    if (options.target.json) print_json({{"discarded", count}});
    else print(counted(count, "conflict") + " forgotten\n");
    return ok();
  }
  TRY_ASSIGN(const Json conflicts, list_conflicts(db));
  if (options.target.json) print_json({{"conflicts", conflicts}});
  else print(conflicts_text(conflicts, target.shown));
  return ok();
}

}  // namespace

int cmd_conflicts(const ConflictsOptions& options) {
  const Status done = run(options);
  return done ? kExitOk : fail(done.error());
}

}  // namespace marmot::agent
