// Rows as the checkers compare them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/core/key.hpp"
#include "common/core/value.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::sim {

// A row wherever it stands: its table and its canonical key; rows known by rowid have a `tag` that is never changed.
struct RowId {
  std::string table;
  std::string key;  // 'k' and the key's bytes, or 't' and the tag
  auto operator<=>(const RowId&) const = default;
};

struct Cell {
  ValueType type = ValueType::null;
  int64_t integer = 0;
  double real = 0;
  std::string bytes;
  static Cell of(const ValueView& value) { return {value.type, value.integer, value.real, std::string(value.bytes)}; }
  ValueView view() const { return {type, integer, real, bytes}; }
};

using Row = std::map<std::string, Cell>;  // by column name
using Rows = std::map<RowId, Row>;

// Equal text: equal rows, bit for bit.
std::string print_row(const Row& row);
std::string print_cell(const Cell& cell);
std::string print_id(const RowId& id);

// How the rows of one table are known.
struct TableKey {
  std::string table;
  std::vector<std::pair<std::string, Collation>> key;  // empty: by tag
};

// The row's identity: by its key, or by its tag when a key column is NULL or none is declared.
RowId id_of(const TableKey& table, const Row& row);

// Puts a row beside those that are there under the same identity: as "t7", "t7'", "t7''", ..., in the order of their contents.
void add_row(Rows& rows, RowId id, Row row);
// The identity without these marks.
RowId marked_off(const RowId& id);

// Reads all rows of the tables.
Result<Rows> read_rows(sqlite::Database& db, const std::vector<TableKey>& tables);

}  // namespace marmot::sim
