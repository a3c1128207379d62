// Payloads of the stream's messages (envelope.hpp) <-> core types. Every decoder is total and bounded: any bytes give a value or an
// Errc::corrupt / Errc::newer_format, without reading past the end or reserving more than the input justifies.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/codec/envelope.hpp"
#include "common/core/schema.hpp"
#include "common/core/unit.hpp"

namespace marmot::codec {

// The most that a rows payload may hold uncompressed. One row fits, whatever SQLite lets it hold (10^9 bytes) and with the
// same again as key.
inline constexpr size_t kMaxRawBytes = size_t{2} << 30;

// Writes a rows payload while a drain walks the log: rows are packed at once, nothing is kept twice.
class UnitWriter {
 public:
  UnitWriter();
  ~UnitWriter();
  UnitWriter(UnitWriter&&) noexcept;
  UnitWriter& operator=(UnitWriter&&) noexcept;

  uint32_t add_table(UnitTable table);      // returns the index that rows name
  uint32_t add_version(const Version& version);  // equal to the last one added: the same index
  // Starts a row; follow with exactly columns.size() value() calls unless op is remove.
  void row(uint32_t table, uint32_t version, Op op, std::string_view key);
  void value(const ValueView& value);

  size_t rows() const;
  size_t raw_bytes() const;  // uncompressed, so far
  size_t cells() const;      // values, and what comes with each row

  // The compressed payload for seal(). The writer is spent. Errc::bad_input beyond kMaxRawBytes, or a sixteenth as many
  // values.
  Result<std::string> finish(bool more, StreamSeq base);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A unit together with the bytes its views point into: always on the heap, so moving it keeps the views; not copyable.
struct DecodedUnit {
  Unit unit;
  std::unique_ptr<char[]> bytes;
  size_t bytes_size = 0;
};

// `payload` is the joined slices. Errc::corrupt names what is wrong. Every index is checked and every row has its values.
// `max_raw_bytes` bounds decompression (a bomb is refused before it is unpacked) and, at 16 bytes each, the values.
Result<DecodedUnit> decode_unit(const Envelope& envelope, std::string_view payload, size_t max_raw_bytes = kMaxRawBytes);

Result<std::string> encode_schema(const std::vector<SchemaRegister>& objects);
uint8_t schema_format(const std::vector<SchemaRegister>& registers);  // for seal()
// Errc::newer_format: a register of a kind that is not known here.
Result<std::vector<SchemaRegister>> decode_schema(std::string_view payload);

std::string encode_floor(const Floor& floor);
Result<Floor> decode_floor(std::string_view payload);

}  // namespace marmot::codec
