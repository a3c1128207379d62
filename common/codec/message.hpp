// Bytes <-> core types. One JetStream message is an envelope around a slice of a payload:
//
//   "MMT" format(1 byte) kind(1 byte) msgpack[ node, incarnation, number, part, last, checksum ] slice
//
// `last` is true on a unit's final part; the slices of parts 0..last joined are one zstd frame of the msgpack payload
// (both formats). `checksum` is XXH3-64 of the slice, seeded with XXH3-64 of all bytes before it, so that a flipped bit is
// found wherever it is. Every decoder is total and bounded: any bytes give a value or an
// Errc::corrupt / Errc::newer_format, without reading past the end or reserving more than the input justifies.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/core/schema.hpp"
#include "common/core/unit.hpp"

namespace marmot::codec {

// A message says the first format that has what it holds, so that whoever knows no later one reads all others.
inline constexpr uint8_t kFirstFormat = 1;
inline constexpr uint8_t kFormatOfNumbers = 2;  // a schema that holds a SchemaKind::number
inline constexpr uint8_t kFormat = 2;           // the last one that is read

// The most that a rows payload may hold uncompressed. One row fits, whatever SQLite lets it hold (10^9 bytes) and with the
// same again as key.
inline constexpr size_t kMaxRawBytes = size_t{2} << 30;

enum class Kind : uint8_t {
  genesis = 1,  // the stream's first message: its random id
  schema = 2,   // schema registers: always one unit number, like rows
  rows = 3,     // a Unit
  floor = 4,    // a Floor: a unit number, like rows
};

struct Envelope {
  Kind kind = Kind::rows;
  Origin origin;
  uint64_t number = 0;  // of the unit, from 1, per incarnation; 0 for genesis
  uint32_t part = 0;    // from 0
  bool last = true;
  std::string_view slice;  // borrows from the decoded bytes
};

// Cuts `payload` into messages of at most `max_message` bytes each (at least 256). Never empty.
std::vector<std::string> seal(Kind kind, Origin origin, uint64_t number, std::string_view payload, size_t max_message,
                              uint8_t format = kFirstFormat);

// Errc::newer_format: a later format, or a kind that is not known here under a checksum that fits; the text names the sender.
Result<Envelope> open(std::string_view message);

// "<node>.<incarnation>.<number>.<part>" in hexadecimal: the Nats-Msg-Id, never reused for other bytes.
std::string message_id(Origin origin, uint64_t number, uint32_t part);
struct MessageId {
  Origin origin;
  uint64_t number = 0;
  uint32_t part = 0;
};
Result<MessageId> parse_message_id(std::string_view text);

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

// A random stream id (never 0).
std::string encode_genesis(uint64_t stream_id);
Result<uint64_t> decode_genesis(std::string_view payload);

}  // namespace marmot::codec
