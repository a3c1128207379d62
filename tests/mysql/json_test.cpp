#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/mysql/functions/errors.hpp"
#include "common/mysql/functions/json_document.hpp"
#include "common/mysql/functions/json_path.hpp"

using namespace marmot::mysql;

namespace {

Json parsed(std::string_view text) {
  JsonFault fault;
  std::optional<Json> out = parse_json(text, &fault);
  REQUIRE_MESSAGE(out, text << ": " << fault.message);
  return std::move(*out);
}

std::string printed(const Json& document) {
  std::string out;
  REQUIRE(print_json(document, out, UINT64_MAX) == JsonPrinted::whole);
  return out;
}

std::string reprinted(std::string_view text) { return printed(parsed(text)); }

int fault_of(std::string_view text) {
  JsonFault fault;
  CHECK(parse_json(text, &fault).has_value() == is_valid_json(text, &fault));
  return parse_json(text, &fault) ? 0 : fault.code;
}

// What the path finds, printed, with a blank between each.
std::string found(std::string_view document, std::string_view path) {
  const Json value = parsed(document);
  size_t at = 0;
  const auto read = JsonPath::parse(path, &at);
  REQUIRE_MESSAGE(read, path << " at " << at);
  std::string out;
  for (const Json* one : read->find(value)) out += (out.empty() ? "" : " ") + printed(*one);
  return out;
}

bool is_path(std::string_view text) {
  size_t at = 0;
  return JsonPath::parse(text, &at).has_value();
}

std::string nested(int depth) { return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']'); }

}  // namespace

TEST_CASE("json: members are sorted by their keys' length, then bytes, and the last of equal keys counts") {
  CHECK(reprinted(R"({"bb":1,"c":2,"a":3,"":4,"c":5})") == R"({"": 4, "a": 3, "c": 5, "bb": 1})");
  CHECK(reprinted(R"({"é":1,"zz":2,"abc":3})") == R"({"zz": 2, "é": 1, "abc": 3})");
}

TEST_CASE("json: a number keeps its type when it is printed and read again") {
  for (const char* text : {"0", "-1", "9223372036854775807", "9223372036854775808", "18446744073709551615", "1.0", "-0.0", "0.1", "1e100", "1e15"}) {
    CHECK(reprinted(text) == text);
    CHECK(parsed(reprinted(text)).type() == parsed(text).type());
  }
  CHECK(reprinted("18446744073709551616") == "1.8446744073709552e19");
  CHECK(parsed("9223372036854775808").type() == Json::Type::unsigned_integer);
  CHECK(Json(uint64_t{7}).type() == Json::Type::integer);
  CHECK(fault_of("1e309") == kErInvalidJsonText);
}

TEST_CASE("json: numbers are compared without loss") {
  CHECK(Json::compare(parsed("9223372036854775807"), parsed("9223372036854775808")) < 0);
  CHECK(Json::compare(parsed("9223372036854775806"), parsed("9223372036854775807.0")) < 0);
  CHECK(Json::compare(parsed("9007199254740993"), parsed("9007199254740992.0")) > 0);
  CHECK(parsed("1") == parsed("1.0"));
  CHECK_FALSE(parsed("1") == parsed("true"));
}

TEST_CASE("json: control characters are escaped, everything else is as it was") {
  CHECK(reprinted(R"("\u0001\u001f\b\f\n\r\t\"\\\/é\ud83d\ude00")") == "\"\\u0001\\u001f\\b\\f\\n\\r\\t\\\"\\\\/é😀\"");
  CHECK(parsed(R"("\u0000")").string() == std::string(1, '\0'));
}

TEST_CASE("json: text that RFC 8259 does not allow is refused, wherever it ends") {
  for (const char* text : {"", " ", "{", "[1,]", "[1 2]", "01", "1.", ".5", "+1", "'a'", "nul", "nulll", "\"\\x\"", "\"\\ud800\"", "\"\x01\"", "\"\xff\"", "\xEF\xBB\xBF" "1", "{\"a\":1,}", "{1:2}", "NaN", "//\n1"}) {
    CHECK_MESSAGE(fault_of(text) == kErInvalidJsonText, text);
  }
  CHECK(fault_of(std::string_view("1\0", 2)) == kErInvalidJsonText);
  CHECK(fault_of(std::string_view("[1\0]", 4)) == kErInvalidJsonText);
  CHECK(fault_of(" [ 1 ,\t{ } ]\r\n") == 0);
}

TEST_CASE("json: documents are at most 100 deep") {
  CHECK(fault_of(nested(kJsonMostDepth)) == 0);
  CHECK(fault_of(nested(kJsonMostDepth + 1)) == kErJsonDocumentTooDeep);
  CHECK(fault_of(std::string(1 << 20, '[')) == kErJsonDocumentTooDeep);
  Json::Array around;
  around.push_back(parsed(nested(kJsonMostDepth)));
  std::string out;
  CHECK(print_json(Json(std::move(around)), out, UINT64_MAX) == JsonPrinted::too_deep);
}

TEST_CASE("json: printing stops at its limit") {
  const Json document = parsed("[" + std::string(1000, ' ') + R"("aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"])");
  std::string out;
  CHECK(print_json(document, out, 20) == JsonPrinted::too_long);
  CHECK(out.size() < 40);
}

TEST_CASE("json: pretty printing") {
  std::string out;
  CHECK(pretty_json(parsed(R"({"a":[1,{}],"b":[]})"), out, UINT64_MAX) == JsonPrinted::whole);
  CHECK(out == "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}

TEST_CASE("json: depth and length") {
  CHECK(parsed("1").depth() == 1);
  CHECK(parsed("[]").depth() == 1);
  CHECK(parsed("[[], {\"a\": 1}]").depth() == 3);
  CHECK(parsed("[[], {\"a\": 1}]").nesting() == 2);
  CHECK(parsed("{\"a\": 1, \"b\": 2}").length() == 2);
  CHECK(parsed("\"abc\"").length() == 1);
}

TEST_CASE("json path: members, elements, wildcards, ranges") {
  const char* document = R"({"a": [1, 2, 3, 4], "b": {"c": 5, "d e": 6}})";
  CHECK(found(document, "$") == printed(parsed(document)));
  CHECK(found(document, "$.a[0]") == "1");
  CHECK(found(document, "$.a[last]") == "4");
  CHECK(found(document, "$ . a [ last - 1 ] ") == "3");
  CHECK(found(document, "$.a[4]") == "");
  CHECK(found(document, "$.a[last-4]") == "");
  CHECK(found(document, "$.a[1 to 2]") == "2 3");
  CHECK(found(document, "$.a[2 to 99]") == "3 4");
  CHECK(found(document, "$.a[last-99 to 1]") == "1 2");
  CHECK(found(document, "$.a[4 to last]") == "");
  CHECK(found(document, R"($.b."d e")") == "6");
  CHECK(found(document, R"($.b."d\u0020e")") == "6");
  CHECK(found(document, "$.b.*") == "5 6");
  CHECK(found(document, "$.*[*]") == "1 2 3 4");
  CHECK(found(document, "$**.c") == "5");
}

TEST_CASE("json path: a value that is no array is an array of itself, but not to [*]") {
  CHECK(found("7", "$[0]") == "7");
  CHECK(found("7", "$[last][0]") == "7");
  CHECK(found("7", "$[0 to last]") == "7");
  CHECK(found("7", "$[1]") == "");
  CHECK(found("7", "$[*]") == "");
}

TEST_CASE("json path: ** finds each value once, before what lies below it") {
  CHECK(found("[[0,1],[2,[3]]]", "$**[0]") == "[0, 1] 0 1 2 3");
  CHECK(found("[[0,1],[2,[3]]]", "$**[*]") == "[0, 1] [2, [3]] 0 1 2 [3] 3");
  // Every ** below the other: quadratic and worse if values were come to anew.
  std::string document = nested(kJsonMostDepth), path = "$";
  for (int i = 0; i < 60; ++i) path += "**[0]";
  size_t at = 0;
  CHECK(JsonPath::parse(path, &at)->find(parsed(document)).size() < 100);
}

TEST_CASE("json path: what is no path") {
  for (const char* path : {"", "a", "$.", "$a", "$[", "$[]", "$[a]", "$[-1]", "$[1", "$**", "$.a**", "$***.a", "$*", "$.1a", "$.a-b", "$.\"a", "$.\"\\x\"", "$[4294967296]", "$[3 to 1]",
                           "$[last to last-1]", "$[1to 2]", "$[1 to2]", "$[1 to]", "$[last+1]", "$[last 1]", "$..a", "$[*", "$[0]]"}) {
    CHECK_MESSAGE(!is_path(path), path);
  }
  for (const char* path : {"$", " $ ", "$.$", "$._a1", "$.é", "$.\"\"", "$[4294967295]", "$[1 to 1]", "$[last-1 to last]", "$[last to 0]", "$**.*", "$.*"}) {
    CHECK_MESSAGE(is_path(path), path);
  }
}

TEST_CASE("json path: legs are printed so that they can be read again") {
  for (const char* key : {"a", "", "a b", "1a", "é", "a\"b", "a\\b", "a.b", "\n"}) {
    std::string path = "$";
    append_json_member(path, key);
    append_json_cell(path, 3);
    size_t at = 0;
    const auto read = JsonPath::parse(path, &at);
    REQUIRE_MESSAGE(read, path);
    CHECK(read->legs()[0].key == key);
    CHECK(read->legs()[1].first.number == 3);
  }
}
