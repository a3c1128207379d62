#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.hpp"
#include "agent/cli/discard_row.hpp"
#include "agent/cli/restore_row.hpp"
#include "agent/report/text.hpp"
#include "common/core/hlc.hpp"
#include "common/core/key.hpp"
#include "common/replica/probe.hpp"
#include "common/replica/references.hpp"
#include "common/replica/review.hpp"

namespace marmot::agent {

namespace {

using replica::LostRow;

constexpr size_t kMostShown = 1000;  // rows that refer to one

// What is wanted of which conflict.
struct Wish {
  std::string verb;  // show, restore, discard; empty: list
  std::string id;    // 7, or s7 on the shelf; empty: all
};

std::string id_of(const LostRow& lost) { return (lost.shelved ? "s" : "") + std::to_string(lost.id); }

// With --all: of any table, or of the one that is named.
bool is_of_table(const LostRow& lost, const ConflictsOptions& options) {
  return options.table.empty() || fold_text(options.table, Collation::nocase) == fold_text(lost.table, Collation::nocase);
}

Status check_options(const ConflictsOptions& options, const Wish& wish) {
  const bool restore = wish.verb == "restore";
  if (options.all && !restore && wish.verb != "discard") return make_error(Errc::bad_input, "--all goes with discard and restore");
  if (!options.set.empty() && !restore) return make_error(Errc::bad_input, "--set goes with restore");
  if (options.with_children && !restore && wish.verb != "discard") return make_error(Errc::bad_input, "--with-children goes with restore and discard");
  if (!options.table.empty() && !options.all) return make_error(Errc::bad_input, "--table goes with --all");
  const std::string_view digits = std::string_view(wish.id).substr(wish.id.rfind('s', 0) == 0 ? 1 : 0);
  if (!wish.verb.empty() && !options.all && (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string_view::npos)) {
    return make_error(Errc::bad_input, wish.verb + " " + wish.id + ": expected the id of a conflict, as `marmot conflicts` shows it");
  }
  return ok();
}

// [DB] [show|restore|discard ID], in this order or with the database at the end.
Result<Wish> read_words(const ConflictsOptions& options, TargetOptions& target) {
  Wish wish;
  std::vector<std::string> words = options.words;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] != "show" && words[i] != "restore" && words[i] != "discard") continue;
    wish.verb = words[i];
    const bool has_id = i + 1 < words.size() && !options.all;
    if (has_id) wish.id = words[i + 1];
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(i), words.begin() + static_cast<std::ptrdiff_t>(i + (has_id ? 2 : 1)));
    break;
  }
  if (words.size() > 1) {
    return make_error(Errc::bad_input, words[1] + ": expected [DB] [show ID|restore ID|restore --all|discard ID|discard --all]");
  }
  if (!words.empty()) target.database = words[0];
  TRY(check_options(options, wish));
  return wish;
}

Json row_in(const std::string& text) {
  if (text.empty()) return nullptr;
  Json row = Json::parse(text, nullptr, false);
  return row.is_discarded() ? Json(text) : row;
}

Json side(const Version& version, const std::string& row) {
  return {{"hlc", to_string(version.hlc)}, {"node", version.origin.node.value}, {"row", row_in(row)}};
}

Json json_of(const LostRow& lost, int64_t referrers) {
  return {{"id", id_of(lost)},
          {"shelved", lost.shelved},
          {"at_ms", lost.at},
          {"kind", lost.kind},
          {"table", lost.table},
          {"key", describe_key(lost.key)},
          {"winner", lost.winner ? side(*lost.winner, lost.winner_row) : Json(nullptr)},
          {"loser", side(lost.loser, lost.loser_row)},
          {"reason", lost.reason},
          {"referring_rows", referrers}};
}

std::string text_of(const LostRow& lost, int64_t referrers) {
  const auto version = [](const Version& v) {
    return v.hlc.value == 0 ? std::string("this file, before it was replicated")
                            : "node " + std::to_string(v.origin.node.value) + " at " + to_string(v.hlc);
  };
  std::vector<std::vector<std::string>> rows;
  if (lost.winner) rows.push_back({"  kept", version(*lost.winner)});
  if (!lost.winner_row.empty()) rows.push_back({"  its row", printable(lost.winner_row)});
  rows.push_back({lost.shelved ? "  waits" : "  lost", version(lost.loser)});
  rows.push_back({"  its row", printable(lost.loser_row)});
  if (referrers != 0) rows.push_back({"  of it", counted(referrers, "row") + (referrers == 1 ? " refers to it" : " refer to it")});
  if (!lost.reason.empty()) rows.push_back({"  why", printable(lost.reason)});
  rows.push_back({"  noticed", to_string(Hlc::from_wall(lost.at))});
  return "#" + id_of(lost) + "  " + printable(lost.kind) + (lost.shelved ? ", waiting: " : ": ") + printable(lost.table) + ", key " +
         printable(describe_key(lost.key)) + "\n" + columns(rows);
}

std::string list_text(const std::vector<LostRow>& all, const std::vector<int64_t>& referrers, const std::string& shown) {
  if (all.empty()) return "no conflicts\n";
  std::string out;
  int64_t shelved = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    out += text_of(all[i], referrers[i]);
    shelved += all[i].shelved ? 1 : 0;
  }
  const int64_t gone = static_cast<int64_t>(all.size()) - shelved;
  return out + counted(gone, "conflict") + (shelved != 0 ? ", " + counted(shelved, "row") + " waiting" : "") +
         "; write a lost row again, or forget it: marmot conflicts " + shown + " restore ID | discard ID\n";
}

// One answer, for people or for programs.
class Answer {
 public:
  explicit Answer(bool json) : json_(json) {}
  void operator()(const Json& json, const std::string& text) const {
    if (json_) print_json(json);
    else print(text);
  }

 private:
  bool json_;
};

Status list_all(sqlite::Database& db, const std::vector<LostRow>& all, const std::string& shown, const Answer& answer) {
  TRY_ASSIGN(const std::vector<int64_t> referrers, replica::count_referrers(db, all));
  Json list = Json::array();
  for (size_t i = 0; i < all.size(); ++i) list.push_back(json_of(all[i], referrers[i]));
  answer({{"conflicts", list}}, list_text(all, referrers, shown));
  return ok();
}

Status show(sqlite::Database& db, const LostRow& lost, const Answer& answer) {
  TRY_ASSIGN(const auto keys, replica::foreign_keys(db));
  int64_t count = 0;
  Json list = Json::array();
  std::vector<std::vector<std::string>> rows;
  TRY(replica::find_referrers(db, keys, {lost}, true, [&](const replica::Referrer& one) {
    if (static_cast<size_t>(++count) > kMostShown) return ok();
    const std::string key = one.place.key.empty() ? "rowid " + std::to_string(one.place.rowid) : describe_key(one.place.key);
    const std::string row = one.row();
    list.push_back({{"table", one.place.table}, {"key", key}, {"row", row_in(row)}});
    rows.push_back({"  refers", printable(one.place.table + " " + key), printable(row)});
    return ok();
  }));
  if (static_cast<size_t>(count) > kMostShown) rows.push_back({"  ...", "and " + std::to_string(static_cast<size_t>(count) - kMostShown) + " more"});
  Json json = json_of(lost, count);
  json["referring"] = list;
  answer(json, text_of(lost, count) + columns(rows));
  return ok();
}

Status discard(sqlite::Database& db, const std::vector<LostRow>& lost, bool with_children, const Answer& answer) {
  TRY_ASSIGN(const Discarded done, discard_rows(db, lost, with_children));
  const std::string children = done.children == 0 ? "" : "; " + counted(done.children, "row") + " that referred to what lost deleted too";
  const bool waited = lost.size() == 1 && lost.front().shelved;
  answer({{"discarded", done.rows}, {"children", done.children}}, (waited ? "the agent deletes it on every node" : counted(done.rows, "conflict") + " forgotten") + children + "\n");
  return ok();
}

Status discard_all(sqlite::Database& db, const std::vector<LostRow>& all, const ConflictsOptions& options, const Answer& answer) {
  std::vector<LostRow> gone;
  for (const LostRow& lost : all) {
    if (!lost.shelved && is_of_table(lost, options)) gone.push_back(lost);
  }
  return discard(db, gone, options.with_children, answer);
}

std::string followed(const Restored& done) {
  std::string out;
  if (done.moved != 0) out += "; " + counted(done.moved, "row") + (done.moved == 1 ? " that refers" : " that refer") + " to what was restored moved too";
  if (done.left_behind != 0) {
    out += "; " + counted(done.left_behind, "row") + (done.left_behind == 1 ? " still refers" : " still refer") + " to the former key (--with-children moves them)";
  }
  for (const std::string& table : done.kept_keys) out += "; " + printable(table) + " has no INTEGER PRIMARY KEY of that name: its rows keep their keys";
  return out;
}

Status restore(sqlite::Database& db, const std::vector<LostRow>& all, const std::string& id, const ConflictsOptions& options, const Answer& answer) {
  RestoreOptions how;
  how.with_children = options.with_children;
  how.all = options.all;
  for (const std::string& text : options.set) {
    TRY_ASSIGN(Assignment assignment, parse_assignment(text));
    how.set.push_back(std::move(assignment));
  }
  std::vector<LostRow> wanted;
  int64_t waiting = 0;
  for (const LostRow& lost : all) {
    const bool its = options.all ? is_of_table(lost, options) : id_of(lost) == id;
    if (!its) continue;
    if (options.all && lost.shelved) ++waiting;
    else wanted.push_back(lost);
  }
  Restored done;
  if (!wanted.empty()) {
    TRY_ASSIGN(done, restore_rows(db, wanted, how));
  }
  Json json{{"restored", options.all ? Json(done.rows) : Json(id)}, {"moved", done.moved}, {"left_behind", done.left_behind}};
  if (!options.all) {
    answer(json, "restored: " + printable(wanted.front().table) + " is written again" + followed(done) + "\n");
    return ok();
  }
  json["waiting"] = waiting;
  json["kept_keys"] = done.kept_keys;
  answer(json, "restored: " + counted(done.rows, "row") + followed(done) +
                   (waiting == 0 ? "" : "; " + counted(waiting, "row") + " on the shelf left: restore each by its id, with another value") + "\n");
  return ok();
}

Status work(const ConflictsOptions& options) {
  TargetOptions wanted = options.target;
  TRY_ASSIGN(const Wish wish, read_words(options, wanted));
  for (const std::string& text : options.set) TRY(parse_assignment(text));
  TRY_ASSIGN(const Target target, find_target(wanted));
  TRY_ASSIGN(sqlite::Database db, open_file(target));
  TRY(replica::Probe::attach(db));
  TRY_ASSIGN(const std::vector<LostRow> all, replica::lost_rows(db));
  const Answer answer(wanted.json);
  if (wish.verb.empty()) return list_all(db, all, target.shown, answer);
  if (options.all) return wish.verb == "discard" ? discard_all(db, all, options, answer) : restore(db, all, "", options, answer);
  const auto its = std::find_if(all.begin(), all.end(), [&](const LostRow& lost) { return id_of(lost) == wish.id; });
  if (its == all.end()) return make_error(Errc::not_found, "there is no conflict " + wish.id);
  if (wish.verb == "show") return show(db, *its, answer);
  if (wish.verb == "restore") return restore(db, all, wish.id, options, answer);
  return discard(db, {*its}, options.with_children, answer);
}

}  // namespace

int cmd_conflicts(const ConflictsOptions& options) {
  const Status done = work(options);
  return done ? kExitOk : fail(done.error());
}

}  // namespace marmot::agent
