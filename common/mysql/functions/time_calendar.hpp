// Dates, times and their arithmetic as MySQL counts them (manual 13.2): years 0 to 9999 of the Gregorian calendar, zero and
// incomplete dates, times to 838:59:59 either way. Knows neither text nor sessions.
#pragma once

#include <cstdint>

namespace marmot::mysql {

enum class TimeKind : uint8_t { date, time, datetime };

// A DATE, TIME or DATETIME. Month and day may be 0 ("2008-00-00"); of a TIME, year, month and day are 0, and hour goes to 838.
struct Moment {
  TimeKind kind = TimeKind::datetime;
  bool negative = false;  // of a TIME
  int year = 0, month = 0, day = 0;
  int hour = 0, minute = 0, second = 0, microsecond = 0;
  int digits = 0;  // of the fraction, as far as they are shown: 0 to 6

  bool zero_date() const { return year == 0 && month == 0 && day == 0; }
  bool whole_date() const { return month != 0 && day != 0; }
};

inline constexpr int64_t kMicro = 1'000'000;
inline constexpr int64_t kDaySeconds = 86'400;
inline constexpr int64_t kLastDayNumber = 3'652'424;  // 9999-12-31
inline constexpr int64_t kEpochDayNumber = 719'528;   // 1970-01-01
inline constexpr int kMostHours = 838;                // TIME's end is 838:59:59.000000
inline constexpr int64_t kMostTime = (838 * 3600 + 59 * 60 + 59) * kMicro;

bool leap_year(int year);  // 0 is none
int days_in_month(int year, int month);

// Days since the year 0: 1 for 0000-01-01 (TO_DAYS). A month of 0 counts as the 31 days before January, a day of 0 as the day before the first.
int64_t day_number(int year, int month, int day);
// Its inverse: year, month and day; 0000-00-00 below 366 (TO_DAYS('0001-01-01')) and beyond kLastDayNumber.
void set_date(Moment& moment, int64_t day_number);
int weekday(int64_t day_number);  // 0 Monday to 6 Sunday
int day_of_year(const Moment& date);

// How weeks are counted: the modes 0 to 7 of WEEK() (manual 14.7, table "WEEK() mode argument").
struct WeekRule {
  bool monday_first;
  bool own_year;        // weeks 1 to 53, those at the year's ends may be of the neighbour; else 0 to 53, all of their own year
  bool by_first_day;    // week 1 is the first to begin in the year; else the first with four days in it
};
WeekRule week_rule(int64_t mode);  // the lowest three bits
struct Week {
  int year, week;
};
Week week_of(const Moment& date, WeekRule rule);
int64_t week_start(int year, WeekRule rule, int week);  // the day number of its first day

// Microseconds since day 0 of a whole date with its time; of a TIME, its length with its sign.
int64_t microseconds(const Moment& moment);
int64_t time_of_day(const Moment& moment);  // the same of hour to microsecond alone, without sign
// The inverses. set_time() cuts at kMostTime and says false then; set_datetime() says false where no year 1 to 9999 results.
bool set_time(Moment& moment, int64_t length);
bool set_datetime(Moment& moment, int64_t since_day_0);
// To `digits` of a fraction that had more, the next of them 5 or more: a microsecond more. False: it left the range.
bool add_microsecond(Moment& moment);

// Seconds since 1970 on a clock that stands in UTC; whole dates only.
int64_t unix_seconds(const Moment& moment);
void set_unix_seconds(Moment& moment, int64_t seconds);

}  // namespace marmot::mysql
