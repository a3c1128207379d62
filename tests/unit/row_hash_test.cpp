#include <doctest/doctest.h>

#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "common/core/row_hash.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;

namespace {

uint64_t row_hash(const std::vector<std::pair<std::string, test::OwnedValue>>& row) {
  uint64_t sum = 0;
  for (const auto& [name, value] : row) sum += value_hash(column_seed(name), value.view());
  return sum;
}

}  // namespace

TEST_CASE("row hash: the order of columns does not matter") {
  test::Random random(2);
  for (int i = 0; i < 200; ++i) {
    std::vector<std::pair<std::string, test::OwnedValue>> row;
    for (const char* name : {"a", "b", "c", "d"}) row.emplace_back(name, test::random_value(random));
    const uint64_t hash = row_hash(row);
    for (size_t n = row.size() - 1; n > 0; --n) std::swap(row[n], row[random.below(n + 1)]);
    CHECK(row_hash(row) == hash);
  }
}

TEST_CASE("row hash: which column holds a value does matter") {
  const test::OwnedValue one{ValueType::integer, 1, 0, ""};
  const test::OwnedValue two{ValueType::integer, 2, 0, ""};
  CHECK(row_hash({{"a", one}, {"b", two}}) != row_hash({{"a", two}, {"b", one}}));
}

TEST_CASE("row hash: the storage class matters") {
  const uint64_t seed = column_seed("c");
  const std::set<uint64_t> hashes = {
      value_hash(seed, ValueView::of_null()),       value_hash(seed, ValueView::of_integer(1)),
      value_hash(seed, ValueView::of_real(1.0)),    value_hash(seed, ValueView::of_text("1")),
      value_hash(seed, ValueView::of_blob("1")),    value_hash(seed, ValueView::of_text("")),
      value_hash(seed, ValueView::of_blob("")),     value_hash(seed, ValueView::of_integer(0)),
      value_hash(seed, ValueView::of_real(0.0)),    value_hash(seed, ValueView::of_real(-0.0)),
  };
  CHECK(hashes.size() == 10);
}

TEST_CASE("row hash: column names fold as SQLite folds identifiers: ASCII only") {
  CHECK(column_seed("Amount") == column_seed("AMOUNT"));
  CHECK(column_seed("\xc3\xa9") != column_seed("\xc3\x89"));  // é and É are two columns
  CHECK(column_seed("a") != column_seed("b"));
  CHECK(column_seed("[") != column_seed("{"));  // what differs from a letter by the case bit alone
}

TEST_CASE("row hash: equal values hash alike wherever their bytes lie") {
  test::Random random(3);
  for (int i = 0; i < 500; ++i) {
    const test::OwnedValue value = test::random_value(random);
    const test::OwnedValue copy = value;
    CHECK(value_hash(7, value.view()) == value_hash(7, copy.view()));
  }
}

TEST_CASE("row hash: what is kept of it fits into six bytes of SQLite's, sign and all") {
  CHECK(kept_hash(0x1234'7fff'ffff'ffffULL) == 0x0000'7fff'ffff'ffffULL);
  CHECK(kept_hash(0x1234'8000'0000'0001ULL) == 0xffff'8000'0000'0001ULL);
  CHECK(kept_hash(kept_hash(0xf016c8ad7c76356bULL)) == kept_hash(0xf016c8ad7c76356bULL));
}

TEST_CASE("row hash: the numbers stored in databases stay what they are") {
  // __marmot_version.hash and verify compare them across nodes and releases.
  CHECK(bytes_hash("") == 0x2d06800538d394c2ULL);
  CHECK(column_seed("id") == bytes_hash("id"));
  CHECK(value_hash(column_seed("id"), ValueView::of_integer(1)) == 0xf016c8ad7c76356bULL);
  CHECK(value_hash(column_seed("id"), ValueView::of_text("marmot")) == 0x7b14c5925ba03229ULL);
}
