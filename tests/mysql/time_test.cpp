// The calendar, and what is read as a date or time; what the functions make of them is judged by tests/mysql/oracle.
#include <doctest/doctest.h>

#include <array>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"
#include "common/mysql/functions/time_calendar.hpp"
#include "common/mysql/functions/time_format.hpp"
#include "common/mysql/functions/time_interval.hpp"
#include "common/mysql/functions/time_names.hpp"
#include "common/mysql/functions/time_parse.hpp"
#include "common/mysql/functions/time_values.hpp"
#include "common/mysql/functions/time_zone.hpp"

using namespace marmot;
using namespace marmot::mysql;

namespace {

std::string shown(const Moment& moment) {
  char text[kMostMoment];
  return {text, static_cast<size_t>(print(text, moment) - text)};
}

std::string datetime(std::string_view text) {
  const ReadMoment read = read_datetime(text);
  return read.valid ? shown(read.moment) + (read.truncated ? " ..." : "") : "none";
}

std::string time(std::string_view text) {
  const ReadMoment read = read_time(text);
  return read.valid ? shown(read.moment) + (read.truncated ? " ..." : "") : "none";
}

Moment date(int year, int month, int day) {
  Moment out;
  out.kind = TimeKind::date;
  out.year = year;
  out.month = month;
  out.day = day;
  return out;
}

// A clock that goes on by a second whenever it is looked at.
class Clock final : public Environment {
 public:
  int64_t now_us() override { return now_ += kMicro; }
  void random(void*, size_t) override {}
  bool sleep_us(int64_t) override { return true; }
  uint64_t short_uuid() override { return 1; }
  Lock lock(const std::string&, const Session&, int64_t) override { return Lock::taken; }
  int unlock(const std::string&, const Session&) override { return 1; }
  int64_t unlock_all(const Session&) override { return 0; }
  int64_t lock_holder(const std::string&) override { return 0; }

 private:
  int64_t now_ = 1'700'000'000 * kMicro;
};

class Statement final : public Keeper {
 public:
  std::shared_ptr<Kept> kept(int argument) override { return kept_[argument]; }
  void keep(int argument, std::shared_ptr<Kept> what) override { kept_[argument] = std::move(what); }

 private:
  std::map<int, std::shared_ptr<Kept>> kept_;
};

// What `answer` holds, for a failure's message and for comparison.
std::string told(const Answer& answer) {
  if (answer.error != 0) return "error " + std::to_string(answer.error);
  return answer.type == ValueType::integer ? std::to_string(answer.integer) : answer.type == ValueType::text ? answer.bytes : "NULL";
}

std::string ask(Session& session, Keeper& statement, std::string_view name, std::span<const ValueView> arguments = {}) {
  for (const Function& function : time_functions()) {
    const int count = static_cast<int>(arguments.size());
    if (function.name != name || count < function.min || count > function.max) continue;
    Answer answer;
    Call call(name, arguments, 0, session, statement, answer);
    function.fn(call);
    return told(answer);
  }
  return "no such function";
}

}  // namespace

TEST_CASE("mysql calendar: every day from 0001-01-01 to 9999-12-31 has a number, and the next day has the next") {
  Moment before;
  set_date(before, 366);
  CHECK(shown(date(before.year, before.month, before.day)) == "0001-01-01");
  int64_t wrong = 0;
  for (int64_t number = 366; number <= kLastDayNumber; ++number) {
    Moment day;
    set_date(day, number);
    wrong += day_number(day.year, day.month, day.day) != number ? 1 : 0;
    wrong += day.day > days_in_month(day.year, day.month) || day.day < 1 ? 1 : 0;
    if (number > 366) {
      const bool next_day = day.month == before.month && day.day == before.day + 1;
      const bool next_month = day.day == 1 && before.day == days_in_month(before.year, before.month);
      wrong += next_day || next_month ? 0 : 1;
    }
    before = day;
  }
  CHECK(wrong == 0);
  CHECK(shown(date(before.year, before.month, before.day)) == "9999-12-31");
}

TEST_CASE("mysql calendar: the numbers of the manual's examples, and a year 0 without 29 February") {
  CHECK(day_number(0, 1, 1) == 1);
  CHECK(day_number(0, 2, 28) == 59);
  CHECK(day_number(0, 3, 1) == 60);
  CHECK(day_number(1, 1, 1) == 366);
  CHECK(day_number(1995, 5, 1) == 728779);
  CHECK(day_number(2007, 10, 7) == 733321);
  CHECK(day_number(1970, 1, 1) == kEpochDayNumber);
  CHECK(day_number(9999, 12, 31) == kLastDayNumber);
  CHECK_FALSE(leap_year(0));
  CHECK(leap_year(2000));
  CHECK_FALSE(leap_year(1900));
  Moment out = date(1, 1, 1);
  set_date(out, 365);
  CHECK(out.zero_date());
  set_date(out, kLastDayNumber + 1);
  CHECK(out.zero_date());
}

TEST_CASE("mysql calendar: weeks of all modes") {
  // 1 January 2000 was a Saturday.
  constexpr std::array kWeeks = {0, 0, 52, 52, 0, 0, 52, 52};
  for (int mode = 0; mode < 8; ++mode) CHECK(week_of(date(2000, 1, 1), week_rule(mode)).week == kWeeks[static_cast<size_t>(mode)]);
  CHECK(week_of(date(2008, 2, 20), week_rule(0)).week == 7);
  CHECK(week_of(date(2008, 2, 20), week_rule(1)).week == 8);
  CHECK(week_of(date(2008, 12, 31), week_rule(1)).week == 53);
  const Week next = week_of(date(2008, 12, 31), week_rule(3));
  CHECK(next.year == 2009);
  CHECK(next.week == 1);
}

TEST_CASE("mysql calendar: a week begins seven days after the one before, in every mode and year") {
  int wrong = 0;
  for (int mode = 0; mode < 8; ++mode) {
    const WeekRule rule = week_rule(mode | 2);
    const int first = rule.monday_first ? 0 : 6;
    Week before{0, 0};
    for (int64_t number = day_number(1890, 1, 1); number < day_number(2110, 1, 1); ++number) {
      Moment day;
      set_date(day, number);
      const Week week = week_of(day, rule);
      if (before.week != 0 && (week.week != before.week) != (weekday(number) == first)) ++wrong;
      if (week_start(week.year, rule, week.week) + 6 < number) ++wrong;
      before = week;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("mysql calendar: times end at 838:59:59, datetimes at the year 9999") {
  Moment out;
  CHECK(set_time(out, -kMostTime));
  CHECK(shown(out) == "-838:59:59");
  CHECK_FALSE(set_time(out, kMostTime + 1));
  CHECK(shown(out) == "838:59:59");
  CHECK_FALSE(set_time(out, INT64_MIN));
  CHECK(shown(out) == "-838:59:59");
  CHECK_FALSE(set_datetime(out, INT64_MAX));
  CHECK_FALSE(set_datetime(out, INT64_MIN));
  CHECK_FALSE(set_datetime(out, 366 * kDaySeconds * kMicro - 1));
  CHECK(set_datetime(out, 366 * kDaySeconds * kMicro));
}

TEST_CASE("mysql parsing: datetimes with and without delimiters") {
  CHECK(datetime("2012-12-31 11:30:45") == "2012-12-31 11:30:45");
  CHECK(datetime("2012^12^31 11+30+45") == "2012-12-31 11:30:45");
  CHECK(datetime("2012-12-31T11:30:45.5") == "2012-12-31 11:30:45.5");
  CHECK(datetime("20070523091528") == "2007-05-23 09:15:28");
  CHECK(datetime("070523091528") == "2007-05-23 09:15:28");
  CHECK(datetime("071332") == "none");
  CHECK(datetime("121231") == "2012-12-31");
  CHECK(datetime("20121231T113045") == "2012-12-31 11:30:45");
  CHECK(datetime("70-1-1") == "1970-01-01");
  CHECK(datetime("69-1-1") == "2069-01-01");
  CHECK(datetime("2008-00-00") == "2008-00-00");
  CHECK(datetime("0000-00-00") == "0000-00-00");
  CHECK(datetime("2021-02-29") == "none");
  CHECK(datetime("2020-02-29 24:00:00") == "none");
  CHECK(datetime("2020-01-01 x") == "2020-01-01 ...");
  CHECK(datetime("2020-12-31 23:59:59.9999995") == "2021-01-01 00:00:00.000000 ...");
  CHECK(datetime("99999999999999999999999-1-1") == "none");
  CHECK(datetime("") == "none");
}

TEST_CASE("mysql parsing: an offset is read, and only at the very end") {
  const ReadMoment read = read_datetime("2020-01-01 10:10:10+05:30");
  CHECK(read.valid);
  CHECK(read.has_offset);
  CHECK(read.offset_seconds == 19800);
  CHECK(read_datetime("2020-01-01 10:10:10.5-13:59").offset_seconds == -50340);
  for (const char* text : {"2020-01-01 10:10:10+14:01", "2020-01-01 10:10:10-14:00", "2020-01-01 10:10:10-00:00", "2020-01-01 10:10:10 +01:00", "2020-01-01 10:10:10+1:00",
                           "2020-01-01 10:10:10+01:60", "2020-01-01 10:10:10+01:00x"}) {
    CAPTURE(text);
    CHECK_FALSE(read_datetime(text).has_offset);
  }
}

TEST_CASE("mysql parsing: times") {
  CHECK(time("10:11:12") == "10:11:12");
  CHECK(time("10:11") == "10:11:00");
  CHECK(time("1112") == "00:11:12");
  CHECK(time("12") == "00:00:12");
  CHECK(time("1 10") == "34:00:00");
  CHECK(time("-1 10:11:12.25") == "-34:11:12.25");
  CHECK(time("839:00:00") == "838:59:59 ...");
  CHECK(time("10:60:00") == "none");
  CHECK(time("1e5") == "none");
  CHECK(time("10:11:12.9999999") == "10:11:13.000000 ...");
  CHECK(time("2020-01-01 10:11:12") == "2020-01-01 10:11:12");
  CHECK(time("2000:01:01 00:00:00.5") == "2000-01-01 00:00:00.5");
  CHECK(time("100:11:12.125") == "100:11:12.125");
  CHECK(time("-99999999999999999999:00:00") == "none");
}

TEST_CASE("mysql parsing: numbers") {
  CHECK(shown(read_datetime(Decimal(20200229)).moment) == "2020-02-29");
  CHECK(shown(read_datetime(Decimal(101)).moment) == "2000-01-01");
  CHECK(shown(read_datetime(Decimal(20200229101112)).moment) == "2020-02-29 10:11:12");
  CHECK(shown(read_time(Decimal(-101112)).moment) == "-10:11:12");
  CHECK(shown(read_time(Decimal::parse("101112.5")).moment) == "10:11:12.5");
  for (const int64_t number : {int64_t{-1}, int64_t{1}, INT64_MAX, INT64_MIN, int64_t{20210229}}) CHECK_FALSE(read_datetime(Decimal(number)).valid);
}

TEST_CASE("mysql parsing: whatever the bytes, what is valid is in range, and prints as itself") {
  std::mt19937_64 random(20261121);
  constexpr std::string_view kBytes = "0123456789012345678901234567890123456789--::..  TT+/eE\t\x80\xffx";
  for (int i = 0; i < 300'000; ++i) {
    std::string text(random() % 28, '\0');
    for (char& c : text) c = kBytes[random() % kBytes.size()];
    CAPTURE(text);
    for (const ReadMoment& read : {read_datetime(text), read_time(text)}) {
      if (!read.valid) continue;
      const Moment& m = read.moment;
      REQUIRE((m.month >= 0 && m.month <= 12 && m.day <= 31 && m.minute <= 59 && m.second <= 59 && m.microsecond < kMicro && m.digits <= 6));
      REQUIRE(m.hour <= (m.kind == TimeKind::time ? kMostHours : 23));
      const std::string printed = shown(m);
      REQUIRE((m.kind == TimeKind::time ? time(printed) : datetime(printed)) == printed);
    }
    std::string_view rest;
    (void)scan_moment(text, "%Y-%m-%d %T.%f", rest);
    for (const Unit unit : {Unit::day_microsecond, Unit::year_month, Unit::second_microsecond}) (void)read_interval(unit, text);
  }
}

TEST_CASE("mysql formats: what DATE_FORMAT prints, STR_TO_DATE reads") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    Moment moment;
    set_date(moment, 366 + static_cast<int64_t>(random() % 3'650'000));
    moment.hour = static_cast<int>(random() % 24);
    moment.minute = static_cast<int>(random() % 60);
    moment.second = static_cast<int>(random() % 60);
    moment.microsecond = static_cast<int>(random() % kMicro);
    moment.digits = 6;
    for (const std::string_view format : {"%Y-%m-%d %H:%i:%s.%f", "%W %D %M %Y %r %f", "%j %Y %T %f", "%x %v %a %k %i %s %f", "%X %V %w %h %p %i %S %f"}) {
      std::string text;
      REQUIRE(format_moment(text, moment, format, time_names_table().front(), 1000));
      std::string_view rest;
      const auto back = scan_moment(text, format, rest);
      CAPTURE(text);
      REQUIRE(back.has_value());
      REQUIRE(rest.empty());
      REQUIRE(shown(*back) == shown(moment));
    }
  }
}

TEST_CASE("mysql names: the table has all of every locale's, English first") {
  CHECK(find_time_names("en_US") == &time_names_table().front());
  CHECK(find_time_names("DE_de")->locales.find("de_DE") != std::string_view::npos);
  CHECK(find_time_names("xx_XX") == nullptr);
  CHECK(find_time_names("de_DEx") == nullptr);
  CHECK(find_time_names("") == nullptr);
  for (const TimeNames& names : time_names_table()) {
    CHECK((!name_at(names.months, 11).empty() && name_at(names.months, 12).empty()));
    CHECK((!name_at(names.short_months, 11).empty() && name_at(names.short_months, 12).empty()));
    CHECK((!name_at(names.days, 6).empty() && name_at(names.days, 7).empty()));
    CHECK((!name_at(names.short_days, 6).empty() && name_at(names.short_days, 7).empty()));
  }
}

TEST_CASE("mysql intervals: months go to the end of a shorter month, and nothing leaves the range") {
  Moment day = date(2024, 1, 31);
  CHECK(add(day, *interval_of(Unit::month, 1)));
  CHECK(shown(day) == "2024-02-29");
  CHECK_FALSE(interval_of(Unit::day, INT64_MAX).has_value());
  CHECK_FALSE(interval_of(Unit::year, INT64_MIN).has_value());
  CHECK_FALSE(read_interval(Unit::day_second, "1:2:3:4:5").has_value());
  CHECK_FALSE(read_interval(Unit::year_month, "99999999999999999999-1").has_value());
  CHECK(read_interval(Unit::day_microsecond, "1.5")->count == 1'500'000);
  CHECK(read_interval(Unit::minute_second, "-1:1")->count == -61 * kMicro);
}

TEST_CASE("mysql intervals: a difference added to the one gives the other, to less than a unit") {
  std::mt19937_64 random(3);
  const auto any = [&] {
    Moment out;
    set_datetime(out, static_cast<int64_t>(random() % (3'000'000ULL * 86'400'000'000ULL)) + 400 * kDaySeconds * kMicro);
    return out;
  };
  for (int i = 0; i < 20'000; ++i) {
    const Moment one = any(), other = any();
    const Moment& from = microseconds(one) <= microseconds(other) ? one : other;
    const Moment& to = microseconds(one) <= microseconds(other) ? other : one;
    for (const Unit unit : {Unit::microsecond, Unit::second, Unit::minute, Unit::hour, Unit::day, Unit::week}) {
      const int64_t units = difference(unit, from, to);
      Moment sum = from;
      REQUIRE(add(sum, *interval_of(unit, units)));
      REQUIRE(microseconds(sum) <= microseconds(to));
      REQUIRE(add(sum, *interval_of(unit, 1)));
      REQUIRE(microseconds(sum) > microseconds(to));
      REQUIRE(difference(unit, to, from) == -units);
    }
  }
}

TEST_CASE("mysql zones: names in any case, offsets in range, nothing else") {
  for (const char* name : {"Europe/Berlin", "europe/berlin", "UTC", "utc", "SYSTEM", "system", "+14:00", "-13:59", "+5:30", "MET", "posix/Asia/Tokyo"}) {
    CAPTURE(name);
    CHECK(TimeZone::find(name) != nullptr);
  }
  for (const char* name : {"", "+14:01", "-14:00", "+1", "/etc/passwd", "../etc/passwd", "Fixed/UTC+01:00:00", "nowhere", "Europe/Berlin ", "Europe"}) {
    CAPTURE(name);
    CHECK(TimeZone::find(name) == nullptr);
  }
  CHECK(TimeZone::find(std::string(1 << 20, 'x')) == nullptr);
  CHECK(TimeZone::find(std::string_view("UTC\0", 4)) == nullptr);
}

TEST_CASE("mysql clock: NOW() tells one time throughout a statement, SYSDATE() the time it is called") {
  Clock clock;
  Session session(clock);
  session.time_zone = TimeZone::find("+00:00");
  Statement first, second;
  const std::string now = ask(session, first, "NOW");
  CHECK(now == "2023-11-14 22:13:21");
  CHECK(ask(session, first, "SYSDATE") == "2023-11-14 22:13:22");
  CHECK(ask(session, first, "LOCALTIMESTAMP") == now);
  CHECK(ask(session, first, "CURTIME") == now.substr(11));
  CHECK(ask(session, first, "UNIX_TIMESTAMP") == "1700000001");
  CHECK(ask(session, second, "NOW") == "2023-11-14 22:13:23");
}

TEST_CASE("mysql dates: an incomplete date follows sql_mode in STR_TO_DATE") {
  Clock clock;
  Session session(clock);
  Statement statement;
  const std::array arguments = {ValueView::of_text("9"), ValueView::of_text("%m")};
  CHECK(ask(session, statement, "STR_TO_DATE", arguments) == "NULL");
  session.no_zero_in_date = false;
  CHECK(ask(session, statement, "STR_TO_DATE", arguments) == "0000-09-00");
  const std::array zero = {ValueView::of_text("00/00/0000"), ValueView::of_text("%m/%d/%Y")};
  CHECK(ask(session, statement, "STR_TO_DATE", zero) == "NULL");
  session.no_zero_date = false;
  CHECK(ask(session, statement, "STR_TO_DATE", zero) == "0000-00-00");
}

TEST_CASE("mysql time functions: every one takes whatever it is given, and answers within its bounds") {
  Clock clock;
  Session session(clock);
  session.time_zone = TimeZone::find("Europe/Berlin");
  session.max_allowed_packet = 1 << 20;
  const std::string digits(5000, '9'), percents(5000, '%'), nul("2020-01-01\0 10:11:12", 20), wrong("2020-01-01 \xff\xfe\xc0 %Y\x80");
  std::vector<ValueView> values = {ValueView::of_null(), ValueView::of_text(""), ValueView::of_text(digits), ValueView::of_text(percents), ValueView::of_text(nul),
                                   ValueView::of_text(wrong), ValueView::of_blob(wrong), ValueView::of_text("-838:59:59.999999"), ValueView::of_text("9999-12-31 23:59:59.9999999"),
                                   ValueView::of_text("0000-00-00"), ValueView::of_text("2008-00-00"), ValueView::of_text("0000-00-01"), ValueView::of_text("0000-01-00"),
                                   ValueView::of_text("2020-01-01 10:11:12+14:00"), ValueView::of_text("10:11:12"), ValueView::of_text("DAY_MICROSECOND"), ValueView::of_text("YEAR"),
                                   ValueView::of_text("SQL_TSI_WEEK"), ValueView::of_text("-9223372036854775808 99999999:1:1"), ValueView::of_text("1e308"), ValueView::of_text("EUR"),
                                   ValueView::of_text("%W%M%D%r%X%x%V%v%j%f"), ValueView::of_text("Europe/Berlin"), ValueView::of_text("UTC")};
  for (const int64_t number : {INT64_MIN, INT64_MAX, int64_t{0}, int64_t{-1}, int64_t{1}, int64_t{7}, int64_t{20200229}, int64_t{99991231235959}, int64_t{8385959}, int64_t{32536771200}}) {
    values.push_back(ValueView::of_integer(number));
  }
  for (const double number : {1e308, -1e308, 5e-324, 0.0, -0.5, 32536771199.9999999, 9.2e18, 59.9999999}) values.push_back({ValueType::real, 0, number, {}});
  std::mt19937_64 random(14'7);
  for (const Function& function : time_functions()) {
    if ((function.flags & kSession) != 0) CHECK((function.flags & kEffect) == 0);
    for (int i = 0; i < 4000; ++i) {
      std::vector<ValueView> arguments;
      std::vector<Temporal> temporals;
      const size_t count = static_cast<size_t>(function.min) + random() % static_cast<size_t>(function.max - function.min + 1);
      bool null = false;
      for (size_t k = 0; k < count; ++k) {
        arguments.push_back(values[random() % values.size()]);
        null |= arguments.back().type == ValueType::null;
        temporals.push_back(arguments.back().type == ValueType::text ? static_cast<Temporal>(random() % 4) : Temporal::none);
      }
      if (null && (function.flags & kStrict) != 0) continue;
      Statement statement;
      Answer answer;
      Call call(function.name, arguments, 0, session, statement, answer, temporals);
      function.fn(call);
      session.warnings.clear();
      CAPTURE(function.name);
      REQUIRE(answer.bytes.size() <= session.max_allowed_packet);
      const ReadMoment read = read_datetime(answer.bytes);
      if (answer.temporal == Temporal::date || answer.temporal == Temporal::datetime) REQUIRE_MESSAGE((read.valid && !read.truncated), answer.bytes);
      if (answer.temporal == Temporal::time) REQUIRE_MESSAGE(read_time(answer.bytes).valid, answer.bytes);
    }
  }
}

TEST_CASE("mysql time functions: a format that grows beyond max_allowed_packet is NULL, soon") {
  Clock clock;
  Session session(clock);
  session.max_allowed_packet = 1 << 16;
  std::string format;
  for (int i = 0; i < 1 << 15; ++i) format += "%r";
  Statement statement;
  const std::array arguments = {ValueView::of_text("2020-01-01"), ValueView::of_text(format)};
  CHECK(ask(session, statement, "DATE_FORMAT", arguments) == "NULL");
  CHECK(session.warning_count == 1);
}
