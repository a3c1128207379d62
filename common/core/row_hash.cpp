#include "common/core/row_hash.hpp"

#include <string>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace marmot {

uint64_t bytes_hash(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

uint64_t column_seed(std::string_view name) {
  std::string folded(name);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return bytes_hash(folded);
}

uint64_t value_hash(uint64_t column_seed, const ValueView& value) {
  // The storage class goes into the seed: 1, 1.0, '1' and x'31' are four values.
  const uint64_t seed = column_seed + static_cast<uint64_t>(value.type) * 0x9e3779b97f4a7c15ULL;
  switch (value.type) {
    case ValueType::null: return XXH3_64bits_withSeed("", 0, seed);
    case ValueType::integer: return XXH3_64bits_withSeed(&value.integer, sizeof value.integer, seed);
    case ValueType::real: return XXH3_64bits_withSeed(&value.real, sizeof value.real, seed);
    case ValueType::text:
    case ValueType::blob: break;
  }
  return XXH3_64bits_withSeed(value.bytes.data(), value.bytes.size(), seed);
}

}  // namespace marmot
