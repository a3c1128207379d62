// codec::decode_genesis, on payloads of any bytes and on frames made here around any MessagePack.
#include "common/codec/message.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace marmot;

namespace {

void check_payload(std::string_view payload) {
  const auto id = codec::decode_genesis(payload);
  if (!id) {
    FUZZ_CHECK(id.error().code == Errc::corrupt);
    return;
  }
  FUZZ_CHECK(*id != 0);
  const auto again = codec::decode_genesis(codec::encode_genesis(*id));
  FUZZ_CHECK(again && *again == *id);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::payload_or_frame(data, size, [](std::string_view payload) { check_payload(payload); });
  return 0;
}
