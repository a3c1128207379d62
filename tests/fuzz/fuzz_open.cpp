// codec::open. Three ways, by the first byte: any bytes; a header of any bytes with a checksum that fits (no fuzzer finds
// one); and what seal() makes of a payload, which has to come back.
#include "common/codec/message.hpp"
#include "common/core/row_hash.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace marmot;

namespace {

void check_opened(std::string_view message) {
  const auto envelope = codec::open(message);
  if (!envelope) {
    FUZZ_CHECK(envelope.error().code == Errc::corrupt || envelope.error().code == Errc::newer_format);
    return;
  }
  FUZZ_CHECK(fuzz::lies_in(envelope->slice, message));
  const auto id = codec::parse_message_id(codec::message_id(envelope->origin, envelope->number, envelope->part));
  FUZZ_CHECK(id && id->origin == envelope->origin && id->number == envelope->number && id->part == envelope->part);
}

void check_with_checksum(std::string_view input) {
  const size_t header_size = std::min<size_t>(fuzz::take_byte(input), input.size());
  const std::string_view slice = input.substr(header_size);
  std::string message = "MMT";
  message.append(input.substr(0, header_size));
  uint64_t sum = bytes_hash(slice, bytes_hash(message));
  message.push_back('\xcf');
  for (int shift = 56; shift >= 0; shift -= 8) message.push_back(static_cast<char>(sum >> shift));
  message.append(slice);
  check_opened(message);
}

void check_round_trip(std::string_view payload) {
  const size_t max_message = 256 + fuzz::take_byte(payload);
  const Origin origin{NodeId{payload.size()}, Incarnation{fuzz::take_byte(payload)}};
  std::string joined;
  uint32_t part = 0;
  for (const std::string& message : codec::seal(codec::Kind::rows, origin, 7, payload, max_message)) {
    FUZZ_CHECK(message.size() <= max_message);
    const auto envelope = codec::open(message);
    FUZZ_CHECK(envelope && envelope->origin == origin && envelope->number == 7 && envelope->part == part++);
    joined += envelope->slice;
    FUZZ_CHECK(envelope->last == (joined.size() == payload.size()));
  }
  FUZZ_CHECK(joined == payload);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input = fuzz::text(data, size);
  switch (fuzz::take_byte(input) % 3) {
    case 0: check_opened(input); break;
    case 1: check_with_checksum(input); break;
    default: check_round_trip(input); break;
  }
  return 0;
}
