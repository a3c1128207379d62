// What every target needs: input as text, and a way to say that a property does not hold.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "common/codec/frame.hpp"

#define FUZZ_CHECK(condition)                                                   \
  do {                                                                          \
    if (!(condition)) {                                                         \
      std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                             \
    }                                                                           \
  } while (false)

namespace marmot::fuzz {

inline std::string_view text(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

// Takes the first byte off; 0 when there is none.
inline uint8_t take_byte(std::string_view& input) {
  if (input.empty()) return 0;
  const auto byte = static_cast<uint8_t>(input.front());
  input.remove_prefix(1);
  return byte;
}

inline bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// Calls `check` with a payload: any bytes, or a frame made here around them, by the first byte.
template <class F>
void payload_or_frame(const uint8_t* data, size_t size, F check) {
  std::string_view input = text(data, size);
  if (take_byte(input) % 2 == 0) check(input);
  else check(*codec::compress({input}));
}

}  // namespace marmot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
