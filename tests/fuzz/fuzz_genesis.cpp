// codec::decode_genesis, on payloads of any bytes and on frames made here around any MessagePack.
#include "common/codec/frame.hpp"
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
  std::string_view input = fuzz::text(data, size);
  if (fuzz::take_byte(input) % 2 == 0) check_payload(input);
  else check_payload(*codec::compress({input}));
  return 0;
}
