// JSON_VALUE (MySQL 8.0 manual, 14.17.3).
#include <cmath>

#include "common/mysql/functions/json_call.hpp"
#include "common/mysql/functions/json_functions.hpp"
#include "common/mysql/functions/numbers.hpp"
#include "common/mysql/functions/session.hpp"

namespace marmot::mysql {

namespace {

constexpr uint64_t kDefaultLength = 512;  // VARCHAR(512)

// 'DECIMAL(6,4)': the type's word and the numbers in its brackets; -1: not given.
struct Returning {
  std::string word = "CHAR";
  int64_t first = static_cast<int64_t>(kDefaultLength), second = -1;
};

std::optional<Returning> read_returning(std::string_view text) {
  Returning out{"", -1, -1};
  size_t i = 0;
  for (; i < text.size() && ((text[i] | 32) >= 'a' && (text[i] | 32) <= 'z'); ++i) out.word += static_cast<char>(text[i] & ~32);
  const auto number = [&](int64_t& value) {
    const size_t start = i;
    for (value = 0; i < text.size() && text[i] >= '0' && text[i] <= '9' && value < INT32_MAX; ++i) value = value * 10 + (text[i] - '0');
    return i > start;
  };
  if (i == text.size()) return out;
  if (text[i++] != '(' || !number(out.first)) return std::nullopt;
  if (i < text.size() && text[i] == ',' && (++i, !number(out.second))) return std::nullopt;
  return i + 1 == text.size() && text[i] == ')' ? std::optional(out) : std::nullopt;
}

size_t characters(std::string_view text) {
  size_t out = 0;
  for (const char c : text) out += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return out;
}

void text_of(Call& call, const Json& value, int64_t most) {
  std::string& out = call.buffer();
  if (value.is_string()) out = value.string();
  else if (!json_printed(call, print_json(value, out, call.session().max_allowed_packet))) return;
  if (most < 0 || characters(out) <= static_cast<uint64_t>(most)) call.text_done();
}

// What is no number, or none of the type's, is NULL: NULL ON ERROR is the default.
std::optional<Decimal> number_of(const Json& value) {
  switch (value.type()) {
    case Json::Type::boolean: return Decimal(value.boolean() ? 1 : 0);
    case Json::Type::integer: return Decimal(value.integer());
    case Json::Type::unsigned_integer: return Decimal::of_unsigned(value.unsigned_integer());
    case Json::Type::real: return Decimal::of_real(value.real());
    case Json::Type::string: {
      std::string_view rest;
      const Decimal out = Decimal::parse(value.string(), &rest);
      return rest.empty() && !value.string().empty() ? std::optional(out) : std::nullopt;
    }
    default: return std::nullopt;
  }
}

void integer_of(Call& call, const Json& value, bool is_signed) {
  const std::optional<Decimal> number = number_of(value);
  if (!number) return;
  const Decimal whole = number->rounded(0, true);
  if (is_signed) {
    if (const auto exact = whole.exact_integer()) call.integer_is(*exact);
  } else if (!whole.negative() && whole.compare(Decimal::of_unsigned(UINT64_MAX)) <= 0) {
    call.unsigned_is(whole.unsigned_integer());
  }
}

void decimal_of(Call& call, const Json& value, const Returning& returning) {
  const int64_t digits = returning.first < 0 ? 10 : returning.first, scale = returning.second < 0 ? 0 : returning.second;
  if (digits > Decimal::kMostDigits || scale > Decimal::kMostScale || scale > digits) {
    return call.fail(kErWrongArguments, "JSON_VALUE: a DECIMAL has up to 65 digits, 30 of them behind the point");
  }
  const std::optional<Decimal> number = number_of(value);
  if (!number) return;
  const Decimal rounded = number->rounded(static_cast<int>(scale), true);
  if (!rounded.overflowed() && rounded.integer_digits() <= digits - scale) call.decimal_is(rounded);
}

void real_of(Call& call, const Json& value, bool single) {
  const std::optional<Decimal> number = number_of(value);
  if (!number) return;
  const double real = value.type() == Json::Type::real ? value.real() : value.is_string() ? read_real(value.string()) : number->real();
  const double out = single ? static_cast<double>(static_cast<float>(real)) : real;
  if (std::isfinite(out)) call.real_is(out);
}

void returned(Call& call, const Json& value, const Returning& as) {
  if (as.word == "JSON") return json_answer(call, value);
  if (value.is_null()) return;
  if (as.word == "CHAR" || as.word == "VARCHAR") return text_of(call, value, as.first);
  if (as.word == "SIGNED" || as.word == "UNSIGNED") return integer_of(call, value, as.word == "SIGNED");
  if (as.word == "DECIMAL") return decimal_of(call, value, as);
  if (as.word == "DOUBLE" || as.word == "REAL" || as.word == "FLOAT") return real_of(call, value, as.word == "FLOAT");
  call.fail(kErWrongArguments, "JSON_VALUE returns CHAR, SIGNED, UNSIGNED, DECIMAL, FLOAT, DOUBLE or JSON, not '" + as.word +
                                   "': cast its text");
}

}  // namespace

// JSON_VALUE(json_doc, path[, type]): JSON_VALUE(json_doc, path RETURNING type), type as text: 'DECIMAL(6,4)'. Default: text of at
// most 512 characters. NULL where the path names nothing or several values, the text is no JSON (a warning), or the value none of
// the type: NULL ON EMPTY NULL ON ERROR, MySQL's defaults.
void json_value_at(Call& call) {
  const std::optional<Returning> as = call.count() == 3 ? read_returning(call.text(2)) : Returning{};
  if (!as) return call.fail(kErWrongArguments, "JSON_VALUE: that is no type");
  const auto path = json_path(call, 1, false);
  if (path == nullptr) return;
  if (call.is_blob(0) || call.is_number(0)) return void(kept_json(call, 0));  // fails
  JsonFault fault;
  const std::optional<Json> document = parse_json(call.text(0), &fault);
  if (!document) return call.warn(kErInvalidJsonTextInParam, "Invalid JSON text in argument 1 to function json_value: \"" + fault.message + "\"");
  const auto found = path->path.find(*document);
  if (found.size() > 1) return call.warn(kErMultipleJsonValues, "More than one value was found by 'json_value' on the specified path.");
  if (found.size() == 1) returned(call, *found.front(), *as);
}

}  // namespace marmot::mysql
