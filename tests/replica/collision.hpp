// Two rows that a hash of 64 bits takes for one, found with its key known: by Wagner's generalized birthday, over eight columns.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/core/row_hash.hpp"

namespace marmot::test {

constexpr size_t kColliding = 8;
using Colliding = std::array<int64_t, kColliding>;

struct Part {
  uint64_t sum = 0;
  Colliding values{};
};

// The sums of both whose low `bits` bits are 0.
inline std::vector<Part> joined(const std::vector<Part>& left, const std::vector<Part>& right, unsigned bits) {
  const uint64_t mask = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  std::unordered_multimap<uint64_t, const Part*> by_end;
  for (const Part& part : right) by_end.emplace(part.sum & mask, &part);
  std::vector<Part> out;
  for (const Part& part : left) {
    const auto [from, to] = by_end.equal_range((0 - part.sum) & mask);
    for (auto it = from; it != to; ++it) {
      Part both{part.sum + it->second->sum, part.values};
      for (size_t i = 0; i < kColliding; ++i) both.values[i] += it->second->values[i];
      out.push_back(both);
    }
  }
  return out;
}

// The row with these in the columns a to h has, under `key`, the hash of the row with -1 in each.
inline Colliding colliding_row(const HashKey& key) {
  constexpr int64_t kTried = 1 << 17;
  std::vector<std::vector<Part>> lists;
  for (size_t column = 0; column < kColliding; ++column) {
    const uint64_t seed = column_seed(std::string(1, static_cast<char>('a' + column)));
    const uint64_t other = value_hash(key, seed, ValueView::of_integer(-1));
    std::vector<Part> list(kTried);
    for (int64_t i = 0; i < kTried; ++i) {
      Part& part = list[static_cast<size_t>(i)];
      part.sum = value_hash(key, seed, ValueView::of_integer(i)) - other;
      part.values[column] = i;
    }
    lists.push_back(std::move(list));
  }
  for (const unsigned bits : {17U, 34U, 64U}) {
    std::vector<std::vector<Part>> halves;
    for (size_t i = 0; i < lists.size(); i += 2) halves.push_back(joined(lists[i], lists[i + 1], bits));
    lists = std::move(halves);
  }
  return lists[0].empty() ? Colliding{} : lists[0].front().values;
}

}  // namespace marmot::test
