// A SQLite value of exact storage class.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace marmot {

// Numbered as sqlite3.h numbers its fundamental datatypes.
enum class ValueType : uint8_t { integer = 1, real = 2, text = 3, blob = 4, null = 5 };

// What SQLite makes of a value that is stored in a column (datatype3.html, "Type Affinity"). INTEGER and NUMERIC do the same.
enum class Affinity : uint8_t { blob, text, number, real };

// Borrows its bytes. Text is whatever bytes SQLite holds: it may be invalid UTF-8 and may contain NUL.
struct ValueView {
  ValueType type = ValueType::null;
  int64_t integer = 0;
  double real = 0;
  std::string_view bytes;  // text and blob

  static ValueView of_null() { return {}; }
  static ValueView of_integer(int64_t v) { return {ValueType::integer, v, 0, {}}; }
  static ValueView of_real(double v) { return {ValueType::real, 0, v, {}}; }
  static ValueView of_text(std::string_view v) { return {ValueType::text, 0, 0, v}; }
  static ValueView of_blob(std::string_view v) { return {ValueType::blob, 0, 0, v}; }
};

// Same storage class and same bits (so -0.0 is not 0.0, and 1 is not 1.0).
inline bool same_value(const ValueView& a, const ValueView& b) {
  if (a.type != b.type) return false;
  switch (a.type) {
    case ValueType::null: return true;
    case ValueType::integer: return a.integer == b.integer;
    case ValueType::real: return std::memcmp(&a.real, &b.real, sizeof a.real) == 0;
    case ValueType::text:
    case ValueType::blob: return a.bytes == b.bytes;
  }
  return false;
}

}  // namespace marmot
