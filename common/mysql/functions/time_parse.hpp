// Text and numbers read as dates and times (manual 11.1.3 "Date and Time Literals", 13.2.9 "2-Digit Years in Dates").
#pragma once

#include <string_view>

#include "common/mysql/functions/decimal.hpp"
#include "common/mysql/functions/time_calendar.hpp"

namespace marmot::mysql {

struct ReadMoment {
  bool valid = false;      // `moment` is one
  bool truncated = false;  // something was left over, or a time was cut at its end: a warning
  bool has_offset = false; // "+05:30" stood behind it (manual 11.1.3, since 8.0.19)
  int offset_seconds = 0;  // east
  int parts = 0;           // numbers that a datetime's text had, valid or not: 3 to 6; fewer: it was no datetime at all
  bool spaced = false;     // a blank or T stood between day and hour
  Moment moment;
};

// A date or datetime: '2012-12-31 11:30:45.5', '2012^12^31T11+30+45', '20121231113045', '121231'. Month and day may be 0; a date that
// is not in the calendar is not valid. Fractions beyond microseconds round.
ReadMoment read_datetime(std::string_view text);

// A time: '-1 11:30:45.5', '11:30', '113045', '45'; a whole datetime is taken as one, kind datetime.
ReadMoment read_time(std::string_view text);

// YYYYMMDD, YYMMDD, YYYYMMDDhhmmss, YYMMDDhhmmss with a fraction.
ReadMoment read_datetime(const Decimal& number);
// hhmmss, or a datetime where it is too long for that.
ReadMoment read_time(const Decimal& number);

// 70 to 99: 19xx; 0 to 69: 20xx.
inline int full_year(int two_digits) { return two_digits + (two_digits < 70 ? 2000 : 1900); }

}  // namespace marmot::mysql
