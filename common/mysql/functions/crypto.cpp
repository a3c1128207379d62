// Digests, encryption, compression (MySQL 8.0 manual, 14.13).
#include <openssl/evp.h>

#include <array>

#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

namespace {

void append_hex(std::string& out, const unsigned char* bytes, size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (size_t i = 0; i < size; ++i) {
    out += kDigits[bytes[i] >> 4];
    out += kDigits[bytes[i] & 15];
  }
}

void digest(Call& call, const EVP_MD* kind) {
  const std::string_view text = call.text(0);
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), bytes.data(), &size, kind, nullptr);
  append_hex(call.buffer(), bytes.data(), size);
  call.text_done();
}

// MD5(str) -> 32 hexadecimal digits
void md5(Call& call) { digest(call, EVP_md5()); }

constexpr std::array kFunctions = {
    Function{"MD5", 1, 1, kPure | kStrict, md5},
};

}  // namespace

std::span<const Function> crypto_functions() { return kFunctions; }

}  // namespace marmot::mysql
