// Dates and times as arguments and answers of a call.
#pragma once

#include <optional>

#include "common/mysql/functions/call.hpp"
#include "common/mysql/functions/time_calendar.hpp"

namespace marmot::mysql {

// Which dates a function takes, and what it may look at.
enum class Dates : uint8_t {
  any,    // "2008-00-00" and "0000-00-00" as well
  whole,  // a month and a day: what does arithmetic (manual 14.7, "Other functions expect complete dates")
};

// Argument i as a date or datetime; a DATE's time is 0. nullopt: NULL or none, the session is warned. A TIME has no date: nullopt as
// well, for the answer of a pure function cannot depend on what day it is (see datetime_today()).
std::optional<Moment> datetime_of(Call& call, int i, Dates dates);

// The same for functions that read the session anyway: a TIME is one of today (manual 13.2.8), and an offset behind the text counts,
// the moment being converted to the session's time zone (manual 11.1.3).
std::optional<Moment> datetime_today(Call& call, int i, Dates dates);

// Argument i as a time; of a datetime, what the clock shows. moment_of(): a datetime stays one.
std::optional<Moment> time_of(Call& call, int i);
std::optional<Moment> moment_of(Call& call, int i);

// Argument i in an integer context as functions of dates have it: text up to the first character that is no digit.
int64_t whole_of(Call& call, int i);

// The moment as what it is (kind), with its digits.
void answer(Call& call, const Moment& moment);
// The same as plain text: what MySQL gives where the argument was none of a temporal type.
void answer_plain(Call& call, const Moment& moment);
// `moment`'s text at `out` (at least kMostMoment characters); its end.
inline constexpr size_t kMostMoment = 32;
char* print(char* out, const Moment& moment);
// Two digits, or as many as a larger number has.
char* print_number(char* out, int value, int least_digits);

void warn_overflow(Call& call, const char* what);
void warn_wrong(Call& call, int i, const char* type);  // argument i is no "datetime", "time"

}  // namespace marmot::mysql
