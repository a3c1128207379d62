// A row's hash, by column name: independent of column order, and of columns that stand at their default, so that
// ADD COLUMN changes no row's hash. Keyed: equality of two rows' hashes stands for equality of the rows (decision 0027).
#pragma once

#include <cstdint>
#include <string_view>

#include "common/core/siphash.hpp"
#include "common/core/value.hpp"

namespace marmot {

// The seed of a column: its name, ASCII letters folded as SQLite folds identifiers.
uint64_t column_seed(std::string_view name);

// What one value adds to its row's hash (add them with wrapping +).
uint64_t value_hash(const HashKey& key, uint64_t column_seed, const ValueView& value);
// The same with 128 bits; each half is added for itself.
Hash128 value_hash128(const HashKey& key, uint64_t column_seed, const ValueView& value);

// XXH3-64, without a key: where chance is the only enemy, or where what depends on it is no row's content (checksums, names, places in
// a list). It never stands for equality of what applications write.
uint64_t bytes_hash(std::string_view bytes, uint64_t seed = 0);

}  // namespace marmot
