#include "common/mysql/functions/numbers.hpp"

#include <charconv>
#include <cmath>
#include <limits>

#include "common/mysql/functions/ascii.hpp"

namespace marmot::mysql {

namespace {
constexpr int kPointedDigits = 15;  // DBL_DIG: numbers with the point this far from their first digit are printed without exponent
}  // namespace

std::string print_real(double value) {
  if (!std::isfinite(value)) return "0";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  std::string_view shortest(text, static_cast<size_t>(end - text));
  std::string out;
  if (shortest.front() == '-') {
    out = value == 0 ? "" : "-";
    shortest.remove_prefix(1);
  }
  const size_t e = shortest.find('e');
  int exponent = 0;
  const std::string_view power = shortest.substr(shortest[e + 1] == '+' ? e + 2 : e + 1);
  std::from_chars(power.data(), power.data() + power.size(), exponent);
  std::string digits(1, shortest.front());
  if (e > 2) digits += shortest.substr(2, e - 2);
  const int point = exponent + 1;  // value = 0.digits * 10^point
  if (point > kPointedDigits || point < -kPointedDigits + 1) {
    out += digits.front();
    if (digits.size() > 1) out += "." + digits.substr(1);
    return out + "e" + std::to_string(exponent);
  }
  const int size = static_cast<int>(digits.size());
  if (point <= 0) return out + "0" + (value == 0 ? "" : "." + std::string(static_cast<size_t>(-point), '0') + digits);
  if (point >= size) return out + digits + std::string(static_cast<size_t>(point - size), '0');
  return out + digits.substr(0, static_cast<size_t>(point)) + "." + digits.substr(static_cast<size_t>(point));
}

double read_real(std::string_view text, bool* whole) {
  size_t i = 0;
  while (i < text.size() && is_blank(text[i])) ++i;
  const bool minus = i < text.size() && text[i] == '-';
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  // from_chars takes "inf", "nan" and a second sign, which are no numbers here.
  double value = 0;
  const char* end = text.data() + i;
  if (i < text.size() && ((text[i] >= '0' && text[i] <= '9') || (text[i] == '.' && i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9'))) {
    const auto read = std::from_chars(end, text.data() + text.size(), value);
    end = read.ptr;
    if (read.ec == std::errc::result_out_of_range) {
      // Both ends come here: the exponent's sign tells them apart.
      const std::string_view taken = text.substr(i, static_cast<size_t>(end - text.data()) - i);
      value = taken.find("e-") != std::string_view::npos || taken.find("E-") != std::string_view::npos ? 0 : std::numeric_limits<double>::max();
    }
  }
  if (whole != nullptr) {
    const char* rest = end;
    while (rest < text.data() + text.size() && is_blank(*rest)) ++rest;
    *whole = end > text.data() + i && rest == text.data() + text.size();
  }
  return minus ? -value : value;
}

}  // namespace marmot::mysql
