#include "common/core/row_hash.hpp"

#include <string>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace marmot {

namespace {

// The storage class is hashed too: 1, 1.0, '1' and x'31' are four values.
uint64_t first_word(uint64_t column_seed, ValueType type) { return (column_seed & ~uint64_t{7}) | static_cast<uint64_t>(type); }

std::string_view content(const ValueView& value) {
  switch (value.type) {
    case ValueType::null: return {};
    case ValueType::integer: return {reinterpret_cast<const char*>(&value.integer), sizeof value.integer};
    case ValueType::real: return {reinterpret_cast<const char*>(&value.real), sizeof value.real};
    case ValueType::text:
    case ValueType::blob: break;
  }
  return value.bytes;
}

}  // namespace

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

uint64_t value_hash(const HashKey& key, uint64_t column_seed, const ValueView& value) {
  return siphash(key, first_word(column_seed, value.type), content(value));
}

Hash128 value_hash128(const HashKey& key, uint64_t column_seed, const ValueView& value) {
  return siphash128(key, first_word(column_seed, value.type), content(value));
}

}  // namespace marmot
