// The types that CAST() takes, as text (MySQL 8.0 manual, 14.10): 'SIGNED', 'decimal(10,2)', 'CHAR(3) CHARACTER SET latin1'.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace marmot::mysql {

enum class CastKind : uint8_t { binary, character, date, datetime, decimal, real, single, json, signed_integer, time, unsigned_integer, year };

struct CastType {
  CastKind kind;
  std::optional<int64_t> length, decimals;  // as they stand there; beyond 64 bits: the largest
  std::string_view charset;                 // of a character type; "": the connection's
};

// nullopt: none of them. Case and blanks do not count.
std::optional<CastType> read_cast_type(std::string_view text);

}  // namespace marmot::mysql
