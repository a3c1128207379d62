#include "common/core/siphash.hpp"

#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace marmot {

namespace {

class SipHash {
 public:
  SipHash(const HashKey& key, bool wide)
      : v0_(key.low ^ 0x736f6d6570736575ULL), v1_(key.high ^ 0x646f72616e646f6dULL ^ (wide ? 0xee : 0)),
        v2_(key.low ^ 0x6c7967656e657261ULL), v3_(key.high ^ 0x7465646279746573ULL) {}

  void word(uint64_t value) {
    v3_ ^= value;
    rounds<2>();
    v0_ ^= value;
  }

  // The rest of the input; `before` bytes went in by word().
  void last(std::string_view bytes, size_t before) {
    const uint64_t length = bytes.size() + before;
    const char* at = bytes.data();
    size_t left = bytes.size();
    for (; left >= sizeof(uint64_t); at += sizeof(uint64_t), left -= sizeof(uint64_t)) {
      uint64_t next = 0;
      std::memcpy(&next, at, sizeof next);
      word(little(next));
    }
    uint64_t rest = 0;
    if (left > 0) std::memcpy(&rest, at, left);
    word(little(rest) | length << 56);
  }

  uint64_t finish(uint8_t mark) {
    v2_ ^= mark;
    rounds<4>();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

  uint64_t finish_wide() {
    v1_ ^= 0xdd;
    rounds<4>();
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

 private:
  // The number that eight bytes of memory are, lowest first.
  static uint64_t little(uint64_t memory) {
    if constexpr (std::endian::native == std::endian::little) return memory;
    return __builtin_bswap64(memory);
  }

  template <int count>
  void rounds() {
    for (int i = 0; i < count; ++i) {
      v0_ += v1_;
      v1_ = std::rotl(v1_, 13) ^ v0_;
      v0_ = std::rotl(v0_, 32);
      v2_ += v3_;
      v3_ = std::rotl(v3_, 16) ^ v2_;
      v0_ += v3_;
      v3_ = std::rotl(v3_, 21) ^ v0_;
      v2_ += v1_;
      v1_ = std::rotl(v1_, 17) ^ v2_;
      v2_ = std::rotl(v2_, 32);
    }
  }

  uint64_t v0_, v1_, v2_, v3_;
};

}  // namespace

uint64_t siphash(const HashKey& key, uint64_t word, std::string_view bytes) {
  SipHash hash(key, false);
  hash.word(word);
  hash.last(bytes, sizeof word);
  return hash.finish(0xff);
}

Hash128 siphash128(const HashKey& key, uint64_t word, std::string_view bytes) {
  SipHash hash(key, true);
  hash.word(word);
  hash.last(bytes, sizeof word);
  Hash128 out;
  out.low = hash.finish(0xee);
  out.high = hash.finish_wide();
  return out;
}

std::string to_text(const HashKey& key) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(key.high), static_cast<unsigned long long>(key.low));
  return text;
}

std::optional<HashKey> parse_hash_key(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  HashKey key;
  const auto read = [](std::string_view half, uint64_t& into) {
    const auto [end, error] = std::from_chars(half.data(), half.data() + half.size(), into, 16);
    return error == std::errc() && end == half.data() + half.size();
  };
  if (!read(text.substr(0, 16), key.high) || !read(text.substr(16), key.low) || key == HashKey{}) return std::nullopt;
  return key;
}

}  // namespace marmot
