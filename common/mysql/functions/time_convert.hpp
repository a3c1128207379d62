// What functions of several kinds make of a moment or a number.
#pragma once

#include <optional>

#include "common/mysql/functions/call.hpp"
#include "common/mysql/functions/time_calendar.hpp"

namespace marmot::mysql {

// Argument i, a number of seconds, in microseconds, rounded or cut off; beyond all times: the largest. `digits`: of its fraction, 6 for text.
struct Seconds {
  int64_t count = 0;
  int digits = 0;
};
std::optional<Seconds> decimal_microseconds(Call& call, int i, bool round = true);

// `moment` in the format that is argument i, with the session's names.
void answer_format(Call& call, const Moment& moment, int i);

}  // namespace marmot::mysql
