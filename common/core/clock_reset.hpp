// How `marmot clock reset` lowers stamps (docs/decisions/0032-a-clock-that-was-wrong.md): a function of one stamp, the same on all nodes, that keeps the
// order. What was stamped an hour apart must not be so any more, for then the highest would be as far ahead as before. So the stamps that are known fall
// into segments, one behind the other without what lay between them; and within one, each millisecond keeps only as many counters as were used.
#pragma once

#include <cstdint>
#include <vector>

#include "common/core/hlc.hpp"

namespace marmot {

struct ClockSegment {
  Hlc from;            // the first stamp of it
  Hlc to;              // ... and what that becomes
  uint32_t slots = 0;  // counters that a millisecond of it keeps
  bool operator==(const ClockSegment&) const = default;
};

struct ClockReset {
  static constexpr size_t kMaxSegments = 1000;
  static constexpr WallMs kMostLateMs = 60'000;
  std::vector<ClockSegment> segments;  // none: it lowers nothing

  // Both strictly rising, none of them raises a stamp, what comes out is plausible.
  bool valid() const;
  // Of any stamp, known or not: order is kept, though what is not known can become equal. Below the first segment nothing is changed.
  Hlc lowered(Hlc stamp) const;
  // As it counts where the stream took it at `at`, behind `before` (if any): what was stamped up to then, and before the first stamp that was known to
  // be ahead, is right. It lowers nothing where that is more than kMostLateMs after it was made, or where it was made before the stamps that `before`
  // made were past: whoever made it may not have seen those, and in their place its order is none.
  ClockReset taken(WallMs at, const ClockReset* before) const;
  // The same of what comes behind the reset, from somebody who had not come to it: what was stamped since with a clock that was right all along stays
  // as it is, up to the first stamp that was known to be ahead.
  Hlc lowered_in_flight(Hlc stamp) const;
  bool operator==(const ClockReset&) const = default;
};

// For stamps of `base` or later, sorted: they become those from `base` on. Others, for many were overwritten since: in their order between those,
// though they can become equal; what is later than the last one: a fifth of a second behind it at most, for the stream takes nothing far ahead. A first segment lies before
// the first one.
ClockReset make_clock_reset(const std::vector<Hlc>& stamps, WallMs base);

}  // namespace marmot
