// A row that was kept as a conflict, as values again, and values as people write them on the command line.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/core/row.hpp"

namespace marmot::agent {

// A row whose bytes stay where they are.
struct OwnedRow {
  OwnedRow() = default;
  OwnedRow(OwnedRow&&) = default;
  OwnedRow& operator=(OwnedRow&&) = default;

  std::vector<RowColumn> columns;
  std::deque<std::string> bytes;
  std::string_view keep(std::string text) { return bytes.emplace_back(std::move(text)); }
  void add(std::string_view name, const ValueView& value);     // copies both
  RowColumn* find(std::string_view name);                      // names as SQLite compares them; null: it has none
  ValueView value(std::string_view name) const;                // NULL: it has none
};

// Of a LostRow, as core row_json wrote it. Errc::corrupt: it is none.
Result<OwnedRow> read_kept_row(const std::string& json);

// NULL, a number, or text that `row` keeps.
ValueView spoken_value(const std::string& text, OwnedRow& row);

}  // namespace marmot::agent
