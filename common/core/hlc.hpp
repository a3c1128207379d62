// Hybrid logical clock (Kulkarni, Demirbas et al. 2014, "Logical Physical Clocks"): 48 bits of Unix milliseconds, 16 of
// counter, so that integer order is time order and a causally later write is always larger.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "common/base/ids.hpp"

namespace marmot {

struct Hlc {
  uint64_t value = 0;  // below 2^63: SQLite stores it as a signed integer

  static constexpr int kCounterBits = 16;
  static constexpr Hlc from_wall(WallMs ms) { return Hlc{static_cast<uint64_t>(ms < 0 ? 0 : ms) << kCounterBits}; }
  constexpr WallMs wall() const { return static_cast<WallMs>(value >> kCounterBits); }
  constexpr uint32_t counter() const { return static_cast<uint32_t>(value & 0xffff); }

  // From here on, the year 2200, no clock is right: a stamp that says so is damage, wherever it comes from.
  static constexpr WallMs kEnd = 7'258'118'400'000;
  constexpr bool plausible() const { return wall() < kEnd; }

  auto operator<=>(const Hlc&) const = default;

  // As __marmot_version holds it, once a row: the counter above the milliseconds. The counter is mostly 0, and SQLite then
  // needs six bytes instead of eight. These numbers do not sort by time.
  constexpr int64_t stored() const { return static_cast<int64_t>(value >> kCounterBits | value << (64 - kCounterBits)); }
  static constexpr Hlc from_stored(int64_t stored) {
    const auto bits = static_cast<uint64_t>(stored);
    return Hlc{bits << kCounterBits | bits >> (64 - kCounterBits)};
  }
};

// "2026-11-20T21:02:10.123Z+5" (the counter after the plus sign).
std::string to_string(Hlc hlc);

// One clock a database file. Not thread-safe: the database thread owns it.
class HlcClock {
 public:
  explicit HlcClock(Hlc last = {}) : last_(last.plausible() ? last : Hlc{}) {}

  // The stamp of a local change touched at `touched` and read at `now`: max(last + 1, min(touched, now)). A backlog of
  // hours keeps its true times, and a touch that claims to come from the future does not drag the clock along. A machine that
  // lives beyond kEnd gets stamps of a year before.
  Hlc tick(WallMs touched, WallMs now);

  // Raises the clock to what was applied to this file.
  void observe(Hlc applied) { if (applied > last_ && applied.plausible()) last_ = applied; }

  Hlc last() const { return last_; }

 private:
  Hlc last_;
};

}  // namespace marmot
