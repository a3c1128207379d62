#include "common/core/wide_text.hpp"

#include <cstdint>

namespace marmot {

namespace {

bool is_high(uint32_t c) { return c >= 0xD800 && c < 0xDC00; }
bool is_low(uint32_t c) { return c >= 0xDC00 && c < 0xE000; }

// The code point at `at`, which is not the end of `text` and moves behind it; nullopt: it is cut off, longer than it has to be, or none.
std::optional<uint32_t> take_point(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint32_t first = byte(at++);
  if (first < 0x80) return first;
  const size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
  if (first < 0xC2 || first > 0xF4 || text.size() - at < more) return std::nullopt;
  uint32_t point = first & (0x3FU >> more);
  for (size_t i = 0; i < more; ++i) {
    const uint32_t next = byte(at++);
    if ((next & 0xC0) != 0x80) return std::nullopt;
    point = (point << 6) | (next & 0x3F);
  }
  constexpr uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
  if (point < kLeast[more] || point > 0x10FFFF) return std::nullopt;
  return point;
}

}  // namespace

void narrow_text(std::u16string_view text, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t c = text[i];
    if (is_high(c) && i + 1 < text.size() && is_low(text[i + 1])) c = 0x10000 + ((c - 0xD800) << 10) + (text[++i] - 0xDC00U);
    const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
    if (c < 0x80) {
      put(c);
      continue;
    }
    if (c < 0x800) {
      put(0xC0 | (c >> 6));
    } else {
      if (c < 0x10000) {
        put(0xE0 | (c >> 12));
      } else {
        put(0xF0 | (c >> 18));
        put(0x80 | ((c >> 12) & 0x3F));
      }
      put(0x80 | ((c >> 6) & 0x3F));
    }
    put(0x80 | (c & 0x3F));
  }
}

std::optional<std::u16string> widen_text(std::string_view text) {
  std::u16string out;
  out.reserve(text.size());
  bool after_high = false;
  for (size_t at = 0; at < text.size();) {
    const auto point = take_point(text, at);
    if (!point || (after_high && is_low(*point))) return std::nullopt;
    after_high = is_high(*point);
    if (*point < 0x10000) {
      out += static_cast<char16_t>(*point);
    } else {
      out += static_cast<char16_t>(0xD800 + ((*point - 0x10000) >> 10));
      out += static_cast<char16_t>(0xDC00 + (*point & 0x3FF));
    }
  }
  return out;
}

size_t utf8_length(std::string_view text) {
  size_t length = 0;
  const auto point = take_point(text, length);
  return point && !is_high(*point) && !is_low(*point) ? length : 0;
}

bool sqlite_widens(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const std::string_view point = text.substr(0, length);
    if (length == 0 || point == "\uFFFE" || point == "\uFFFF") return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace marmot
