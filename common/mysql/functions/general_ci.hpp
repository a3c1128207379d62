// The weights of utf8mb4_general_ci.
#pragma once

#include <cstdint>

namespace marmot::mysql {

// Of a code point. Every supplementary character weighs as U+FFFD (manual 10.10.1).
uint32_t general_ci_weight(uint32_t code);

}  // namespace marmot::mysql
