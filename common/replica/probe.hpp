// The unique values of a row that is not in its table. The row is put into an empty table of the same definition, in a
// database in memory that is attached to the engine's connection: so affinity, generated columns and collations hold as in
// the table itself. (Not TEMP: a change of the TEMP schema makes SQLite prepare every statement of the connection anew.)
#pragma once

#include <string>
#include <vector>

#include "common/replica/table.hpp"

namespace marmot::replica {

class Probe {
 public:
  // Once a connection, outside a transaction.
  static Status attach(sqlite::Database& db);

  explicit Probe(const Table& table) : table_(table) {}

  // First. Makes the table where it is missing: a rollback takes it away with everything else. Errc::schema: its definition
  // cannot be used here.
  Status prepare(sqlite::Database& db);
  // The row, the only one there. Errc::constraint: the table's definition refuses it.
  Status put(const std::vector<ValueView>& values);
  // The table, as a FROM clause names it.
  const std::string& from() const { return from_; }
  // put(), and what it is unique by.
  Result<std::vector<Table::UniqueValue>> unique_values(const std::vector<ValueView>& values);

 private:
  Status create(sqlite::Database& db);

  const Table& table_;
  std::string name_, from_;
  sqlite::Statement exists_, insert_, clear_;
  std::vector<sqlite::Statement> select_;  // one a unique index
};

}  // namespace marmot::replica
