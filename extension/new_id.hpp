// Ids that nodes can give out without asking each other: exact in JavaScript (53 bits), growing, and unlikely to meet.
//
//   52                                    12 11          0
//   +---------------------------------------+-------------+
//   | milliseconds since 2020-01-01 UTC: 41 | 12          |   until September 2089
//   +---------------------------------------+-------------+
//
// The lower 12 bits start at random in each millisecond and count up; a run of more than 4096 ids in a millisecond
// borrows from the next.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "common/base/ids.hpp"

namespace marmot::extension {

inline constexpr WallMs kIdEpoch = 1577836800000;  // 2020-01-01
inline constexpr int kIdCounterBits = 12;

class IdSource {
 public:
  // Larger than every id before it, from any thread. nullopt: the clock stands before 2020 or behind 2089.
  std::optional<int64_t> next(WallMs now, uint32_t random) {
    const int64_t ms = now - kIdEpoch;
    if (ms < 0 || ms >= int64_t{1} << 41) return std::nullopt;
    const int64_t fresh = ms << kIdCounterBits | static_cast<int64_t>(random & ((1U << kIdCounterBits) - 1));
    int64_t last = last_.load(std::memory_order_relaxed);
    int64_t id = 0;
    do {
      id = last >> kIdCounterBits < ms ? fresh : last + 1;
    } while (!last_.compare_exchange_weak(last, id, std::memory_order_relaxed));
    return id;
  }

 private:
  std::atomic<int64_t> last_{0};
};

}  // namespace marmot::extension
