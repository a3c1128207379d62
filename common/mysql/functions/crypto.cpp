// Digests, encryption, compression (MySQL 8.0 manual, 14.13). OpenSSL and zlib do the work.
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "common/mysql/functions/ascii.hpp"
#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

namespace {

using Bytes = std::vector<unsigned char>;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// --- digests -------------------------------------------------------------------------------------------------------------

void digest(Call& call, const EVP_MD* kind) {
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const std::string_view text = call.text(0);
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  if (EVP_DigestInit_ex(context.get(), kind, nullptr) != 1 || EVP_DigestUpdate(context.get(), text.data(), text.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), bytes.data(), &size) != 1) {
    return call.null();
  }
  std::string& out = call.buffer();
  out.resize(size * 2);
  for (size_t i = 0; i < size; ++i) {
    out[2 * i] = kHexDigits[bytes[i] >> 4];
    out[2 * i + 1] = kHexDigits[bytes[i] & 15];
  }
  call.text_done();
}

// Looked up once: EVP_md5() and its like search the providers on each use.
const EVP_MD* fetched(const char* name) { return EVP_MD_fetch(nullptr, name, nullptr); }

// MD5(str) -> 32 hexadecimal digits
void md5(Call& call) {
  static const EVP_MD* const kind = fetched("MD5");
  digest(call, kind);
}

// SHA(str), SHA1(str) -> 40 hexadecimal digits
void sha1(Call& call) {
  static const EVP_MD* const kind = fetched("SHA1");
  digest(call, kind);
}

// SHA2(str, hash_length): 224, 256, 384, 512, or 0 for 256; NULL for another length
void sha2(Call& call) {
  static const EVP_MD* const kinds[] = {fetched("SHA224"), fetched("SHA256"), fetched("SHA384"), fetched("SHA512")};
  switch (call.integer(1)) {
    case 224: return digest(call, kinds[0]);
    case 0:
    case 256: return digest(call, kinds[1]);
    case 384: return digest(call, kinds[2]);
    case 512: return digest(call, kinds[3]);
    default: return call.null();
  }
}

// --- AES -----------------------------------------------------------------------------------------------------------------

constexpr size_t kIvBytes = 16;

// The key as MySQL makes it of any text: its bytes, folded by XOR into the key's length.
Bytes folded_key(std::string_view text, size_t size) {
  Bytes key(size);
  for (size_t i = 0; i < text.size(); ++i) key[i % size] ^= static_cast<unsigned char>(text[i]);
  return key;
}

bool derive_hkdf(std::string_view secret, std::string_view salt, std::string_view info, Bytes& key) {
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr), EVP_PKEY_CTX_free);
  size_t size = key.size();
  return context != nullptr && EVP_PKEY_derive_init(context.get()) > 0 && EVP_PKEY_CTX_set_hkdf_md(context.get(), EVP_sha512()) > 0 &&
         EVP_PKEY_CTX_set1_hkdf_salt(context.get(), bytes_of(salt), static_cast<int>(salt.size())) > 0 &&
         EVP_PKEY_CTX_set1_hkdf_key(context.get(), bytes_of(secret), static_cast<int>(secret.size())) > 0 &&
         EVP_PKEY_CTX_add1_hkdf_info(context.get(), bytes_of(info), static_cast<int>(info.size())) > 0 &&
         EVP_PKEY_derive(context.get(), key.data(), &size) > 0;
}

constexpr int64_t kFewestIterations = 1000, kMostIterations = 65535;  // the manual's bounds for pbkdf2_hmac

// The key by the arguments from the fourth on: kdf_name [, salt [, info or iterations]]. False: the call failed.
bool derive(Call& call, Bytes& key) {
  const std::string_view name = call.text(3);
  const std::string_view salt = call.count() > 4 ? call.text(4) : std::string_view();
  if (name == "hkdf") {
    if (derive_hkdf(call.text(1), salt, call.count() > 5 ? call.text(5) : std::string_view(), key)) return true;
  } else if (name == "pbkdf2_hmac") {
    const int64_t times = call.count() > 5 ? call.integer(5) : kFewestIterations;
    if (times >= kFewestIterations && times <= kMostIterations &&
        PKCS5_PBKDF2_HMAC(call.text(1).data(), static_cast<int>(call.text(1).size()), bytes_of(salt), static_cast<int>(salt.size()), static_cast<int>(times), EVP_sha512(),
                          static_cast<int>(key.size()), key.data()) == 1) {
      return true;
    }
  }
  call.fail(kErAesInvalidKdf, "the key derivation function is 'hkdf' or 'pbkdf2_hmac' (1000 to 65535 iterations)");
  return false;
}

void aes(Call& call, bool encrypt) {
  if (call.is_null(0) || call.is_null(1)) return;
  const std::string& mode = call.session().block_encryption_mode;
  const EVP_CIPHER* cipher = EVP_get_cipherbyname(mode.c_str());
  if (cipher == nullptr) return;
  Bytes key = folded_key(call.text(1), static_cast<size_t>(EVP_CIPHER_get_key_length(cipher)));
  if (call.count() > 3 && !call.is_null(3) && !derive(call, key)) return;
  const unsigned char* iv = nullptr;
  if (EVP_CIPHER_get_iv_length(cipher) > 0) {
    const bool there = call.count() > 2 && !call.is_null(2);
    if (call.count() < 3) return call.fail(kErWrongParametersToNativeFct, "an initialization vector is needed with block_encryption_mode " + mode);
    if (!there || call.text(2).size() < kIvBytes) return call.fail(kErAesInvalidIv, "the initialization vector must have at least 16 bytes");
    iv = bytes_of(call.text(2));
  }
  const std::string_view in = call.text(0);
  if (!call.fits(in.size() + kIvBytes) || in.size() > INT32_MAX - kIvBytes) return;
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  std::string& out = call.buffer();
  out.resize(in.size() + kIvBytes);
  auto* const target = reinterpret_cast<unsigned char*>(out.data());
  int done = 0, rest = 0;
  if (EVP_CipherInit_ex(context.get(), cipher, nullptr, key.data(), iv, encrypt ? 1 : 0) != 1 ||
      EVP_CipherUpdate(context.get(), target, &done, bytes_of(in), static_cast<int>(in.size())) != 1 ||
      EVP_CipherFinal_ex(context.get(), target + done, &rest) != 1) {
    return call.null();
  }
  out.resize(static_cast<size_t>(done + rest));
  encrypt ? call.blob_done() : call.readable_done();
}

// AES_ENCRYPT(str, key [, iv [, kdf_name [, salt [, info | iterations]]]])
void aes_encrypt(Call& call) { aes(call, true); }
// AES_DECRYPT(...): NULL where the key is another or the bytes are not whole
void aes_decrypt(Call& call) { aes(call, false); }

// --- compression: the length as 4 bytes, the lowest first, and a zlib stream ------------------------------------------------

constexpr size_t kHeader = 4;

uint32_t header_of(std::string_view bytes) {
  uint32_t out = 0;
  for (size_t i = 0; i < kHeader; ++i) out |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return out & 0x3FFFFFFF;
}

// COMPRESS(str)
void compress(Call& call) {
  const std::string_view in = call.text(0);
  if (in.empty()) return call.blob_is("");
  uLongf size = compressBound(in.size());
  std::string& out = call.buffer();
  out.resize(kHeader + size);
  if (::compress(reinterpret_cast<Bytef*>(out.data()) + kHeader, &size, bytes_of(in), in.size()) != Z_OK) return call.null();
  for (size_t i = 0; i < kHeader; ++i) out[i] = static_cast<char>(in.size() >> (8 * i) & 255);
  out.resize(kHeader + size);
  if (out.back() == ' ') out += '.';  // a CHAR column would cut blanks at the end off
  call.blob_done();
}

void corrupt(Call& call) {
  call.warn(kErZlibData, "ZLIB: Input data corrupted");
  call.null();
}

// UNCOMPRESS(bytes): NULL where they are none of COMPRESS's
void uncompress(Call& call) {
  const std::string_view in = call.text(0);
  if (in.empty()) return call.readable_done();
  if (in.size() <= kHeader) return corrupt(call);
  const uint32_t length = header_of(in);
  if (!call.fits(length)) return;
  // Deflate packs at most 1032 to 1: a header that claims more is not believed before memory is taken.
  if (length / 1100 > in.size()) return corrupt(call);
  uLongf size = length;
  call.buffer().resize(length);
  if (::uncompress(reinterpret_cast<Bytef*>(call.buffer().data()), &size, bytes_of(in) + kHeader, in.size() - kHeader) != Z_OK) return corrupt(call);
  call.buffer().resize(size);
  call.readable_done();
}

// UNCOMPRESSED_LENGTH(bytes)
void uncompressed_length(Call& call) {
  const std::string_view in = call.text(0);
  if (in.empty()) return call.integer_is(0);
  if (in.size() <= kHeader) return corrupt(call);
  call.integer_is(header_of(in));
}

// RANDOM_BYTES(len): 1 to 1024
void random_bytes(Call& call) {
  const int64_t size = call.integer(0);
  if (size < 1 || size > 1024) return call.fail(kErDataOutOfRange, "length value is out of range in 'random_bytes'");
  call.buffer().resize(static_cast<size_t>(size));
  call.session().environment.random(call.buffer().data(), call.buffer().size());
  call.blob_done();
}

constexpr std::array kCryptoFunctions = {
    Function{"AES_DECRYPT", 2, 6, kSession, aes_decrypt},
    Function{"AES_ENCRYPT", 2, 6, kSession, aes_encrypt},
    Function{"COMPRESS", 1, 1, kStrict, compress},
    Function{"MD5", 1, 1, kStrict, md5},
    Function{"RANDOM_BYTES", 1, 1, kSession | kStrict, random_bytes},
    Function{"SHA", 1, 1, kStrict, sha1},
    Function{"SHA1", 1, 1, kStrict, sha1},
    Function{"SHA2", 2, 2, kStrict, sha2},
    Function{"UNCOMPRESS", 1, 1, kStrict, uncompress},
    Function{"UNCOMPRESSED_LENGTH", 1, 1, kStrict, uncompressed_length},
};

}  // namespace

std::span<const Function> crypto_functions() { return kCryptoFunctions; }

}  // namespace marmot::mysql
