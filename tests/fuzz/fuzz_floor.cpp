// codec::decode_floor, on payloads of any bytes and on frames made here around any MessagePack.
#include "common/codec/message.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace marmot;

namespace {

void check_payload(std::string_view payload) {
  const auto floor = codec::decode_floor(payload);
  if (!floor) {
    FUZZ_CHECK(floor.error().code == Errc::corrupt);
    return;
  }
  FUZZ_CHECK(floor->seq <= uint64_t{INT64_MAX} && floor->hlc.value <= uint64_t{INT64_MAX});
  const auto again = codec::decode_floor(codec::encode_floor(*floor));
  FUZZ_CHECK(again && again->seq == floor->seq && again->hlc == floor->hlc);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::payload_or_frame(data, size, [](std::string_view payload) { check_payload(payload); });
  return 0;
}
