#include "common/mysql/functions/time_parse.hpp"

#include <array>

#include "common/mysql/functions/ascii.hpp"

namespace marmot::mysql {

namespace {

// A cursor over the text; at the end it shows NUL, which is none of what it is asked for.
class TimeReader {
 public:
  explicit TimeReader(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}
  bool done() const { return at_ == end_; }
  char peek(size_t ahead = 0) const { return ahead < static_cast<size_t>(end_ - at_) ? at_[ahead] : '\0'; }
  void skip() { ++at_; }
  void skip_blanks() {
    while (!done() && is_blank(*at_)) ++at_;
  }
  std::string_view rest() const { return {at_, static_cast<size_t>(end_ - at_)}; }
  bool at_digit() const { return !done() && is_digit(*at_); }
  // The number of up to `most` digits; more than kTooLarge stays there.
  static constexpr int64_t kTooLarge = 1'000'000'000'000'000;
  int64_t number(int most) {
    int64_t out = 0;
    for (; most > 0 && at_digit(); --most, ++at_) out = out >= kTooLarge ? kTooLarge : out * 10 + (*at_ - '0');
    return out;
  }
  static constexpr int kAll = 1 << 30;

 private:
  const char* at_;
  const char* end_;
};

// The digits behind the point. The seventh rounds: `up` then, and the microsecond is still to be added.
void read_fraction(TimeReader& in, ReadMoment& out, bool& up) {
  int scale = 100'000;
  int digits = 0;
  for (; in.at_digit() && digits < 6; in.skip(), ++digits, scale /= 10) out.moment.microsecond += (in.peek() - '0') * scale;
  out.moment.digits = digits;
  if (in.at_digit()) {
    up = in.peek() >= '5';
    out.truncated = true;
    in.number(TimeReader::kAll);
  }
}

bool on_the_clock(const Moment& m) { return m.hour <= 23 && m.minute <= 59 && m.second <= 59; }

bool in_the_calendar(const Moment& m) {
  if (m.year > 9999 || m.month > 12 || m.day > 31) return false;
  return m.month == 0 || m.day <= days_in_month(m.year, m.month);
}

// "+05:30" at the end (manual 11.1.3: from -13:59 to +14:00, "-00:00" is not permitted).
bool read_offset(TimeReader& in, ReadMoment& out) {
  const std::string_view rest = in.rest();
  if (rest.size() != 6 || (rest[0] != '+' && rest[0] != '-') || rest[3] != ':') return false;
  for (const size_t i : {1U, 2U, 4U, 5U}) {
    if (!is_digit(rest[i])) return false;
  }
  const int minutes = ((rest[1] - '0') * 10 + rest[2] - '0') * 60 + (rest[4] - '0') * 10 + rest[5] - '0';
  const bool west = rest[0] == '-';
  if (rest[4] > '5' || minutes > (west ? 13 * 60 + 59 : 14 * 60) || (west && minutes == 0)) return false;
  out.has_offset = true;
  out.offset_seconds = (west ? -minutes : minutes) * 60;
  return true;
}

// Six parts without delimiters: how many of the characters up to the next other belong to them decides on the year's digits.
int compact_parts(TimeReader& in, size_t run, std::array<int64_t, 6>& parts) {
  const bool four = run == 4 || run == 8 || run >= 14;
  int count = 0;
  while (count < 6 && in.at_digit()) {
    parts[static_cast<size_t>(count)] = in.number(count == 0 && four ? 4 : 2);
    if (++count == 3 && in.peek() == 'T' && is_digit(in.peek(1))) in.skip();
  }
  if (count > 0 && !four) parts[0] = full_year(static_cast<int>(parts[0]));
  return count;
}

// Six parts with delimiters between them: one of any punctuation; between day and hour a T or blanks as well.
int delimited_parts(TimeReader& in, std::array<int64_t, 6>& parts, bool& spaced) {
  int count = 0;
  while (count < 6 && in.at_digit()) {
    const size_t before = in.rest().size();
    parts[static_cast<size_t>(count)] = in.number(TimeReader::kAll);
    if (count == 0 && before - in.rest().size() == 2) parts[0] = full_year(static_cast<int>(parts[0]));
    if (++count == 6) break;
    TimeReader next = in;
    if (count == 3 && (in.peek() == 'T' || is_blank(in.peek()))) {
      in.peek() == 'T' ? next.skip() : next.skip_blanks();
      if (!next.at_digit()) {
        if (in.peek() == 'T') in.skip();
        break;
      }
      spaced = true;
    } else if (is_punctuation(in.peek())) {
      if (count >= 3 && in.peek() == '+' && in.rest().size() == 6 && in.peek(3) == ':') break;
      next.skip();
      // A delimiter at the end of an hour or minute is nothing.
      if (!next.at_digit() && count < 3) break;
    } else {
      break;
    }
    in = next;
  }
  return count;
}

}  // namespace

ReadMoment read_datetime(std::string_view text) {
  ReadMoment out;
  TimeReader in(text);
  in.skip_blanks();
  if (in.peek() == '+') in.skip();
  if (!in.at_digit()) return out;
  size_t run = 0;
  while (is_digit(in.peek(run)) || (in.peek(run) == 'T' && run == 8)) ++run;
  const bool compact = run == in.rest().size() || (in.peek(run) == '.' && run >= 12) || is_blank(in.peek(run));
  std::array<int64_t, 6> parts{};
  TimeReader after = in;
  int count = 0;
  if (compact) {
    after.number(TimeReader::kAll);
    after.skip_blanks();
    if (is_blank(in.peek(run)) && !after.done()) return out;
    count = compact_parts(in, run, parts);
  } else {
    count = delimited_parts(in, parts, out.spaced);
  }
  if (count < 3) return out;
  out.parts = count;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i] > (i == 0 ? 9999 : 99)) return out;
  }
  Moment& m = out.moment;
  m.kind = count == 3 ? TimeKind::date : TimeKind::datetime;
  m.year = static_cast<int>(parts[0]);
  m.month = static_cast<int>(parts[1]);
  m.day = static_cast<int>(parts[2]);
  m.hour = static_cast<int>(parts[3]);
  m.minute = static_cast<int>(parts[4]);
  m.second = static_cast<int>(parts[5]);
  // 00-00-00 is the zero date, not the year 2000.
  if (m.year == 2000 && m.month == 0 && m.day == 0 && is_digit(text.front()) && text.substr(0, 4) != "2000") m.year = 0;
  bool up = false;
  if (count == 6 && in.peek() == '.') {
    in.skip();
    read_fraction(in, out, up);
  }
  out.valid = in_the_calendar(m) && on_the_clock(m) && (!up || add_microsecond(m));
  if (count > 3 && read_offset(in, out)) return out;
  in.skip_blanks();
  out.truncated |= !in.done();
  return out;
}

namespace {

// Days and hours may be far beyond a TIME's end, which cuts them; from 2^32-1 on they make it none.
constexpr int64_t kMostPart = UINT32_MAX - 1;

// Hour, minute and second of a time that is no datetime.
bool read_clock(TimeReader& in, int64_t& hours, int64_t& minutes, int64_t& seconds) {
  const int64_t first = in.number(TimeReader::kAll);
  if (first >= TimeReader::kTooLarge) return false;
  TimeReader next = in;
  next.skip_blanks();
  const bool days = is_blank(in.peek()) && next.at_digit() && next.rest().size() > 1;  // '1 2' is no day and hour
  if (days) {
    in = next;
    hours = in.number(TimeReader::kAll);
    if (first > kMostPart || hours > kMostPart) return false;
    hours = hours + first * 24;
  } else if (in.peek() == ':' && is_digit(in.peek(1))) {
    if (first > kMostPart) return false;
    hours = first;
  } else {
    hours = first / 10'000;
    if (hours > kMostPart) return false;
    minutes = first / 100 % 100;
    seconds = first % 100;
    return true;
  }
  for (int64_t* part : {&minutes, &seconds}) {
    if (in.peek() != ':' || !is_digit(in.peek(1))) break;
    in.skip();
    *part = in.number(TimeReader::kAll);
  }
  return true;
}

// hours may be beyond the range, minutes and seconds must not. `up`: a microsecond more.
void make_time(ReadMoment& out, int64_t hours, int64_t minutes, int64_t seconds, bool up) {
  if (minutes > 59 || seconds > 59) return;
  out.valid = true;
  const int64_t fraction = out.moment.microsecond + (up ? 1 : 0);
  const int64_t most = kMostHours + 1;
  const int64_t length = (((hours > most ? most : hours) * 60 + minutes) * 60 + seconds) * kMicro + fraction;
  const bool negative = out.moment.negative;
  out.truncated |= !set_time(out.moment, negative ? -length : length);
  out.moment.negative = negative && length != 0;
}

}  // namespace

ReadMoment read_time(std::string_view text) {
  ReadMoment out;
  TimeReader in(text);
  in.skip_blanks();
  // Long enough to be a datetime it is read as one first; '100:11:12.25' is none, '2000:01:01 00:00' is.
  if (in.rest().size() >= 12) {
    size_t run = 0;
    while (is_digit(in.peek(run))) ++run;
    ReadMoment whole = read_datetime(in.rest());
    if (whole.parts > 3 && (whole.spaced || in.peek(run) != ':')) return whole;
  }
  out.moment.kind = TimeKind::time;
  if (in.peek() == '-' || in.peek() == '+') {
    out.moment.negative = in.peek() == '-';
    in.skip();
    in.skip_blanks();
  }
  if (!in.at_digit()) return out;
  int64_t hours = 0, minutes = 0, seconds = 0;
  if (!read_clock(in, hours, minutes, seconds)) return out;
  bool up = false;
  if (in.peek() == '.') {
    in.skip();
    read_fraction(in, out, up);
  }
  // 1e5 is a number that a time cannot be read from.
  if ((in.peek() | 32) == 'e' && (is_digit(in.peek(1)) || ((in.peek(1) == '-' || in.peek(1) == '+') && is_digit(in.peek(2))))) return out;
  make_time(out, hours, minutes, seconds, up);
  in.skip_blanks();
  out.truncated |= !in.done();
  return out;
}

namespace {

// The number's digits before the point, -1 where it is negative or too large; and its fraction, rounded to microseconds.
int64_t split(const Decimal& number, ReadMoment& out) {
  const int digits = number.scale() < 6 ? number.scale() : 6;
  const Decimal rounded = number.rounded(digits, true);
  const Decimal whole = rounded.rounded(0, false);
  const auto value = whole.exact_integer();
  if (!value) return -1;
  out.moment.digits = digits;
  const Decimal fraction = rounded - whole;
  out.moment.microsecond = static_cast<int>((fraction * Decimal(kMicro)).integer());
  if (out.moment.microsecond < 0) out.moment.microsecond = -out.moment.microsecond;
  return *value < 0 ? (*value == INT64_MIN ? -1 : -*value) : *value;
}

// A date has no time behind its number: YYMMDD to YYYYMMDDhhmmss as one of 14 digits; -1: none of these.
int64_t fourteen_digits(int64_t value, bool& date) {
  date = value < 101'000'000;
  if (value == 0) return 0;
  if (value < 101) return -1;
  if (value <= 691'231) return (value + 20'000'000) * 1'000'000;
  if (value < 700'101) return -1;
  if (value <= 991'231) return (value + 19'000'000) * 1'000'000;
  if (value < 10'000'101) return -1;
  if (value <= 99'991'231) return value * 1'000'000;
  if (value < 101'000'000) return -1;
  if (value <= 691'231'235'959) return value + 20'000'000'000'000;
  if (value < 700'101'000'000) return -1;
  if (value <= 991'231'235'959) return value + 19'000'000'000'000;
  return value;
}

}  // namespace

ReadMoment read_datetime(const Decimal& number) {
  ReadMoment out;
  if (number.negative()) return out;
  bool date = false;
  const int64_t value = split(number, out);
  const int64_t all = value < 0 ? -1 : fourteen_digits(value, date);
  if (all < 0 || all > 99'991'231'235'959) return out;
  Moment& m = out.moment;
  m.kind = date ? TimeKind::date : TimeKind::datetime;
  m.second = static_cast<int>(all % 100);
  m.minute = static_cast<int>(all / 100 % 100);
  m.hour = static_cast<int>(all / 10'000 % 100);
  m.day = static_cast<int>(all / 1'000'000 % 100);
  m.month = static_cast<int>(all / 100'000'000 % 100);
  m.year = static_cast<int>(all / 10'000'000'000);
  if (date) m.microsecond = 0;  // the digits of the fraction stay
  out.valid = in_the_calendar(m) && on_the_clock(m);
  return out;
}

ReadMoment read_time(const Decimal& number) {
  ReadMoment out;
  out.moment.kind = TimeKind::time;
  out.moment.negative = number.negative();
  const int64_t value = split(number, out);
  if (value > 8'395'959 && !number.negative()) {
    ReadMoment whole = read_datetime(number);
    if (whole.valid || value <= 99'991'231'235'959) return whole;
  }
  if (value < 0 || value > 8'395'959) {
    const int digits = out.moment.digits;
    make_time(out, kMostHours + 1, 0, 0, false);
    out.moment.digits = digits;
    return out;
  }
  make_time(out, value / 10'000, value / 100 % 100, value % 100, false);
  return out;
}

}  // namespace marmot::mysql
