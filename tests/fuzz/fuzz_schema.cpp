// codec::decode_schema, on payloads of any bytes and on frames made here around any MessagePack.
#include "common/codec/message.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace marmot;

namespace {

void check_payload(std::string_view payload) {
  const auto decoded = codec::decode_schema(payload);
  if (!decoded) {
    FUZZ_CHECK(decoded.error().code == Errc::corrupt || decoded.error().code == Errc::newer_format);
    return;
  }
  const auto encoded = codec::encode_schema(*decoded);
  FUZZ_CHECK(encoded);
  const auto again = codec::decode_schema(*encoded);
  FUZZ_CHECK(again && *again == *decoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::payload_or_frame(data, size, [](std::string_view payload) { check_payload(payload); });
  return 0;
}
