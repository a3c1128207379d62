// The outside of a message of the stream: an envelope around a slice of a payload, which message.hpp reads.
//
//   "MMT" format(1 byte) kind(1 byte) msgpack[ node, incarnation, number, part, last, checksum ] slice
//
// `last` is true on a unit's final part; the slices of parts 0..last joined are one zstd frame of the msgpack payload
// (all formats). `checksum` is XXH3-64 of the slice, seeded with XXH3-64 of all bytes before it, so that a flipped bit is
// found wherever it is. The envelope is frozen: every format has it as it stands here, so that one with a later number is told apart
// from damage; what a later format changes lies in the payload (docs/format.md). Every decoder is total and bounded: any bytes give a value or an
// Errc::corrupt / Errc::newer_format, without reading past the end or reserving more than the input justifies.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/core/siphash.hpp"

namespace marmot::codec {

// A message says the first format that has what it holds, so that whoever knows no later one reads all others.
inline constexpr uint8_t kFirstFormat = 1;
inline constexpr uint8_t kFormatOfNumbers = 2;  // a schema that holds a SchemaKind::number
inline constexpr uint8_t kFormatOfKeys = 3;     // a genesis that holds a hash key: each
inline constexpr uint8_t kFormatOfIds = 4;      // an ids message: each
inline constexpr uint8_t kFormatOfHandled = 4;  // a handled message: each
inline constexpr uint8_t kFormatOfClock = 4;    // a genesis that says a bound for clocks, and a clock message: each
inline constexpr uint8_t kFormat = 4;           // the last one that is read

enum class Kind : uint8_t {
  genesis = 1,  // a Genesis: the stream's first message; of kFormatOfKeys or, with a bound, of kFormatOfClock
  schema = 2,   // schema registers: always one unit number, like rows
  rows = 3,     // a Unit
  floor = 4,    // a Floor: a unit number, like rows
  ids = 5,      // IdFacts (ids.hpp): a unit number, like rows; always of kFormatOfIds
  handled = 6,  // HandledConflicts (handled.hpp): a unit number, like rows; always of kFormatOfHandled
  clock = 7,    // a ClockChange (clock.hpp): a unit number, like rows; always of kFormatOfClock
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

// Errc::newer_format: a later format, or a kind that is not known here, under a checksum that fits; the text names the sender.
Result<Envelope> open(std::string_view message);

// "<node>.<incarnation>.<number>.<part>" in hexadecimal: the Nats-Msg-Id, never reused for other bytes.
std::string message_id(Origin origin, uint64_t number, uint32_t part);
struct MessageId {
  Origin origin;
  uint64_t number = 0;
  uint32_t part = 0;
};
Result<MessageId> parse_message_id(std::string_view text);

// What the stream's first message says. Neither the id nor the key is zero, both are random.
struct Genesis {
  uint64_t stream_id = 0;
  HashKey hash_key;  // the cluster's: decision 0027
  int64_t clock_bound_ms = 0;  // how far a stamp may be ahead of the stream's time (decision 0032); 0: kClockBoundMs
  bool operator==(const Genesis&) const = default;
};
inline constexpr int64_t kClockBoundMs = 60'000;
std::string encode_genesis(const Genesis& genesis);
uint8_t genesis_format(const Genesis& genesis);  // for seal()
Result<Genesis> decode_genesis(std::string_view payload);

}  // namespace marmot::codec
