// Counts what `new` was asked for in this process, so that tests can hold a decoder to its promise not to reserve more
// than its input justifies.
#pragma once

#include <cstddef>

namespace marmot::test {

struct Allocations {
  size_t count = 0;
  size_t largest = 0;  // bytes asked for at once
};

// Starts counting anew. Tests run on one thread.
void reset_allocations();
Allocations allocations();

}  // namespace marmot::test
