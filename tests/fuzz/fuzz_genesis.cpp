// codec::decode_genesis, on payloads of any bytes and on frames made here around any MessagePack.
#include "common/codec/message.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace marmot;

namespace {

void check_payload(std::string_view payload) {
  const auto genesis = codec::decode_genesis(payload);
  if (!genesis) {
    FUZZ_CHECK(genesis.error().code == Errc::corrupt);
    return;
  }
  FUZZ_CHECK(genesis->stream_id != 0);
  FUZZ_CHECK(genesis->hash_key != HashKey{});
  const auto again = codec::decode_genesis(codec::encode_genesis(*genesis));
  FUZZ_CHECK(again && *again == *genesis);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::payload_or_frame(data, size, [](std::string_view payload) { check_payload(payload); });
  return 0;
}
