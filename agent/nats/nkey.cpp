#include "agent/nats/nkey.hpp"

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace marmot::agent::nats {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr unsigned kSeedPrefix = 18u << 3;  // 'S'
constexpr unsigned kUserPrefix = 20u << 3;  // 'U'
constexpr size_t kKeyBytes = 32;

// CRC-16/XMODEM, as nkeys append it, low byte first.
uint16_t crc16(const uint8_t* data, size_t size) {
  unsigned crc = 0;
  for (size_t i = 0; i < size; ++i) {
    crc ^= static_cast<unsigned>(data[i]) << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000u) ? (crc << 1) ^ 0x1021u : crc << 1;
    crc &= 0xffffu;
  }
  return static_cast<uint16_t>(crc);
}

bool base32_decode(std::string_view text, std::vector<uint8_t>& out) {
  unsigned buffer = 0;
  int bits = 0;
  for (char c : text) {
    const size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return false;
    buffer = ((buffer << 5) | static_cast<unsigned>(digit)) & 0xfffu;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<uint8_t>((buffer >> bits) & 0xffu));
    }
  }
  return true;
}

std::string base32_encode(const std::vector<uint8_t>& bytes) {
  std::string out;
  unsigned buffer = 0;
  int bits = 0;
  for (uint8_t byte : bytes) {
    buffer = ((buffer << 8) | byte) & 0xfffffu;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += kAlphabet[(buffer >> bits) & 31u];
    }
  }
  if (bits > 0) out += kAlphabet[(buffer << (5 - bits)) & 31u];
  return out;
}

}  // namespace

Result<std::string> public_nkey(std::string_view seed) {
  std::vector<uint8_t> raw;
  if (!base32_decode(seed, raw) || raw.size() != 2 + kKeyBytes + 2) {
    return make_error(Errc::bad_input, "not an nkey seed (58 characters, starting with SU)");
  }
  const uint16_t sum = static_cast<uint16_t>(raw[raw.size() - 2] | (raw[raw.size() - 1] << 8));
  if (crc16(raw.data(), raw.size() - 2) != sum) return make_error(Errc::bad_input, "the seed's checksum is wrong: mistyped?");
  // Two prefixes in 10 bits: seed, then the kind of key.
  const unsigned kind = ((raw[0] & 7u) << 5) | ((raw[1] & 248u) >> 3);
  if ((raw[0] & 248u) != kSeedPrefix || kind != kUserPrefix) {
    return make_error(Errc::bad_input, "a seed, but not a user's (those start with SU)");
  }

  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw.data() + 2, kKeyBytes), &EVP_PKEY_free);
  std::array<uint8_t, kKeyBytes> open{};
  size_t open_size = open.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), open.data(), &open_size) != 1) {
    return make_error(Errc::internal, "OpenSSL cannot make an ed25519 key");
  }
  std::vector<uint8_t> out;
  out.push_back(static_cast<uint8_t>(kUserPrefix));
  out.insert(out.end(), open.begin(), open.end());
  const uint16_t out_sum = crc16(out.data(), out.size());
  out.push_back(static_cast<uint8_t>(out_sum & 0xffu));
  out.push_back(static_cast<uint8_t>(out_sum >> 8));
  return base32_encode(out);
}

}  // namespace marmot::agent::nats
