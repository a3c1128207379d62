#include "agent/loop/clock.hpp"

#include <chrono>

namespace marmot::agent {

using std::chrono::duration_cast;

WallMs wall_now() { return duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

int64_t monotonic_ms() { return duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

int64_t monotonic_us() { return duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace marmot::agent
