#include <nlohmann/json.hpp>

#include "agent/cli/commands.hpp"
#include "agent/cli/restore_row.hpp"
#include "agent/report/text.hpp"
#include "common/core/hlc.hpp"
#include "common/core/key.hpp"
#include "common/replica/review.hpp"

namespace marmot::agent {

namespace {

using replica::LostRow;

constexpr int kWriteMs = 5000;

// What is wanted of which conflict.
struct Wish {
  std::string verb;  // show, restore, discard; empty: list
  std::string id;    // 7, or s7 on the shelf
};

std::string id_of(const LostRow& lost) { return (lost.shelved ? "s" : "") + std::to_string(lost.id); }

// [DB] [show|restore|discard ID], in this order or with the database at the end.
Result<Wish> read_words(const ConflictsOptions& options, TargetOptions& target) {
  Wish wish;
  std::vector<std::string> words = options.words;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] != "show" && words[i] != "restore" && words[i] != "discard") continue;
    wish.verb = words[i];
    const bool has_id = i + 1 < words.size() && !(wish.verb == "discard" && options.all);
    if (has_id) wish.id = words[i + 1];
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(i), words.begin() + static_cast<std::ptrdiff_t>(i + (has_id ? 2 : 1)));
    break;
  }
  if (words.size() > 1) return make_error(Errc::bad_input, words[1] + ": expected [DB] [show ID|restore ID|discard ID|discard --all]");
  if (!words.empty()) target.database = words[0];
  const bool all = wish.verb == "discard" && options.all;
  if (options.all && !all) return make_error(Errc::bad_input, "--all goes with discard");
  if (!options.set.empty() && wish.verb != "restore") return make_error(Errc::bad_input, "--set goes with restore");
  const std::string_view digits = std::string_view(wish.id).substr(wish.id.rfind('s', 0) == 0 ? 1 : 0);
  if (!wish.verb.empty() && !all && (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string_view::npos)) {
    return make_error(Errc::bad_input, wish.verb + " " + wish.id + ": expected the id of a conflict, as `marmot conflicts` shows it");
  }
  return wish;
}

// Conflicts stand in the file itself, so no agent is asked; one that runs is only another connection.
Result<sqlite::Database> open_file(const std::string& path) {
  TRY_ASSIGN(sqlite::Database db, sqlite::Database::open(path, SQLITE_OPEN_READWRITE));
  sqlite3_busy_timeout(db.get(), kWriteMs);
  TRY(db.learn_encoding());
  return db;
}

Json row_in(const std::string& text) {
  if (text.empty()) return nullptr;
  Json row = Json::parse(text, nullptr, false);
  return row.is_discarded() ? Json(text) : row;
}

Json side(const Version& version, const std::string& row) {
  return {{"hlc", to_string(version.hlc)}, {"node", version.origin.node.value}, {"row", row_in(row)}};
}

Json json_of(const LostRow& lost) {
  return {{"id", id_of(lost)},
          {"shelved", lost.shelved},
          {"at_ms", lost.at},
          {"kind", lost.kind},
          {"table", lost.table},
          {"key", describe_key(lost.key)},
          {"winner", lost.winner ? side(*lost.winner, lost.winner_row) : Json(nullptr)},
          {"loser", side(lost.loser, lost.loser_row)},
          {"reason", lost.reason}};
}

std::string text_of(const LostRow& lost) {
  const auto version = [](const Version& v) {
    return v.hlc.value == 0 ? std::string("this file, before it was replicated")
                            : "node " + std::to_string(v.origin.node.value) + " at " + to_string(v.hlc);
  };
  std::vector<std::vector<std::string>> rows;
  if (lost.winner) rows.push_back({"  kept", version(*lost.winner)});
  if (!lost.winner_row.empty()) rows.push_back({"  its row", printable(lost.winner_row)});
  rows.push_back({lost.shelved ? "  waits" : "  lost", version(lost.loser)});
  rows.push_back({"  its row", printable(lost.loser_row)});
  if (!lost.reason.empty()) rows.push_back({"  why", printable(lost.reason)});
  rows.push_back({"  noticed", to_string(Hlc::from_wall(lost.at))});
  return "#" + id_of(lost) + "  " + printable(lost.kind) + (lost.shelved ? ", waiting: " : ": ") + printable(lost.table) + ", key " +
         printable(describe_key(lost.key)) + "\n" + columns(rows);
}

std::string list_text(const std::vector<LostRow>& all, const std::string& shown) {
  if (all.empty()) return "no conflicts\n";
  std::string out;
  int64_t shelved = 0;
  for (const LostRow& lost : all) {
    out += text_of(lost);
    shelved += lost.shelved ? 1 : 0;
  }
  const int64_t gone = static_cast<int64_t>(all.size()) - shelved;
  return out + counted(gone, "conflict") + (shelved != 0 ? ", " + counted(shelved, "row") + " waiting" : "") +
         "; write a lost row again, or forget it: marmot conflicts " + shown + " restore ID | discard ID\n";
}

Status forget(sqlite::Database& db, const LostRow& lost) {
  // A row that waits is a live row: the agent deletes it, on every node.
  TRY_ASSIGN(sqlite::Statement statement, db.prepare(lost.shelved ? "UPDATE __marmot_shelf SET discard = 1 WHERE id = ?1"
                                                                  : "DELETE FROM __marmot_conflict WHERE id = ?1"));
  statement.bind(1, lost.id);
  return statement.run();
}

Status list_conflicts(const ConflictsOptions& options) {
  TargetOptions wanted = options.target;
  TRY_ASSIGN(const Wish wish, read_words(options, wanted));
  std::vector<Assignment> set;
  for (const std::string& text : options.set) {
    TRY_ASSIGN(Assignment assignment, parse_assignment(text));
    set.push_back(std::move(assignment));
  }
  TRY_ASSIGN(const Target target, find_target(wanted));
  TRY_ASSIGN(const std::string path, single_database(target));
  TRY(check_exists(target));
  TRY_ASSIGN(sqlite::Database db, open_file(path));
  TRY_ASSIGN(const std::vector<LostRow> all, replica::lost_rows(db));
  const auto told = [&](const char* key, const Json& value, const std::string& text) {
    if (wanted.json) print_json({{key, value}});
    else print(text + "\n");
  };
  if (wish.verb.empty()) {
    Json list = Json::array();
    for (const LostRow& lost : all) list.push_back(json_of(lost));
    if (wanted.json) print_json({{"conflicts", list}});
    else print(list_text(all, target.shown));
    return ok();
  }
  if (options.all) {
    int64_t count = 0;
    for (const LostRow& lost : all) {
      if (lost.shelved) continue;
      TRY(forget(db, lost));
      ++count;
    }
    told("discarded", count, counted(count, "conflict") + " forgotten");
    return ok();
  }
  for (const LostRow& lost : all) {
    if (id_of(lost) != wish.id) continue;
    if (wish.verb == "show") {
      if (wanted.json) print_json(json_of(lost));
      else print(text_of(lost));
    } else if (wish.verb == "restore") {
      TRY(restore_row(db, lost, set));
      told("restored", wish.id, "restored: " + printable(lost.table) + " is written again");
    } else {
      TRY(forget(db, lost));
      told("discarded", 1, lost.shelved ? "the agent deletes it on every node" : "1 conflict forgotten");
    }
    return ok();
  }
  return make_error(Errc::not_found, "there is no conflict " + wish.id);
}

}  // namespace

int cmd_conflicts(const ConflictsOptions& options) {
  const Status done = list_conflicts(options);
  return done ? kExitOk : fail(done.error());
}

}  // namespace marmot::agent
