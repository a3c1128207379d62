#include "common/mysql/functions/time_interval.hpp"

#include <array>

#include "common/mysql/functions/ascii.hpp"

namespace marmot::mysql {

namespace {

struct UnitName {
  std::string_view name;
  Unit unit;
};

constexpr std::array kUnits = {
    UnitName{"MICROSECOND", Unit::microsecond},
    UnitName{"SECOND", Unit::second},
    UnitName{"MINUTE", Unit::minute},
    UnitName{"HOUR", Unit::hour},
    UnitName{"DAY", Unit::day},
    UnitName{"WEEK", Unit::week},
    UnitName{"MONTH", Unit::month},
    UnitName{"QUARTER", Unit::quarter},
    UnitName{"YEAR", Unit::year},
    UnitName{"SECOND_MICROSECOND", Unit::second_microsecond},
    UnitName{"MINUTE_MICROSECOND", Unit::minute_microsecond},
    UnitName{"MINUTE_SECOND", Unit::minute_second},
    UnitName{"HOUR_MICROSECOND", Unit::hour_microsecond},
    UnitName{"HOUR_SECOND", Unit::hour_second},
    UnitName{"HOUR_MINUTE", Unit::hour_minute},
    UnitName{"DAY_MICROSECOND", Unit::day_microsecond},
    UnitName{"DAY_SECOND", Unit::day_second},
    UnitName{"DAY_MINUTE", Unit::day_minute},
    UnitName{"DAY_HOUR", Unit::day_hour},
    UnitName{"YEAR_MONTH", Unit::year_month},
};

// The parts of a compound unit that add by time, each in microseconds.
constexpr int64_t kMinute = 60 * kMicro, kHour = 60 * kMinute, kDay = 24 * kHour;
struct Parts {
  int count;
  std::array<int64_t, 5> size;
};

Parts parts_of(Unit unit) {
  switch (unit) {
    case Unit::second_microsecond: return {2, {kMicro, 1}};
    case Unit::minute_microsecond: return {3, {kMinute, kMicro, 1}};
    case Unit::minute_second: return {2, {kMinute, kMicro}};
    case Unit::hour_microsecond: return {4, {kHour, kMinute, kMicro, 1}};
    case Unit::hour_second: return {3, {kHour, kMinute, kMicro}};
    case Unit::hour_minute: return {2, {kHour, kMinute}};
    case Unit::day_microsecond: return {5, {kDay, kHour, kMinute, kMicro, 1}};
    case Unit::day_second: return {4, {kDay, kHour, kMinute, kMicro}};
    case Unit::day_minute: return {3, {kDay, kHour, kMinute}};
    case Unit::day_hour: return {2, {kDay, kHour}};
    default: return {2, {12, 1}};  // YEAR_MONTH, in months
  }
}

constexpr int64_t kMostMonths = 12 * 10'000;
constexpr int64_t kMostMicroseconds = (kLastDayNumber + 1) * kDay;

// count * size, unless it is beyond `most` either way.
std::optional<int64_t> product(int64_t count, int64_t size, int64_t most) {
  if (count > most / size || count < -(most / size)) return std::nullopt;
  return count * size;
}

// Reads the numbers of `text`: how many there were, at most `most`; -1: more, or one was too large. `last_digits`: how long the last was.
int read_numbers(std::string_view text, int most, std::array<int64_t, 5>& out, int& last_digits) {
  int count = 0;
  size_t i = 0;
  for (;;) {
    while (i < text.size() && !is_digit(text[i])) ++i;
    if (i == text.size()) return count;
    if (count == most) return -1;
    int64_t value = 0;
    last_digits = 0;
    for (; i < text.size() && is_digit(text[i]); ++i, ++last_digits) {
      if (value > (INT64_MAX - 9) / 10) return -1;
      value = value * 10 + (text[i] - '0');
    }
    out[static_cast<size_t>(count++)] = value;
  }
}

}  // namespace

std::optional<Unit> find_unit(std::string_view name, bool plain) {
  constexpr std::string_view kPrefix = "SQL_TSI_";
  if (plain && name.size() > kPrefix.size() && same_word(name.substr(0, kPrefix.size()), kPrefix)) {
    name.remove_prefix(kPrefix.size());
    if (same_word(name, "MICROSECOND")) return std::nullopt;
  }
  for (const UnitName& known : kUnits) {
    if (same_word(name, known.name)) return plain && !single(known.unit) ? std::nullopt : std::optional(known.unit);
  }
  return std::nullopt;
}

bool counts_microseconds(Unit unit) {
  switch (unit) {
    case Unit::microsecond:
    case Unit::second_microsecond:
    case Unit::minute_microsecond:
    case Unit::hour_microsecond:
    case Unit::day_microsecond: return true;
    default: return false;
  }
}

std::optional<Interval> interval_of(Unit unit, int64_t count) {
  int64_t size = 1;
  switch (unit) {
    case Unit::month: break;
    case Unit::quarter: size = 3; break;
    case Unit::year: size = 12; break;
    case Unit::microsecond: break;
    case Unit::second: size = kMicro; break;
    case Unit::minute: size = kMinute; break;
    case Unit::hour: size = kHour; break;
    case Unit::week: size = 7 * kDay; break;
    default: size = kDay; break;
  }
  const auto all = product(count, size, by_month(unit) ? kMostMonths : kMostMicroseconds);
  if (!all) return std::nullopt;
  return Interval{by_month(unit), *all};
}

std::optional<Interval> read_interval(Unit unit, std::string_view text) {
  size_t at = 0;
  while (at < text.size() && is_blank(text[at])) ++at;
  const bool negative = at < text.size() && text[at] == '-';
  const Parts parts = parts_of(unit);
  std::array<int64_t, 5> numbers{};
  int last_digits = 0;
  const int count = read_numbers(text.substr(at), parts.count, numbers, last_digits);
  if (count < 0) return std::nullopt;
  if (count > 0 && counts_microseconds(unit)) {
    // They are a fraction: the 5 of '1.5' is 500000.
    int64_t& fraction = numbers[static_cast<size_t>(count - 1)];
    for (; last_digits < 6; ++last_digits) fraction *= 10;
    for (; last_digits > 6; --last_digits) fraction /= 10;
  }
  const int64_t most = by_month(unit) ? kMostMonths : kMostMicroseconds;
  int64_t all = 0;
  for (int i = 0; i < count; ++i) {
    const auto part = product(numbers[static_cast<size_t>(i)], parts.size[static_cast<size_t>(parts.count - count + i)], most);
    if (!part) return std::nullopt;
    all += *part;
  }
  return Interval{by_month(unit), negative ? -all : all};
}

bool add(Moment& moment, const Interval& interval) {
  if (moment.kind == TimeKind::time) return !interval.by_month && set_time(moment, microseconds(moment) + interval.count);
  if (!interval.by_month) return set_datetime(moment, microseconds(moment) + interval.count);
  const int64_t months = moment.year * int64_t{12} + moment.month - 1 + interval.count;
  if (months < 0 || months >= kMostMonths) return false;
  moment.year = static_cast<int>(months / 12);
  moment.month = static_cast<int>(months % 12) + 1;
  const int last = days_in_month(moment.year, moment.month);
  if (moment.day > last) moment.day = last;
  return true;
}

int64_t difference(Unit unit, const Moment& from, const Moment& to) {
  const int64_t between = microseconds(to) - microseconds(from);
  if (!by_month(unit)) {
    constexpr int64_t kSizes[] = {1, kMicro, kMinute, kHour, kDay, 7 * kDay};
    return between / kSizes[static_cast<size_t>(unit)];
  }
  const Moment& early = between >= 0 ? from : to;
  const Moment& late = between >= 0 ? to : from;
  int64_t months = (late.year - early.year) * int64_t{12} + late.month - early.month;
  // The last month is whole once its day and time are reached.
  const bool reached = late.day != early.day ? late.day > early.day : time_of_day(late) >= time_of_day(early);
  if (!reached) --months;
  if (between < 0) months = -months;
  return unit == Unit::year ? months / 12 : unit == Unit::quarter ? months / 3 : months;
}

int64_t extract(Unit unit, const Moment& m, int week_mode) {
  const int64_t sign = m.negative ? -1 : 1;
  const int64_t clock = m.hour * int64_t{10'000} + m.minute * 100 + m.second;
  const int64_t day_clock = m.day * int64_t{1'000'000} + clock;
  switch (unit) {
    case Unit::year: return m.year;
    case Unit::year_month: return m.year * 100 + m.month;
    case Unit::quarter: return (m.month + 2) / 3;
    case Unit::month: return m.month;
    case Unit::week: return week_of(m, week_rule(week_mode)).week;
    case Unit::day: return m.day;
    case Unit::day_hour: return sign * (m.day * 100 + m.hour);
    case Unit::day_minute: return sign * (m.day * 10'000 + m.hour * 100 + m.minute);
    case Unit::day_second: return sign * day_clock;
    case Unit::day_microsecond: return sign * (day_clock * kMicro + m.microsecond);
    case Unit::hour: return sign * m.hour;
    case Unit::hour_minute: return sign * (m.hour * 100 + m.minute);
    case Unit::hour_second: return sign * clock;
    case Unit::hour_microsecond: return sign * (clock * kMicro + m.microsecond);
    case Unit::minute: return sign * m.minute;
    case Unit::minute_second: return sign * (m.minute * 100 + m.second);
    case Unit::minute_microsecond: return sign * ((m.minute * 100 + m.second) * kMicro + m.microsecond);
    case Unit::second: return sign * m.second;
    case Unit::second_microsecond: return sign * (m.second * kMicro + m.microsecond);
    case Unit::microsecond: return sign * m.microsecond;
  }
  return 0;
}

}  // namespace marmot::mysql
