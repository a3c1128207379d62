// codec::decode_handled, on payloads of any bytes and on frames made here around any MessagePack.
#include "common/codec/handled.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace marmot;

namespace {

void check_payload(std::string_view payload) {
  const auto conflicts = codec::decode_handled(payload);
  if (!conflicts) {
    FUZZ_CHECK(conflicts.error().code == Errc::corrupt);
    return;
  }
  const auto again = codec::decode_handled(codec::encode_handled(*conflicts));
  FUZZ_CHECK(again && *again == *conflicts);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::payload_or_frame(data, size, [](std::string_view payload) { check_payload(payload); });
  return 0;
}
