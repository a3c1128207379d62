// A long piece of work, for a progress bar.
#pragma once

#include <cstdint>
#include <string>

namespace marmot {

struct LongWork {
  std::string what;  // empty: nothing is going on
  uint64_t done = 0, total = 0;  // total 0: unknown
};

}  // namespace marmot
