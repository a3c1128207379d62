#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "common/core/row.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;

TEST_CASE("row: what was written is read back, and no other bytes are a row") {
  test::Random random(7);
  for (int i = 0; i < 200; ++i) {
    std::vector<std::pair<std::string, test::OwnedValue>> row;
    const size_t columns = random.below(6);
    std::string bytes;
    for (size_t c = 0; c < columns; ++c) {
      row.emplace_back(std::string(random.below(200), 'n') + std::to_string(c), test::random_value(random));
      append_row_column(bytes, row.back().first, row.back().second.view());
    }
    const auto read = decode_row(bytes);
    REQUIRE(read);
    REQUIRE(read->size() == columns);
    for (size_t c = 0; c < columns; ++c) {
      CHECK((*read)[c].name == row[c].first);
      CHECK(same_value((*read)[c].value, row[c].second.view()));
    }
    // Cut anywhere but between two columns, it is no row; with bytes changed it must not be read past its end.
    for (size_t cut = 0; cut < bytes.size(); cut += 1 + bytes.size() / 40) {
      const auto part = decode_row(std::string_view(bytes).substr(0, cut));
      if (part) CHECK(part->size() < columns);
      std::string changed = bytes;
      changed[cut] = static_cast<char>(changed[cut] ^ (1 << random.below(8)));
      (void)decode_row(changed);
    }
  }
  CHECK_FALSE(decode_row(std::string("\x80\x00", 2)));           // a size in two ways
  CHECK_FALSE(decode_row(std::string("\x01" "a" "\x06", 3)));    // no such type
  CHECK_FALSE(decode_row(std::string("\xff\xff\xff\xff\xff", 5)));
}

TEST_CASE("row: JSON says exactly what the value was") {
  const auto json = [](const ValueView& value) { return row_json({{"c", value}}); };
  CHECK(row_json({}) == "{}");
  CHECK(row_json({{"a\"b", ValueView::of_null()}, {"i", ValueView::of_integer(INT64_MIN)}}) == "{\"a\\\"b\": null, \"i\": -9223372036854775808}");
  CHECK(json(ValueView::of_real(1)) == "{\"c\": 1.0}");
  CHECK(json(ValueView::of_real(-0.0)) == "{\"c\": -0.0}");
  CHECK(json(ValueView::of_real(0.1)) == "{\"c\": 0.1}");
  CHECK(json(ValueView::of_real(1e300)) == "{\"c\": 1e+300}");
  CHECK(json(ValueView::of_real(-std::numeric_limits<double>::infinity())) == "{\"c\": {\"real\": \"-inf\"}}");
  CHECK(json(ValueView::of_text("caf\u00e9 \n\"\\")) == "{\"c\": \"caf\u00e9 \\u000a\\\"\\\\\"}");
  CHECK(json(ValueView::of_text(std::string_view("a\0b", 3))) == "{\"c\": {\"text_hex\": \"610062\"}}");
  CHECK(json(ValueView::of_text("\xed\xa0\x80")) == "{\"c\": {\"text_hex\": \"EDA080\"}}");  // a surrogate is no UTF-8
  CHECK(json(ValueView::of_text("\xf0\x9f\x90\xbf")) == "{\"c\": \"\xf0\x9f\x90\xbf\"}");
  CHECK(json(ValueView::of_blob(std::string_view("\x00\xff", 2))) == "{\"c\": {\"hex\": \"00FF\"}}");
}
