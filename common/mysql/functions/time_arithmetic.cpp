// Sums and differences of dates and times (manual 14.7).
#include <algorithm>

#include "common/mysql/functions/time_convert.hpp"
#include "common/mysql/functions/time_functions.hpp"
#include "common/mysql/functions/time_interval.hpp"
#include "common/mysql/functions/time_parse.hpp"
#include "common/mysql/functions/time_values.hpp"

namespace marmot::mysql::time {

namespace {

std::optional<Unit> unit_argument(Call& call, int i, bool plain) {
  const auto unit = find_unit(call.text(i), plain);
  if (!unit) {
    call.fail(kErWrongArguments, "'" + std::string(call.text(i).substr(0, 64)) + "' is no unit; it takes " +
                                     (plain ? "'MICROSECOND', 'SECOND' ... 'YEAR'" : "'DAY', 'HOUR', 'DAY_SECOND' and so on (manual, Temporal Intervals)"));
  }
  return unit;
}

// Argument i as an interval of `unit`, and to how many digits it counts.
std::optional<Interval> interval_argument(Call& call, int i, Unit unit, int& digits) {
  digits = counts_microseconds(unit) ? 6 : 0;
  std::optional<Interval> out;
  if (unit == Unit::second) {
    const auto seconds = decimal_microseconds(call, i, false);
    if (seconds) {
      digits = seconds->digits;
      out = interval_of(Unit::microsecond, seconds->count);
    }
  } else {
    out = single(unit) ? interval_of(unit, whole_of(call, i)) : read_interval(unit, call.text(i));
  }
  if (!out) warn_overflow(call, "interval");
  return out;
}

// Argument `date` and argument `count` times the unit: the answer has the type of the date, plain text if it has none; a date whose time of day is
// added to becomes a datetime.
void add_interval(Call& call, int date, int count, Unit unit, bool subtract) {
  const bool time = call.temporal(date) == Temporal::time;
  auto moment = time ? time_of(call, date) : datetime_of(call, date, Dates::whole);
  if (!moment) return;
  int digits = 0;
  auto interval = interval_argument(call, count, unit, digits);
  if (!interval) return;
  if (subtract) interval->count = -interval->count;
  const bool stays_date = moment->kind == TimeKind::date && (by_month(unit) || by_day(unit));
  if ((time && unit == Unit::week) || !add(*moment, *interval)) return warn_overflow(call, time ? "time" : "datetime");
  if (!time) moment->kind = stays_date ? TimeKind::date : TimeKind::datetime;
  moment->digits = std::max(moment->digits, digits);
  call.temporal(date) == Temporal::none ? answer_plain(call, *moment) : answer(call, *moment);
}

void add_or_subtract(Call& call, bool subtract) {
  if (call.count() == 2) return add_interval(call, 0, 1, Unit::day, subtract);
  if (const auto unit = unit_argument(call, 2, false)) add_interval(call, 0, 1, *unit, subtract);
}

// A time to be added: no datetime.
std::optional<Moment> added_time(Call& call, int i) {
  auto out = moment_of(call, i);
  if (out && out->kind != TimeKind::time) out.reset();
  return out;
}

void add_time(Call& call, int64_t sign) {
  auto moment = moment_of(call, 0);
  const auto time = added_time(call, 1);
  if (!moment || !time) return;
  if (moment->kind != TimeKind::time && !moment->whole_date()) return;
  const int64_t sum = microseconds(*moment) + sign * microseconds(*time);
  moment->digits = std::max(moment->digits, time->digits);
  if (moment->kind == TimeKind::time) {
    if (!set_time(*moment, sum)) warn_overflow(call, "time");
  } else if (!set_datetime(*moment, sum)) {
    return warn_overflow(call, "datetime");
  }
  if (call.temporal(0) != Temporal::none) return answer(call, *moment);
  if (!call.is_number(0)) moment->digits = moment->microsecond != 0 ? 6 : 0;
  answer_plain(call, *moment);
}

}  // namespace

void date_add(Call& call) { add_or_subtract(call, false); }
void date_sub(Call& call) { add_or_subtract(call, true); }

void timestampadd(Call& call) {
  if (const auto unit = unit_argument(call, 0, true)) add_interval(call, 2, 1, *unit, false);
}

void timestampdiff(Call& call) {
  const auto unit = unit_argument(call, 0, true);
  if (!unit) return;
  // Two times are both of the same day, whichever it is.
  const bool times = call.temporal(1) == Temporal::time && call.temporal(2) == Temporal::time;
  const auto from = times ? time_of(call, 1) : datetime_of(call, 1, Dates::whole);
  const auto to = times ? time_of(call, 2) : datetime_of(call, 2, Dates::whole);
  if (from && to) call.integer_is(difference(*unit, *from, *to));
}

void addtime(Call& call) { add_time(call, 1); }
void subtime(Call& call) { add_time(call, -1); }

void timediff(Call& call) {
  const auto first = moment_of(call, 0), second = moment_of(call, 1);
  if (!first || !second || first->kind != second->kind) return;
  Moment out;
  if (!set_time(out, microseconds(*first) - microseconds(*second))) warn_overflow(call, "time");
  out.digits = std::max(first->digits, second->digits);
  answer(call, out);
}

void datediff(Call& call) {
  const auto first = datetime_of(call, 0, Dates::whole), second = datetime_of(call, 1, Dates::whole);
  if (!first || !second) return;
  call.integer_is(day_number(first->year, first->month, first->day) - day_number(second->year, second->month, second->day));
}

void timestamp(Call& call) {
  auto moment = datetime_of(call, 0, Dates::whole);
  if (!moment) return;
  moment->kind = TimeKind::datetime;
  if (call.count() == 1) return answer(call, *moment);
  const auto time = added_time(call, 1);
  if (!time) return;
  if (!set_datetime(*moment, microseconds(*moment) + microseconds(*time))) return warn_overflow(call, "datetime");
  moment->digits = std::max(moment->digits, time->digits);
  answer(call, *moment);
}

namespace {

// Periods count in 32 bits without sign, as MySQL's do: what leaves the range comes in at its other end.
uint32_t months_of_period(uint64_t period) {
  auto year = static_cast<uint32_t>(period / 100);
  if (year < 100) year = static_cast<uint32_t>(full_year(static_cast<int>(year)));
  return year * 12 + static_cast<uint32_t>(period % 100) - 1;
}

// YYMM or YYYYMM with a month from 1 to 12; else the call fails.
std::optional<uint32_t> period_argument(Call& call, int i) {
  const int64_t period = whole_of(call, i);
  if (period > 0 && period % 100 >= 1 && period % 100 <= 12) return months_of_period(static_cast<uint64_t>(period));
  call.fail(kErWrongArguments, "incorrect period '" + std::string(call.text(i).substr(0, 64)) + "': it is YYMM or YYYYMM");
  return std::nullopt;
}

}  // namespace

void period_add(Call& call) {
  const auto months = period_argument(call, 0);
  if (!months) return;
  const uint32_t sum = *months + static_cast<uint32_t>(static_cast<uint64_t>(whole_of(call, 1)));
  uint32_t year = sum / 12;
  if (year < 100) year = static_cast<uint32_t>(full_year(static_cast<int>(year)));
  call.integer_is(int64_t{year} * 100 + sum % 12 + 1);
}

void period_diff(Call& call) {
  const auto first = period_argument(call, 0);
  if (!first) return;
  if (const auto second = period_argument(call, 1)) call.integer_is(int64_t{*first} - int64_t{*second});
}

}  // namespace marmot::mysql::time
