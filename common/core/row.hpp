// One row by itself: column names with their values, as bytes (what waits on the shelf) and as JSON for people.
//
//   row    := column*
//   column := size name value                      size: LEB128, at most 32 bits
//   value  := type [8 bytes big-endian | size bytes]  type: ValueType; integer and real take 8 bytes, text and blob sized ones
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/core/value.hpp"

namespace marmot {

struct RowColumn {
  std::string_view name;
  ValueView value;
};

void append_row_column(std::string& out, std::string_view name, const ValueView& value);

// Views into `bytes`. Errc::corrupt on anything append_row_column does not write.
Result<std::vector<RowColumn>> decode_row(std::string_view bytes);

// {"id": 7, "price": 1.5, "photo": {"hex": "00FF"}}. Exact: a real has a point or an exponent, and the digits that read back
// as the same number; infinities are {"real": "inf"}; text that is not valid UTF-8 or holds a NUL is {"text_hex": "..."}.
std::string row_json(const std::vector<RowColumn>& row);

}  // namespace marmot
