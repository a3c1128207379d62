// A row's hash, by column name: independent of column order, and of columns that stand at their default, so that
// ADD COLUMN changes no row's hash. Not cryptographic: it finds divergence, it does not defend against forgery.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/core/value.hpp"

namespace marmot {

// The seed of a column: its name, ASCII letters folded as SQLite folds identifiers.
uint64_t column_seed(std::string_view name);

// What one value adds to its row's hash (add them with wrapping +).
uint64_t value_hash(uint64_t column_seed, const ValueView& value);

// A hash of any bytes (keys, unique values).
uint64_t bytes_hash(std::string_view bytes, uint64_t seed = 0);

// What is kept of a hash, once a row and once a unique value: 48 bits, sign-extended, for SQLite stores that in six bytes.
constexpr uint64_t kept_hash(uint64_t hash) { return static_cast<uint64_t>(static_cast<int64_t>(hash << 16) >> 16); }

}  // namespace marmot
