// The payload of a clock message (envelope.hpp): from its place in the stream on, another bound for stamps, and what is stamped too high is lower.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.hpp"
#include "common/core/clock_reset.hpp"

namespace marmot::codec {

struct ClockChange {
  int64_t bound_ms = 0;  // as Genesis::clock_bound_ms; 0: it stays as it is
  ClockReset reset;
  bool operator==(const ClockChange&) const = default;
};

std::string encode_clock(const ClockChange& change);
// Total and bounded like all decoders (message.hpp). Errc::corrupt as well where the reset is not valid().
Result<ClockChange> decode_clock(std::string_view payload);

}  // namespace marmot::codec
