// Random schemas, and what the checkers must know of them.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/random.hpp"
#include "tests/sim/rows.hpp"

namespace marmot::sim {

struct UniqueTerm {
  std::string column;
  Collation collation = Collation::binary;
  bool lower = false;  // an index on lower(column)
};

struct UniqueSpec {
  std::string name;
  std::vector<UniqueTerm> terms;
  std::string where_not_null;  // a partial index: of rows in which this column is not NULL
};

struct TableSpec {
  TableKey id;
  enum class Kind : uint8_t { plain, pair_a, pair_b, docs, audit, parent, child, bare, given } kind = Kind::plain;
  std::string definition;              // what stands between the parentheses, and behind them
  std::vector<std::string> around;     // its indexes and triggers
  bool tagged = false;                 // has a `tag`: rows may have no key
  bool nullable_key = false;
  bool local_effects = false;          // its triggers write to SchemaSpec::local, and may fail in the middle of a statement
  std::vector<std::string> values;     // columns that the workload writes, besides key, tag and tx
  std::vector<UniqueSpec> unique;
  std::string learned;                 // learn_tables(): its CREATE TABLE
  const std::string& name() const { return id.table; }
  bool lowers() const;                 // has a unique index on lower(column), which in a UTF-16 file sees U+FFFD for halves of pairs
};

struct SchemaSpec {
  std::vector<std::string> sql;
  std::vector<TableSpec> tables;
  bool fts = false;
  std::vector<std::string> local;  // what every application makes for itself, and triggers on a replicated table write to

  std::vector<TableKey> keys() const;
};

// For scenarios: adds the file's tables to `spec`, but for those whose schema may change (ddl.hpp). Errc::refused: a table is not
// what it was, or the checkers do not know how to judge it.
Status learn_tables(sqlite::Database& db, SchemaSpec& spec);

// `reuse`: with a table without a key, whose rowids are used again. `ids`: with two tables of whose rows SQLite chooses the ids (given_ids.hpp).
SchemaSpec random_schema(Random& random, bool unique_indexes, bool failing_effects, bool reuse, bool ids);

}  // namespace marmot::sim
