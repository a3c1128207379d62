// Dates and times to text and numbers, and back (manual 14.7).
#include "common/mysql/functions/time_convert.hpp"

#include <array>

#include "common/mysql/functions/ascii.hpp"
#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/time_format.hpp"
#include "common/mysql/functions/time_functions.hpp"
#include "common/mysql/functions/time_interval.hpp"
#include "common/mysql/functions/time_parse.hpp"
#include "common/mysql/functions/time_values.hpp"

namespace marmot::mysql {

std::optional<Seconds> decimal_microseconds(Call& call, int i, bool round) {
  if (call.is_null(i)) return std::nullopt;
  const Decimal seconds = call.decimal(i);
  const Decimal rounded = seconds.rounded(6, round);
  Seconds out;
  out.digits = !call.is_number(i) ? 6 : seconds.scale() < 6 ? seconds.scale() : 6;
  // integer() gives the nearest end where this does not fit.
  out.count = (rounded * Decimal(kMicro)).integer();
  return out;
}

namespace {
const TimeNames& names_of(Call& call) {
  const TimeNames* names = find_time_names(call.session().lc_time_names);
  return names != nullptr ? *names : time_names_table().front();
}
}  // namespace

void answer_format(Call& call, const Moment& moment, int i) {
  if (call.is_null(i)) return;
  const std::string_view format = call.text(i);
  if (format.empty()) return;
  std::string& out = call.buffer();
  if (format_moment(out, moment, format, names_of(call), call.session().max_allowed_packet)) call.text_done();
}

namespace time {

void date_format(Call& call) {
  if (const auto moment = datetime_today(call, 0, Dates::any)) answer_format(call, *moment, 1);
}

void time_format(Call& call) {
  if (const auto moment = time_of(call, 0)) answer_format(call, *moment, 1);
}

void str_to_date(Call& call) {
  std::string_view rest;
  const auto moment = scan_moment(call.text(0), call.text(1), rest);
  const Session& session = call.session();
  const auto allowed = [&] {
    if (moment->kind == TimeKind::time || moment->whole_date()) return true;
    return moment->zero_date() ? !session.no_zero_date : !session.no_zero_in_date;
  };
  if (!moment || !allowed()) {
    return call.warn(kErWrongValueForType, "Incorrect datetime value: '" + std::string(call.text(0).substr(0, 128)) + "' for function str_to_date");
  }
  if (rest.find_first_not_of(" \t\n\v\f\r") != std::string_view::npos) {
    call.warn(kErTruncatedWrongValue, "Truncated incorrect datetime value: '" + std::string(call.text(0).substr(0, 128)) + "'");
  }
  answer(call, *moment);
}

namespace {

// Manual 14.7, GET_FORMAT's table.
struct Format {
  std::string_view name, date, datetime, time;
};
constexpr std::array kFormats = {
    Format{"USA", "%m.%d.%Y", "%Y-%m-%d %H.%i.%s", "%h:%i:%s %p"},
    Format{"JIS", "%Y-%m-%d", "%Y-%m-%d %H:%i:%s", "%H:%i:%s"},
    Format{"ISO", "%Y-%m-%d", "%Y-%m-%d %H:%i:%s", "%H:%i:%s"},
    Format{"EUR", "%d.%m.%Y", "%Y-%m-%d %H.%i.%s", "%H.%i.%s"},
    Format{"INTERNAL", "%Y%m%d", "%Y%m%d%H%i%s", "%H%i%s"},
};

}  // namespace

void get_format(Call& call) {
  const std::string_view type = call.text(0), name = call.text(1);
  for (const Format& format : kFormats) {
    if (!same_word(format.name, name)) continue;
    if (same_word(type, "DATE")) return call.text_is(format.date);
    if (same_word(type, "DATETIME") || same_word(type, "TIMESTAMP")) return call.text_is(format.datetime);
    if (same_word(type, "TIME")) return call.text_is(format.time);
  }
}

void dayname(Call& call) {
  const auto date = datetime_today(call, 0, Dates::whole);
  if (date) call.text_is(name_at(names_of(call).days, weekday(day_number(date->year, date->month, date->day))));
}

void monthname(Call& call) {
  const auto date = datetime_today(call, 0, Dates::any);
  if (date && date->month != 0) call.text_is(name_at(names_of(call).months, date->month - 1));
}

void from_days(Call& call) {
  const int64_t days = whole_of(call, 0);
  Moment out;
  out.kind = TimeKind::date;
  if (days == 0) return;  // NO_ZERO_DATE
  set_date(out, days);
  answer(call, out);
}

void makedate(Call& call) {
  int64_t year = whole_of(call, 0);
  const int64_t day = whole_of(call, 1);
  if (year < 0 || year > 9999 || day < 1 || day > kLastDayNumber) return;
  if (year < 100) year = full_year(static_cast<int>(year));
  const int64_t number = day_number(static_cast<int>(year), 1, 1) + day - 1;
  if (number > kLastDayNumber) return;
  Moment out;
  out.kind = TimeKind::date;
  set_date(out, number);
  answer(call, out);
}

void maketime(Call& call) {
  const int64_t hour = whole_of(call, 0), minute = whole_of(call, 1);
  const auto second = decimal_microseconds(call, 2);
  if (minute < 0 || minute > 59 || !second || second->count < 0 || second->count > 60 * kMicro) return;
  if (call.decimal(2).compare(Decimal(60)) != std::strong_ordering::less) return;
  constexpr int64_t kMost = kMostHours + 1;
  const int64_t hours = hour > kMost ? kMost : hour < -kMost ? -kMost : hour;
  const int64_t rest = minute * 60 * kMicro + second->count;
  Moment out;
  if (!set_time(out, hours * 3600 * kMicro + (hours < 0 ? -rest : rest))) {
    call.warn(kErTruncatedWrongValue, "Truncated incorrect time value: '" + std::string(call.text(0).substr(0, 64)) + "'");
  }
  out.digits = second->digits;
  answer(call, out);
}

void sec_to_time(Call& call) {
  const auto seconds = decimal_microseconds(call, 0);
  Moment out;
  if (!set_time(out, seconds->count)) {
    call.warn(kErTruncatedWrongValue, "Truncated incorrect time value: '" + std::string(call.text(0).substr(0, 64)) + "'");
  }
  out.digits = seconds->digits;
  answer(call, out);
}

namespace {

bool of_dates(Unit unit) { return unit == Unit::day || unit == Unit::week || by_month(unit); }

// What HOUR to DAY_MICROSECOND are taken of: a time or a datetime; text that is a date and no whole time ('2019-07-02') is that day's midnight.
std::optional<Moment> extracted_time(Call& call) {
  if (call.value(1).type == ValueType::text && call.temporal(1) == Temporal::none) {
    const ReadMoment date = read_datetime(call.text(1));
    if (date.valid && date.moment.kind == TimeKind::date && !date.truncated && read_time(call.text(1)).truncated) return date.moment;
  }
  return moment_of(call, 1);
}

}  // namespace

void extract(Call& call) {
  const auto unit = find_unit(call.text(0), false);
  if (!unit) return call.fail(kErWrongArguments, "'" + std::string(call.text(0).substr(0, 64)) + "' is no unit; it takes 'YEAR', 'DAY_SECOND' and so on");
  const auto moment = of_dates(*unit) ? datetime_of(call, 1, Dates::any) : extracted_time(call);
  if (moment) call.integer_is(mysql::extract(*unit, *moment, 0));
}

}  // namespace time

}  // namespace marmot::mysql
