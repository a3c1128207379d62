#include "common/mysql/functions/time_values.hpp"

#include "common/mysql/functions/ascii.hpp"
#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/time_clock.hpp"
#include "common/mysql/functions/time_parse.hpp"
#include "common/mysql/functions/time_zone.hpp"

namespace marmot::mysql {

void warn_wrong(Call& call, int i, const char* type) {
  call.warn(kErTruncatedWrongValue, std::string("Incorrect ") + type + " value: '" + std::string(call.text(i).substr(0, 128)) + "'");
}

namespace {

ReadMoment read_as_datetime(Call& call, int i) {
  return call.is_number(i) ? read_datetime(call.decimal(i)) : read_datetime(call.text(i));
}

bool suits(const Moment& moment, Dates dates) { return dates == Dates::any || moment.whole_date(); }

std::optional<Moment> accepted(Call& call, int i, const ReadMoment& read, Dates dates) {
  if (!read.valid || !suits(read.moment, dates)) {
    warn_wrong(call, i, "datetime");
    return std::nullopt;
  }
  if (read.truncated) call.warn(kErTruncatedWrongValue, "Truncated incorrect datetime value: '" + std::string(call.text(i).substr(0, 128)) + "'");
  return read.moment;
}

}  // namespace

std::optional<Moment> datetime_of(Call& call, int i, Dates dates) {
  if (call.is_null(i)) return std::nullopt;
  if (call.temporal(i) == Temporal::time) {
    warn_wrong(call, i, "datetime");
    return std::nullopt;
  }
  ReadMoment read = read_as_datetime(call, i);
  read.truncated |= read.has_offset;
  return accepted(call, i, read, dates);
}

std::optional<Moment> datetime_today(Call& call, int i, Dates dates) {
  if (call.is_null(i)) return std::nullopt;
  if (call.temporal(i) == Temporal::time) {
    const auto time = time_of(call, i);
    if (!time) return std::nullopt;
    Moment out = local_now(call);
    out.hour = out.minute = out.second = out.microsecond = 0;
    if (!set_datetime(out, microseconds(out) + microseconds(*time))) return std::nullopt;
    out.digits = time->digits;
    return out;
  }
  ReadMoment read = read_as_datetime(call, i);
  if (read.valid && read.has_offset) {
    if (!read.moment.whole_date()) read.valid = false;
    else set_unix_seconds(read.moment, zone_of(call.session()).local(unix_seconds(read.moment) - read.offset_seconds));
  }
  return accepted(call, i, read, dates);
}

std::optional<Moment> moment_of(Call& call, int i) {
  if (call.is_null(i)) return std::nullopt;
  const Temporal type = call.temporal(i);
  const ReadMoment read = type == Temporal::date || type == Temporal::datetime ? read_datetime(call.text(i))
                          : call.is_number(i)                                   ? read_time(call.decimal(i))
                                                                                : read_time(call.text(i));
  if (!read.valid) {
    warn_wrong(call, i, "time");
    return std::nullopt;
  }
  if (read.truncated) call.warn(kErTruncatedWrongValue, "Truncated incorrect time value: '" + std::string(call.text(i).substr(0, 128)) + "'");
  return read.moment;
}

std::optional<Moment> time_of(Call& call, int i) {
  auto out = moment_of(call, i);
  if (out && out->kind != TimeKind::time) {
    out->kind = TimeKind::time;
    out->year = out->month = out->day = 0;
  }
  return out;
}

int64_t whole_of(Call& call, int i) {
  if (call.is_null(i) || call.is_number(i)) return call.integer(i);
  const std::string_view text = call.text(i);
  size_t at = text.find_first_not_of(" \t\n\v\f\r");
  if (at == std::string_view::npos) at = text.size();
  const bool minus = at < text.size() && text[at] == '-';
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  const size_t first = at;
  uint64_t value = 0;
  constexpr uint64_t kMost = INT64_MAX;
  for (; at < text.size() && is_digit(text[at]); ++at) {
    const auto digit = static_cast<uint64_t>(text[at] - '0');
    value = value > (kMost - digit) / 10 ? kMost : value * 10 + digit;
  }
  if (at == first || at != text.size()) {
    call.warn(kErTruncatedWrongValue, "Truncated incorrect INTEGER value: '" + std::string(text.substr(0, 128)) + "'");
  }
  return minus ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
}

char* print_number(char* out, int value, int least_digits) {
  char digits[12];
  int count = 0;
  for (; value > 0; value /= 10) digits[count++] = static_cast<char>('0' + value % 10);
  for (; least_digits > count; --least_digits) *out++ = '0';
  while (count > 0) *out++ = digits[--count];
  return out;
}

namespace {
char* print_two(char* out, int value) {
  out[0] = static_cast<char>('0' + value / 10);
  out[1] = static_cast<char>('0' + value % 10);
  return out + 2;
}
}  // namespace

char* print(char* out, const Moment& m) {
  if (m.kind != TimeKind::time) {
    out = print_two(print_two(out, m.year / 100), m.year % 100);
    *out++ = '-';
    out = print_two(out, m.month);
    *out++ = '-';
    out = print_two(out, m.day);
    if (m.kind == TimeKind::date) return out;
    *out++ = ' ';
  } else if (m.negative) {
    *out++ = '-';
  }
  out = m.hour < 100 ? print_two(out, m.hour) : print_number(out, m.hour, 2);
  *out++ = ':';
  out = print_two(out, m.minute);
  *out++ = ':';
  out = print_two(out, m.second);
  if (m.digits == 0) return out;
  *out++ = '.';
  int scale = 100'000;
  for (int i = 0; i < m.digits; ++i, scale /= 10) *out++ = static_cast<char>('0' + m.microsecond / scale % 10);
  return out;
}

void answer(Call& call, const Moment& moment) {
  char text[kMostMoment];
  const Temporal type = moment.kind == TimeKind::date ? Temporal::date : moment.kind == TimeKind::time ? Temporal::time : Temporal::datetime;
  call.temporal_is(type, {text, static_cast<size_t>(print(text, moment) - text)});
}

void answer_plain(Call& call, const Moment& moment) {
  char text[kMostMoment];
  call.text_is({text, static_cast<size_t>(print(text, moment) - text)});
}

void warn_overflow(Call& call, const char* what) { call.warn(kErDatetimeFunctionOverflow, std::string("Datetime function: ") + what + " field overflow"); }

}  // namespace marmot::mysql
