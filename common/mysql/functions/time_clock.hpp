// What time it is, for one statement and one session.
#pragma once

#include "common/mysql/functions/call.hpp"
#include "common/mysql/functions/time_calendar.hpp"

namespace marmot::mysql {

// The time that NOW() tells, the same for the whole statement (manual 14.7, "evaluated only once per query at the start").
int64_t statement_now_us(Call& call);
// It as a clock in the session's zone shows it, with six digits.
Moment local_now(Call& call);

}  // namespace marmot::mysql
