// SipHash-2-4 (Aumasson, Bernstein, 2012): a hash under a secret key. Whoever does not know the key can neither foresee it nor find two
// inputs of one hash better than by chance. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace marmot {

// 128 secret bits. All zero: none.
struct HashKey {
  uint64_t low = 0, high = 0;
  bool operator==(const HashKey&) const = default;
};

struct Hash128 {
  uint64_t low = 0, high = 0;
  bool operator==(const Hash128&) const = default;
};

// Of the eight bytes of `word`, the lowest first, and then `bytes`.
uint64_t siphash(const HashKey& key, uint64_t word, std::string_view bytes);
Hash128 siphash128(const HashKey& key, uint64_t word, std::string_view bytes);

// 32 hexadecimal digits, and back. nullopt: that is no key.
std::string to_text(const HashKey& key);
std::optional<HashKey> parse_hash_key(std::string_view text);

}  // namespace marmot
