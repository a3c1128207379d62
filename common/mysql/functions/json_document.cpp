#include "common/mysql/functions/ascii.hpp"
#include "common/mysql/functions/json_document.hpp"

#include <algorithm>
#include <cmath>

#include "common/mysql/functions/numbers.hpp"

namespace marmot::mysql {

namespace {

// Highest first (manual 13.5): BOOLEAN, ARRAY, OBJECT, STRING, numbers, NULL.
int precedence(Json::Type type) {
  switch (type) {
    case Json::Type::null: return 0;
    case Json::Type::integer:
    case Json::Type::unsigned_integer:
    case Json::Type::real: return 1;
    case Json::Type::string: return 2;
    case Json::Type::object: return 3;
    case Json::Type::array: return 4;
    case Json::Type::boolean: return 5;
  }
  return 0;
}

template <class T>
int three_way(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

// A long double's 64 bits of mantissa hold each of the three exactly.
long double number(const Json& value) {
  switch (value.type()) {
    case Json::Type::integer: return static_cast<long double>(value.integer());
    case Json::Type::unsigned_integer: return static_cast<long double>(value.unsigned_integer());
    default: return static_cast<long double>(value.real());
  }
}

int compare_arrays(const Json::Array& a, const Json::Array& b) {
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (const int order = Json::compare(a[i], b[i])) return order;
  }
  return three_way(a.size(), b.size());
}

int compare_objects(const JsonObject& a, const JsonObject& b) {
  if (a.size() != b.size()) return three_way(a.size(), b.size());
  for (auto left = a.begin(), right = b.begin(); left != a.end(); ++left, ++right) {
    if (const int order = JsonObject::compare_keys(left->key, right->key)) return order;
    if (const int order = Json::compare(left->value, right->value)) return order;
  }
  return 0;
}

}  // namespace

Json::Json(uint64_t value) {
  if (value <= static_cast<uint64_t>(INT64_MAX)) what_ = static_cast<int64_t>(value);
  else what_ = value;
}

Json::Json(JsonObject value) : what_(Box<JsonObject>(std::move(value))) {}

Json::Array& Json::wrapped() {
  if (!is_array()) {
    Array one;
    one.push_back(std::move(*this));
    *this = Json(std::move(one));
  }
  return array();
}

int Json::depth() const {
  int below = 0;
  if (is_array()) {
    for (const Json& element : array()) below = std::max(below, element.depth());
  } else if (is_object()) {
    for (const JsonMember& member : object()) below = std::max(below, member.value.depth());
  }
  return below + 1;
}

int Json::nesting() const {
  if (is_scalar()) return 0;
  int below = 0;
  if (is_array()) {
    for (const Json& element : array()) below = std::max(below, element.nesting());
  } else {
    for (const JsonMember& member : object()) below = std::max(below, member.value.nesting());
  }
  return below + 1;
}

size_t Json::length() const { return is_array() ? array().size() : is_object() ? object().size() : 1; }

int Json::compare(const Json& a, const Json& b) {
  const int rank = precedence(a.type());
  if (const int order = three_way(rank, precedence(b.type()))) return order;
  if (a.is_number()) return three_way(number(a), number(b));
  switch (a.type()) {
    case Type::boolean: return three_way(a.boolean(), b.boolean());
    case Type::string: return a.string().compare(b.string());
    case Type::array: return compare_arrays(a.array(), b.array());
    case Type::object: return compare_objects(a.object(), b.object());
    default: return 0;
  }
}

// --- objects -----------------------------------------------------------------------------------------------------------

int JsonObject::compare_keys(std::string_view a, std::string_view b) {
  return a.size() != b.size() ? three_way(a.size(), b.size()) : a.compare(b);
}

JsonObject::JsonObject(std::vector<JsonMember> members) : members_(std::move(members)) {
  const auto before = [](const JsonMember& a, const JsonMember& b) { return compare_keys(a.key, b.key) < 0; };
  if (!std::is_sorted(members_.begin(), members_.end(), before)) std::stable_sort(members_.begin(), members_.end(), before);
  size_t kept = 0;
  for (size_t i = 0; i < members_.size(); ++i) {
    if (i + 1 < members_.size() && members_[i].key == members_[i + 1].key) continue;
    if (kept != i) members_[kept] = std::move(members_[i]);
    ++kept;
  }
  members_.resize(kept);
}

namespace {
auto position_of(const std::vector<JsonMember>& members, std::string_view key) {
  return std::lower_bound(members.begin(), members.end(), key,
                          [](const JsonMember& member, std::string_view wanted) { return JsonObject::compare_keys(member.key, wanted) < 0; });
}
}  // namespace

const Json* JsonObject::find(std::string_view key) const {
  const auto there = position_of(members_, key);
  return there != members_.end() && there->key == key ? &there->value : nullptr;
}

void JsonObject::put(std::string_view key, Json value) {
  const auto there = position_of(members_, key);
  const auto at = members_.begin() + (there - members_.cbegin());
  if (at != members_.end() && at->key == key) {
    at->value = std::move(value);
  } else {
    members_.insert(at, JsonMember{std::string(key), std::move(value)});
  }
}

void JsonObject::remove(std::string_view key) {
  const auto there = position_of(members_, key);
  if (there != members_.end() && there->key == key) members_.erase(there);
}

// --- printing ----------------------------------------------------------------------------------------------------------

void print_json_string(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && c != '"' && c != '\\') {
      out += c;
      continue;
    }
    out += '\\';
    switch (c) {
      case '"':
      case '\\': out += c; break;
      case '\b': out += 'b'; break;
      case '\f': out += 'f'; break;
      case '\n': out += 'n'; break;
      case '\r': out += 'r'; break;
      case '\t': out += 't'; break;
      default:
        out += "u00";
        out += kHexDigits[byte >> 4];
        out += kHexDigits[byte & 15];
    }
  }
  out += '"';
}

void print_json_scalar(const Json& scalar, std::string& out) {
  switch (scalar.type()) {
    case Json::Type::boolean: out += scalar.boolean() ? "true" : "false"; return;
    case Json::Type::integer: out += std::to_string(scalar.integer()); return;
    case Json::Type::unsigned_integer: out += std::to_string(scalar.unsigned_integer()); return;
    case Json::Type::real: {
      // A double keeps its type when it is read again: 1.0, -0.0.
      std::string digits = print_real(scalar.real());
      if (scalar.real() == 0 && std::signbit(scalar.real())) digits = "-0";
      if (digits.find_first_of(".e") == std::string::npos) digits += ".0";
      out += digits;
      return;
    }
    default: out += "null"; return;
  }
}

namespace {

class Printer {
 public:
  Printer(std::string& out, uint64_t limit, bool pretty) : out_(out), limit_(limit), pretty_(pretty) {}

  JsonPrinted print(const Json& value) {
    if (out_.size() > limit_) return JsonPrinted::too_long;
    if (value.is_string()) {
      print_json_string(value.string(), out_);
    } else if (value.is_scalar()) {
      print_json_scalar(value, out_);
    } else {
      if (++depth_ > kJsonMostDepth) return JsonPrinted::too_deep;
      const JsonPrinted printed = value.is_array() ? print_array(value.array()) : print_object(value.object());
      --depth_;
      if (printed != JsonPrinted::whole) return printed;
    }
    return out_.size() > limit_ ? JsonPrinted::too_long : JsonPrinted::whole;
  }

 private:
  JsonPrinted print_array(const Json::Array& array) {
    out_ += '[';
    bool first = true;
    for (const Json& element : array) {
      separate(first);
      if (const JsonPrinted printed = print(element); printed != JsonPrinted::whole) return printed;
    }
    close(']', first);
    return JsonPrinted::whole;
  }

  JsonPrinted print_object(const JsonObject& object) {
    out_ += '{';
    bool first = true;
    for (const JsonMember& member : object) {
      separate(first);
      print_json_string(member.key, out_);
      out_ += ": ";
      if (const JsonPrinted printed = print(member.value); printed != JsonPrinted::whole) return printed;
    }
    close('}', first);
    return JsonPrinted::whole;
  }

  void separate(bool& first) {
    if (!first) out_ += pretty_ ? "," : ", ";
    first = false;
    if (pretty_) new_line(depth_);
  }

  void close(char bracket, bool empty) {
    if (pretty_ && !empty) new_line(depth_ - 1);
    out_ += bracket;
  }

  void new_line(int depth) {
    out_ += '\n';
    out_.append(static_cast<size_t>(2 * depth), ' ');
  }

  std::string& out_;
  uint64_t limit_;
  bool pretty_;
  int depth_ = 0;
};

}  // namespace

JsonPrinted print_json(const Json& document, std::string& out, uint64_t limit) { return Printer(out, limit, false).print(document); }
JsonPrinted pretty_json(const Json& document, std::string& out, uint64_t limit) { return Printer(out, limit, true).print(document); }

}  // namespace marmot::mysql
