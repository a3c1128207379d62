#include "common/node/clock_drift.hpp"

#include <cstdlib>

namespace marmot::node {

void ClockDrift::observe(WallMs sent, WallMs stored, WallMs known) {
  drift_ms_ = stored < sent ? sent - stored : stored > known ? known - stored : 0;
}

bool ClockDrift::beyond() const { return std::llabs(drift_ms_) > max_ms_; }

std::string ClockDrift::text() const {
  if (!beyond()) return {};
  return "this machine's clock is " + std::to_string(std::llabs(drift_ms_)) + " ms " + (drift_ms_ > 0 ? "ahead of" : "behind") +
         " the NATS server's (max_clock_drift_ms = " + std::to_string(max_ms_) + "): nothing is published until it is set right (NTP)";
}

}  // namespace marmot::node
