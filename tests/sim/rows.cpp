#include "tests/sim/rows.hpp"

#include <cstdio>

namespace marmot::sim {

std::string print_cell(const Cell& cell) {
  char number[40];
  switch (cell.type) {
    case ValueType::null: return "NULL";
    case ValueType::integer: return std::to_string(cell.integer);
    case ValueType::real: std::snprintf(number, sizeof number, "%a", cell.real); return number;
    case ValueType::text: case ValueType::blob: break;
  }
  std::string out = cell.type == ValueType::text ? "'" : "x'";
  for (const char c : cell.bytes) {
    if (cell.type == ValueType::text && c >= ' ' && c <= '~') {
      out += c;
    } else {
      std::snprintf(number, sizeof number, cell.type == ValueType::text ? "\\%02x" : "%02x", static_cast<unsigned char>(c));
      out += number;
    }
  }
  return out + "'";
}

std::string print_row(const Row& row) {
  std::string out;
  for (const auto& [name, cell] : row) out += (out.empty() ? "" : ", ") + name + "=" + print_cell(cell);
  return out;
}

std::string print_id(const RowId& id) {
  if (!id.key.empty() && id.key[0] == 'k') return id.table + " " + describe_key(std::string_view(id.key).substr(1));
  return id.table + " tag " + id.key.substr(id.key.empty() ? 0 : 1);
}

RowId id_of(const TableKey& table, const Row& row) {
  std::string key = "k";
  bool declared = !table.key.empty();
  for (const auto& [name, collation] : table.key) {
    const auto cell = row.find(name);
    declared = declared && cell != row.end() && cell->second.type != ValueType::null;
    if (declared) append_key_part(key, cell->second.view(), collation);
  }
  if (declared) return {table.table, key};
  const auto tag = row.find("tag");
  return {table.table, "t" + (tag == row.end() ? "?" : print_cell(tag->second))};
}

void add_row(Rows& rows, RowId id, Row row) {
  for (auto same = rows.find(id); same != rows.end(); same = rows.find(id)) {
    if (print_row(row) < print_row(same->second)) std::swap(row, same->second);
    id.key += "'";
  }
  rows[id] = std::move(row);
}

RowId marked_off(const RowId& id) {
  const size_t mark = id.key.front() == 't' ? id.key.find('\'') : std::string::npos;
  return {id.table, id.key.substr(0, mark)};
}

Result<Rows> read_rows(sqlite::Database& db, const std::vector<TableKey>& tables) {
  Rows rows;
  for (const TableKey& table : tables) {
    TRY_ASSIGN(auto select, db.prepare("SELECT * FROM " + sqlite::quote_identifier(table.table)));
    for (;;) {
      TRY_ASSIGN(const bool more, select.step());
      if (!more) break;
      Row row;
      for (int i = 0; i < select.columns(); ++i) row[sqlite3_column_name(select.get(), i)] = Cell::of(select.value(i));
      RowId id = id_of(table, row);
      add_row(rows, std::move(id), std::move(row));  // twice the same row: nobody wrote that one
    }
  }
  return rows;
}

}  // namespace marmot::sim
