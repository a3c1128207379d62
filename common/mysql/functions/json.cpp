// JSON (MySQL 8.0 manual, 14.17): the functions that create documents, tell what they are, and print them; and the table of all.
// SQLite has ten functions of the same names, which mean other things: docs/mysql-functions.md lists the differences.
#include <algorithm>
#include <array>

#include "common/mysql/functions/json_call.hpp"
#include "common/mysql/functions/json_functions.hpp"
#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

namespace {

// --- 14.17.2, creation -------------------------------------------------------------------------------------------------

// JSON_ARRAY([val[, val] ...])
void json_array(Call& call) {
  Json::Array elements;
  for (int i = 0; i < call.count(); ++i) {
    std::optional<Json> value = json_value(call, i);
    if (!value) return;
    elements.push_back(std::move(*value));
  }
  json_answer(call, Json(std::move(elements)));
}

// JSON_OBJECT([key, val[, key, val] ...])
void json_object(Call& call) {
  if (call.count() % 2 != 0) return call.fail(kErWrongParamCount, "Incorrect parameter count in the call to native function 'JSON_OBJECT'");
  std::vector<JsonMember> members;
  for (int i = 0; i < call.count(); i += 2) {
    std::optional<std::string> key = json_key(call, i);
    if (!key) return;
    std::optional<Json> value = json_value(call, i + 1);
    if (!value) return;
    members.push_back({std::move(*key), std::move(*value)});
  }
  json_answer(call, Json(JsonObject(std::move(members))));
}

// True: argument 0 is a character string. A number is error 3064, a binary string 3144.
bool is_string(Call& call) {
  if (call.is_number(0)) call.fail(kErIncorrectType, "Incorrect type for argument 1 in function " + std::string(call.name()) + ".");
  if (call.is_blob(0)) json_document(call, 0);
  return !call.failed();
}

// JSON_QUOTE(string) -> text, not JSON
void json_quote(Call& call) {
  if (!is_string(call)) return;
  const std::string_view text = call.text(0);
  if (!call.fits(text.size())) return;
  call.buffer().reserve(text.size() + 2);
  print_json_string(text, call.buffer());
  call.text_done();
}

// JSON_UNQUOTE(json_val): a quoted string without its quotes and escapes; any other text as it is
void json_unquote(Call& call) {
  if (!is_string(call)) return;
  const std::string_view text = call.text(0);
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return call.text_is(text);
  const std::optional<Json> parsed = json_document(call, 0);
  if (parsed) call.text_is(parsed->string());
}

// JSON_MERGE(json_doc, json_doc[, json_doc] ...): 14.17.4, JSON_MERGE_PRESERVE by its deprecated name
void json_merge(Call& call) {
  call.warn(kErWarnDeprecatedSyntax,
            "'JSON_MERGE' is deprecated and will be removed in a future release. Please use JSON_MERGE_PRESERVE/JSON_MERGE_PATCH instead");
  json_merge_preserve(call);
}

// --- 14.17.5, attributes -----------------------------------------------------------------------------------------------

// JSON_DEPTH(json_doc) -> 1: a scalar, or empty
void json_depth(Call& call) {
  if (const auto document = kept_json(call, 0)) call.integer_is(document->document.depth());
}

// JSON_LENGTH(json_doc[, path]) -> elements, members; of a scalar: 1
void json_length(Call& call) {
  const auto document = kept_json(call, 0);
  if (document == nullptr) return;
  if (call.count() == 1) return call.integer_is(static_cast<int64_t>(document->document.length()));
  const auto path = json_path(call, 1, true);
  if (path == nullptr) return;
  const auto found = path->path.find(document->document);
  if (!found.empty()) call.integer_is(static_cast<int64_t>(found.front()->length()));
}

// JSON_TYPE(json_val). DECIMAL, DATETIME, BLOB ... do not come up: call.hpp, "Types"
void json_type(Call& call) {
  const auto document = kept_json(call, 0);
  if (document == nullptr) return;
  constexpr std::array<std::string_view, 8> kNames = {"NULL", "BOOLEAN", "INTEGER", "UNSIGNED INTEGER", "DOUBLE", "STRING", "ARRAY", "OBJECT"};
  call.text_is(kNames[static_cast<size_t>(document->document.type())]);
}

// JSON_VALID(val) -> 1, 0
void json_valid(Call& call) {
  JsonFault fault;
  if (call.value(0).type != ValueType::text) return call.integer_is(0);
  if (is_valid_json(call.text(0), &fault)) return call.integer_is(1);
  if (fault.code != kErInvalidJsonText) return call.fail(fault.code, fault.message);
  call.integer_is(0);
}

// --- 14.17.8, utilities ------------------------------------------------------------------------------------------------

// JSON_PRETTY(json_val) -> text: a line for each element and member, two blanks deeper each time
void json_pretty(Call& call) {
  const auto document = kept_json(call, 0);
  if (document == nullptr) return;
  if (json_printed(call, pretty_json(document->document, call.buffer(), call.session().max_allowed_packet))) call.text_done();
}

constexpr uint64_t kSmall = UINT16_MAX;  // what fits two-byte offsets

// What a value takes in MySQL's binary form, without its type's byte (manual 13.5, "Storage Requirements"; a large array or object
// has offsets of four bytes, a small one of two). `inlined`: it is within its entry.
uint64_t binary_size(const Json& value, bool large, bool* inlined);

uint64_t binary_size(std::string_view text) {
  uint64_t size = text.size() + 1;
  for (uint64_t length = text.size() >> 7; length != 0; length >>= 7) ++size;
  return size;
}

uint64_t container_size(const Json& value, bool large) {
  const uint64_t offset = large ? 4 : 2, value_entry = 1 + offset, key_entry = offset + 2;
  uint64_t size = 2 * offset;
  const auto add = [&](const Json& child) {
    bool inlined = false;
    const uint64_t bytes = binary_size(child, large, &inlined);
    size += value_entry + (inlined ? 0 : bytes);
  };
  if (value.is_array()) {
    for (const Json& element : value.array()) add(element);
  } else {
    for (const JsonMember& member : value.object()) {
      size += key_entry + member.key.size();
      add(member.value);
    }
  }
  return size;
}

uint64_t binary_size(const Json& value, bool large, bool* inlined) {
  *inlined = false;
  switch (value.type()) {
    case Json::Type::null:
    case Json::Type::boolean: *inlined = true; return 1;
    case Json::Type::integer: {
      const int64_t number = value.integer();
      if (number >= INT16_MIN && number <= INT16_MAX) return *inlined = true, 2;
      if (number >= INT32_MIN && number <= INT32_MAX) return *inlined = large, 4;
      return 8;
    }
    case Json::Type::unsigned_integer:
    case Json::Type::real: return 8;
    case Json::Type::string: return binary_size(value.string());
    case Json::Type::array:
    case Json::Type::object: {
      const uint64_t size = value.length() <= kSmall ? container_size(value, false) : kSmall + 1;
      return size <= kSmall ? size : container_size(value, true);
    }
  }
  return 0;
}

// JSON_STORAGE_SIZE(json_val) -> bytes that MySQL's binary form of it takes
void json_storage_size(Call& call) {
  const auto document = kept_json(call, 0);
  if (document == nullptr) return;
  bool inlined = false;
  call.integer_is(static_cast<int64_t>(1 + binary_size(document->document, false, &inlined)));
}

// JSON_STORAGE_FREE(json_val) -> 0: there are no partial updates here
void json_storage_free(Call& call) {
  if (kept_json(call, 0) != nullptr) call.integer_is(0);
}

constexpr std::array kJsonFunctions = {
    Function{"JSON_ARRAY", 0, kMany, kPure, json_array},
    Function{"JSON_ARRAY_APPEND", 3, kMany, kPure, json_array_append},
    Function{"JSON_ARRAY_INSERT", 3, kMany, kPure, json_array_insert},
    Function{"JSON_CONTAINS", 2, 3, kPure | kStrict, json_contains},
    Function{"JSON_CONTAINS_PATH", 3, kMany, kPure | kStrict, json_contains_path},
    Function{"JSON_DEPTH", 1, 1, kPure | kStrict, json_depth},
    Function{"JSON_EXTRACT", 2, kMany, kPure | kStrict, json_extract},
    Function{"JSON_INSERT", 3, kMany, kPure, json_insert},
    Function{"JSON_KEYS", 1, 2, kPure | kStrict, json_keys},
    Function{"JSON_LENGTH", 1, 2, kPure | kStrict, json_length},
    Function{"JSON_MERGE", 2, kMany, kPure, json_merge},
    Function{"JSON_MERGE_PATCH", 2, kMany, kPure, json_merge_patch},
    Function{"JSON_MERGE_PRESERVE", 2, kMany, kPure, json_merge_preserve},
    Function{"JSON_OBJECT", 0, kMany, kPure, json_object},
    Function{"JSON_OVERLAPS", 2, 2, kPure | kStrict, json_overlaps},
    Function{"JSON_PRETTY", 1, 1, kPure | kStrict, json_pretty},
    Function{"JSON_QUOTE", 1, 1, kPure | kStrict, json_quote},
    Function{"JSON_REMOVE", 2, kMany, kPure | kStrict, json_remove},
    Function{"JSON_REPLACE", 3, kMany, kPure, json_replace},
    Function{"JSON_SEARCH", 3, kMany, kPure, json_search},
    Function{"JSON_SET", 3, kMany, kPure, json_set},
    Function{"JSON_STORAGE_FREE", 1, 1, kPure | kStrict, json_storage_free},
    Function{"JSON_STORAGE_SIZE", 1, 1, kPure | kStrict, json_storage_size},
    Function{"JSON_TYPE", 1, 1, kPure | kStrict, json_type},
    Function{"JSON_UNQUOTE", 1, 1, kPure | kStrict, json_unquote},
    Function{"JSON_VALID", 1, 1, kPure | kStrict, json_valid},
    Function{"JSON_VALUE", 2, 3, kPure | kStrict, json_value_at},
    Function{"MEMBER_OF", 2, 2, kPure | kStrict, member_of},
};

}  // namespace

std::span<const Function> json_functions() { return kJsonFunctions; }

}  // namespace marmot::mysql
