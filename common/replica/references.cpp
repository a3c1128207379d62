#include "common/replica/references.hpp"

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "common/replica/sql_text.hpp"
#include "common/replica/table.hpp"

namespace marmot::replica {

using sqlite::quote_identifier;
using sqlite::Statement;

namespace {

// Lost rows stand in tables of the database that Probe attaches, with the affinities of their own table's columns: so SQLite compares them as
// it compares what is in that.
constexpr const char* kLost = "__marmot_probe.lost_rows";
constexpr const char* kLostChildren = "__marmot_probe.lost_children";
const RowLife kNoLife{};

const Column* column_of(const TableInfo& info, std::string_view name) {
  for (const Column& column : info.columns) {
    if (fold_name(column.name) == fold_name(name)) return &column;
  }
  return nullptr;
}

// nullopt: it is not SQLite's own.
std::optional<Collation> collation_of(sqlite::Database& db, const std::string& table, const std::string& column) {
  const char* name = nullptr;
  if (sqlite3_table_column_metadata(db.get(), "main", table.c_str(), column.c_str(), nullptr, &name, nullptr, nullptr, nullptr) != SQLITE_OK) return {};
  const std::string folded = fold_name(name == nullptr ? "binary" : name);
  if (folded == "binary") return Collation::binary;
  if (folded == "nocase") return Collation::nocase;
  if (folded == "rtrim") return Collation::rtrim;
  return {};
}

std::string_view collate(Collation collation) {
  switch (collation) {
    case Collation::binary: return " COLLATE BINARY";
    case Collation::nocase: return " COLLATE NOCASE";
    case Collation::rtrim: return " COLLATE RTRIM";
  }
  return "";
}

// As the pragma tells it; names as they are written in the declaration, and none in `to` where that names no columns.
Result<std::vector<ForeignKey>> declared_keys(sqlite::Database& db) {
  std::vector<ForeignKey> out;
  TRY_ASSIGN(Statement rows, db.prepare("SELECT m.name, f.seq, f.\"table\", f.\"from\", f.\"to\" FROM main.sqlite_schema AS m, "
                                        "pragma_foreign_key_list(m.name, 'main') AS f WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq"));
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return out;
    if (rows.integer(1) == 0) out.push_back({std::string(rows.text(0)), std::string(rows.text(2)), {}, {}, {}});
    out.back().from.emplace_back(rows.text(3));
    if (!rows.is_null(4)) out.back().to.emplace_back(rows.text(4));
  }
}

// Under the names that the tables have. False: it cannot be followed.
bool complete(sqlite::Database& db, ForeignKey& key, const TableInfo& child, const TableInfo& parent) {
  if (key.to.empty()) {
    for (const KeyColumn& column : parent.key) key.to.push_back(parent.columns[static_cast<size_t>(column.column)].name);
  }
  if (key.to.size() != key.from.size()) return false;
  key.child = child.name;
  key.parent = parent.name;
  for (size_t i = 0; i < key.to.size(); ++i) {
    const Column* const from = column_of(child, key.from[i]);
    const Column* const to = column_of(parent, key.to[i]);
    if (from == nullptr || to == nullptr || from->generated || to->generated) return false;
    const auto collation = collation_of(db, parent.name, to->name);
    if (!collation) return false;
    key.from[i] = from->name;
    key.to[i] = to->name;
    key.collations.push_back(*collation);
  }
  return true;
}

std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) out.push_back(static_cast<char>(digit(hex[i]) << 4 | digit(hex[i + 1])));
  return out;
}

// Reads values of one column out of rows as core row_json writes them.
class JsonReader {
 public:
  static Result<JsonReader> make(sqlite::Database& db) {
    constexpr std::string_view kInner = "(SELECT %s FROM json_each(iif(e.type = 'object', e.value, '{}')))";
    const auto inner = [&](const char* what) { return std::string(kInner).replace(kInner.find("%s"), 2, what); };
    TRY_ASSIGN(Statement each, db.prepare("SELECT e.atom, " + inner("key") + ", " + inner("atom") +
                                          " FROM json_each(iif(json_valid(?1), ?1, '{}')) AS e WHERE e.key = ?2 COLLATE NOCASE"));
    return JsonReader(std::move(each));
  }

  // Bytes live in `storage`. NULL where the row has no such column.
  Result<ValueView> value(const std::string& row, const std::string& column, std::deque<std::string>& storage) {
    each_.bind(1, std::string_view(row)).bind(2, std::string_view(column));
    const sqlite::ResetGuard guard(each_);
    TRY_ASSIGN(const bool found, each_.step());
    if (!found) return ValueView::of_null();
    const std::string_view special = each_.text(1);
    if (special == "real") return ValueView::of_real((each_.text(2) == "-inf" ? -1 : 1) * std::numeric_limits<double>::infinity());
    if (special == "hex") return ValueView::of_blob(storage.emplace_back(from_hex(each_.text(2))));
    if (special == "text_hex") return ValueView::of_text(storage.emplace_back(from_hex(each_.text(2))));
    ValueView value = each_.value(0);
    if (value.type == ValueType::text || value.type == ValueType::blob) value.bytes = storage.emplace_back(value.bytes);
    return value;
  }

 private:
  explicit JsonReader(Statement each) : each_(std::move(each)) {}
  Statement each_;
};

// Makes `name`: of each lost row of `table` its index, its node, and as c0, c1, ... what it has in `columns`.
Status put_lost(sqlite::Database& db, const char* name, const std::string& table, const std::vector<std::string>& columns,
                const std::vector<LostRow>& lost) {
  std::string make = "SELECT 0 AS lost, 0 AS node", insert = "VALUES(?, ?";
  for (size_t i = 0; i < columns.size(); ++i) {
    make += ", " + quote_identifier(columns[i]) + " AS c" + std::to_string(i);
    insert += ", ?";
  }
  TRY(db.exec("DROP TABLE IF EXISTS " + std::string(name)));
  TRY(db.exec("CREATE TABLE " + std::string(name) + " AS " + make + " FROM main." + quote_identifier(table) + " WHERE 0"));
  TRY_ASSIGN(Statement put, db.prepare("INSERT INTO " + std::string(name) + " " + insert + ")"));
  TRY_ASSIGN(JsonReader reader, JsonReader::make(db));
  const std::string folded = fold_name(table);
  for (size_t i = 0; i < lost.size(); ++i) {
    if (fold_name(lost[i].table) != folded) continue;
    std::deque<std::string> storage;
    put.bind(1, static_cast<int64_t>(i)).bind(2, static_cast<int64_t>(lost[i].loser.origin.node.value));
    for (size_t at = 0; at < columns.size(); ++at) {
      TRY_ASSIGN(const ValueView value, reader.value(lost[i].loser_row, columns[at], storage));
      put.bind(static_cast<int>(at) + 3, value);
    }
    const Status done = put.run();
    if (!done && done.error().code != Errc::constraint) return done;  // else text that no row of this file holds
  }
  return ok();
}

bool any_of_table(const std::vector<LostRow>& lost, const std::string& table) {
  const std::string folded = fold_name(table);
  return std::any_of(lost.begin(), lost.end(), [&](const LostRow& one) { return fold_name(one.table) == folded; });
}

// "the parent's columns = the child's", the parent's side first: its collation counts, and numbers and text are compared as SQLite does.
std::string match(const ForeignKey& key, const std::function<std::string(size_t)>& parent, const std::function<std::string(size_t)>& child) {
  std::string out;
  for (size_t i = 0; i < key.to.size(); ++i) {
    out += (i == 0 ? "" : " AND ") + parent(i) + std::string(collate(key.collations[i])) + " = " + child(i);
  }
  return out;
}

// The table's number in __marmot_table; 0: it is not replicated, and its rows have no versions.
Result<int64_t> number_of(sqlite::Database& db, const std::string& table) {
  TRY_ASSIGN(Statement select, db.prepare("SELECT id FROM main.__marmot_table WHERE name = ?1 COLLATE NOCASE"));
  select.bind(1, std::string_view(table));
  TRY_ASSIGN(const bool found, select.step());
  return found ? select.integer(0) : 0;
}

// Looks through one child table for rows that refer to what stands in kLost.
class Search {
 public:
  static Result<std::unique_ptr<Search>> make(sqlite::Database& db, Store& store, const std::string& child) {
    TRY_ASSIGN(TableInfo info, read_table(db, child));
    TRY_ASSIGN(const int64_t number, number_of(db, child));
    TRY_ASSIGN(const auto self, store.meta_integer(meta::kNodeId));
    return std::unique_ptr<Search>(new Search(db, store, number, std::move(info), self.value_or(0)));
  }

  // `columns`: of kLost. `but`: who refers by one of these is passed over.
  Status run(const ForeignKey& key, const std::vector<std::string>& columns, const std::vector<const ForeignKey*>& but, const ReferrerFn& fn) {
    const auto matches = [&](const ForeignKey& by) {
      return match(by, [&](size_t i) { return "l.c" + std::to_string(std::find(columns.begin(), columns.end(), by.to[i]) - columns.begin()); },
                   [&](size_t i) { return "c." + quote_identifier(by.from[i]); });
    };
    std::string text = "SELECT l.lost, l.node, " + from_child() + " JOIN " + kLost + " AS l ON " + matches(key);
    for (const ForeignKey* other : but) text += " AND NOT coalesce(" + matches(*other) + ", 0)";
    TRY_ASSIGN(Statement rows, db_.prepare(text));
    for (;;) {
      TRY_ASSIGN(const bool more, rows.step());
      if (!more) return ok();
      TRY(look_at(rows, key, fn));
    }
  }

  // The same of rows that are there.
  Status run_of(const ForeignKey& key, const std::string& where, const std::function<Status(Statement&)>& bind,
                const std::function<void(const RowPlace&)>& fn) {
    const auto column = [](const char* table, const std::vector<std::string>& names) {
      return [table, &names](size_t i) { return table + quote_identifier(names[i]); };
    };
    TRY_ASSIGN(Statement rows, db_.prepare("SELECT 0, 0, " + from_child() + " JOIN main." + quote_identifier(key.parent) + " AS l ON " +
                                           match(key, column("l.", key.to), column("c.", key.from)) + where));
    TRY(bind(rows));
    for (;;) {
      TRY_ASSIGN(const bool more, rows.step());
      if (!more) return ok();
      TRY_ASSIGN(const RowPlace place, place_of(rows, values_of(rows)));
      fn(place);
    }
  }

 private:
  Search(sqlite::Database& db, Store& store, int64_t number, TableInfo info, int64_t self)
      : db_(db), store_(store), table_(db, store, kNoLife, number, std::move(info)), self_(static_cast<uint64_t>(self)) {}

  std::string from_child() const {
    std::string out = table_.info.without_rowid ? std::string("0") : "c." + quote_identifier(table_.info.rowid_name);
    for (const std::string& column : table_.stored_names()) out += ", c." + quote_identifier(column);
    return out + " FROM main." + quote_identifier(table_.info.name) + " AS c";
  }

  static std::vector<ValueView> values_of(const Statement& row) {
    std::vector<ValueView> values;
    for (int i = 3; i < row.columns(); ++i) values.push_back(row.value(i));
    return values;
  }

  Result<RowPlace> place_of(const Statement& row, const std::vector<ValueView>& values) {
    RowPlace place{table_.info.name, row.integer(2), {}};
    if (!table_.key_of_values(values, place.key) && table_.id != 0) {
      TRY_ASSIGN(place.key, table_.key_at(place.rowid));
    }
    return place;
  }

  Status look_at(const Statement& row, const ForeignKey& key, const ReferrerFn& fn) {
    const std::vector<ValueView> values = values_of(row);
    Referrer found{static_cast<size_t>(row.integer(0)), &key, {}, {}};
    TRY_ASSIGN(found.place, place_of(row, values));
    TRY_ASSIGN(const bool same, written_by(found.place.key, static_cast<uint64_t>(row.integer(1))));
    if (!same) return ok();
    found.row = [&] {
      std::vector<RowColumn> columns;
      for (size_t i = 0; i < values.size(); ++i) columns.push_back({table_.info.columns[static_cast<size_t>(table_.stored()[i])].name, values[i]});
      return row_json(columns);
    };
    return fn(found);
  }

  // A lost row of no node stood in this file before it was replicated.
  Result<bool> written_by(const std::string& key, uint64_t node) {
    std::optional<Register> known;
    if (table_.id != 0 && !key.empty()) {
      TRY_ASSIGN(known, store_.find(table_.id, key));
    }
    if (!known || known->origin_id == 0) return node == 0 || node == self_;
    return known->version.origin.node.value == node;
  }

  sqlite::Database& db_;
  Store& store_;
  Table table_;
  uint64_t self_;
};

// Of each parent of which a row was lost: the keys that refer to it.
std::map<std::string, std::vector<const ForeignKey*>> keys_by_parent(const std::vector<ForeignKey>& keys, const std::vector<LostRow>& lost) {
  std::map<std::string, std::vector<const ForeignKey*>> out;
  for (const ForeignKey& key : keys) {
    if (any_of_table(lost, key.parent)) out[key.parent].push_back(&key);
  }
  return out;
}

}  // namespace

bool RowPlace::operator<(const RowPlace& other) const { return std::tie(table, rowid, key) < std::tie(other.table, other.rowid, other.key); }

Result<std::vector<ForeignKey>> foreign_keys(sqlite::Database& db) {
  TRY_ASSIGN(std::vector<ForeignKey> declared, declared_keys(db));
  std::map<std::string, std::optional<TableInfo>> known;
  const auto table = [&](const std::string& name) -> Result<const TableInfo*> {
    const auto [at, is_new] = known.try_emplace(fold_name(name));
    if (is_new) {
      auto info = read_table(db, name);
      if (info) at->second = *std::move(info);
      else if (info.error().code != Errc::not_found && info.error().code != Errc::schema) return std::move(info).error();
    }
    return at->second ? &*at->second : nullptr;
  };
  std::vector<ForeignKey> out;
  for (ForeignKey& key : declared) {
    TRY_ASSIGN(const TableInfo* const child, table(key.child));
    TRY_ASSIGN(const TableInfo* const parent, table(key.parent));
    if (child != nullptr && parent != nullptr && complete(db, key, *child, *parent)) out.push_back(std::move(key));
  }
  return out;
}

Status find_referrers(sqlite::Database& db, const std::vector<ForeignKey>& keys, const std::vector<LostRow>& lost, bool each_once,
                      const ReferrerFn& fn) {
  Store store(db);
  for (const auto& [parent, its] : keys_by_parent(keys, lost)) {
    std::set<std::string> columns;
    for (const ForeignKey* key : its) columns.insert(key->to.begin(), key->to.end());
    const std::vector<std::string> listed(columns.begin(), columns.end());
    TRY(put_lost(db, kLost, parent, listed, lost));
    std::map<std::string, std::vector<const ForeignKey*>> before;  // by child
    for (const ForeignKey* key : its) {
      TRY_ASSIGN(const auto search, Search::make(db, store, key->child));
      TRY(search->run(*key, listed, each_once ? before[key->child] : std::vector<const ForeignKey*>{}, fn));
      before[key->child].push_back(key);
    }
    TRY(db.exec("DROP TABLE " + std::string(kLost)));
  }
  return ok();
}

Status find_referrers_of(sqlite::Database& db, const ForeignKey& key, const std::string& where,
                         const std::function<Status(sqlite::Statement&)>& bind, const std::function<void(const RowPlace&)>& fn) {
  Store store(db);
  TRY_ASSIGN(const auto search, Search::make(db, store, key.child));
  return search->run_of(key, where, bind, fn);
}

Result<std::vector<int64_t>> count_referrers(sqlite::Database& db, const std::vector<LostRow>& lost) {
  std::vector<int64_t> out(lost.size(), 0);
  TRY_ASSIGN(const std::vector<ForeignKey> keys, foreign_keys(db));
  TRY(find_referrers(db, keys, lost, true, [&](const Referrer& one) {
    ++out[one.lost];
    return ok();
  }));
  return out;
}

Result<std::vector<LostPair>> find_lost_referrers(sqlite::Database& db, const std::vector<ForeignKey>& keys, const std::vector<LostRow>& lost) {
  std::vector<LostPair> out;
  for (const ForeignKey& key : keys) {
    if (!any_of_table(lost, key.parent) || !any_of_table(lost, key.child)) continue;
    TRY(put_lost(db, kLost, key.parent, key.to, lost));
    TRY(put_lost(db, kLostChildren, key.child, key.from, lost));
    const auto column = [](const char* table) { return [table](size_t i) { return table + std::to_string(i); }; };
    {
      TRY_ASSIGN(Statement rows, db.prepare("SELECT c.lost, l.lost FROM " + std::string(kLost) + " AS l JOIN " + kLostChildren + " AS c ON " +
                                            match(key, column("l.c"), column("c.c")) + " AND l.node = c.node AND l.lost <> c.lost ORDER BY 1, 2"));
      for (;;) {
        TRY_ASSIGN(const bool more, rows.step());
        if (!more) break;
        out.push_back({static_cast<size_t>(rows.integer(0)), static_cast<size_t>(rows.integer(1)), &key});
      }
    }
    TRY(db.exec("DROP TABLE " + std::string(kLost) + "; DROP TABLE " + kLostChildren));
  }
  return out;
}

}  // namespace marmot::replica
