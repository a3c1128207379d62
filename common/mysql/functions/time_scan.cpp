#include "common/mysql/functions/time_format.hpp"

#include "common/mysql/functions/ascii.hpp"
#include "common/mysql/functions/time_parse.hpp"

namespace marmot::mysql {

namespace {

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  // Blanks of the format mean nothing, those of the text are skipped. What the format has beyond the text's end is 0.
  bool follow(std::string_view format) {
    for (size_t i = 0; i < format.size(); ++i) {
      skip(is_blank);
      if (text_.empty()) return true;
      if (format[i] == '%' && i + 1 < format.size()) {
        if (!take(format[++i])) return false;
      } else if (!is_blank(format[i])) {
        if (text_.front() != format[i]) return false;
        text_.remove_prefix(1);
      }
    }
    return true;
  }

  // The parts put together: %p, day of the year, week and weekday.
  bool finish() {
    if (twelve_hours_) {
      if (m_.hour < 1 || m_.hour > 12) return false;
      m_.hour = m_.hour % 12 + (afternoon_ ? 12 : 0);
    }
    if (day_of_year_ > 0 && !set_day(day_number(m_.year, 1, 1) + day_of_year_ - 1)) return false;
    if (week_ >= 0 && weekday_ >= 0 && !set_week()) return false;
    if (m_.month > 12 || m_.day > 31 || m_.hour > 23 || m_.minute > 59 || m_.second > 59) return false;
    return m_.month == 0 || m_.day <= days_in_month(m_.year, m_.month);  // since 8.0.35
  }

  Moment& moment() { return m_; }
  std::string_view rest() const { return text_; }

 private:
  bool take(char specifier) {
    switch (specifier) {
      case 'Y': return take_year(m_.year, 4);
      case 'y': return take_year(m_.year, 2);
      case 'm':
      case 'c': return take_number(m_.month, 2);
      case 'M': return take_word("January|February|March|April|May|June|July|August|September|October|November|December", m_.month, 1);
      case 'b': return take_word("Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec", m_.month, 1);
      case 'd':
      case 'e': return take_number(m_.day, 2);
      case 'D':
        if (!take_number(m_.day, 2)) return false;
        text_.remove_prefix(text_.size() < 2 ? text_.size() : 2);  // whatever ordinal
        return true;
      case 'j': return take_number(day_of_year_, 3);
      case 'W': return take_word("Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday", weekday_, 0);
      case 'a': return take_word("Mon|Tue|Wed|Thu|Fri|Sat|Sun", weekday_, 0);
      case 'w': return take_weekday();
      case 'U': case 'u': case 'V': case 'v': return take_week(specifier);
      case 'X':
      case 'x': week_year_of_ = specifier == 'X' ? 'V' : 'v'; return take_number(week_year_, 4);
      case '.': skip(is_punctuation); return true;
      case '@': skip(is_letter); return true;
      case '#': skip(is_digit); return true;
      default: return take_time(specifier);
    }
  }

  bool take_time(char specifier) {
    switch (specifier) {
      case 'H':
      case 'k': return take_number(m_.hour, 2);
      case 'h': case 'I': case 'l': twelve_hours_ = true; return take_number(m_.hour, 2);
      case 'i': return take_number(m_.minute, 2);
      case 's':
      case 'S': return take_number(m_.second, 2);
      case 'f': return take_fraction();
      case 'p': return twelve_hours_ && take_half();
      case 'r': return follow("%I:%i:%S %p");
      case 'T': return follow("%H:%i:%S");
      default: return false;
    }
  }

  template <class Is>
  void skip(Is is) {
    while (!text_.empty() && is(text_.front())) text_.remove_prefix(1);
  }

  // At most `most` characters, a + among them; `taken` says how many.
  bool take_number(int& out, int most, int* taken = nullptr) {
    int value = 0, digits = 0;
    if (most > 1 && text_.size() > 1 && text_.front() == '+') {
      text_.remove_prefix(1);
      --most;
    }
    for (; digits < most && !text_.empty() && is_digit(text_.front()); ++digits, text_.remove_prefix(1)) value = value * 10 + (text_.front() - '0');
    out = value;
    if (taken != nullptr) *taken = digits;
    return digits > 0;
  }
  bool take_year(int& out, int most) {
    int digits = 0;
    if (!take_number(out, most, &digits)) return false;
    if (digits <= 2) out = full_year(out);
    return true;
  }
  bool take_word(std::string_view list, int& out, int first) {
    const int i = take_name(list, text_);
    if (i >= 0) out = i + first;
    return i >= 0;
  }
  bool take_weekday() {
    int day = 0;
    if (!take_number(day, 1) || day > 6) return false;
    weekday_ = (day + 6) % 7;
    return true;
  }
  bool take_week(char specifier) {
    week_of_ = specifier;
    return take_number(week_, 2) && week_ <= 53 && (week_ > 0 || specifier == 'U' || specifier == 'u');
  }
  bool take_fraction() {
    int digits = 0;
    if (!take_number(m_.microsecond, 6, &digits)) return false;
    for (; digits < 6; ++digits) m_.microsecond *= 10;
    return true;
  }
  bool take_half() {
    if (text_.size() < 2 || (text_[1] | 32) != 'm' || ((text_[0] | 32) != 'a' && (text_[0] | 32) != 'p')) return false;
    afternoon_ = (text_[0] | 32) == 'p';
    text_.remove_prefix(2);
    return true;
  }

  bool set_day(int64_t number) {
    if (number < 366 || number > kLastDayNumber) return false;
    set_date(m_, number);
    return true;
  }
  // %V goes with %X, %v with %x, and only they.
  bool set_week() {
    const bool own_year = week_of_ == 'V' || week_of_ == 'v';
    if (own_year ? week_year_of_ != week_of_ : week_year_of_ != 0) return false;
    const bool monday = week_of_ == 'u' || week_of_ == 'v';
    const int year = own_year ? week_year_ : m_.year;
    const int64_t start = week_start(year, {monday, own_year, !monday}, week_);
    return set_day(start + (monday ? weekday_ : (weekday_ + 1) % 7));
  }

  std::string_view text_;
  Moment m_;
  bool twelve_hours_ = false, afternoon_ = false;
  int day_of_year_ = 0, weekday_ = -1, week_ = -1, week_year_ = 0;
  char week_of_ = 0, week_year_of_ = 0;
};

// What the specifiers of a format are of; %p is of nothing.
struct Uses {
  bool date = false, time = false, fraction = false;
};

Uses uses_of(std::string_view format) {
  Uses out;
  for (size_t i = 0; i + 1 < format.size(); ++i) {
    if (format[i] != '%') continue;
    const char specifier = format[++i];
    out.fraction |= specifier == 'f';
    out.time |= std::string_view("HkhIlisSrTf").find(specifier) != std::string_view::npos;
    out.date |= std::string_view("YymcMbdeDjWawUuVvXx").find(specifier) != std::string_view::npos;
  }
  return out;
}

}  // namespace

std::optional<Moment> scan_moment(std::string_view text, std::string_view format, std::string_view& rest) {
  Scanner scanner(text);
  if (!scanner.follow(format) || !scanner.finish()) return std::nullopt;
  rest = scanner.rest();
  Moment& out = scanner.moment();
  const Uses uses = uses_of(format);
  out.kind = !uses.time ? TimeKind::date : uses.date ? TimeKind::datetime : TimeKind::time;
  out.digits = uses.fraction ? 6 : 0;
  if (out.kind == TimeKind::time) out.year = out.month = out.day = 0;
  return out;
}

}  // namespace marmot::mysql
