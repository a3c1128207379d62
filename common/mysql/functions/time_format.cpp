#include "common/mysql/functions/time_format.hpp"

namespace marmot::mysql {

namespace {

class Formatter {
 public:
  Formatter(std::string& out, const Moment& moment, const TimeNames& names) : out_(out), m_(moment), names_(names) {}

  bool add(char specifier) {
    switch (specifier) {
      case 'H': return number(m_.hour, 2);
      case 'k': return number(m_.hour, 1);
      case 'h':
      case 'I': return number(hour12(), 2);
      case 'l': return number(hour12(), 1);
      case 'i': return number(m_.minute, 2);
      case 's':
      case 'S': return number(m_.second, 2);
      case 'f': return number(m_.microsecond, 6);
      case 'p': return text(half());
      case 'T': return add('H') && text(":") && add('i') && text(":") && add('S');
      case 'r': return add('h') && text(":") && add('i') && text(":") && add('S') && text(" ") && text(half());
      case 'Y': case 'y': case 'm': case 'c': case 'M': case 'b': case 'd': case 'e': case 'D': case 'j':
      case 'W': case 'a': case 'w': case 'U': case 'u': case 'V': case 'v': case 'X': case 'x':
        return m_.kind != TimeKind::time && add_date(specifier);
      default: out_ += specifier; return true;
    }
  }

 private:
  bool add_date(char specifier) {
    switch (specifier) {
      case 'Y': return number(m_.year, 4);
      case 'y': return number(m_.year % 100, 2);
      case 'm': return number(m_.month, 2);
      case 'c': return number(m_.month, 1);
      case 'M': return m_.month != 0 && text(name_at(names_.months, m_.month - 1));
      case 'b': return m_.month != 0 && text(name_at(names_.short_months, m_.month - 1));
      case 'd': return number(m_.day, 2);
      case 'e': return number(m_.day, 1);
      case 'D': return number(m_.day, 1) && text(ordinal());
      case 'j': return m_.month != 0 && number(day_of_year(m_), 3);
      case 'W': return has_weekday() && text(name_at(names_.days, day()));
      case 'a': return has_weekday() && text(name_at(names_.short_days, day()));
      case 'w': return has_weekday() && number((day() + 1) % 7, 1);
      case 'U': return number(week(0).week, 2);
      case 'u': return number(week(1).week, 2);
      case 'V': return number(week(2).week, 2);
      case 'v': return number(week(3).week, 2);
      case 'X': return number(week(2).year, 4);
      default: return number(week(3).year, 4);  // %x
    }
  }

  bool number(int value, int least_digits) {
    char digits[12];
    size_t at = sizeof digits;
    for (unsigned rest = value < 0 ? 0 : static_cast<unsigned>(value); rest > 0 || least_digits > 0; rest /= 10, --least_digits) {
      digits[--at] = static_cast<char>('0' + rest % 10);
    }
    out_.append(digits + at, sizeof digits - at);
    return true;
  }
  bool text(std::string_view what) {
    out_ += what;
    return true;
  }

  int hour12() const { return (m_.hour + 11) % 12 + 1; }
  std::string_view half() const { return m_.hour % 24 < 12 ? "AM" : "PM"; }
  bool has_weekday() const { return m_.year != 0 || m_.month != 0; }
  int day() const { return weekday(day_number(m_.year, m_.month, m_.day)); }
  Week week(int mode) const { return week_of(m_, week_rule(mode)); }
  std::string_view ordinal() const {
    if (m_.day >= 10 && m_.day <= 19) return "th";
    switch (m_.day % 10) {
      case 1: return "st";
      case 2: return "nd";
      case 3: return "rd";
      default: return "th";
    }
  }

  std::string& out_;
  const Moment& m_;
  const TimeNames& names_;
};

}  // namespace

bool format_moment(std::string& out, const Moment& moment, std::string_view format, const TimeNames& names, size_t most) {
  Formatter formatter(out, moment, names);
  if (moment.negative) out += '-';
  for (size_t i = 0; i < format.size() && out.size() <= most; ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
    } else if (!formatter.add(format[++i])) {
      return false;
    }
  }
  return true;
}

}  // namespace marmot::mysql
