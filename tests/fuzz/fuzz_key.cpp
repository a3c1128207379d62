// decode_key: what it takes is what append_*_part() write, byte for byte.
#include "common/core/key.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace marmot;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text(data, size);
  auto decoded = decode_key(bytes);
  FUZZ_CHECK(is_key(bytes) == static_cast<bool>(decoded));
  FUZZ_CHECK(!describe_key(bytes).empty());
  if (!decoded) {
    FUZZ_CHECK(decoded.error().code == Errc::corrupt);
    return 0;
  }
  const DecodedKey key = *std::move(decoded);
  std::string again;
  if (key.is_rowid) append_rowid_part(again, key.rowid.life, key.rowid.rowid);
  for (const ValueView& part : key.parts) append_key_part(again, part);
  FUZZ_CHECK(again == bytes);
  return 0;
}
