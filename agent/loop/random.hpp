// Chance from the operating system. Any thread.
#pragma once

#include <cstdint>

namespace marmot::agent {

// 1 to kMaxNodeId.
uint64_t random_node_id();
// 1 to 2^63 - 1: of an agent's life, and of a stream.
uint64_t random_incarnation();
// Not 0; all of its 64 bits are to be guessed: half a secret key, or half a seed.
uint64_t random_secret();

}  // namespace marmot::agent
