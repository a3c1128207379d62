// Seeded random input. The same seed gives the same input on every compiler.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "common/codec/clock.hpp"
#include "common/codec/handled.hpp"
#include "common/core/unit.hpp"
#include "common/core/value.hpp"

namespace marmot::test {

// SplitMix64 (Steele, Lea, Flood 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t bound) { return next() % bound; }
  bool chance(uint64_t one_in) { return below(one_in) == 0; }

 private:
  uint64_t state_;
};

// A value that owns its bytes.
struct OwnedValue {
  ValueType type = ValueType::null;
  int64_t integer = 0;
  double real = 0;
  std::string bytes;
  ValueView view() const { return {type, integer, real, bytes}; }
};

// Near the ends, around zero, around powers of two (2^53 above all), and anything.
int64_t random_integer(Random& random);
// Integers as reals and their neighbours, both zeros, infinities, subnormals, anything; no NaN (SQLite has none).
double random_real(Random& random);
// Short strings over few letters, so that two of them are often equal or nearly so: both cases, trailing spaces, NUL,
// invalid UTF-8, the letters next to A to Z in ASCII.
std::string random_bytes(Random& random, size_t max_length);
// Any storage class but NULL.
OwnedValue random_key_value(Random& random);
std::string random_key(Random& random);  // canonical bytes
OwnedValue random_value(Random& random);
Version random_version(Random& random);
codec::HandledConflict random_handled(Random& random);
codec::ClockChange random_clock(Random& random);

// A unit and what its views point into (a deque, so that adding moves nothing).
struct OwnedUnit {
  Unit unit;
  std::deque<std::string> bytes;
};
OwnedUnit random_unit(Random& random);

// Its compressed payload.
std::string encode_unit(const Unit& unit);

// Whether the two say the same, value for value and bit for bit.
bool same_unit(const Unit& a, const Unit& b);

// What every decoded unit holds: indexes in range, values where the rows say.
bool well_formed(const Unit& unit);

}  // namespace marmot::test
