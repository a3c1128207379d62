#include "common/replica/review.hpp"

#include <algorithm>
#include <set>

#include "common/replica/column_id.hpp"
#include "common/replica/local_schema.hpp"
#include "common/replica/probe.hpp"
#include "common/replica/shelf.hpp"

namespace marmot::replica {

using sqlite::quote_identifier;
using sqlite::Statement;

namespace {

std::string json_of_row(const Table& table, const std::vector<ValueView>& values) {
  std::vector<RowColumn> row;
  for (size_t i = 0; i < values.size(); ++i) row.push_back({table.info.columns[static_cast<size_t>(table.stored()[i])].name, values[i]});
  return row_json(row);
}

Version version_at(const Statement& row, int first) {
  return Version{Hlc{static_cast<uint64_t>(row.integer(first))},
                 Origin{NodeId{static_cast<uint64_t>(row.integer(first + 1))}, Incarnation{static_cast<uint64_t>(row.integer(first + 2))}}};
}

constexpr std::string_view kConflicts =
    "SELECT id, at, kind, tbl, key, winner_hlc, winner_node, winner_incarnation, winner_row, loser_hlc, loser_node, "
    "loser_incarnation, loser_row, reason FROM main.__marmot_conflict ";

Status add_conflicts(Statement& rows, std::vector<LostRow>& out) {
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return ok();
    LostRow lost{rows.integer(0), false, rows.integer(1), std::string(rows.text(2)), std::string(rows.text(3)), std::string(rows.blob(4)),
                 std::nullopt, std::string(rows.text(8)), version_at(rows, 9), std::string(rows.text(12)), std::string(rows.text(13))};
    if (!rows.is_null(5)) lost.winner = version_at(rows, 5);
    out.push_back(std::move(lost));
  }
}

struct Shelved {
  LostRow lost;
  int64_t table = 0;
  std::string row;
};

// Who is in its way, by the registers.
Status find_winner(sqlite::Database& db, Store& store, Shelved& shelved) {
  TRY_ASSIGN(const auto now, store.find(shelved.table, shelved.lost.key));
  if (!now) return ok();
  shelved.lost.loser = now->version;
  auto info = read_table(db, shelved.lost.table);
  if (!info) return ok();  // the table is gone, or another one: what waits is told all the same
  const RowLife none{};
  Table table(db, store, none, shelved.table, *std::move(info));
  TRY_ASSIGN(const auto blocker, find_blocker(store, table, shelved.lost.key, *now));
  if (!blocker) return ok();
  shelved.lost.winner = blocker->now.version;
  std::vector<ValueView> values;
  TRY_ASSIGN(const bool there, table.read(blocker->key, values));
  if (there) shelved.lost.winner_row = json_of_row(table, values);
  return ok();
}

Status add_shelf(sqlite::Database& db, std::vector<LostRow>& out) {
  std::vector<Shelved> all;
  TRY_ASSIGN(Statement rows, db.prepare("SELECT s.id, s.at, s.kind, t.name, s.key, s.reason, s.tbl, s.row FROM main.__marmot_shelf s "
                                        "JOIN main.__marmot_table t ON t.id = s.tbl ORDER BY s.id"));
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) break;
    Shelved shelved;
    shelved.lost = LostRow{rows.integer(0), true, rows.integer(1), std::string(rows.text(2)), std::string(rows.text(3)),
                           std::string(rows.blob(4)), std::nullopt, "", Version{}, "", std::string(rows.text(5))};
    shelved.table = rows.integer(6);
    shelved.row = std::string(rows.blob(7));
    all.push_back(std::move(shelved));
  }
  Store store(db);
  TRY_ASSIGN(const std::vector<LocalTable> tables, read_local_tables(db));
  for (Shelved& shelved : all) {
    TRY_ASSIGN(auto columns, decode_row(shelved.row));
    for (RowColumn& column : columns) {
      for (const LocalTable& table : tables) {
        if (table.id != shelved.table) continue;
        for (const auto& [name, id] : table.column_ids) {
          if (!same_column_id(id, column.name)) continue;
          column.name = name;
          break;
        }
      }
    }
    shelved.lost.loser_row = row_json(columns);
    TRY(find_winner(db, store, shelved));
    out.push_back(std::move(shelved.lost));
  }
  return ok();
}

// A list of terms that are unique together, with how each compares.
struct Uniqueness {
  std::vector<std::string> terms;
  std::vector<Collation> collations;
  std::string where;
};

std::vector<Uniqueness> uniquenesses(const TableInfo& info) {
  std::vector<Uniqueness> out;
  if (!info.key.empty()) {
    Uniqueness key;
    for (const KeyColumn& column : info.key) {
      key.terms.push_back(quote_identifier(info.columns[static_cast<size_t>(column.column)].name));
      key.collations.push_back(column.collation);
    }
    out.push_back(std::move(key));
  }
  for (const UniqueIndex& index : info.unique) out.push_back({index.terms, index.collations, index.where});
  return out;
}

std::string_view name_of(Collation collation) {
  switch (collation) {
    case Collation::binary: return "BINARY";
    case Collation::nocase: return "NOCASE";
    case Collation::rtrim: return "RTRIM";
  }
  return "BINARY";
}

}  // namespace

Result<std::vector<LostRow>> lost_rows(sqlite::Database& db) {
  std::vector<LostRow> out;
  TRY_ASSIGN(const int64_t there, db.query_integer("SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name IN "
                                                   "('__marmot_conflict', '__marmot_shelf', '__marmot_unique')"));
  if (there != 3) return out;
  TRY_ASSIGN(Statement rows, db.prepare(std::string(kConflicts) + "ORDER BY id"));
  TRY(add_conflicts(rows, out));
  TRY(add_shelf(db, out));
  return out;
}

Result<std::vector<LostRow>> lost_rows_from(sqlite::Database& db, const std::string& table, int64_t id, int64_t most) {
  std::vector<LostRow> out;
  TRY_ASSIGN(Statement rows, db.prepare(std::string(kConflicts) + "WHERE tbl = ?1 AND id >= ?2 ORDER BY id LIMIT ?3"));
  rows.bind(1, std::string_view(table)).bind(2, id).bind(3, most);
  TRY(add_conflicts(rows, out));
  return out;
}

Status forget_conflict(sqlite::Database& db, const LostRow& lost) {
  // A row that stood here before it was replicated is a conflict of this file only; and a file that no later agent has opened has no such table.
  TRY_ASSIGN(const int64_t tells, db.query_integer("SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = '__marmot_handled'"));
  if (tells != 0 && lost.loser.hlc.value != 0) {
    TRY_ASSIGN(Statement tell, db.prepare("INSERT OR IGNORE INTO main.__marmot_handled(tbl, key, loser_hlc, loser_node, loser_incarnation, by_node, at) "
                                          "SELECT tbl, key, loser_hlc, loser_node, loser_incarnation, "
                                          "coalesce((SELECT value FROM main.__marmot_meta WHERE key = 'node_id'), 0), "
                                          "CAST(julianday('now') * 86400000 - 210866759999999.5 AS INT) FROM main.__marmot_conflict WHERE id = ?1"));
    tell.bind(1, lost.id);
    TRY(tell.run());
  }
  TRY_ASSIGN(Statement forget, db.prepare("DELETE FROM main.__marmot_conflict WHERE id = ?1"));
  forget.bind(1, lost.id);
  return forget.run();
}

Result<std::vector<std::string>> rows_in_the_way(sqlite::Database& db, const std::string& name, const std::vector<RowColumn>& row) {
  TRY_ASSIGN(TableInfo info, read_table(db, name));
  Store store(db);
  const RowLife none{};
  Table table(db, store, none, 0, std::move(info));
  std::vector<ValueView> values;
  for (const std::string& column : table.stored_names()) {
    ValueView value;
    for (const RowColumn& given : row) {
      if (fold_name(given.name) == fold_name(column)) value = given.value;
    }
    values.push_back(value);
  }
  const auto is_null = [&](const std::string& column) {
    return std::any_of(row.begin(), row.end(), [&](const RowColumn& one) { return fold_name(one.name) == fold_name(column) && one.value.type == ValueType::null; });
  };
  TRY(table.probe().prepare(db));
  TRY(table.probe().put(values));
  std::set<std::string> found;
  std::vector<Uniqueness> all = uniquenesses(table.info);
  const bool new_key = table.info.key_kind == KeyKind::rowid_alias && is_null(table.info.columns[static_cast<size_t>(table.info.key[0].column)].name);
  if (new_key) all.erase(all.begin());
  for (const Uniqueness& unique : all) {
    std::string terms, same;
    for (size_t i = 0; i < unique.terms.size(); ++i) {
      terms += (i == 0 ? "" : ", ") + unique.terms[i];
      same += (i == 0 ? "(" : " AND (") + unique.terms[i] + ") = ?" + std::to_string(i + 1) + " COLLATE " + std::string(name_of(unique.collations[i]));
    }
    const std::string where = unique.where.empty() ? "" : "(" + unique.where + ")";
    std::string read = "SELECT ";
    read += terms + " FROM " + table.probe().from() + " AS " + quote_identifier(table.info.name);
    TRY_ASSIGN(Statement wanted, db.prepare(read + (where.empty() ? "" : " WHERE " + where)));
    TRY_ASSIGN(const bool holds, wanted.step());
    if (!holds) continue;
    std::string columns;
    for (const std::string& column : table.stored_names()) columns += (columns.empty() ? "" : ", ") + quote_identifier(column);
    std::string text = "SELECT ";
    text += columns + " FROM main." + quote_identifier(table.info.name) + " WHERE " + same;
    TRY_ASSIGN(Statement holders, db.prepare(text + (where.empty() ? "" : " AND " + where)));
    for (size_t i = 0; i < unique.terms.size(); ++i) holders.bind(static_cast<int>(i) + 1, wanted.value(static_cast<int>(i)));
    for (;;) {
      TRY_ASSIGN(const bool more, holders.step());
      if (!more) break;
      std::vector<ValueView> there;
      for (int i = 0; i < holders.columns(); ++i) there.push_back(holders.value(i));
      found.insert(json_of_row(table, there));
    }
  }
  return std::vector<std::string>(found.begin(), found.end());
}

}  // namespace marmot::replica
