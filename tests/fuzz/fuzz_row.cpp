// decode_row (what waits on the shelf): any bytes are a row or Errc::corrupt, and a row is written again as it was read.
#include "common/core/row.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace marmot;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text(data, size);
  const auto row = decode_row(bytes);
  if (!row) {
    FUZZ_CHECK(row.error().code == Errc::corrupt);
    return 0;
  }
  std::string written;
  for (const RowColumn& column : *row) {
    FUZZ_CHECK(fuzz::lies_in(column.name, bytes) && fuzz::lies_in(column.value.bytes, bytes));
    append_row_column(written, column.name, column.value);
  }
  FUZZ_CHECK(written == bytes);  // there is one way to write each row
  const std::string json = row_json(*row);
  FUZZ_CHECK(json.size() >= 2 && json.front() == '{' && json.back() == '}');
  return 0;
}
