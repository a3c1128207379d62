#include "common/core/wide_text.hpp"

#include <doctest/doctest.h>

using namespace marmot;

namespace {
std::string narrow(std::u16string_view text) {
  std::string out;
  narrow_text(text, out);
  return out;
}
}  // namespace

TEST_CASE("wide text: every two units of UTF-16 come back as they were") {
  const char16_t edges[] = {0, 0x41, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF};
  for (const char16_t a : edges) {
    for (const char16_t b : edges) {
      for (const char16_t c : edges) {
        const std::u16string text{a, b, c};
        const auto back = widen_text(narrow(text));
        REQUIRE(back);
        CHECK(*back == text);
      }
    }
  }
}

TEST_CASE("wide text: UTF-8 is what it is elsewhere, and half a pair is three bytes") {
  CHECK(narrow(u"a\u00e9\u20ac\U0001F600") == "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK(narrow(std::u16string{0xD800}) == "\xed\xa0\x80");
}

TEST_CASE("wide text: what no UTF-16 file can hold is told") {
  for (const char* text : {"\xff", "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xe2\x82", "a\xf0\x9f\x98",
                           "\xed\xa0\x80\xed\xb0\x80"}) {
    CHECK_FALSE(widen_text(text));
  }
}

TEST_CASE("wide text: what SQLite itself converts to UTF-16 is valid UTF-8 without U+FFFE and U+FFFF") {
  for (const char* text : {"", "name", "\xc3\xa9", "\xef\xbf\xbd", "\xf0\x9f\xbf\xbe"}) CHECK(sqlite_widens(text));
  for (const char* text : {"\xed\xa0\x80", "a\xff", "\xef\xbf\xbe", "a\xef\xbf\xbf", "\xc3"}) CHECK_FALSE(sqlite_widens(text));
}
