// codec::parse_message_id: what it takes is what message_id() writes, letter for letter.
#include "common/codec/message.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace marmot;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text(data, size);
  const auto id = codec::parse_message_id(text);
  if (id) FUZZ_CHECK(codec::message_id(id->origin, id->number, id->part) == text);
  else FUZZ_CHECK(id.error().code == Errc::corrupt);
  return 0;
}
