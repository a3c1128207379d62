// The clocks of the agent. Any thread.
#pragma once

#include <cstdint>

#include "common/base/ids.hpp"

namespace marmot::agent {

// Milliseconds since 1970 of the machine's clock, which may jump.
WallMs wall_now();

// A clock that only goes forward, from any beginning: for how long something takes, and deadlines.
int64_t monotonic_ms();
int64_t monotonic_us();

}  // namespace marmot::agent
