// What SQLite stores of a value in a column of some affinity: '5' in an INTEGER column is 5. A row that was sent before its
// column had another type is brought to what the table will hold, so that its hash is true.
#pragma once

#include <deque>
#include <string>

#include "common/replica/catalog.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

class Coercer {
 public:
  // Would storing it make another value of it? Cheap, and right more often than needed.
  static bool may_change(Affinity affinity, const ValueView& value);

  // As stored(), and `value` itself where that says so.
  ValueView stored_if_changed(Affinity affinity, const ValueView& value, std::deque<std::string>& storage) {
    return may_change(affinity, value) ? stored(affinity, value, storage) : value;
  }

  // Asks SQLite itself, in a database of its own. The bytes live in `storage`. An unchanged value where that fails.
  ValueView stored(Affinity affinity, const ValueView& value, std::deque<std::string>& storage);

 private:
  Result<ValueView> ask(Affinity affinity, const ValueView& value, std::deque<std::string>& storage);
  std::optional<sqlite::Database> db_;
};

}  // namespace marmot::replica
