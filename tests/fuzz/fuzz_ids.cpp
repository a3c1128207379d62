// codec::decode_ids, on payloads of any bytes and on frames made here around any MessagePack.
#include "common/codec/ids.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace marmot;

namespace {

void check_payload(std::string_view payload) {
  const auto facts = codec::decode_ids(payload);
  if (!facts) {
    FUZZ_CHECK(facts.error().code == Errc::corrupt);
    return;
  }
  const auto again = codec::decode_ids(codec::encode_ids(*facts));
  FUZZ_CHECK(again && *again == *facts);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::payload_or_frame(data, size, [](std::string_view payload) { check_payload(payload); });
  return 0;
}
