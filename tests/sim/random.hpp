// The one source of chance: xoshiro256** (Blackman and Vigna), seeded by splitmix64. No std distribution is used anywhere
// in the simulator: they differ between libraries. Draw into a named variable before the call that uses it: the order of
// arguments is not specified.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace marmot::sim {

inline uint64_t mix64(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

class Random {
 public:
  explicit Random(uint64_t seed) {
    for (uint64_t& word : state_) word = seed = mix64(seed);
  }

  uint64_t next() {
    const auto rotate = [](uint64_t x, int k) { return (x << k) | (x >> (64 - k)); };
    const uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  // 0 ... n - 1. The bias of the remainder does not matter here.
  uint64_t below(uint64_t n) { return n == 0 ? 0 : next() % n; }
  int64_t between(int64_t low, int64_t high) { return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low + 1))); }
  bool per_mille(uint64_t n) { return below(1000) < n; }
  template <class T>
  const T& pick(const std::vector<T>& from) { return from[below(from.size())]; }
  template <class T, size_t N>
  const T& pick(const T (&from)[N]) { return from[below(N)]; }

 private:
  uint64_t state_[4];
};

}  // namespace marmot::sim
