#include "common/mysql/functions/text.hpp"

#include <unicode/utf8.h>

#include <algorithm>

namespace marmot::mysql {

namespace {
bool is_ascii_byte(char c) { return static_cast<signed char>(c) >= 0; }
}  // namespace

Character first_character(std::string_view text) {
  const auto byte = static_cast<unsigned char>(text.front());
  if (byte < 0x80) return {byte, 1};
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int32_t>(std::min<size_t>(text.size(), 4));
  int32_t at = 0;
  UChar32 code = 0;
  U8_NEXT(bytes, at, size, code);
  if (code < 0) return {kNoCharacter + byte, 1};
  return {static_cast<uint32_t>(code), static_cast<size_t>(at)};
}

size_t character_size(std::string_view text) { return is_ascii_byte(text.front()) ? 1 : first_character(text).size; }

void append_character(std::string& out, uint32_t code) {
  if (code >= kNoCharacter) {
    out += static_cast<char>(code - kNoCharacter);
    return;
  }
  uint8_t bytes[U8_MAX_LENGTH] = {};
  int32_t size = 0;
  U8_APPEND_UNSAFE(bytes, size, code);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), is_ascii_byte);
}

bool is_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int32_t>(text.size());
  for (int32_t i = 0; i < size;) {
    UChar32 c = 0;
    U8_NEXT(bytes, i, size, c);
    if (c < 0) return false;
  }
  return true;
}

size_t count_characters(std::string_view text, bool binary) {
  if (binary) return text.size();
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at += character_size(text.substr(at))) ++count;
  return count;
}

size_t offset_of(std::string_view text, int64_t n, bool binary) {
  if (n <= 0) return 0;
  if (static_cast<uint64_t>(n) >= text.size()) return text.size();
  if (binary) return static_cast<size_t>(n);
  size_t at = 0;
  for (; n > 0 && at < text.size(); --n) at += character_size(text.substr(at));
  return at;
}

bool any_binary(const Call& call, int first, int last) {
  for (int i = first; i <= last; ++i) {
    if (call.is_blob(i)) return true;
  }
  return false;
}

void text_or_blob_is(Call& call, std::string_view value, bool binary) {
  call.buffer().assign(value);
  text_or_blob_done(call, binary);
}

void text_or_blob_done(Call& call, bool binary) {
  if (!binary) return call.text_done();
  bool readable = true;
  for (int i = 0; i < call.count(); ++i) readable &= !call.is_blob(i) || call.is_readable(i);
  readable ? call.readable_done() : call.blob_done();
}

}  // namespace marmot::mysql
