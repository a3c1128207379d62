// What SQLite knows about a table, in the form that capture, drain and apply need it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/core/key.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

// How a row is known everywhere.
enum class KeyKind : uint8_t {
  rowid_alias,  // INTEGER PRIMARY KEY
  declared,     // any other PRIMARY KEY
  rowid,        // none declared: (life, rowid there)
};

struct Column {
  std::string name;
  std::string id;               // which column it is: column_base() of spelled_id
  std::string spelled_id;       // what it is called in messages: column_id.hpp
  uint64_t seed = 0;            // core column_seed(id)
  bool generated = false;       // never captured, sent or written
  Affinity affinity = Affinity::blob;
  bool not_null = false;        // outside the primary key
  std::string default_sql;      // empty: NULL
  // What a row has that was made without the column: its fill (column_id.hpp), before it has one a constant default, as the
  // column would store it; else NULL, or where that is forbidden 0, '' or x'', by affinity.
  ValueView default_value;
  std::shared_ptr<const std::string> default_bytes;  // default_value borrows from it; shared: copies stay valid
};

struct KeyColumn {
  int column = 0;  // index into TableInfo::columns
  Collation collation = Collation::binary;
};

// A secondary unique index (not the primary key): what REPLACE can delete by.
struct UniqueIndex {
  std::string name;
  uint64_t id = 0;                      // 31 bits of the hash of its name; of an automatic one's, without the table's
  std::vector<std::string> terms;       // SQL of each indexed term, as a SELECT list can hold it
  std::vector<Collation> collations;    // of each term
  std::string where;                    // partial index: its condition; empty: none
};

struct TableInfo {
  std::string name;
  KeyKind key_kind = KeyKind::rowid;
  bool without_rowid = false;
  bool auto_increment = false;    // INTEGER PRIMARY KEY AUTOINCREMENT
  bool nullable_key = false;      // declared key of a rowid table in which NULL is possible: such rows go by rowid
  std::string rowid_name;         // rowid, oid or _rowid_, whichever is not a column; empty: WITHOUT ROWID
  std::vector<Column> columns;    // in table order, generated ones too
  std::vector<KeyColumn> key;     // empty for KeyKind::rowid
  std::vector<UniqueIndex> unique;

  // Stored columns and key as one line: two tables of the same shape can hold each other's rows. Case-folded, in name
  // order, so that it does not depend on the order of ADD COLUMNs.
  std::string shape() const;
};

// Errc::not_found: no such table. Errc::schema: a table that cannot be replicated, with the reason (a key under a
// collation that is not built in, all three rowid names taken by columns).
Result<TableInfo> read_table(sqlite::Database& db, std::string_view name);

// One index of `table`, read as if it were unique.
Result<UniqueIndex> read_unique_index(sqlite::Database& db, const TableInfo& table, const std::string& name);

// Why a schema object is not watched.
enum class NotWatched : uint8_t { internal, sqlite_own, virtual_table, shadow_table, sidecar, excluded };

struct Candidate {
  std::string name;
  std::optional<NotWatched> not_watched;  // nullopt: watch it
  std::string backs = {};                 // shadow_table: the virtual table of a foreign module, as CREATE VIRTUAL TABLE has it

  std::string reason() const;  // why it is not watched, after "it is"
};

// Of a CREATE VIRTUAL TABLE statement, as it is spelled there. "?": it is none.
std::string module_of(std::string_view sql);
// Is that FTS3, FTS4 or FTS5?
bool is_full_text(std::string_view sql);
// What a full-text index is about, by its CREATE VIRTUAL TABLE statement. Which table or view `other` is, the statement spells in more ways than one.
enum class IndexContent : uint8_t { own, none, other };
IndexContent index_content(std::string_view sql);
bool is_over_content(std::string_view sql);  // a full-text index over a table or view: IndexContent::other

// Is it a module that comes with SQLite? Which backing tables those have is known. Of any other module every table counts as one whose name
// is `<virtual table>_...`, whether or not the module is loaded: agents and applications load different ones, and must see one file alike.
bool is_own_module(std::string_view module);
// Does `table` have the name of a backing table of `virtual_table`, of a foreign module? A pattern that spells_out() its name overrules that.
bool is_backing_name(std::string_view virtual_table, std::string_view table);
bool spells_out(const std::vector<std::string>& include, std::string_view table);

// Globs are SQLite's GLOB, case-sensitive. Another sidecar's table is chosen only where `include` spells its name out
// (sidecars.hpp).
bool is_chosen(const std::vector<std::string>& include, const std::vector<std::string>& exclude, std::string_view name);

// Every table of the main schema, in creation order. Globs are SQLite's GLOB, case-sensitive, on the table's name;
// no include glob chooses nothing, and exclude wins.
Result<std::vector<Candidate>> list_tables(sqlite::Database& db, const std::vector<std::string>& include,
                                           const std::vector<std::string>& exclude);

}  // namespace marmot::replica
