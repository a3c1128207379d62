// Strings as numbers, codes and literals (MySQL 8.0 manual, 14.8).
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "common/mysql/functions/ascii.hpp"
#include "common/mysql/functions/collation.hpp"
#include "common/mysql/functions/table.hpp"
#include "common/mysql/functions/text.hpp"

namespace marmot::mysql {

namespace {

// ASCII(str) -> the first byte; 0 for ''
void ascii(Call& call) {
  const std::string_view text = call.text(0);
  call.integer_is(text.empty() ? 0 : static_cast<unsigned char>(text.front()));
}

// ORD(str) -> the first character's bytes as one number, the first byte the highest
void ord(Call& call) {
  const std::string_view text = call.text(0);
  int64_t code = 0;
  const size_t size = text.empty() ? 0 : (call.is_blob(0) ? 1 : character_size(text));
  for (const char byte : text.substr(0, size)) code = code << 8 | static_cast<unsigned char>(byte);
  call.integer_is(code);
}

// CHAR(N, ...) -> the bytes of these numbers, each of 32 bits, without zeros in front: a binary string. NULLs are left out.
void character(Call& call) {
  std::string& out = call.buffer();
  for (int i = 0; i < call.count(); ++i) {
    if (call.is_null(i)) continue;
    const auto code = static_cast<uint32_t>(call.integer(i));
    for (int shift = 24; shift >= 0; shift -= 8) {
      if (shift == 0 || code >> shift != 0) out += static_cast<char>(code >> shift & 0xFF);
    }
  }
  call.blob_done();
}

// --- digits ------------------------------------------------------------------------------------------------------------

void print_in_base(Call& call, uint64_t value, int base) {
  std::array<char, 64> digits{};
  char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), value, base).ptr;
  for (char* c = digits.data(); c < end; ++c) *c = static_cast<char>(*c >= 'a' ? *c - 0x20 : *c);
  call.text_is({digits.data(), static_cast<size_t>(end - digits.data())});
}

// CONV(N, 10, base): the integer that N's text begins with, a negative one in two's complement; what 64 bits do
// not hold: all of them, and 0 where it is negative. NULL for ''.
void converted(Call& call, int base) {
  std::string_view text = call.text(0);
  if (text.empty()) return;
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n\v\f\r"), text.size()));
  const bool minus = !text.empty() && text.front() == '-';
  if (!text.empty() && (minus || text.front() == '+')) text.remove_prefix(1);
  uint64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec == std::errc::result_out_of_range) {
    value = minus ? 0 : UINT64_MAX;
  } else if (minus) {
    value = 0 - value;
  }
  print_in_base(call, value, base);
}

// BIN(N)
void bin(Call& call) { converted(call, 2); }
// OCT(N)
void oct(Call& call) { converted(call, 8); }

// HEX(N_or_S): a number in base 16, rounded, or a string's bytes
void hex(Call& call) {
  const ValueView& value = call.value(0);
  if (value.type == ValueType::integer) return print_in_base(call, static_cast<uint64_t>(value.integer), 16);
  if (value.type == ValueType::real) {
    const Decimal number = call.decimal(0).rounded(0, true);
    const bool fits = number.negative() ? number.compare(Decimal(INT64_MIN)) > 0 : number.compare(Decimal::of_unsigned(UINT64_MAX)) < 0;
    return print_in_base(call, fits ? call.bits(0) : UINT64_MAX, 16);
  }
  if (!call.fits(value.bytes.size() * 2)) return;
  std::string& out = call.buffer();
  out.reserve(value.bytes.size() * 2);
  for (const char byte : value.bytes) {
    out += kUpperHexDigits[static_cast<unsigned char>(byte) >> 4];
    out += kUpperHexDigits[byte & 15];
  }
  call.text_done();
}

// UNHEX(str) -> binary; an odd number of digits has a 0 in front; NULL where there is something else
void unhex(Call& call) {
  const std::string_view digits = call.text(0);
  if (std::any_of(digits.begin(), digits.end(), [](char c) { return hex_digit(c) < 0; })) return;
  std::string& out = call.buffer();
  out.reserve(digits.size() / 2 + 1);
  int high = digits.size() % 2 != 0 ? 0 : -1;
  for (const char c : digits) {
    if (high < 0) {
      high = hex_digit(c);
      continue;
    }
    out += static_cast<char>(high << 4 | hex_digit(c));
    high = -1;
  }
  call.blob_done();
}

// --- base 64 -----------------------------------------------------------------------------------------------------------

constexpr size_t kLineBytes = 57, kLineDigits = 76;  // 76 digits a line, of 57 bytes

// TO_BASE64(str): with a line break after every 76 digits
void to_base64(Call& call) {
  std::string_view bytes = call.text(0);
  const uint64_t digits = (bytes.size() + 2) / 3 * 4;
  if (!call.fits(digits + digits / kLineDigits)) return;
  std::string& out = call.buffer();
  out.reserve(digits + digits / kLineDigits + 1);
  while (!bytes.empty()) {
    if (!out.empty()) out += '\n';
    const std::string_view line = bytes.substr(0, kLineBytes);
    std::array<unsigned char, kLineDigits + 1> text{};
    const int size = EVP_EncodeBlock(text.data(), reinterpret_cast<const unsigned char*>(line.data()), static_cast<int>(line.size()));
    out.append(reinterpret_cast<const char*>(text.data()), static_cast<size_t>(size));
    bytes.remove_prefix(line.size());
  }
  call.text_done();
}

bool is_base64_digit(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/'; }

// White space of base 64: what isspace() says in latin1, its no-break space among it.
bool is_base64_space(char c) { return is_blank(c) || c == '\xA0'; }

// FROM_BASE64(str) -> binary; white space is skipped; NULL where it is no base 64 or ends within a group of four
void from_base64(Call& call) {
  std::string digits;
  size_t padding = 0;
  for (const char c : call.text(0)) {
    if (is_base64_space(c)) continue;
    if (c == '=') {
      ++padding;
    } else if (padding > 0 || !is_base64_digit(c)) {
      return;
    }
    digits += c;
  }
  if (digits.size() % 4 != 0 || padding > 2) return;
  if (!call.fits(digits.size() / 4 * 3)) return;
  std::string& out = call.buffer();
  out.resize(digits.size() / 4 * 3);
  if (!digits.empty()) {
    EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(digits.data()), static_cast<int>(digits.size()));
  }
  out.resize(out.size() - padding);
  call.blob_done();
}

// --- literals and the rest ---------------------------------------------------------------------------------------------

// QUOTE(str) -> a string literal; NULL: the word NULL
void quote(Call& call) {
  if (call.is_null(0)) return call.text_is("NULL");
  const std::string_view text = call.text(0);
  std::string& out = call.buffer();
  out += '\'';
  for (const char c : text) {
    switch (c) {
      case '\0': out += "\\0"; break;
      case '\x1A': out += "\\Z"; break;
      case '\'': out += "\\'"; break;
      case '\\': out += "\\\\"; break;
      default: out += c;
    }
  }
  out += '\'';
  text_or_blob_done(call, call.is_blob(0));
}

constexpr char kSoundexCodes[] = "01230120022455012623010202";  // of A to Z; 0: not coded

bool is_letter(uint32_t code) { return (code >= 'A' && code <= 'Z') || (code >= 'a' && code <= 'z') || (code >= 0xC0 && code < kNoCharacter); }

uint32_t soundex_upper(uint32_t code) { return code >= 'a' && code <= 'z' ? code - 0x20 : code; }

char soundex_code(uint32_t code) { return code >= 'A' && code <= 'Z' ? kSoundexCodes[code - 'A'] : '0'; }

// SOUNDEX(str): the first letter and the codes of all others, at least three (not at most). What has no code is dropped first and
// repetitions then. Letters beyond A to Z count as vowels.
void soundex(Call& call) {
  std::string_view text = call.text(0);
  std::string& out = call.buffer();
  char last = 0;
  int codes = 0;
  while (!text.empty()) {
    const Character letter = call.is_blob(0) ? Character{static_cast<unsigned char>(text.front()), 1} : first_character(text);
    text.remove_prefix(letter.size);
    if (!is_letter(letter.code)) continue;
    const uint32_t upper = soundex_upper(letter.code);
    const char code = soundex_code(upper);
    if (last == 0) {
      call.is_blob(0) ? out.push_back(static_cast<char>(upper)) : append_character(out, upper);
      last = code;
      continue;
    }
    if (code == '0' || code == last) continue;
    out += code;
    last = code;
    ++codes;
  }
  if (last != 0 && codes < 3) out.append(static_cast<size_t>(3 - codes), '0');
  text_or_blob_done(call, call.is_blob(0));
}

// WEIGHT_STRING(str [, 'CHAR' | 'BINARY', N]): str AS CHAR(N), AS BINARY(N) -> the bytes by which it sorts. A binary string's are its
// own; text's are ICU's (the manual has this function for debugging only, and its bytes as subject to change). A number has none.
void weight_string(Call& call) {
  const bool cut = call.count() == 3;
  if (call.is_null(0) || (!cut && call.is_number(0))) return;
  std::string text(call.text(0));
  bool binary = call.is_blob(0);
  if (call.count() == 2 || (cut && (call.is_null(1) || call.is_null(2) || call.integer(2) < 1))) {
    return call.fail(kErWrongArguments, "WEIGHT_STRING takes a string, or a string, 'CHAR' or 'BINARY', and a length of 1 or more");
  }
  if (cut) {
    binary |= equal_strings(call.text(1), "BINARY", false);
    const int64_t wanted = call.integer(2);
    const auto there = static_cast<int64_t>(count_characters(text, binary));
    if (!call.fits(static_cast<uint64_t>(wanted))) return;
    text.resize(offset_of(text, wanted, binary));
    if (there < wanted) text.append(static_cast<size_t>(wanted - there), binary ? '\0' : ' ');
  }
  call.blob_is(binary ? text : sort_key(text));
}

// LOAD_FILE(file_name) -> NULL, as where secure_file_priv forbids reading files: SQL shall not read the disk of who runs it
void load_file(Call& call) { call.warn(1290, "LOAD_FILE: reading files is refused (as with --secure-file-priv=NULL)"); }

constexpr std::array kStringCodesFunctions = {
    Function{"ASCII", 1, 1, kStrict, ascii},
    Function{"BIN", 1, 1, kStrict, bin},
    Function{"CHAR", 1, kMany, kPure, character},
    Function{"FROM_BASE64", 1, 1, kStrict, from_base64},
    Function{"HEX", 1, 1, kStrict, hex},
    Function{"LOAD_FILE", 1, 1, kSession, load_file},
    Function{"OCT", 1, 1, kStrict, oct},
    Function{"ORD", 1, 1, kStrict, ord},
    Function{"QUOTE", 1, 1, kPure, quote},
    Function{"SOUNDEX", 1, 1, kStrict, soundex},
    Function{"TO_BASE64", 1, 1, kStrict, to_base64},
    Function{"UNHEX", 1, 1, kStrict, unhex},
    Function{"WEIGHT_STRING", 1, 3, kPure, weight_string},
};

}  // namespace

std::span<const Function> string_code_functions() { return kStringCodesFunctions; }

}  // namespace marmot::mysql
