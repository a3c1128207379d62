#include "agent/loop/random.hpp"

#include <random>

#include "common/base/ids.hpp"

namespace marmot::agent {

namespace {
uint64_t random_up_to(uint64_t limit) {
  std::random_device device;
  std::uniform_int_distribution<uint64_t> pick(1, limit);
  return pick(device);
}
}  // namespace

uint64_t random_node_id() { return random_up_to(kMaxNodeId); }
uint64_t random_secret() { return random_up_to(UINT64_MAX); }
uint64_t random_incarnation() { return random_up_to((uint64_t{1} << 63) - 1); }

}  // namespace marmot::agent
