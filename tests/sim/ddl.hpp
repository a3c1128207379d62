// Schema changes by applications while everything else goes on. They befall the moving tables, m0 to m3, which exist beside
// the tables of SchemaSpec: those never change but by being rebuilt, and are checked by what the Ledger knows of every row.
// What is checked of the moving ones stands in moving.hpp.
//
// A moving table has the columns `id` (its key) and `w`, which are never dropped nor renamed, and others that come and go.
// Every row that is written gets a number of its own in `w`, from which its id can be told (`write_of`), and 'x' and that number as
// values: so every value says who wrote it, whatever table and column it has got into since. Some are STRICT, or WITHOUT ROWID, or have a
// generated column `g`. Where primary keys change, all have a column `k` as well, which is 'k' and the id: the key is then one of the two or both,
// so that whoever knows a row by one of its keys knows it by the others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/sqlite/database.hpp"
#include "tests/sim/random.hpp"

namespace marmot::sim {

constexpr int64_t kMovingIds = 10;
constexpr const char* kMovingNames = "*m[0-9]*";  // GLOB: with the names tools give their copies, and those of two that took one name

// One transaction of an application.
struct Migration {
  std::vector<std::string> statements;
  std::vector<std::string> second;  // the rest, in a transaction of its own: a tool that commits in between
  bool changes_schema = false;
  bool drops = false;               // a whole table goes, rows and all
  bool vacuum = false;              // VACUUM afterwards
};

class Migrations {
 public:
  explicit Migrations(uint64_t seed) : random_(seed), numbers_(seed ^ 0x5eed0f5), kinds_(seed ^ 0x71d5), shapes_(seed ^ 0x54a9e), keys_(seed ^ 0x6e45), nulls_(seed ^ 0x9011), shape_seed_(seed), lowers_(numbers_.per_mille(200)) {}

  uint64_t shapes = 0;  // per mille of tables that are WITHOUT ROWID or have a generated column; if any, all may be STRICT

  uint64_t nulls = 0;   // per mille of columns without a default that a rebuild makes NOT NULL, of those that it gives another definition
  uint64_t rekeys = 0;  // per mille of rebuilds that give their table another primary key; if any, all moving tables have a column k for it

  // What every machine's application does as it starts, wherever that was not done yet.
  Migration at_start(sqlite::Database& db);
  // The next one for a file as it is now. `ddl`: per mille of those that change the schema; `kinds`: and of those, that are about
  // objects of another kind under a moving table's name. Empty: nothing came to mind.
  Migration next(sqlite::Database& db, uint64_t ddl, uint64_t kinds);
  // Drops what is no table and has a moving table's name.
  static Migration make_room(sqlite::Database& db);

  // The id of the row that a write was made to; -1: there was no such write.
  // Applications set PRAGMA user_version back now and then.
  bool lowers() const { return lowers_; }
  void take_any() { last_ = 1 << 20; }  // a scenario numbers its writes itself
  int64_t id_of(int64_t write) const { return write > 0 && write / 32 <= last_ && write % 32 < kMovingIds ? write % 32 : -1; }

 private:
  struct Column {
    std::string name, definition;
  };
  // What a table is besides its columns. Its first name says so: nodes that make one at the same time make the same.
  struct Shape {
    bool strict = false, without_rowid = false;
    std::string generated;  // the definition of `g`; empty: there is none
    std::string tail() const;
  };
  Shape shape_of(const std::string& name) const;                    // of one that is made
  static Shape shape(sqlite::Database& db, const std::string& table);  // of one that is there
  static std::string definition_of(const std::string& column, bool other, const Shape& shape);
  std::vector<std::string> names(sqlite::Database& db, const std::string& type, const std::string& glob);
  std::vector<Column> columns(sqlite::Database& db, const std::string& table);
  std::string write_of(const std::string& id);
  std::string value(const std::string& column, const std::string& id);
  std::string free_name(const std::vector<std::string>& taken);
  std::string row_change(const std::string& table, const std::vector<Column>& columns);
  std::string create_table(const std::string& name);
  std::string first_columns() const;                                   // of a table, `id` and `w` among them
  std::string k_of(const std::string& id) const;                        // ", k = ..."; empty: tables have none
  std::string key_of(sqlite::Database& db, const std::string& table);  // the end of a definition; perhaps another one than it has
  Migration change_kind(sqlite::Database& db);
  Migration change_objects(sqlite::Database& db, const std::string& table, const std::vector<Column>& columns, uint64_t what);
  Migration change_columns(sqlite::Database& db, const std::string& table, const std::vector<Column>& columns, uint64_t what);
  Migration rebuild(sqlite::Database& db, const std::string& table, std::vector<Column> columns);
  Migration drop_and_make(sqlite::Database& db, const std::string& table, const std::vector<Column>& columns);

  void number(sqlite::Database& db, Migration& migration);

  Random random_;
  Random numbers_;  // of its own: what it decides changes nothing else of a seed
  Random kinds_;
  Random shapes_;
  Random keys_;
  Random nulls_;
  uint64_t shape_seed_;
  bool lowers_;
  int64_t last_ = 0;  // writes are 32 * n + id
};

// Every table, column, index, view and trigger of the application, and its user_version, in one text.
Result<std::string> print_schema(sqlite::Database& db);

// The first line in which two texts differ, as each has it; empty: none.
std::string first_difference(const std::string& one, const std::string& other);

// Whether SQLite refuses the statement in a file with the same schema that Marmot never saw.
bool refused_without_us(sqlite::Database& db, const std::string& statement);

}  // namespace marmot::sim
