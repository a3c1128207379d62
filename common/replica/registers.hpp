// The schema's registers as __marmot_schema holds them, and what the tables should look like by them. Kept in memory,
// written through; load() again after a rollback. Decides nothing about how the file gets there.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "common/base/result.hpp"
#include "common/core/schema.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

struct ColumnSpec {
  std::string id;    // with all its fills (column_id.hpp)
  std::string name;  // where several columns want one name, the first has it and the others get another
  std::string definition;
  int64_t position = 0;
};

// A table by its registers. One table can have several permanent ids: the same name made on nodes that did not know of each
// other's (SchemaRegister::id).
struct TableSpec {
  Version root;                  // names the table in this file's memory; not sent
  std::vector<Version> ids;      // lowest first; none: the table is dropped
  std::string name;              // where two tables want one name, the later created one gets another
  std::string tail;              // CreateTable::tail
  std::string text;              // CREATE TABLE as somebody wrote it; may be out of date
  std::vector<ColumnSpec> columns;  // live ones, in order
  bool dropped() const { return ids.empty(); }
};

class Registers {
 public:
  struct Entry {
    SchemaRegister value;
    std::optional<StreamSeq> seq;      // nullopt: to be sent; kInFlight: sent, not yet seen; else where it was last seen
    // object: its SQL as this file last had it; nullopt: the file has not got it. number: the version of this register that
    // the number in the file replaced, or is
    std::optional<std::string> here;
  };
  static constexpr StreamSeq kInFlight = 0;

  explicit Registers(sqlite::Database& db) : db_(&db) {}

  Status load();

  // `id` is nothing to a table.
  const Entry* find(SchemaKind kind, const Version& table, std::string_view id) const;
  // Overwrites, whatever the versions.
  Status put(const SchemaRegister& value, std::optional<StreamSeq> seq);
  Status set_seq(const SchemaRegister& which, std::optional<StreamSeq> seq);
  Status set_here(const SchemaRegister& which, const std::optional<std::string>& sql);
  Status remove(const SchemaRegister& which);
  // The ids of the tables that were given a column since this was asked last.
  std::set<Version> take_widened() { return std::exchange(widened_, {}); }

  // The lowest id of the table that this is one of; an unknown id stands for itself.
  Version root_of(const Version& table) const;
  // For a table that is made, as `name`, by somebody who knows these registers.
  std::string free_table_id(std::string_view name) const;
  bool knows_table_id(const std::string& id) const { return made_as_.count(id) != 0; }
  bool knows(const Version& table) const { return find(SchemaKind::table, table, {}) != nullptr; }
  // Under any of its ids: which of its rows came under which one, nobody can tell any more.
  bool is_dropped(const Version& table) const;
  // Who wrote the row dropped the table later: nobody lost it.
  bool dropped_by_writer(const Version& table, const Version& row) const;

  // Every table that has a register, dropped ones too, lowest root first.
  std::vector<TableSpec> tables() const;
  TableSpec table(const Version& root) const;
  // The register of a column that counts: of those of its base under the table's live ids the newest, or one that is dropped.
  // Null: none.
  const Entry* column(const TableSpec& table, std::string_view id) const;

  // The register that says whether the table has AUTOINCREMENT from us: the newest under its live ids. Null: none.
  const Entry* adoption(const Version& table) const;
  bool adopts(const Version& table) const;

  std::vector<const Entry*> objects() const;
  std::vector<const Entry*> numbers(std::string_view name) const;
  std::vector<SchemaRegister> all() const;  // tables first
  // What is to be sent: of each table that has something unsent all its registers, tables first.
  std::vector<SchemaRegister> unsent() const;
  bool has_unsent() const;
  // Where a register of the table was last seen, whichever of its ids it is under: the highest. nullopt: one is not in the stream yet.
  std::optional<StreamSeq> newest_of(const Version& table) const;

 private:
  using Key = std::tuple<SchemaKind, Version, std::string>;
  static Key key_of(SchemaKind kind, const Version& table, std::string_view id);
  static Key key_of(const SchemaRegister& value) { return key_of(value.kind, value.table, value.id); }
  TableSpec spec_of(const Version& root, const std::vector<const Entry*>& ids) const;
  sqlite::Database* db_;
  std::map<Key, Entry> entries_;
  std::set<Version> widened_;
  std::map<std::string, std::set<Version>> made_as_;  // SchemaRegister::id of tables -> their permanent ids
};

// A version as __marmot_schema spells it; empty: the zero one.
std::string spell_version(const Version& version);
Version unspell_version(std::string_view text);
// Names of schema objects compare as SQLite compares them.
std::string object_id(std::string_view type, std::string_view name);

}  // namespace marmot::replica
