// codec::decode_clock, on payloads of any bytes and on frames made here around any MessagePack.
#include "common/codec/clock.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace marmot;

namespace {

void check_payload(std::string_view payload) {
  const auto change = codec::decode_clock(payload);
  if (!change) {
    FUZZ_CHECK(change.error().code == Errc::corrupt);
    return;
  }
  const auto again = codec::decode_clock(codec::encode_clock(*change));
  FUZZ_CHECK(again && *again == *change);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::payload_or_frame(data, size, [](std::string_view payload) { check_payload(payload); });
  return 0;
}
