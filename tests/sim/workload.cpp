#include "tests/sim/workload.hpp"

#include <algorithm>

namespace marmot::sim {

namespace {
const char* const kValues[] = {"NULL", "1", "2", "-9223372036854775808", "9223372036854775807", "1.0", "-0.0", "1e999", "''", "'text'",
                               "x''", "x'00ff'", "'caf\u00e9'", "CAST(x'ff61' AS TEXT)", "CAST(x'610062' AS TEXT)", "0.1", "'12'"};
const char* const kTexts[] = {"'a'", "'b'", "'A'", "'B'", "'a '", "'c'", "'d'"};
const char* const kWords[] = {"'one two'", "'two three'", "'three'", "'one'", "NULL", "'four five six'"};
// The same texts in UTF-8, UTF-16le and UTF-16be.
const char* const kOdd[][3] = {{"eda080", "00d8", "d800"}, {"eda08061", "00d86100", "d8000061"}, {"edb080eda080", "00dc00d8", "dc00d800"},
                               {"61edbfbf", "6100ffdf", "0061dfff"}, {"efbfbe", "feff", "fffe"}, {"efbfbf", "ffff", "ffff"}, {"f09f9880", "3dd800de", "d83dde00"}};
using Kind = TableSpec::Kind;
}  // namespace

std::string Workload::odd_text() {
  const uint64_t which = odd_.below(std::size(kOdd));
  return "CAST(x'" + std::string(kOdd[which][static_cast<size_t>(texts_) - 1]) + "' AS TEXT)";
}

std::string Workload::maybe_odd(const char* plain) { return texts_ != Texts::plain && odd_.per_mille(300) ? odd_text() : plain; }

std::string Workload::key_value(const TableSpec& table, const std::string& column) {
  if (table.nullable_key && random_.per_mille(200)) return "NULL";
  if (column == "k") return maybe_odd(random_.pick(kTexts));
  return std::to_string(random_.below(7));
}

std::string Workload::value(const TableSpec& table, const std::string& column) {
  if (table.kind == Kind::docs) return random_.pick(kWords);
  if (column == "parent") return random_.per_mille(150) ? "NULL" : std::to_string(random_.below(7));
  if (column == "u" && random_.per_mille(150)) return "NULL";
  if (column == "u") return table.lowers() ? random_.pick(kTexts) : maybe_odd(random_.pick(kTexts));
  if (column == "u2") return random_.per_mille(400) ? "NULL" : std::to_string(random_.below(2));
  const std::string drawn = maybe_odd(random_.pick(kValues));
  // Invalid UTF-8 has no place in a UTF-16 file (decision 0024): the checkers want every row everywhere.
  return texts_ == Texts::utf8 && drawn == "CAST(x'ff61' AS TEXT)" ? odd_text() : drawn;
}

// REPLACE takes rows away without the application's own triggers: an FTS5 index would be wrong by the application's fault.
const char* Workload::on_conflict(const TableSpec& table) {
  const char* const all[] = {"", " OR IGNORE", " OR REPLACE", " OR REPLACE", " OR FAIL"};
  const char* const none[] = {"", " OR IGNORE"};
  return table.kind == Kind::docs ? random_.pick(none) : random_.pick(all);
}

std::string Workload::insert(const TableSpec& table, const std::string& tx) {
  std::string names, values;
  const auto add = [&](const std::string& name, const std::string& value) {
    names += (names.empty() ? "" : ", ") + name;
    values += (values.empty() ? "" : ", ") + value;
  };
  for (const auto& [name, collation] : table.id.key) {
    // An INTEGER PRIMARY KEY that SQLite chooses: two nodes take the same one.
    const bool chosen = table.id.key.size() == 1 && name == "id" && random_.per_mille(300) && !table.nullable_key;
    if (!chosen) add(name, key_value(table, name));
  }
  std::string update;
  for (const std::string& name : table.values) {
    if (name != "parent" && name != "u" && random_.per_mille(200)) continue;
    add(name, value(table, name));
    update += name + " = excluded." + name + ", ";
  }
  if (table.tagged) add("tag", std::to_string(++tag_));
  add("tx", tx);
  std::string tail;
  const bool upsert = random_.per_mille(200) && !table.nullable_key && !table.id.key.empty();
  if (upsert) {
    std::string target;
    for (const auto& [name, collation] : table.id.key) target += (target.empty() ? "" : ", ") + name;
    tail = " ON CONFLICT(" + target + ") DO UPDATE SET " + update + "tx = excluded.tx";
  }
  const std::string manner = upsert ? "" : on_conflict(table);
  return "INSERT" + manner + " INTO " + table.name() + "(" + names + ") VALUES(" + values + ")" + tail;
}

std::string Workload::where(const TableSpec& table) {
  if (random_.per_mille(60)) return "";
  if (table.id.key.empty() || random_.per_mille(200)) {
    const uint64_t part = random_.below(4);
    return " WHERE tx % 4 = " + std::to_string(part);
  }
  const auto& column = table.id.key[random_.below(table.id.key.size())].first;
  return " WHERE " + column + " IS " + key_value(table, column);
}

std::string Workload::update(const TableSpec& table, const std::string& tx) {
  std::string set;
  for (const auto& [name, collation] : table.id.key) {
    if (random_.per_mille(150)) set += name + " = " + key_value(table, name) + ", ";
  }
  // A row that loses its key becomes another one wherever that happens: with a tag of its own.
  if (set.find("NULL") != std::string::npos) set += "tag = " + std::to_string(++tag_) + " + rowid * 1000, ";
  for (const std::string& name : table.values) {
    if (random_.per_mille(500)) set += name + " = " + value(table, name) + ", ";
  }
  const std::string condition = where(table);
  const std::string manner = on_conflict(table);
  return "UPDATE" + manner + " " + table.name() + " SET " + set + "tx = " + tx + condition;
}

std::string Workload::statement(const TableSpec& table, const std::string& tx) {
  const uint64_t what = random_.below(10);
  if (what < 5) return insert(table, tx);
  if (what < 8) return update(table, tx);
  return "DELETE FROM " + table.name() + where(table);
}

// SQLite gives the rowid of the highest row, once that is gone, to the next one.
void Workload::reuse(const TableSpec& bare, const std::string& tx, std::vector<std::string>& statements) {
  const std::string highest = " WHERE rowid = (SELECT max(rowid) FROM " + bare.name() + ")";
  const uint64_t what = random_.below(5);
  if (what == 0) statements.push_back("UPDATE " + bare.name() + " SET v = " + value(bare, "v") + ", tx = " + tx + highest);
  if (what == 1 || what == 2) statements.push_back("DELETE FROM " + bare.name() + highest);
  if (what >= 2) statements.push_back(insert(bare, tx));
}

std::vector<std::string> Workload::rebuild() {
  const TableSpec& table = random_.pick(schema_.tables);
  if (table.definition.empty() || table.nullable_key) return {};
  const std::string& name = table.name();
  const std::string tx = std::to_string(++tx_), part = std::to_string(random_.below(4)), gone = std::to_string(random_.below(4));
  std::vector<std::string> statements = {
      "CREATE TABLE new__" + name + table.definition, "INSERT INTO new__" + name + " SELECT * FROM " + name + " WHERE tx % 4 <> " + gone,
      "UPDATE new__" + name + " SET tx = " + tx + " WHERE tx % 4 = " + part, "DROP TABLE " + name,
      "ALTER TABLE new__" + name + " RENAME TO " + name};
  statements.insert(statements.end(), table.around.begin(), table.around.end());
  return statements;
}

std::vector<std::string> Workload::transaction(uint64_t pairs, uint64_t at_least, Texts texts) {
  texts_ = texts;
  const std::string tx = std::to_string(++tx_);
  std::vector<std::string> statements;
  if (random_.per_mille(pairs)) {
    const std::string p = std::to_string(random_.below(3));
    for (const char* const table : {"pair_a", "pair_b"}) {
      statements.push_back("INSERT INTO " + std::string(table) + " VALUES(" + p + ", " + tx +
                           ") ON CONFLICT(p) DO UPDATE SET tx = excluded.tx");
    }
    if (random_.per_mille(150)) statements = {"DELETE FROM pair_a WHERE p = " + p, "DELETE FROM pair_b WHERE p = " + p};
    if (at_least == 0 && random_.per_mille(400)) return statements;
  }
  // Something between the two halves: two such transactions that interleave row by row would be seen.
  const bool between = statements.size() == 2 && random_.per_mille(500);
  const uint64_t few = random_.per_mille(700) ? 1 : 2 + random_.below(4);
  const uint64_t size = std::max(few, at_least);
  for (uint64_t i = 0; i < size; ++i) {
    const TableSpec& table = random_.pick(schema_.tables);
    if (table.kind == Kind::pair_a || table.kind == Kind::pair_b || table.kind == Kind::audit || table.kind == Kind::given) continue;
    statements.push_back(statement(table, tx));
  }
  const auto bare = std::find_if(schema_.tables.begin(), schema_.tables.end(), [](const TableSpec& table) { return table.kind == Kind::bare; });
  if (bare != schema_.tables.end() && random_.per_mille(500)) reuse(*bare, tx, statements);
  if (schema_.tables.back().kind == Kind::given && random_.per_mille(500)) {
    statements.push_back("INSERT INTO fam(tx) VALUES(" + tx + ")");
    statements.push_back("INSERT INTO kid(fam, tx) VALUES(last_insert_rowid(), " + tx + ")");
    if (random_.per_mille(500)) statements.push_back("INSERT INTO kid(fam, tx) SELECT fam, tx FROM kid WHERE id = last_insert_rowid()");
    if (random_.per_mille(100)) statements.push_back("DELETE FROM kid WHERE tx = " + tx);
  }
  if (!schema_.local.empty() && random_.per_mille(300)) statements.push_back("DELETE FROM sim_seen");
  if (between || (at_least > 0 && statements.size() > 2)) std::swap(statements[1], statements.back());
  return statements;
}

}  // namespace marmot::sim
