#include "common/node/clock_drift.hpp"

#include <cstdlib>

#include "common/base/mutation.hpp"

namespace marmot::node {

void ClockDrift::observe(WallMs sent, WallMs stored, WallMs known) {
  drift_ms_ = stored < sent ? sent - stored : stored > known ? known - stored : 0;
  known_ = true;
}

bool ClockDrift::beyond() const { return std::llabs(drift_ms_) > max_ms_; }

bool ClockDrift::may_publish() const { return (known_ || mutated(Mutation::clock_unprobed)) && !beyond(); }

std::string ClockDrift::text() const {
  if (!beyond()) return {};
  return "this machine's clock is " + off_text(drift_ms_) + " (max_clock_drift_ms = " + std::to_string(max_ms_) +
         "): nothing is published until it is set right (NTP)";
}

bool server_is_off(size_t off, size_t nodes) { return nodes > 1 && 2 * off > nodes; }

std::string server_text(size_t off, size_t nodes) {
  return "the clocks of " + std::to_string(off) + " of " + std::to_string(nodes) +
         " nodes differ from the NATS server's: it is the server's clock that is wrong, and nothing is published until it is set right (NTP)";
}

std::string off_text(int64_t off_ms) {
  return std::to_string(std::llabs(off_ms)) + " ms " + (off_ms > 0 ? "ahead of" : "behind") + " the NATS server's";
}

}  // namespace marmot::node
