// What travels: a unit is what one drain took (docs/design.md, "Drain"), applied elsewhere as one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/key.hpp"
#include "common/core/value.hpp"
#include "common/core/version.hpp"

namespace marmot {

enum class Op : uint8_t { insert = 1, update = 2, remove = 3 };

// One column of a table's key, and what makes its bytes (core/key.hpp) of the column's value.
struct UnitKeyColumn {
  uint32_t column = 0;    // index into UnitTable::columns
  Collation collation = Collation::binary;
  Affinity affinity = Affinity::blob;
  bool nullable = false;  // a row with NULL in it is known by its rowid
  auto operator<=>(const UnitKeyColumn&) const = default;
};

// A table as the sender knew it. Columns are the stored ones (no generated columns), in the sender's order.
struct UnitTable {
  Version id;  // permanent table id: the version that created it
  std::string name;
  std::vector<std::string> columns;
  std::vector<UnitKeyColumn> key;  // what the keys of its rows are made of; empty: none is declared
};

struct UnitRow {
  uint32_t table = 0;    // index into Unit::tables
  uint32_t version = 0;  // index into Unit::versions
  Op op = Op::insert;
  std::string_view key;     // canonical key bytes (core/key.hpp)
  uint32_t first_value = 0; // index into Unit::values; columns.size() of them, none for a remove
  StreamSeq seq = 0;        // not sent. Of a snapshot's row: the last message that touched it; 0: the message at hand
};

// Views borrow from whoever decoded the unit (codec::DecodedUnit owns both).
struct Unit {
  Origin origin;        // who publishes: its units are numbered from 1 and applied in that order
  uint64_t number = 0;
  bool more = false;    // a larger transaction goes on in the next unit (beyond atomic_rows)
  StreamSeq base = 0;   // what the sender had applied when it drained: below the floor, the unit is refused everywhere
  std::vector<Version> versions;  // of the rows; another node's when history is published again
  std::vector<UnitTable> tables;
  std::vector<UnitRow> rows;
  std::vector<ValueView> values;
};

// Row::seq of a snapshot's row that its taker had not seen in the stream.
inline constexpr StreamSeq kNotInStream = UINT64_MAX;

// Every member had applied `seq`: tombstones up to it go, and with them the right to send what was drained before it.
struct Floor {
  StreamSeq seq = 0;
  Hlc hlc;  // the highest of those that went, whenever, and that the sender does not remember (replica/pruned.cpp)
  auto operator<=>(const Floor&) const = default;
};

}  // namespace marmot
