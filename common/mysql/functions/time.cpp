// Date and time (MySQL 8.0 manual, 14.7): the table, and the functions that tell one part of a date or time.
//
// What reads the session (time zone, lc_time_names, default_week_format, sql_mode) or the clock is kSession. All others must be pure, so a TIME,
// whose date is "today" to MySQL (manual 13.2.8), has none for them: they answer NULL. Units and GET_FORMAT's types are strings: 'DAY_HOUR', 'DATE'.
#include <array>

#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"
#include "common/mysql/functions/time_functions.hpp"
#include "common/mysql/functions/time_values.hpp"

namespace marmot::mysql {

namespace {

int64_t number_of(const Moment& date) { return day_number(date.year, date.month, date.day); }

// --- of a date -----------------------------------------------------------------------------------------------------------

using OfDate = int64_t (*)(const Moment&);

template <Dates kDates, OfDate part>
void part_of_date(Call& call) {
  if (const auto date = datetime_of(call, 0, kDates)) call.integer_is(part(*date));
}

constexpr auto year = part_of_date<Dates::any, [](const Moment& d) { return int64_t{d.year}; }>;
constexpr auto quarter = part_of_date<Dates::any, [](const Moment& d) { return int64_t{(d.month + 2) / 3}; }>;
constexpr auto month = part_of_date<Dates::any, [](const Moment& d) { return int64_t{d.month}; }>;
constexpr auto day = part_of_date<Dates::any, [](const Moment& d) { return int64_t{d.day}; }>;
constexpr auto day_of_week = part_of_date<Dates::whole, [](const Moment& d) { return int64_t{(weekday(number_of(d)) + 1) % 7 + 1}; }>;
constexpr auto week_day = part_of_date<Dates::whole, [](const Moment& d) { return int64_t{weekday(number_of(d))}; }>;
constexpr auto dayofyear = part_of_date<Dates::whole, [](const Moment& d) { return int64_t{day_of_year(d)}; }>;
constexpr auto weekofyear = part_of_date<Dates::whole, [](const Moment& d) { return int64_t{week_of(d, week_rule(3)).week}; }>;
constexpr auto to_days = part_of_date<Dates::whole, [](const Moment& d) { return number_of(d); }>;
constexpr auto to_seconds = part_of_date<Dates::whole, [](const Moment& d) { return microseconds(d) / kMicro; }>;

void week(Call& call) {
  const int64_t mode = call.count() == 1 ? call.session().default_week_format : whole_of(call, 1);
  const auto date = call.count() == 1 ? datetime_today(call, 0, Dates::whole) : datetime_of(call, 0, Dates::whole);
  if (date) call.integer_is(week_of(*date, week_rule(mode)).week);
}

void yearweek(Call& call) {
  const int64_t mode = call.count() == 1 ? 0 : whole_of(call, 1);
  const auto date = datetime_of(call, 0, Dates::whole);
  if (!date) return;
  const Week week = week_of(*date, week_rule(mode | 2));
  call.integer_is(week.year * 100 + week.week);
}

// A month is enough.
void last_day(Call& call) {
  auto date = datetime_of(call, 0, Dates::any);
  if (!date) return;
  if (date->month == 0) return warn_wrong(call, 0, "datetime");
  date->kind = TimeKind::date;
  date->day = days_in_month(date->year, date->month);
  answer(call, *date);
}

void date(Call& call) {
  auto date = datetime_of(call, 0, Dates::whole);
  if (!date) return;
  date->kind = TimeKind::date;
  answer(call, *date);
}

// --- of a time -----------------------------------------------------------------------------------------------------------

template <OfDate part>
void part_of_time(Call& call) {
  if (const auto time = time_of(call, 0)) call.integer_is(part(*time));
}

constexpr auto hour = part_of_time<[](const Moment& t) { return int64_t{t.hour}; }>;
constexpr auto minute = part_of_time<[](const Moment& t) { return int64_t{t.minute}; }>;
constexpr auto second = part_of_time<[](const Moment& t) { return int64_t{t.second}; }>;
constexpr auto microsecond = part_of_time<[](const Moment& t) { return int64_t{t.microsecond}; }>;
constexpr auto time_to_sec = part_of_time<[](const Moment& t) { return microseconds(t) / kMicro; }>;

void time_part(Call& call) {
  if (const auto time = time_of(call, 0)) answer(call, *time);
}

constexpr uint32_t kPlain = kPure | kStrict, kTold = kSession | kStrict;

constexpr std::array kTimeFunctions = {
    // The clock. All but SYSDATE() tell one time throughout a statement.
    Function{"NOW", 0, 1, kSession, time::now},                        // NOW([fsp]) -> 'YYYY-MM-DD hh:mm:ss[.ffffff]'
    Function{"CURRENT_TIMESTAMP", 0, 1, kSession, time::now},          // "CURRENT_TIMESTAMP"([fsp]), quoted in SQLite
    Function{"LOCALTIME", 0, 1, kSession, time::now},                  // LOCALTIME([fsp])
    Function{"LOCALTIMESTAMP", 0, 1, kSession, time::now},             // LOCALTIMESTAMP([fsp])
    Function{"SYSDATE", 0, 1, kSession, time::sysdate},                // SYSDATE([fsp]): the time when it is called
    Function{"CURDATE", 0, 0, kSession, time::curdate},                // CURDATE() -> 'YYYY-MM-DD'
    Function{"CURRENT_DATE", 0, 0, kSession, time::curdate},           // "CURRENT_DATE"(), quoted in SQLite
    Function{"CURTIME", 0, 1, kSession, time::curtime},                // CURTIME([fsp]) -> 'hh:mm:ss[.ffffff]'
    Function{"CURRENT_TIME", 0, 1, kSession, time::curtime},           // "CURRENT_TIME"([fsp]), quoted in SQLite
    Function{"UTC_TIMESTAMP", 0, 1, kSession, time::utc_timestamp},    // UTC_TIMESTAMP([fsp])
    Function{"UTC_DATE", 0, 0, kSession, time::utc_date},              // UTC_DATE()
    Function{"UTC_TIME", 0, 1, kSession, time::utc_time},              // UTC_TIME([fsp])
    Function{"UNIX_TIMESTAMP", 0, 1, kTold, time::unix_timestamp},     // UNIX_TIMESTAMP([date]) -> seconds since 1970; out of range: 0
    Function{"FROM_UNIXTIME", 1, 2, kTold, time::from_unixtime},       // FROM_UNIXTIME(seconds [, format]) -> datetime or text
    Function{"CONVERT_TZ", 3, 3, kTold, time::convert_tz},             // CONVERT_TZ(datetime, from_zone, to_zone) -> datetime
    // Arithmetic.
    Function{"DATE_ADD", 3, 3, kPlain, time::date_add},                // DATE_ADD(date, n, 'UNIT'): MySQL's DATE_ADD(date, INTERVAL n UNIT)
    Function{"DATE_SUB", 3, 3, kPlain, time::date_sub},                // DATE_SUB(date, n, 'UNIT')
    Function{"ADDDATE", 2, 3, kPlain, time::date_add},                 // ADDDATE(date, days), ADDDATE(date, n, 'UNIT')
    Function{"SUBDATE", 2, 3, kPlain, time::date_sub},                 // SUBDATE(date, days), SUBDATE(date, n, 'UNIT')
    Function{"TIMESTAMPADD", 3, 3, kPlain, time::timestampadd},        // TIMESTAMPADD('UNIT', n, datetime)
    Function{"TIMESTAMPDIFF", 3, 3, kPlain, time::timestampdiff},      // TIMESTAMPDIFF('UNIT', from, to) -> whole units
    Function{"ADDTIME", 2, 2, kPlain, time::addtime},                  // ADDTIME(time or datetime, time)
    Function{"SUBTIME", 2, 2, kPlain, time::subtime},                  // SUBTIME(time or datetime, time)
    Function{"TIMEDIFF", 2, 2, kPlain, time::timediff},                // TIMEDIFF(first, second) -> time; both times or both datetimes
    Function{"DATEDIFF", 2, 2, kPlain, time::datediff},                // DATEDIFF(first, second) -> days
    Function{"TIMESTAMP", 1, 2, kPlain, time::timestamp},              // TIMESTAMP(date [, time]) -> datetime
    Function{"PERIOD_ADD", 2, 2, kPlain, time::period_add},            // PERIOD_ADD(YYYYMM, months) -> YYYYMM
    Function{"PERIOD_DIFF", 2, 2, kPlain, time::period_diff},          // PERIOD_DIFF(YYYYMM, YYYYMM) -> months
    // Text.
    Function{"DATE_FORMAT", 2, 2, kTold, time::date_format},           // DATE_FORMAT(date, format); names by lc_time_names
    Function{"TIME_FORMAT", 2, 2, kTold, time::time_format},           // TIME_FORMAT(time, format); NULL where the format asks for a date
    Function{"STR_TO_DATE", 2, 2, kTold, time::str_to_date},           // STR_TO_DATE(text, format) -> date, time or datetime, by the format
    Function{"GET_FORMAT", 2, 2, kPlain, time::get_format},            // GET_FORMAT('DATE'|'TIME'|'DATETIME', 'EUR'|'USA'|'JIS'|'ISO'|'INTERNAL')
    Function{"DAYNAME", 1, 1, kTold, time::dayname},                   // DAYNAME(date) -> by lc_time_names
    Function{"MONTHNAME", 1, 1, kTold, time::monthname},               // MONTHNAME(date) -> by lc_time_names
    // Made of numbers.
    Function{"FROM_DAYS", 1, 1, kPlain, time::from_days},              // FROM_DAYS(number) -> date
    Function{"MAKEDATE", 2, 2, kPlain, time::makedate},                // MAKEDATE(year, day of year) -> date
    Function{"MAKETIME", 3, 3, kPlain, time::maketime},                // MAKETIME(hour, minute, second) -> time
    Function{"SEC_TO_TIME", 1, 1, kPlain, time::sec_to_time},          // SEC_TO_TIME(seconds) -> time
    // Parts.
    Function{"EXTRACT", 2, 2, kPlain, time::extract},                  // EXTRACT('UNIT', date): MySQL's EXTRACT(UNIT FROM date)
    Function{"DATE", 1, 1, kPlain, date},                              // DATE(datetime) -> date
    Function{"TIME", 1, 1, kPlain, time_part},                         // TIME(datetime or time) -> time
    Function{"YEAR", 1, 1, kPlain, year},                              // YEAR(date)
    Function{"QUARTER", 1, 1, kPlain, quarter},                        // QUARTER(date)
    Function{"MONTH", 1, 1, kPlain, month},                            // MONTH(date), 0 for '2008-00-00'
    Function{"DAY", 1, 1, kPlain, day},                                // DAY(date), 0 for '2008-02-00'
    Function{"DAYOFMONTH", 1, 1, kPlain, day},                         // DAYOFMONTH(date)
    Function{"DAYOFWEEK", 1, 1, kPlain, day_of_week},                  // DAYOFWEEK(date) -> 1 Sunday to 7
    Function{"WEEKDAY", 1, 1, kPlain, week_day},                       // WEEKDAY(date) -> 0 Monday to 6
    Function{"DAYOFYEAR", 1, 1, kPlain, dayofyear},                    // DAYOFYEAR(date) -> 1 to 366
    Function{"WEEK", 1, 1, kTold, week},                               // WEEK(date), mode default_week_format
    Function{"WEEK", 2, 2, kPure, week},                               // WEEK(date, mode)
    Function{"WEEKOFYEAR", 1, 1, kPlain, weekofyear},                  // WEEKOFYEAR(date): WEEK(date, 3)
    Function{"YEARWEEK", 1, 2, kPure, yearweek},                       // YEARWEEK(date [, mode]) -> YYYYWW
    Function{"LAST_DAY", 1, 1, kPlain, last_day},                      // LAST_DAY(date) -> date
    Function{"TO_DAYS", 1, 1, kPlain, to_days},                        // TO_DAYS(date) -> days since the year 0
    Function{"TO_SECONDS", 1, 1, kPlain, to_seconds},                  // TO_SECONDS(datetime) -> seconds since the year 0
    Function{"HOUR", 1, 1, kPlain, hour},                              // HOUR(time) -> 0 to 838
    Function{"MINUTE", 1, 1, kPlain, minute},                          // MINUTE(time)
    Function{"SECOND", 1, 1, kPlain, second},                          // SECOND(time)
    Function{"MICROSECOND", 1, 1, kPlain, microsecond},                // MICROSECOND(time)
    Function{"TIME_TO_SEC", 1, 1, kPlain, time_to_sec},                // TIME_TO_SEC(time) -> whole seconds
};

}  // namespace

std::span<const Function> time_functions() { return kTimeFunctions; }

}  // namespace marmot::mysql
