// Which column it is, and what a row has in it that was made without it.
//
//   id    := base ('=' fill)*        no fill: NULL alone
//   base  := the folded name it was made under; '#2', '#3' ... where that was taken ('=' and '%' as %3D and %25)
//   fill  := ""                      NULL
//          | integer                 in decimal
//          | 'r' 16 hex digits       real
//          | 't' text | 'b' text     text and blob, '=' and '%' as above
//          | '!' hex digits          NULL, given up: the column was made NOT NULL. There is a fill that is a value then
//
// Columns of one base are one column. Two nodes that made it at the same time may have given it two defaults: then it has both
// fills, and where one has to be chosen it is the greatest as spelled. Fills are only ever added, and a column's definition may get
// another default without its fills changing: that one is for rows to come. What a row has is then told by the row and the fills
// alone, whenever each of them came (docs/decisions/0015-columns.md).
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/value.hpp"

namespace marmot::replica {

struct ColumnId {
  std::string base;             // as spelled
  std::set<std::string> fills;  // as spelled, at least one
  const std::string& fill() const { return *fills.rbegin(); }
};

// Any text is an id.
ColumnId parse_column_id(std::string_view id);
std::string spell_column_id(const ColumnId& id);
// Up to its fills; views into `id`.
std::string_view column_base(std::string_view id);
bool same_column_id(std::string_view a, std::string_view b);

// A new column's base, the `generation`th of its name.
std::string spell_base(std::string_view folded_name, int generation);
std::string spell_fill(const ValueView& value);
std::string spell_given_up_null(uint64_t which);  // of its lower 32 bits
// Bytes live in `storage`. NULL for what spell_fill() does not write.
ValueView fill_value(std::string_view fill, std::string& storage);

// The values by which a row, written where the column had the fills of `then`, has not got the column's value but its fill:
// where it now has those of `now`, they stand for now.fill(). None: nothing is to be done.
std::vector<std::string> given_up(const ColumnId& then, const ColumnId& now);

}  // namespace marmot::replica
