// What `marmot check` looks at: a file's schema, and whether its tables hold no row, one, or a few. Reads only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/replica/catalog.hpp"
#include "common/replica/pace.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::agent {

struct ForeignKey {
  std::vector<std::string> columns;
  std::string parent;
  std::vector<std::string> to;  // empty: the parent's primary key
};

struct TableFacts {
  std::string name;
  std::optional<replica::NotWatched> not_watched;
  std::string unreadable;                    // why it cannot be replicated; empty: it can, and `info` says how
  replica::TableInfo info;                   // of tables that are watched
  std::vector<std::string> unique;           // each unique index that is not the key: its terms
  std::vector<ForeignKey> foreign_keys;
  int64_t rows = 0;                          // counted up to kFewRows + 1
  bool adoptable = false;                    // `marmot ids adopt` takes it
  std::optional<replica::IdForecast> pace;   // of its ids, where an agent knows the file
  std::string module;                        // of a virtual table, as declared
  bool module_known = true;
  std::string unreadable_content;            // of a full-text index over a table or view: why that cannot be read; empty: it can

  static constexpr int64_t kFewRows = 10;
};

// What the schema needs and this connection lacks.
struct Missing {
  enum class Kind { function, collation, module } kind;
  std::string name;
  std::string table;  // where a write to it needs that
};

struct SchemaFacts {
  std::vector<TableFacts> tables;  // in creation order; neither Marmot's own, nor SQLite's, nor shadow tables
  std::vector<Missing> missing;

  const TableFacts* find(std::string_view name) const;
};

// Stands in for missing functions and collations on `db`, so that it finds all of them: use a connection of its own, and for
// nothing else afterwards. Globs as for list_tables(). `now`: forecasts begin there.
Result<SchemaFacts> read_schema_facts(sqlite::Database& db, const std::vector<std::string>& include,
                                      const std::vector<std::string>& exclude, WallMs now);

}  // namespace marmot::agent
