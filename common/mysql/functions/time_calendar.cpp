#include "common/mysql/functions/time_calendar.hpp"

namespace marmot::mysql {

namespace {

// Days from 1970-01-01 of the proleptic Gregorian calendar, and back: years that begin in March, in eras of 400
// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

void civil_from_days(int64_t days, Moment& out) {
  days += 719'468;
  const int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const int64_t day_of_era = days - era * 146'097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month = (5 * day_of_year + 2) / 153;
  out.day = static_cast<int>(day_of_year - (153 * month + 2) / 5 + 1);
  out.month = static_cast<int>(month < 10 ? month + 3 : month - 9);
  out.year = static_cast<int>(year_of_era + era * 400 + (out.month <= 2 ? 1 : 0));
}

void set_clock(Moment& moment, int64_t of_day) {
  moment.microsecond = static_cast<int>(of_day % kMicro);
  of_day /= kMicro;
  moment.second = static_cast<int>(of_day % 60);
  moment.minute = static_cast<int>(of_day / 60 % 60);
  moment.hour = static_cast<int>(of_day / 3600);
}

// The first day of the year's week 1.
int64_t first_week(int year, WeekRule rule) {
  const int64_t new_year = day_number(year, 1, 1);
  const int64_t into_week = (weekday(new_year) + (rule.monday_first ? 0 : 1)) % 7;
  if (into_week == 0) return new_year;
  return into_week <= 3 && !rule.by_first_day ? new_year - into_week : new_year + 7 - into_week;
}

}  // namespace

bool leap_year(int year) { return year % 4 == 0 && (year % 100 != 0 || (year % 400 == 0 && year != 0)); }

int days_in_month(int year, int month) {
  constexpr int kDays[] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && leap_year(year) ? 29 : kDays[month];
}

int64_t day_number(int year, int month, int day) {
  if (month == 0) return day_number(year, 1, day) - 31;
  // MySQL's year 0 has 365 days, so what lies before its March is a day later than the calendar has it.
  return days_from_civil(year, month, day) + kEpochDayNumber + (year <= 0 && month <= 2 ? 1 : 0);
}

void set_date(Moment& moment, int64_t number) {
  if (number <= 365 || number > kLastDayNumber) {
    moment.year = moment.month = moment.day = 0;
  } else {
    civil_from_days(number - kEpochDayNumber, moment);
  }
}

int weekday(int64_t number) { return static_cast<int>(((number + 5) % 7 + 7) % 7); }

int day_of_year(const Moment& date) {
  return static_cast<int>(day_number(date.year, date.month, date.day) - day_number(date.year, 1, 1) + 1);
}

WeekRule week_rule(int64_t mode) {
  const bool monday = (mode & 1) != 0;
  return {monday, (mode & 2) != 0, ((mode & 4) != 0) == monday};
}

Week week_of(const Moment& date, WeekRule rule) {
  const int64_t number = day_number(date.year, date.month, date.day);
  int year = date.year;
  int64_t start = first_week(year, rule);
  if (number < start) {
    if (!rule.own_year) return {year, 0};
    start = first_week(--year, rule);
  } else if (rule.own_year && number >= start + 52 * 7) {
    const int64_t next = first_week(year + 1, rule);
    if (number >= next) return {year + 1, 1};
  }
  return {year, static_cast<int>((number - start) / 7 + 1)};
}

int64_t week_start(int year, WeekRule rule, int week) { return first_week(year, rule) + (week - 1) * 7; }

int64_t time_of_day(const Moment& moment) {
  return ((moment.hour * int64_t{60} + moment.minute) * 60 + moment.second) * kMicro + moment.microsecond;
}

int64_t microseconds(const Moment& moment) {
  if (moment.kind == TimeKind::time) return moment.negative ? -time_of_day(moment) : time_of_day(moment);
  return day_number(moment.year, moment.month, moment.day) * kDaySeconds * kMicro + time_of_day(moment);
}

bool set_time(Moment& moment, int64_t length) {
  moment.kind = TimeKind::time;
  moment.year = moment.month = moment.day = 0;
  moment.negative = length < 0;
  const bool fits = length >= -kMostTime && length <= kMostTime;
  set_clock(moment, !fits ? kMostTime : moment.negative ? -length : length);
  return fits;
}

bool set_datetime(Moment& moment, int64_t since_day_0) {
  constexpr int64_t kDay = kDaySeconds * kMicro;
  moment.kind = TimeKind::datetime;
  moment.negative = false;
  if (since_day_0 < 366 * kDay || since_day_0 >= (kLastDayNumber + 1) * kDay) return false;
  set_date(moment, since_day_0 / kDay);
  set_clock(moment, since_day_0 % kDay);
  return true;
}

bool add_microsecond(Moment& moment) {
  if (++moment.microsecond < kMicro) return true;
  if (moment.kind == TimeKind::time) return set_time(moment, moment.negative ? -time_of_day(moment) : time_of_day(moment));
  if (time_of_day(moment) < kDaySeconds * kMicro) {
    set_clock(moment, time_of_day(moment));
    return true;
  }
  return moment.whole_date() && set_datetime(moment, microseconds(moment));
}

int64_t unix_seconds(const Moment& moment) {
  return (day_number(moment.year, moment.month, moment.day) - kEpochDayNumber) * kDaySeconds + time_of_day(moment) / kMicro;
}

void set_unix_seconds(Moment& moment, int64_t seconds) {
  const int64_t days = (seconds >= 0 ? seconds : seconds - (kDaySeconds - 1)) / kDaySeconds;
  const int fraction = moment.microsecond;
  moment.kind = TimeKind::datetime;
  set_date(moment, days + kEpochDayNumber);
  set_clock(moment, (seconds - days * kDaySeconds) * kMicro);
  moment.microsecond = fraction;
}

}  // namespace marmot::mysql
