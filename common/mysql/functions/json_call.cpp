#include "common/mysql/functions/json_call.hpp"

#include <openssl/evp.h>

#include <cmath>

#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/text.hpp"

namespace marmot::mysql {

namespace {

std::string function_name(Call& call) {
  std::string out(call.name());
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

// As MySQL's messages have it.
std::string in_argument(Call& call, int i) { return "argument " + std::to_string(i + 1) + " to function " + function_name(call); }

// MySQL's base64 has a line break after every 76 characters (manual 14.8, TO_BASE64), which the document shows escaped.
std::string opaque(std::string_view bytes) {
  constexpr size_t kLine = 57;
  std::string out = "base64:type15:";
  for (size_t at = 0; at < bytes.size(); at += kLine) {
    const std::string_view line = bytes.substr(at, kLine);
    unsigned char encoded[4 * (kLine / 3) + 1];
    const int size = EVP_EncodeBlock(encoded, reinterpret_cast<const unsigned char*>(line.data()), static_cast<int>(line.size()));
    if (at > 0) out += '\n';
    out.append(reinterpret_cast<const char*>(encoded), static_cast<size_t>(size));
  }
  return out;
}

// A TIME or DATETIME in a document has all six digits of its fraction (manual 13.5, "Normalization").
std::string with_microseconds(std::string_view printed) {
  constexpr size_t kDigits = 6;
  std::string out(printed);
  size_t point = out.find('.');
  if (point == std::string::npos) {
    point = out.size();
    out += '.';
  }
  out.resize(point + 1 + kDigits, '0');
  return out;
}

void fail_binary(Call& call) { call.fail(kErInvalidJsonCharset, "Cannot create a JSON value from a string with CHARACTER SET 'binary'."); }

void fail_text(Call& call, int i, const JsonFault& fault) {
  if (fault.code != kErInvalidJsonText) return call.fail(fault.code, fault.message);
  call.fail(kErInvalidJsonTextInParam,
            "Invalid JSON text in " + in_argument(call, i) + ": \"" + fault.message + "\" at position " + std::to_string(fault.position) + ".");
}

std::optional<std::string> checked_text(Call& call, int i) {
  const std::string_view text = call.text(i);
  if (is_utf8(text)) return std::string(text);
  call.fail(kErInvalidCharacterString, "Invalid utf8mb4 character string in " + in_argument(call, i));
  return std::nullopt;
}

}  // namespace

std::optional<Json> json_document(Call& call, int i) {
  if (call.is_blob(i)) {
    fail_binary(call);
    return std::nullopt;
  }
  if (call.is_number(i)) {
    call.fail(kErInvalidTypeForJson, "Invalid data type for JSON data in " + in_argument(call, i) + "; a JSON string or JSON type is required.");
    return std::nullopt;
  }
  JsonFault fault;
  std::optional<Json> parsed = parse_json(call.text(i), &fault);
  if (!parsed) fail_text(call, i, fault);
  return parsed;
}

std::shared_ptr<const KeptJson> kept_json(Call& call, int i) {
  return call.kept<KeptJson>(i, [&]() -> std::shared_ptr<KeptJson> {
    std::optional<Json> parsed = json_document(call, i);
    return parsed ? std::make_shared<KeptJson>(std::move(*parsed)) : nullptr;
  });
}

std::optional<Json> json_value(Call& call, int i) {
  const ValueView& value = call.value(i);
  if (call.is_json(i)) return json_document(call, i);
  switch (value.type) {
    case ValueType::null: return Json();
    case ValueType::integer: return Json(value.integer);
    case ValueType::real:
      if (std::isfinite(value.real)) return Json(value.real);
      call.fail(kErDataOutOfRange, "DOUBLE value is out of range in " + in_argument(call, i));
      return std::nullopt;
    case ValueType::blob: return Json(opaque(value.bytes));
    case ValueType::text: break;
  }
  if (call.temporal(i) == Temporal::time || call.temporal(i) == Temporal::datetime) return Json(with_microseconds(value.bytes));
  std::optional<std::string> text = checked_text(call, i);
  if (!text) return std::nullopt;
  return Json(std::move(*text));
}

std::optional<std::string> json_key(Call& call, int i) {
  if (call.is_null(i)) {
    call.fail(kErJsonDocumentNullKey, "JSON documents may not contain NULL member names.");
    return std::nullopt;
  }
  if (call.is_blob(i)) {
    fail_binary(call);
    return std::nullopt;
  }
  return checked_text(call, i);
}

std::shared_ptr<const KeptJsonPath> json_path(Call& call, int i, bool one_only) {
  if (call.is_blob(i)) {
    fail_binary(call);
    return nullptr;
  }
  std::shared_ptr<const KeptJsonPath> out = call.kept<KeptJsonPath>(i, [&]() -> std::shared_ptr<KeptJsonPath> {
    size_t at = 0;
    std::optional<JsonPath> path = JsonPath::parse(call.text(i), &at);
    if (path) return std::make_shared<KeptJsonPath>(std::move(*path));
    call.fail(kErInvalidJsonPath, "Invalid JSON path expression. The error is around character position " + std::to_string(at) + ".");
    return nullptr;
  });
  if (out != nullptr && one_only && out->path.many()) {
    call.fail(kErInvalidJsonPathWildcard, "In this situation, path expressions may not contain the * and ** tokens or an array range.");
    return nullptr;
  }
  return out;
}

std::optional<bool> json_one_or_all(Call& call, int i) {
  std::string text(call.text(i));
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (text == "one") return true;
  if (text == "all") return false;
  call.fail(kErJsonBadOneOrAllArg, "The oneOrAll argument to " + function_name(call) + " may take these values: 'one' or 'all'.");
  return std::nullopt;
}

void json_answer(Call& call, const Json& document) {
  if (json_printed(call, print_json(document, call.buffer(), call.session().max_allowed_packet))) call.json_done();
}

bool json_printed(Call& call, JsonPrinted printed) {
  switch (printed) {
    case JsonPrinted::whole: return true;
    case JsonPrinted::too_deep: fail_too_deep(call); return false;
    case JsonPrinted::too_long: call.fits(call.buffer().size()); return false;
  }
  return false;
}

void fail_too_deep(Call& call) { call.fail(kErJsonDocumentTooDeep, "The JSON document exceeds the maximum depth."); }

}  // namespace marmot::mysql
