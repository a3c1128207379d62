// Intervals (manual 11.5, "Expressions", Temporal Intervals): what DATE_ADD, TIMESTAMPADD, TIMESTAMPDIFF and EXTRACT count in.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/mysql/functions/time_calendar.hpp"

namespace marmot::mysql {

enum class Unit : uint8_t {
  microsecond, second, minute, hour, day, week, month, quarter, year,
  second_microsecond, minute_microsecond, minute_second, hour_microsecond, hour_second, hour_minute,
  day_microsecond, day_second, day_minute, day_hour, year_month,
};

// 'DAY', 'day_hour'; nullopt: no unit. `plain`: single units alone, which may be written 'SQL_TSI_DAY' (TIMESTAMPADD, TIMESTAMPDIFF).
std::optional<Unit> find_unit(std::string_view name, bool plain);

inline bool by_month(Unit unit) { return unit == Unit::month || unit == Unit::quarter || unit == Unit::year || unit == Unit::year_month; }
inline bool by_day(Unit unit) { return unit == Unit::day || unit == Unit::week; }
inline bool single(Unit unit) { return unit <= Unit::year; }
bool counts_microseconds(Unit unit);  // MICROSECOND and what ends in _MICROSECOND

struct Interval {
  bool by_month = false;
  int64_t count = 0;  // of months, or microseconds
};

// nullopt: further than any date is from any other.
std::optional<Interval> interval_of(Unit unit, int64_t count);
// The text of a compound unit: numbers with anything between them, '1 2:3:4' DAY_SECOND; with fewer of them the first are missing. nullopt: there
// are more, or one is too large.
std::optional<Interval> read_interval(Unit unit, std::string_view text);

// `moment` and the interval: false where the result is no date (or no TIME). Days go to the end of a shorter month. Months want a date; of a
// date, anything but months makes a datetime.
bool add(Moment& moment, const Interval& interval);

// Whole units from `from` to `to`, both of whole dates or both of none (TIME).
int64_t difference(Unit unit, const Moment& from, const Moment& to);

// The unit's parts of the moment, as one number: 20190702 for YEAR to DAY (EXTRACT).
int64_t extract(Unit unit, const Moment& moment, int week_mode);

}  // namespace marmot::mysql
