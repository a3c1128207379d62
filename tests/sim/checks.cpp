// One function a promise: what must hold once the cluster has settled.
#include <algorithm>

#include "tests/sim/unique_model.hpp"
#include "tests/sim/world.hpp"

namespace marmot::sim {

namespace {
std::string content_of(const Rows& rows, const RowId& id) {
  const auto row = rows.find(id);
  return row == rows.end() ? "no row" : print_row(row->second);
}

// Of a table whose rows may be there twice.
bool shows_twice(const Rows& rows, RowId id, const Content& content) {
  for (id.key += "'"; content && rows.count(id) != 0; id.key += "'") {
    if (content_of(rows, id) == *content) return true;
  }
  return false;
}
}  // namespace

// Nodes converge: every node shows the same rows.
std::string check_identical(const std::map<int, Rows>& rows) {
  const Rows& first = rows.begin()->second;
  for (const auto& [node, here] : rows) {
    const auto changes = Ledger::difference(first, here);
    if (changes.empty()) continue;
    const Change& change = changes.front();
    return print_id(change.id) + ": on n" + std::to_string(rows.begin()->first) + " " + change.before.value_or("no row") + ", on n" +
           std::to_string(node) + " " + change.after.value_or("no row") + " (" + std::to_string(changes.size()) + " rows differ)";
  }
  return {};
}

// Visible rows are a function of the registers: the last writer's, and among those the UNIQUE rule's.
std::string check_winners(const Ledger& ledger, const SchemaSpec& schema, const Rows& rows) {
  const auto winners = ledger.winners();
  std::map<std::string, std::vector<LiveRow>> tables;
  std::map<std::string, std::vector<RowId>> ids;
  for (const auto& [place, winner] : winners) {
    if (!winner.value->content) continue;
    tables[place.table].push_back({winner.version, place.key, &winner.value->row});
    ids[place.table].push_back(winner.value->id);
  }
  Rows expected;
  for (const TableSpec& table : schema.tables) {
    const auto& live = tables[table.name()];
    const auto visible = visible_rows(live, table.unique);
    for (size_t i = 0; i < live.size(); ++i) {
      if (visible[i]) add_row(expected, ids[table.name()][i], *live[i].row);
    }
  }
  for (const auto& [id, row] : expected) {
    const std::string content = print_row(row);
    if (content_of(rows, id) != content) return print_id(id) + " is " + content_of(rows, id) + ", but the last writer's is " + content;
  }
  for (const auto& [id, row] : rows) {
    if (expected.count(id) == 0) return print_id(id) + " is " + print_row(row) + ", but the last writer deleted it";
  }
  return {};
}

// No acknowledged change is lost: what each node last did to each row is visible, or superseded by a higher version.
std::string check_nothing_lost(const Ledger& ledger, const Rows& rows, const std::set<Place>& conflicts, const std::set<std::string>& twice) {
  const auto winners = ledger.winners();
  for (const auto& [node, commits] : ledger.commits()) {
    std::map<RowId, std::pair<int64_t, const Change*>> last;
    for (const Commit& commit : commits) {
      for (const Change& change : commit.changes) {
        if (commit.fate == Fate::committed) last[change.id] = {commit.number, &change};
        else last.erase(change.id);  // nobody knows what the node's last word on it is
      }
    }
    for (const auto& [id, entry] : last) {
      const Change& change = *entry.second;
      const std::string now = content_of(rows, id);
      const bool doubled = id.key.front() == 't' && twice.count(id.table) != 0;
      if (now == change.after.value_or("no row") || (doubled && shows_twice(rows, id, change.after))) continue;
      const RowId sent = doubled ? marked_off(id) : id;  // messages do not say which of the two it is
      const auto versions = ledger.stored_versions_of(sent, change.after);
      const bool superseded = std::any_of(versions.begin(), versions.end(), [&](const auto& version) {
        const auto winner = winners.find(version.first);
        return winner != winners.end() && winner->second.version > version.second;
      });
      const bool shelved = !versions.empty() && now == "no row";  // check_winners tells whether rightly
      // Superseded before its turn to be published came.
      const auto places = ledger.places(sent);
      const bool unseen = versions.empty() && std::any_of(places.begin(), places.end(), [&, node = node](const Place& place) {
        const auto own = ledger.drained_version(node, place);
        const auto winner = winners.find(place);
        return own && winner != winners.end() && winner->second.version > *own;
      });
      // Made and taken back between two drains.
      const bool nothing = versions.empty() && ledger.published_before(node, id, change.after) == change.after;
      const bool listed = std::any_of(places.begin(), places.end(), [&](const Place& place) { return conflicts.count(place) != 0; });
      // A keyless row is deleted under the name that the deleter knew; it is there under another one as well.
      const bool namesake = doubled && !change.after && places.size() > 1 &&
                            std::any_of(versions.begin(), versions.end(), [&](const auto& version) {
                              const auto winner = winners.find(version.first);
                              return winner != winners.end() && winner->second.version == version.second;
                            });
      // Deleted by name, and REPLACE has made it anew on another node, later, under another name: that is another row.
      const auto anew = id.key.front() == 't' && !change.after ? ledger.stored_versions_of(sent, now) : std::vector<std::pair<Place, Version>>();
      const bool made_anew = std::any_of(places.begin(), places.end(), [&, node = node](const Place& place) {
        const auto own = ledger.drained_version(node, place);
        return own && std::any_of(anew.begin(), anew.end(), [&](const auto& version) { return version.first != place && version.second > *own; });
      });
      // REPLACE took it away unseen, and another node, whose change is later than what the deleting file knew, keeps it (decision 0034).
      const bool gave_way = change.unseen && std::any_of(places.begin(), places.end(), [&, node = node](const Place& place) {
        const auto winner = winners.find(place);
        if (winner == winners.end() || !winner->second.value->content || winner->second.version.origin.node == change.unseen->origin.node) return false;
        const auto own = ledger.drained_version(node, place);
        return winner->second.version > *change.unseen && (!own || *own < winner->second.version);
      });
      if (superseded || shelved || unseen || nothing || listed || namesake || made_anew || gave_way) continue;
      return print_id(id) + ": commit " + std::to_string(entry.first) + " of n" + std::to_string(node) + " made it " +
             change.after.value_or("no row") + " of " + change.before.value_or("no row") + ", now it is " + now +
             (versions.empty() ? ", and the change was never published" : "");
    }
  }
  return {};
}

std::string check_nothing_invented(const Ledger& ledger, const Rows& rows, const std::set<std::string>& twice) {
  for (const auto& [id, row] : rows) {
    if (!ledger.written(twice.count(id.table) != 0 ? marked_off(id) : id, print_row(row))) return print_id(id) + " is " + print_row(row) + ", which no application wrote";
  }
  return {};
}

std::string check_file(sqlite::Database& db, bool fts) {
  const auto integrity = db.query_text("PRAGMA integrity_check");
  if (!integrity || *integrity != "ok") return "integrity_check: " + (integrity ? *integrity : integrity.error().message);
  if (!fts) return {};
  const Status index = db.exec("INSERT INTO docs_fts(docs_fts, rank) VALUES('integrity-check', 1)");
  return index ? std::string() : "docs_fts: " + index.error().message;
}

}  // namespace marmot::sim
