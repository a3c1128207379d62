// MySQL's JSON paths (manual 13.5, "JSON Path Syntax"): $ and legs
//   .key ."any key"     a member                       .*            every member
//   [3] [last] [last-2] an element                     [*] [1 to 3]  every element, a range of them
//   **                  the value itself and everything below it; a leg must follow
// A value that is no array is an array of itself to [0], [last] and ranges, not to [*].
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/mysql/functions/json_document.hpp"

namespace marmot::mysql {

struct JsonIndex {
  uint32_t number = 0;
  bool from_end = false;  // last - number

  bool within(size_t size) const { return number < size; }
  // Of an array of `size`: where the element is, or the end that it lies beyond.
  size_t position(size_t size) const {
    if (from_end) return within(size) ? size - 1 - number : 0;
    return within(size) ? number : size;
  }
};

struct JsonLeg {
  enum class Kind : uint8_t { member, any_member, cell, any_cell, range, ellipsis };
  Kind kind;
  std::string key;         // member
  JsonIndex first, last;   // cell: first; range: both
};

class JsonPath {
 public:
  // nullopt: error 3143 ER_INVALID_JSON_PATH, at the byte `*fault`.
  static std::optional<JsonPath> parse(std::string_view text, size_t* fault);

  const std::vector<JsonLeg>& legs() const { return legs_; }
  bool many() const { return many_; }  // it has wildcards or ranges: it may name several values

  // Every value it names, each once, in the document's order. Linear in the document for each leg.
  std::vector<const Json*> find(const Json& document) const;
  // The value that the first `legs` of a path without wildcards name; nullptr: none. `depth`: how far down it lies.
  static Json* descend(Json& document, const JsonLeg* legs, size_t count, int* depth);
  Json* locate(Json& document, int* depth) const { return descend(document, legs_.data(), legs_.size(), depth); }
  Json* locate_parent(Json& document, int* depth) const { return descend(document, legs_.data(), legs_.size() - 1, depth); }

 private:
  std::vector<JsonLeg> legs_;
  bool many_ = false;
};

// The legs as a path has them: .key or ."any key", [3].
void append_json_member(std::string& path, std::string_view key);
void append_json_cell(std::string& path, size_t position);

}  // namespace marmot::mysql
