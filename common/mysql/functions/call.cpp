#include "common/mysql/functions/call.hpp"

#include <cmath>

#include "common/mysql/functions/ascii.hpp"
#include "common/mysql/functions/collation.hpp"
#include "common/mysql/functions/numbers.hpp"
#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/text.hpp"

namespace marmot::mysql {

namespace {
constexpr std::string_view kBlanks = " \t\n\v\f\r";

// '2001-02-03 10:11:12.5' is 20010203101112.5 where a number is wanted, '-10:11:12' is -101112 (manual 13.2.8).
Decimal packed(std::string_view temporal) {
  std::string digits;
  for (size_t i = 0; i < temporal.size(); ++i) {
    const char c = temporal[i];
    if (is_digit(c) || c == '.' || (c == '-' && i == 0)) digits += c;
  }
  return Decimal::parse(digits);
}

// The digits that `text` begins with, behind blanks and a sign. `whole`: nothing but blanks follows.
std::string_view integer_part(std::string_view text, bool& whole) {
  size_t end = text.find_first_not_of(kBlanks);
  if (end == std::string_view::npos) end = text.size();
  const size_t begin = end;
  if (end < text.size() && (text[end] == '-' || text[end] == '+')) ++end;
  const size_t digits = end;
  while (end < text.size() && is_digit(text[end])) ++end;
  whole = end > digits && text.find_first_not_of(kBlanks, end) == std::string_view::npos;
  return text.substr(begin, end - begin);
}
}

std::string_view Call::text(int i) {
  const ValueView& v = value(i);
  if (v.type == ValueType::text || v.type == ValueType::blob) return v.bytes;
  if (v.type == ValueType::null) return {};
  for (const auto& [argument, text] : printed_) {
    if (argument == i) return text;
  }
  return printed_.emplace_front(i, v.type == ValueType::integer ? std::to_string(v.integer) : print_real(v.real)).second;
}

double Call::real(int i) {
  const ValueView& v = value(i);
  switch (v.type) {
    case ValueType::null: return 0;
    case ValueType::integer: return static_cast<double>(v.integer);
    case ValueType::real: return v.real;
    case ValueType::text:
    case ValueType::blob: break;
  }
  if (temporal(i) != Temporal::none) return packed(v.bytes).real();
  bool whole = false;
  const double out = read_real(v.bytes, &whole);
  if (!whole) warn(kErTruncatedWrongValue, "Truncated incorrect DOUBLE value: '" + std::string(v.bytes.substr(0, 128)) + "'");
  return out;
}

int64_t Call::integer(int i) {
  const ValueView& v = value(i);
  if (v.type == ValueType::null) return 0;
  if (v.type == ValueType::integer) return v.integer;
  if (v.type == ValueType::real) return Decimal::of_real(v.real).integer();
  return integer_text(i).integer();
}

Decimal Call::integer_text(int i) {
  if (temporal(i) != Temporal::none) return packed(value(i).bytes);
  bool whole = false;
  const std::string_view digits = integer_part(value(i).bytes, whole);
  if (!whole) warn(kErTruncatedWrongValue, "Truncated incorrect INTEGER value: '" + std::string(value(i).bytes.substr(0, 128)) + "'");
  return Decimal::parse(digits);
}

Decimal Call::decimal(int i) {
  const ValueView& v = value(i);
  switch (v.type) {
    case ValueType::null: return {};
    case ValueType::integer: return Decimal(v.integer);
    case ValueType::real: return Decimal::of_real(v.real);
    case ValueType::text:
    case ValueType::blob: break;
  }
  if (temporal(i) != Temporal::none) return packed(v.bytes);
  std::string_view rest;
  const Decimal out = Decimal::parse(v.bytes, &rest);
  if (rest.find_first_not_of(kBlanks) != std::string_view::npos || rest.size() == v.bytes.size()) {
    warn(kErTruncatedWrongValue, "Truncated incorrect DECIMAL value: '" + std::string(v.bytes.substr(0, 128)) + "'");
  }
  return out;
}

uint64_t Call::bits(int i) {
  if (value(i).type == ValueType::integer) return static_cast<uint64_t>(value(i).integer);
  const Decimal number = is_number(i) || is_null(i) ? decimal(i) : integer_text(i);
  return number.negative() ? static_cast<uint64_t>(number.integer()) : number.unsigned_integer();
}

int Call::compare_texts(int a, int b) { return compare_strings(text(a), text(b), is_blob(a) || is_blob(b)); }

void Call::integer_is(int64_t value) {
  answer_.type = ValueType::integer;
  answer_.integer = value;
}

void Call::unsigned_is(uint64_t value) {
  if (value <= INT64_MAX) return integer_is(static_cast<int64_t>(value));
  text_is(std::to_string(value));
}

void Call::real_is(double value) {
  if (!std::isfinite(value)) return fail(kErDataOutOfRange, "DOUBLE value is out of range");
  answer_.type = ValueType::real;
  answer_.real = value;
}

void Call::decimal_is(const Decimal& value) {
  if (value.scale() == 0 || value.is_zero()) {
    if (const auto whole = value.exact_integer()) return integer_is(*whole);
  } else if (value.significant_digits() <= 15) {
    return real_is(value.real());
  }
  text_is(value.print());
}

void Call::text_is(std::string_view value) {
  answer_.bytes.assign(value);
  text_done();
}

void Call::blob_is(std::string_view value) {
  answer_.bytes.assign(value);
  blob_done();
}

void Call::json_is(std::string_view document) {
  answer_.bytes.assign(document);
  json_done();
}

void Call::json_done() {
  text_done();
  answer_.json = answer_.type == ValueType::text;
}

void Call::readable_done() {
  blob_done();
  answer_.readable = answer_.type == ValueType::blob && answer_.bytes.find('\0') == std::string::npos && is_utf8(answer_.bytes);
}

void Call::temporal_is(Temporal type, std::string_view value) {
  text_is(value);
  answer_.temporal = type;
}

void Call::same_as(int i) {
  const ValueView& v = value(i);
  answer_.type = v.type;
  answer_.integer = v.integer;
  answer_.real = v.real;
  answer_.bytes.assign(v.bytes);
  answer_.json = is_json(i);
  answer_.readable = is_readable(i);
  answer_.temporal = temporal(i);
}

bool Call::fits(uint64_t bytes) {
  if (bytes <= session_.max_allowed_packet) return true;
  warn(kErAllowedPacketOverflowed, "Result of " + std::string(name_) + "() was larger than max_allowed_packet (" +
                                       std::to_string(session_.max_allowed_packet) + ") - truncated");
  null();
  return false;
}

void Call::checked(ValueType type) {
  if (fits(answer_.bytes.size())) answer_.type = type;
}

void Call::fail(int code, std::string_view message) {
  if (failed()) return;
  answer_.error = code;
  answer_.bytes.assign(message);
}

void Call::warn(int code, std::string_view message) { session_.warn(code, message); }

}  // namespace marmot::mysql
