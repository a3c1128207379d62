// MySQL's generator for RAND(): the same numbers for the same seed (mysys/my_rnd.cc of its published source documents the recurrence;
// manual 14.6.2 shows RAND(3)).
#pragma once

#include <cstdint>

namespace marmot::mysql {

class Random {
 public:
  explicit Random(uint32_t seed) : first_(seed * 0x10001U + 55555555U), second_(seed * 0x10000001U) {
    first_ %= kMost;
    second_ %= kMost;
  }
  Random(uint32_t first, uint32_t second) : first_(first % kMost), second_(second % kMost) {}

  // At least 0, below 1.
  double next() {
    first_ = (first_ * 3 + second_) % kMost;
    second_ = (first_ + second_ + 33) % kMost;
    return static_cast<double>(first_) / static_cast<double>(kMost);
  }

 private:
  static constexpr uint64_t kMost = 0x3FFFFFFF;
  uint64_t first_, second_;
};

}  // namespace marmot::mysql
