// codec::control: any bytes as whatever message they say they are. By the first byte: as they come, or behind a head made here
// (its second byte chooses the kind). A message has one encoding: what decodes is encoded as the very same bytes.
#include "common/codec/control.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace marmot;
namespace control = codec::control;

namespace {

void check(std::string_view bytes) {
  const auto message = control::decode_any(bytes);
  if (!message) {
    FUZZ_CHECK(message.error().code == Errc::corrupt || message.error().code == Errc::newer_format);
    // As an answer it is none either; only a whole refusal gives another error.
    const auto answer = control::decode_answer<control::DigestAnswer>(bytes);
    FUZZ_CHECK(!answer && answer.error().code == message.error().code);
    return;
  }
  std::visit(
      [bytes](const auto& one) {
        using M = std::decay_t<decltype(one)>;
        FUZZ_CHECK(one.node.value != 0 && one.node == control::sender(bytes));
        FUZZ_CHECK(control::encode(one) == bytes);
        const auto again = control::decode<M>(bytes);
        FUZZ_CHECK(again && *again == one);
      },
      *message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input = fuzz::text(data, size);
  if (fuzz::take_byte(input) % 2 == 0) {
    check(input);
    return 0;
  }
  const auto of = static_cast<control::Kind>(1 + fuzz::take_byte(input) % std::variant_size_v<control::Message>);
  std::string bytes{static_cast<char>(control::version_of(of)), static_cast<char>(of)};
  bytes += std::string_view("\0\0\0\0\0\0\0\7", 8);
  check(bytes.append(input));
  return 0;
}
