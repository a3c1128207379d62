#include "common/core/hlc.hpp"

#include <algorithm>
#include <cstdio>

namespace marmot {

namespace {

struct CivilDate {
  int64_t year;
  unsigned month, day;
};

// Days since 1970-01-01 to a Gregorian date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
CivilDate civil_from_days(int64_t days) {
  days += 719468;
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const auto day_of_era = static_cast<unsigned>(days - era * 146097);
  const unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned shifted_month = (5 * day_of_year + 2) / 153;
  const unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const int64_t year = static_cast<int64_t>(year_of_era) + era * 400 + (month <= 2 ? 1 : 0);
  return {year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1};
}

}  // namespace

std::string to_string(Hlc hlc) {
  const int64_t ms = hlc.wall();
  const CivilDate date = civil_from_days(ms / 86400000);
  const int64_t of_day = ms % 86400000;
  char text[64];
  std::snprintf(text, sizeof text, "%04lld-%02u-%02uT%02d:%02d:%02d.%03dZ+%u", static_cast<long long>(date.year),
                date.month, date.day, static_cast<int>(of_day / 3600000), static_cast<int>(of_day / 60000 % 60),
                static_cast<int>(of_day / 1000 % 60), static_cast<int>(of_day % 1000), hlc.counter());
  return text;
}

Hlc HlcClock::tick(WallMs touched, WallMs now) {
  constexpr WallMs kLatest = Hlc::kEnd - 366 * WallMs{86'400'000};  // room for what counts on from there
  const Hlc wanted = Hlc::from_wall(std::min({touched, now, kLatest}));
  last_ = std::max(Hlc{last_.value + 1}, wanted);
  return last_;
}

}  // namespace marmot
