// Casts (MySQL 8.0 manual, 14.10). The type is a text: "CAST"(x, 'SIGNED'), quoted because SQLite's own CAST is grammar, or
// CONVERT(x, 'CHAR(3)'). CONVERT(x USING charset) is no function: the MySQL port has it. What the types are in SQLite: call.hpp.
#include "common/mysql/functions/cast_type.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "common/mysql/functions/ascii.hpp"
#include "common/mysql/functions/json_call.hpp"
#include "common/mysql/functions/numbers.hpp"
#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"
#include "common/mysql/functions/text.hpp"
#include "common/mysql/functions/time_values.hpp"

namespace marmot::mysql {

namespace {

std::string quoted(std::string_view text) { return "'" + std::string(text.substr(0, 128)) + "'"; }

// --- strings -----------------------------------------------------------------------------------------------------------

// Texts are UTF-8 whatever their character set: a set only says which characters they may have, and how a BLOB is read.
struct Charset {
  std::string_view name;
  size_t unit;  // bytes; 0: binary
  bool (*has)(uint32_t code);
};

// The characters of the bytes 0x80 to 0x9F in MySQL's latin1, which is cp1252 (manual 12.10.2); its five gaps are themselves.
constexpr std::array<uint32_t, 32> kLatin1Middle = {0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
                                                    0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
                                                    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

bool in_latin1(uint32_t code) {
  if (code < 0x80 || (code >= 0xA0 && code <= 0xFF)) return true;
  for (const uint32_t middle : kLatin1Middle) {
    if (code == middle) return true;
  }
  return false;
}
bool in_ascii(uint32_t code) { return code < 0x80; }
bool in_plane_0(uint32_t code) { return code <= 0xFFFF; }
bool in_unicode(uint32_t) { return true; }

constexpr std::array kCharsets = {
    Charset{"utf8mb4", 1, in_unicode}, Charset{"utf8mb3", 1, in_plane_0}, Charset{"utf8", 1, in_plane_0},   Charset{"latin1", 1, in_latin1}, Charset{"ascii", 1, in_ascii},
    Charset{"binary", 0, in_unicode},  Charset{"ucs2", 2, in_plane_0},    Charset{"utf16", 2, in_unicode}, Charset{"utf32", 4, in_unicode},
};

const Charset* find_charset(std::string_view name) {
  if (name.empty()) return &kCharsets.front();
  for (const Charset& charset : kCharsets) {
    if (same_word(charset.name, name)) return &charset;
  }
  return nullptr;
}

// Characters of one byte or more that first_character() knows; others are replaced.
void append_within(std::string& out, std::string_view text, const Charset& charset) {
  while (!text.empty()) {
    const Character c = first_character(text);
    if (c.code >= kNoCharacter || charset.has(c.code)) out.append(text.substr(0, c.size));
    else out += '?';
    text.remove_prefix(c.size);
  }
}

// Big-endian units, zeros added in front of an incomplete one. False: no character.
bool append_wide(std::string& out, std::string_view bytes, const Charset& charset) {
  const size_t missing = (charset.unit - bytes.size() % charset.unit) % charset.unit;
  const auto unit_at = [&](size_t at) {
    uint32_t code = 0;
    for (size_t i = at; i < at + charset.unit; ++i) code = code << 8 | (i < missing ? 0 : static_cast<unsigned char>(bytes[i - missing]));
    return code;
  };
  const size_t size = bytes.size() + missing;
  for (size_t at = 0; at < size; at += charset.unit) {
    uint32_t code = unit_at(at);
    if (code >= 0xD800 && code < 0xDC00 && charset.name == "utf16" && at + 2 < size) {
      const uint32_t low = unit_at(at += 2);
      if (low < 0xDC00 || low > 0xDFFF) return false;
      code = 0x10000 + ((code - 0xD800) << 10 | (low - 0xDC00));
    } else if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
      return false;
    }
    append_character(out, code);
  }
  return true;
}

// A binary string's bytes as characters. False: they are none in this character set.
bool append_decoded(std::string& out, std::string_view bytes, const Charset& charset) {
  if (charset.unit > 1) return append_wide(out, bytes, charset);
  if (charset.name == "latin1") {
    for (const char byte : bytes) {
      const auto code = static_cast<unsigned char>(byte);
      append_character(out, code >= 0x80 && code < 0xA0 ? kLatin1Middle[code - 0x80U] : code);
    }
    return true;
  }
  for (size_t at = 0; at < bytes.size();) {
    const Character c = first_character(bytes.substr(at));
    if (c.code >= kNoCharacter || !charset.has(c.code)) return false;
    at += c.size;
  }
  out.append(bytes);
  return true;
}

void warn_cut(Call& call, std::string_view type, int64_t length) {
  call.warn(kErTruncatedWrongValue, "Truncated incorrect " + std::string(type) + "(" + std::to_string(length) + ") value: " + quoted(call.text(0)));
}

// BINARY[(N)] -> N bytes, zeros added
void to_binary(Call& call, const CastType& type) {
  const std::string_view text = call.text(0);
  if (!type.length) return call.blob_is(text);
  const auto size = static_cast<uint64_t>(*type.length);
  if (!call.fits(size)) return;
  if (text.size() > size) warn_cut(call, "BINARY", *type.length);
  std::string& out = call.buffer();
  out.assign(text.substr(0, size));
  out.resize(size);
  call.blob_done();
}

// CHAR[(N)] [CHARACTER SET name], NCHAR[(N)] -> N characters at most. NULL: a binary string that has none of them.
void to_character(Call& call, const CastType& type) {
  const Charset* charset = find_charset(type.charset);
  if (charset == nullptr) return call.fail(kErUnknownCharacterSet, "Unknown character set: '" + std::string(type.charset) + "'");
  if (charset->unit == 0) return to_binary(call, {CastKind::binary, type.length, {}, {}});
  const std::string_view text = call.text(0);
  std::string& out = call.buffer();
  if (call.is_blob(0)) {
    if (!append_decoded(out, text, *charset)) {
      return call.warn(kErInvalidCharacterString, "Invalid " + std::string(charset->name) + " character string");
    }
  } else if (charset->has == in_unicode || is_ascii(text)) {
    out.assign(text);
  } else {
    append_within(out, text, *charset);
  }
  if (type.length) {
    const size_t end = offset_of(out, *type.length, false);
    if (end < out.size()) warn_cut(call, "CHAR", *type.length);
    out.resize(end);
  }
  call.text_done();
}

// --- numbers -----------------------------------------------------------------------------------------------------------

// SIGNED [INTEGER]: a text beyond 2^63-1 in two's complement, a number the nearest there is
void to_signed(Call& call, const CastType&) {
  if (!call.is_number(0) && call.temporal(0) == Temporal::none) return call.integer_is(static_cast<int64_t>(call.bits(0)));
  const Decimal number = call.decimal(0);
  if (number.compare(Decimal(INT64_MAX)) > 0 || number.compare(Decimal(INT64_MIN)) < 0) {
    call.warn(kErTruncatedWrongValue, "Truncated incorrect INTEGER value: " + quoted(call.text(0)));
  }
  call.integer_is(number.integer());
}

// UNSIGNED [INTEGER]: a negative number in two's complement
void to_unsigned(Call& call, const CastType&) { call.unsigned_is(call.bits(0)); }

// DECIMAL[(M[,D])]: M digits, 10, of them D behind the point, 0; larger numbers are the largest that fits
void to_decimal(Call& call, const CastType& type) {
  constexpr int64_t kDefaultDigits = 10;
  const int64_t digits = type.length.value_or(0) == 0 ? kDefaultDigits : *type.length, scale = type.decimals.value_or(0);
  if (digits > Decimal::kMostDigits) return call.fail(kErTooBigPrecision, "Too-big precision " + std::to_string(digits) + " specified for 'CAST'. Maximum is 65.");
  if (scale > Decimal::kMostScale) return call.fail(kErTooBigScale, "Too big scale " + std::to_string(scale) + " specified for 'CAST'. Maximum is 30.");
  if (scale > digits) return call.fail(kErMBiggerThanD, "For float(M,D), double(M,D) or decimal(M,D), M must be >= D (column '').");
  const Decimal rounded = call.decimal(0).rounded(static_cast<int>(scale), true);
  if (rounded.integer_digits() <= digits - scale) return call.decimal_is(rounded);
  call.warn(kErWarnDataOutOfRange, "Out of range value for column 'CAST' at row 1");
  std::string nines(static_cast<size_t>(digits), '9');
  if (scale > 0) nines.insert(static_cast<size_t>(digits - scale), 1, '.');
  const Decimal most = Decimal::parse(nines);
  call.decimal_is(rounded.negative() ? most.negated() : most);
}

// DOUBLE, REAL, FLOAT(25) to FLOAT(53)
void to_real(Call& call, const CastType&) { call.real_is(call.real(0)); }

// FLOAT[(p)], p up to 24: the number that MySQL prints for a FLOAT, which is the shortest that reads back as it
void to_single(Call& call, const CastType& type) {
  constexpr int64_t kSingleDigits = 24, kMostDigits = 53;
  if (type.length && *type.length > kMostDigits) {
    return call.fail(kErTooBigPrecision, "Too-big precision " + std::to_string(*type.length) + " specified for 'CAST'. Maximum is 53.");
  }
  if (type.length && *type.length > kSingleDigits) return to_real(call, type);
  const double value = call.real(0);
  if (!(std::abs(value) <= static_cast<double>(std::numeric_limits<float>::max()))) return call.fail(kErDataOutOfRange, "FLOAT value is out of range");
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, static_cast<float>(value)).ptr;
  call.real_is(read_real({text, static_cast<size_t>(end - text)}));
}

// --- dates and times ---------------------------------------------------------------------------------------------------

// To `digits` of its fraction, rounded (manual 13.2.6). False: it left the range of datetimes.
bool round_fraction(Moment& moment, int digits) {
  int unit = 1;
  for (int i = digits; i < 6; ++i) unit *= 10;
  moment.digits = digits;
  moment.microsecond = (moment.microsecond + unit / 2) / unit * unit;
  if (moment.microsecond < kMicro) return true;
  moment.microsecond = static_cast<int>(kMicro) - 1;
  return add_microsecond(moment);
}

bool fraction_fits(Call& call, const CastType& type) {
  constexpr int64_t kMost = 6;
  if (type.length.value_or(0) <= kMost) return true;
  call.fail(kErTooBigPrecision, "Too-big precision " + std::to_string(*type.length) + " specified for 'CAST'. Maximum is 6.");
  return false;
}

// DATE. A TIME has no date here: its date would be today's, and the function is pure.
void to_date(Call& call, const CastType&) {
  auto moment = datetime_of(call, 0, Dates::whole);
  if (!moment) return;
  moment->kind = TimeKind::date;
  answer(call, *moment);
}

// DATETIME[(fsp)]
void to_datetime(Call& call, const CastType& type) {
  if (!fraction_fits(call, type)) return;
  auto moment = datetime_of(call, 0, Dates::whole);
  if (!moment) return;
  moment->kind = TimeKind::datetime;
  if (!round_fraction(*moment, static_cast<int>(type.length.value_or(0)))) return warn_overflow(call, "datetime");
  answer(call, *moment);
}

// TIME[(fsp)]
void to_time(Call& call, const CastType& type) {
  if (!fraction_fits(call, type)) return;
  auto moment = time_of(call, 0);
  if (!moment) return;
  round_fraction(*moment, static_cast<int>(type.length.value_or(0)));
  if (time_of_day(*moment) == 0) moment->negative = false;
  answer(call, *moment);
}

// The digits that a text begins with, behind blanks and a sign; nullopt: none.
std::optional<int64_t> year_of_text(Call& call) {
  std::string_view text = call.text(0);
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  const bool sign = !text.empty() && (text.front() == '-' || text.front() == '+');
  const size_t end = std::min(text.find_first_not_of("0123456789", sign ? 1 : 0), text.size());
  if (end == (sign ? 1U : 0U)) return std::nullopt;
  if (end < text.size()) call.warn(kErTruncatedWrongValue, "Truncated incorrect YEAR value: " + quoted(text));
  return Decimal::parse(text.substr(0, end)).integer();
}

// What YEAR takes: a date's year (a TIME has no date here, as in to_date()), a number, a text's digits. Of 1 to 99 the century is
// found; a text's 0 is 2000.
std::optional<int64_t> year_of(Call& call) {
  if (call.temporal(0) != Temporal::none) {
    const auto moment = datetime_of(call, 0, Dates::any);
    return moment ? std::optional<int64_t>(moment->year) : std::nullopt;
  }
  std::optional<int64_t> year = call.is_number(0) ? call.integer(0) : year_of_text(call);
  if (year && *year == 0 && !call.is_number(0)) return 2000;
  if (year && *year >= 1 && *year <= 99) *year += *year < 70 ? 2000 : 1900;
  return year;
}

// YEAR: 0, 1901 to 2155
void to_year(Call& call, const CastType&) {
  const auto year = year_of(call);
  if (year && (*year == 0 || (*year >= 1901 && *year <= 2155))) return call.integer_is(*year);
  call.warn(kErTruncatedWrongValue, "Incorrect YEAR value: " + quoted(call.text(0)));
}

// --- JSON --------------------------------------------------------------------------------------------------------------

// JSON: a text is parsed (3141), any other value is one of a document
void to_json(Call& call, const CastType&) {
  if (call.is_blob(0)) return call.fail(kErInvalidJsonCharset, "Cannot create a JSON value from a string with CHARACTER SET 'binary'.");
  const bool value = call.is_number(0) || call.temporal(0) != Temporal::none;
  if (const auto document = value ? json_value(call, 0) : json_document(call, 0)) json_answer(call, *document);
}

// --- the function ------------------------------------------------------------------------------------------------------

void cast_to(Call& call, const CastType& type) {
  switch (type.kind) {
    case CastKind::binary: return to_binary(call, type);
    case CastKind::character: return to_character(call, type);
    case CastKind::date: return to_date(call, type);
    case CastKind::datetime: return to_datetime(call, type);
    case CastKind::decimal: return to_decimal(call, type);
    case CastKind::real: return to_real(call, type);
    case CastKind::single: return to_single(call, type);
    case CastKind::json: return to_json(call, type);
    case CastKind::signed_integer: return to_signed(call, type);
    case CastKind::time: return to_time(call, type);
    case CastKind::unsigned_integer: return to_unsigned(call, type);
    case CastKind::year: return to_year(call, type);
  }
}

// A document where a number, date or time is wanted: what its scalar is; what has none (an array, an object, null) is 0, or no date.
void cast_json(Call& call, const CastType& type) {
  const auto document = json_document(call, 0);
  if (!document) return;
  std::array<ValueView, 1> value;
  switch (document->type()) {
    case Json::Type::string: value[0] = ValueView::of_text(document->string()); break;
    case Json::Type::integer: value[0] = ValueView::of_integer(document->integer()); break;
    case Json::Type::real: value[0] = ValueView::of_real(document->real()); break;
    case Json::Type::boolean: value[0] = ValueView::of_integer(document->boolean() ? 1 : 0); break;
    case Json::Type::unsigned_integer: value[0] = ValueView::of_text(call.text(0)); break;
    default: {
      call.warn(kErInvalidJsonValueForCast, "Invalid JSON value for CAST to the type");
      const bool number = type.kind != CastKind::date && type.kind != CastKind::datetime && type.kind != CastKind::time && type.kind != CastKind::year;
      return number ? call.integer_is(0) : call.null();
    }
  }
  Call inner(call.name(), value, {}, call.session(), call.keeper(), call.answer());
  cast_to(inner, type);
}

// CAST(x, type), CONVERT(x, type)
void cast(Call& call) {
  const auto type = read_cast_type(call.text(1));
  if (!type) {
    return call.fail(kErWrongArguments, "there is no type " + quoted(call.text(1)) +
                                            "; it is one of BINARY[(N)], CHAR[(N)] [CHARACTER SET name], DATE, DATETIME[(fsp)], DECIMAL[(M[,D])], DOUBLE, FLOAT[(p)], JSON, "
                                            "NCHAR[(N)], REAL, SIGNED, TIME[(fsp)], UNSIGNED, YEAR");
  }
  const bool as_it_is = type->kind == CastKind::character || type->kind == CastKind::binary || type->kind == CastKind::json;
  if (call.is_json(0) && !as_it_is) return cast_json(call, *type);
  cast_to(call, *type);
}

// BINARY(expr): the operator BINARY expr (14.8.3), for comparing texts by their bytes
void binary_string(Call& call) {
  call.buffer().assign(call.text(0));
  call.readable_done();
}

constexpr std::array kCastFunctions = {
    Function{"BINARY", 1, 1, kStrict, binary_string},
    Function{"CAST", 2, 2, kStrict, cast},
    Function{"CONVERT", 2, 2, kStrict, cast},
};

}  // namespace

std::span<const Function> cast_functions() { return kCastFunctions; }

}  // namespace marmot::mysql
