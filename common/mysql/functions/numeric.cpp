// Numbers (MySQL 8.0 manual, 14.6).
//
// A REAL argument is taken as the exact decimal that it prints as: SQLite makes REAL of the literal 1.005, which is a DECIMAL in
// MySQL. Text is a DOUBLE, as there.
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>
#include <zlib.h>

#include "common/mysql/functions/numbers.hpp"
#include "common/mysql/functions/random.hpp"
#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

namespace {

bool is_integer(Call& call, int i) { return call.value(i).type == ValueType::integer; }
// Neither an integer nor text: a DECIMAL, unless it is so large or small that only a DOUBLE can be meant. So are dates and times.
bool is_decimal(Call& call, int i) {
  if (call.temporal(i) != Temporal::none) return true;
  if (call.value(i).type != ValueType::real) return false;
  const double magnitude = std::fabs(call.value(i).real);
  return magnitude == 0 || (magnitude < 1e31 && magnitude > 1e-31);
}

void invalid_logarithm(Call& call) {
  call.warn(kErInvalidArgumentForLogarithm, "Invalid argument for logarithm");
  call.null();
}

// --- arithmetic ----------------------------------------------------------------------------------------------------------

// ABS(X)
void abs(Call& call) {
  if (!is_integer(call, 0)) return call.real_is(std::fabs(call.real(0)));
  const int64_t value = call.integer(0);
  if (value == INT64_MIN) return call.fail(kErDataOutOfRange, "BIGINT value is out of range");
  call.integer_is(value < 0 ? -value : value);
}

// SIGN(X) -> -1, 0 or 1
void sign(Call& call) {
  const double value = call.real(0);
  call.integer_is(value > 0 ? 1 : value < 0 ? -1 : 0);
}

void whole(Call& call, double (*toward)(double)) {
  if (is_integer(call, 0)) return call.integer_is(call.integer(0));
  const double value = toward(call.real(0));
  if ((call.is_number(0) || is_decimal(call, 0)) && std::fabs(value) < 9e18) return call.integer_is(static_cast<int64_t>(value));
  call.real_is(value + 0.0);  // -0 is 0
}

// CEIL(X), CEILING(X)
void ceiling(Call& call) { whole(call, [](double x) { return std::ceil(x); }); }
// FLOOR(X)
void floor(Call& call) { whole(call, [](double x) { return std::floor(x); }); }

// MOD(N, M): the remainder, with N's sign; NULL when M is 0
void mod(Call& call) {
  if (call.real(1) == 0) {
    call.warn(kErDivisionByZero, "Division by 0");
    return call.null();
  }
  if (is_integer(call, 0) && is_integer(call, 1)) return call.integer_is(call.integer(1) == -1 ? 0 : call.integer(0) % call.integer(1));
  const auto exact = [&](int i) { return is_integer(call, i) || is_decimal(call, i); };
  if (!exact(0) || !exact(1)) return call.real_is(std::fmod(call.real(0), call.real(1)));
  const auto rest = call.decimal(0).remainder(call.decimal(1));
  if (rest) call.decimal_is(*rest);
}

// What MySQL does to a DOUBLE: half to even, in binary (my_double_round).
double round_double(double value, int64_t digits, bool half_up) {
  const double scale = std::pow(10.0, std::fabs(static_cast<double>(digits)));
  const auto cut = [&](double x) { return half_up ? std::rint(x) : std::trunc(x); };
  if (digits < 0) return std::isinf(scale) ? 0 : cut(value / scale) * scale;
  const double scaled = value * scale;
  return std::isinf(scaled) || std::isinf(scale) ? value : cut(scaled) / scale;
}

void round_to(Call& call, bool half_up) {
  const int64_t digits = call.count() > 1 ? call.integer(1) : 0;
  if (is_integer(call, 0)) {
    if (digits >= 0) return call.integer_is(call.integer(0));
    return call.decimal_is(call.decimal(0).rounded(static_cast<int>(std::max<int64_t>(digits, -30)), half_up));
  }
  if (!is_decimal(call, 0)) return call.real_is(round_double(call.real(0), digits, half_up));
  const int64_t scale = std::min<int64_t>(std::max<int64_t>(digits, -70), Decimal::kMostScale);
  call.decimal_is(call.decimal(0).rounded(static_cast<int>(scale), half_up));
}

// ROUND(X[, D]): half away from zero where X is exact
void round(Call& call) { round_to(call, true); }
// TRUNCATE(X, D): toward zero
void truncate(Call& call) { round_to(call, false); }

// --- powers and logarithms -----------------------------------------------------------------------------------------------

// SQRT(X); NULL below zero
void sqrt(Call& call) {
  const double value = call.real(0);
  if (value >= 0) call.real_is(std::sqrt(value));
}
// EXP(X)
void exp(Call& call) { call.real_is(std::exp(call.real(0))); }
// POW(X, Y), POWER(X, Y)
void power(Call& call) { call.real_is(std::pow(call.real(0), call.real(1))); }

template <double (*logarithm)(double)>
void logarithm_of(Call& call) {
  const double value = call.real(0);
  return value > 0 ? call.real_is(logarithm(value)) : invalid_logarithm(call);
}
// LOG(X): natural; LOG(B, X): to base B
void log(Call& call) {
  const double first = call.real(0);
  if (!(first > 0)) return invalid_logarithm(call);
  if (call.count() == 1) return call.real_is(std::log(first));
  const double value = call.real(1);
  if (!(value > 0) || first == 1) return invalid_logarithm(call);
  call.real_is(std::log(value) / std::log(first));
}

// --- trigonometry --------------------------------------------------------------------------------------------------------

template <double (*function)(double)>
void of_angle(Call& call) {
  call.real_is(function(call.real(0)));
}
// ACOS(X), ASIN(X): NULL outside of -1 to 1
template <double (*function)(double)>
void inverse_of(Call& call) {
  const double value = call.real(0);
  if (value >= -1 && value <= 1) call.real_is(function(value));
}
// ATAN(X), ATAN(Y, X), ATAN2(Y, X)
void arc_tangent(Call& call) { call.real_is(call.count() == 1 ? std::atan(call.real(0)) : std::atan2(call.real(0), call.real(1))); }
// COT(X)
void cotangent(Call& call) { call.real_is(1 / std::tan(call.real(0))); }
// DEGREES(X)
void degrees(Call& call) { call.real_is(call.real(0) * (180 / std::numbers::pi)); }
// RADIANS(X)
void radians(Call& call) { call.real_is(call.real(0) * (std::numbers::pi / 180)); }
// PI()
void pi(Call& call) { call.real_is(std::numbers::pi); }

// --- others --------------------------------------------------------------------------------------------------------------

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 99;
}

// The digits at the beginning of `text`, as 64 bits; more than they hold: all ones, or 0 where it is negative; the ends of the signed range.
uint64_t read_digits(std::string_view text, int base, bool is_signed) {
  size_t i = 0;
  while (i < text.size() && (text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r'))) ++i;
  const bool minus = i < text.size() && text[i] == '-';
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  uint64_t value = 0;
  bool over = false;
  for (; i < text.size() && digit_value(text[i]) < base; ++i) {
    over |= __builtin_mul_overflow(value, static_cast<uint64_t>(base), &value);
    over |= __builtin_add_overflow(value, static_cast<uint64_t>(digit_value(text[i])), &value);
  }
  if (!is_signed) return over ? (minus ? 0 : UINT64_MAX) : minus ? 0 - value : value;
  const uint64_t most = minus ? uint64_t{1} << 63 : uint64_t{INT64_MAX};
  if (over || value > most) value = most;
  return minus ? 0 - value : value;
}

// CONV(N, from_base, to_base): bases 2 to 36; from_base negative: N is signed; to_base negative: the result is
void conv(Call& call) {
  const int64_t from = call.integer(1), to = call.integer(2);
  const auto usable = [](int64_t base) { return (base >= 2 && base <= 36) || (base <= -2 && base >= -36); };
  const std::string_view text = call.text(0);
  if (!usable(from) || !usable(to) || text.empty()) return;
  uint64_t value = read_digits(text, static_cast<int>(from < 0 ? -from : from), from < 0);
  std::string& out = call.buffer();
  if (to < 0 && static_cast<int64_t>(value) < 0) {
    out = "-";
    value = 0 - value;
  }
  char digits[65];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, static_cast<int>(to < 0 ? -to : to)).ptr;
  for (const char* c = digits; c != end; ++c) out += static_cast<char>(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
  call.text_done();
}

// CRC32(str)
void crc32(Call& call) {
  const std::string_view text = call.text(0);
  call.integer_is(static_cast<int64_t>(crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size())));
}

struct Sequence final : Kept {
  explicit Sequence(uint32_t seed) : random(seed) {}
  Random random;
};

// RAND([N]): 0 to 1; with N the same sequence for the same N, one place of a statement going through it
void rand(Call& call) {
  if (call.count() == 0) return call.real_is(call.session().random().next());
  const auto seed = static_cast<uint32_t>(call.integer(0));
  call.real_is(call.kept<Sequence>(0, [&] { return std::make_shared<Sequence>(seed); })->random.next());
}

constexpr std::array kNumericFunctions = {
    Function{"ABS", 1, 1, kStrict, abs},
    Function{"ACOS", 1, 1, kStrict, inverse_of<std::acos>},
    Function{"ASIN", 1, 1, kStrict, inverse_of<std::asin>},
    Function{"ATAN", 1, 2, kStrict, arc_tangent},
    Function{"ATAN2", 2, 2, kStrict, arc_tangent},
    Function{"CEIL", 1, 1, kStrict, ceiling},
    Function{"CEILING", 1, 1, kStrict, ceiling},
    Function{"CONV", 3, 3, kStrict, conv},
    Function{"COS", 1, 1, kStrict, of_angle<std::cos>},
    Function{"COT", 1, 1, kStrict, cotangent},
    Function{"CRC32", 1, 1, kStrict, crc32},
    Function{"DEGREES", 1, 1, kStrict, degrees},
    Function{"EXP", 1, 1, kStrict, exp},
    Function{"FLOOR", 1, 1, kStrict, floor},
    Function{"LN", 1, 1, kStrict, logarithm_of<std::log>},
    Function{"LOG", 1, 2, kStrict, log},
    Function{"LOG10", 1, 1, kStrict, logarithm_of<std::log10>},
    Function{"LOG2", 1, 1, kStrict, logarithm_of<std::log2>},
    Function{"MOD", 2, 2, kStrict, mod},
    Function{"PI", 0, 0, kPure, pi},
    Function{"POW", 2, 2, kStrict, power},
    Function{"POWER", 2, 2, kStrict, power},
    Function{"RADIANS", 1, 1, kStrict, radians},
    Function{"RAND", 0, 1, kSession, rand},
    Function{"ROUND", 1, 2, kStrict, round},
    Function{"SIGN", 1, 1, kStrict, sign},
    Function{"SIN", 1, 1, kStrict, of_angle<std::sin>},
    Function{"SQRT", 1, 1, kStrict, sqrt},
    Function{"TAN", 1, 1, kStrict, of_angle<std::tan>},
    Function{"TRUNCATE", 2, 2, kStrict, truncate},
};

}  // namespace

std::span<const Function> numeric_functions() { return kNumericFunctions; }

}  // namespace marmot::mysql
