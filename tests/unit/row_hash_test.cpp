#include <doctest/doctest.h>

#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "common/core/row_hash.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;

namespace {

constexpr HashKey kKey{0x0706050403020100, 0x0f0e0d0c0b0a0908};

uint64_t row_hash(const std::vector<std::pair<std::string, test::OwnedValue>>& row) {
  uint64_t sum = 0;
  for (const auto& [name, value] : row) sum += value_hash(kKey, column_seed(name), value.view());
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
      value_hash(kKey, seed, ValueView::of_null()),       value_hash(kKey, seed, ValueView::of_integer(1)),
      value_hash(kKey, seed, ValueView::of_real(1.0)),    value_hash(kKey, seed, ValueView::of_text("1")),
      value_hash(kKey, seed, ValueView::of_blob("1")),    value_hash(kKey, seed, ValueView::of_text("")),
      value_hash(kKey, seed, ValueView::of_blob("")),     value_hash(kKey, seed, ValueView::of_integer(0)),
      value_hash(kKey, seed, ValueView::of_real(0.0)),    value_hash(kKey, seed, ValueView::of_real(-0.0)),
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
    CHECK(value_hash(kKey, 7, value.view()) == value_hash(kKey, 7, copy.view()));
  }
}

TEST_CASE("row hash: the 128 bits tell the same apart, and are not the 64 twice") {
  const Hash128 one = value_hash128(kKey, 8, ValueView::of_text("a")), two = value_hash128(kKey, 8, ValueView::of_blob("a"));
  CHECK(one != two);
  CHECK(one.low != one.high);
  CHECK(one.low != value_hash(kKey, 8, ValueView::of_text("a")));
}

TEST_CASE("row hash: two values that one hash without a key took for the same are told apart") {
  // XXH3-64 seeded with the column's name, of which 48 bits were kept, was the hash of a row once.
  const uint64_t seed = column_seed("v") + 3 * 0x9e3779b97f4a7c15ULL;
  const std::string one = "07904313 EUR", two = "14912591 EUR";
  CHECK((bytes_hash(one, seed) << 16) == (bytes_hash(two, seed) << 16));
  CHECK(value_hash(kKey, column_seed("v"), ValueView::of_text(one)) != value_hash(kKey, column_seed("v"), ValueView::of_text(two)));
}

TEST_CASE("row hash: the numbers stored in databases stay what they are") {
  // __marmot_version.hash and verify compare them across nodes and releases.
  CHECK(bytes_hash("") == 0x2d06800538d394c2ULL);
  CHECK(column_seed("id") == bytes_hash("id"));
  CHECK(value_hash(kKey, column_seed("id"), ValueView::of_integer(1)) == 15274801410778755072ULL);
  CHECK(value_hash(kKey, column_seed("id"), ValueView::of_text("marmot")) == 3290127941363908355ULL);
}

TEST_CASE("siphash: the vectors of its authors") {
  // Key 00 01 ... 0f, input 00 01 ..., 8 and 15 bytes of it; what `openssl mac -macopt size:16 ... SipHash` says as well.
  const uint64_t first = 0x0706050403020100;
  const std::string rest("\x08\x09\x0a\x0b\x0c\x0d\x0e", 7);
  CHECK(siphash(kKey, first, "") == 0x93f5f5799a932462ULL);
  CHECK(siphash(kKey, first, rest) == 0xa129ca6149be45e5ULL);  // the example of the paper
  CHECK(siphash128(kKey, first, "") == Hash128{0x61f55862baa9623bULL, 0xb49714f364e2830fULL});
  CHECK(siphash128(kKey, first, rest) == Hash128{0x11a8b03399e99354ULL, 0xd9c3cf970fec087eULL});
}

TEST_CASE("siphash: a key as text comes back, and nothing else is one") {
  CHECK(to_text(kKey) == "0f0e0d0c0b0a09080706050403020100");
  CHECK(parse_hash_key(to_text(kKey)) == kKey);
  for (const char* bad : {"", "0", "00000000000000000000000000000000", "0f0e0d0c0b0a0908070605040302010", "0f0e0d0c0b0a0908 706050403020100",
                          "0f0e0d0c0b0a09080706050403020100 "}) {
    CHECK_FALSE(parse_hash_key(bad));
  }
}
