// A JSON document as MySQL holds it (manual 13.5, "The JSON Data Type"): members sorted by their keys' length, then bytes; of equal
// keys the last one counts; whole numbers of 64 bits, all others double. DECIMAL, dates and binary values, which MySQL can keep inside
// a document, are REAL, TEXT and BLOB here (call.hpp, "Types"), so they are doubles and strings in it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace marmot::mysql {

inline constexpr int kJsonMostDepth = 100;           // arrays and objects within each other; as MySQL's
inline constexpr size_t kJsonMostValues = 16 << 20;  // of one document: some 500 MB of them

// A T on the heap that is copied with its owner; empty only after it has been moved from.
template <class T>
class Box {
 public:
  explicit Box(T value) : there_(std::make_unique<T>(std::move(value))) {}
  Box(const Box& other) : there_(std::make_unique<T>(*other.there_)) {}
  Box(Box&& other) noexcept = default;
  Box& operator=(const Box& other) { return *this = Box(other); }
  Box& operator=(Box&& other) noexcept = default;
  ~Box() = default;
  T& operator*() { return *there_; }
  const T& operator*() const { return *there_; }

 private:
  std::unique_ptr<T> there_;
};

class JsonObject;

class Json {
 public:
  enum class Type : uint8_t { null, boolean, integer, unsigned_integer, real, string, array, object };  // the variant's order
  using Array = std::vector<Json>;

  Json() = default;  // null
  explicit Json(bool value) : what_(value) {}
  explicit Json(int64_t value) : what_(value) {}
  explicit Json(uint64_t value);  // an integer while it fits
  explicit Json(double value) : what_(value) {}
  explicit Json(std::string value) : what_(Box<std::string>(std::move(value))) {}
  explicit Json(Array value) : what_(Box<Array>(std::move(value))) {}
  explicit Json(JsonObject value);
  explicit Json(const char*) = delete;  // it would be a boolean

  Type type() const { return static_cast<Type>(what_.index()); }
  bool is_null() const { return type() == Type::null; }
  bool is_string() const { return type() == Type::string; }
  bool is_array() const { return type() == Type::array; }
  bool is_object() const { return type() == Type::object; }
  bool is_number() const { return type() == Type::integer || type() == Type::unsigned_integer || type() == Type::real; }
  bool is_scalar() const { return !is_array() && !is_object(); }

  // Of the type that it is, only.
  bool boolean() const { return std::get<bool>(what_); }
  int64_t integer() const { return std::get<int64_t>(what_); }
  uint64_t unsigned_integer() const { return std::get<uint64_t>(what_); }
  double real() const { return std::get<double>(what_); }
  const std::string& string() const { return *std::get<Box<std::string>>(what_); }
  const Array& array() const { return *std::get<Box<Array>>(what_); }
  Array& array() { return *std::get<Box<Array>>(what_); }
  const JsonObject& object() const { return *std::get<Box<JsonObject>>(what_); }
  JsonObject& object() { return *std::get<Box<JsonObject>>(what_); }

  // What is no array becomes an array that holds it ("autowrapping").
  Array& wrapped();
  int depth() const;      // 1: a scalar, or an empty array or object
  int nesting() const;    // arrays and objects within each other; 0: a scalar
  size_t length() const;  // elements, members; of a scalar: 1

  // A total order (manual 13.5, "Comparison and Ordering of JSON Values"): numbers by value, without loss; objects, which MySQL
  // only tells equal from unequal, by size, keys, values.
  static int compare(const Json& a, const Json& b);
  bool operator==(const Json& other) const { return compare(*this, other) == 0; }

 private:
  std::variant<std::monostate, bool, int64_t, uint64_t, double, Box<std::string>, Box<Array>, Box<JsonObject>> what_;
};

struct JsonMember {
  std::string key;
  Json value;
};

class JsonObject {
 public:
  JsonObject() = default;
  explicit JsonObject(std::vector<JsonMember> members);  // in any order; of equal keys the last one counts

  static int compare_keys(std::string_view a, std::string_view b);

  size_t size() const { return members_.size(); }
  std::vector<JsonMember>::const_iterator begin() const { return members_.begin(); }
  std::vector<JsonMember>::const_iterator end() const { return members_.end(); }
  const Json* find(std::string_view key) const;
  Json* find(std::string_view key) { return const_cast<Json*>(std::as_const(*this).find(key)); }
  void put(std::string_view key, Json value);
  void remove(std::string_view key);
  std::vector<JsonMember> take() && { return std::move(members_); }  // sorted

 private:
  std::vector<JsonMember> members_;
};

// --- text --------------------------------------------------------------------------------------------------------------

struct JsonFault {
  int code = 0;  // ER_INVALID_JSON_TEXT, ER_JSON_DOCUMENT_TOO_DEEP or ER_JSON_VALUE_TOO_BIG
  std::string message;
  size_t position = 0;
};

// RFC 8259 text in valid UTF-8, nothing after it but blanks. Linear; nullopt: `fault` says why.
std::optional<Json> parse_json(std::string_view text, JsonFault* fault);
bool is_valid_json(std::string_view text, JsonFault* fault);  // the same without building it

enum class JsonPrinted { whole, too_long, too_deep };

// Appends the document as MySQL prints it, or as JSON_PRETTY does. Stops when `out` is longer than `limit`.
JsonPrinted print_json(const Json& document, std::string& out, uint64_t limit);
JsonPrinted pretty_json(const Json& document, std::string& out, uint64_t limit);
void print_json_string(std::string_view text, std::string& out);
// A number, boolean or null.
void print_json_scalar(const Json& scalar, std::string& out);

}  // namespace marmot::mysql
