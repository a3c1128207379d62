// Makes one table of the file what its registers say. Internal to schema_migrate.cpp.
#pragma once

#include <deque>
#include <set>

#include "common/replica/local_schema.hpp"
#include "common/replica/registers.hpp"

namespace marmot::replica {

// True: the file's table says the same as the registers, column order included.
bool fits(const CreateTable& actual, const LocalTable& local, const TableSpec& spec);

// True: all that they change is names, the columns' order, and columns that are new. Every row keeps its key and its hash.
bool only_adds(const CreateTable& actual, const LocalTable& local, const TableSpec& spec);

// CREATE TABLE as the registers have it: as somebody wrote it where that says the same.
std::string wanted_sql(const TableSpec& spec);

// A row that the new definition refuses: values of its stored columns, in order. Not in the table.
struct RefusedRow {
  std::vector<ValueView> values;
  std::deque<std::string> bytes;
  int64_t rowid = 0;
};

// A row's key before its table lost it (core/key.hpp), and its rowid now.
struct FormerRow {
  std::string key;
  int64_t rowid = 0;
};

class TableMigration {
 public:
  TableMigration(sqlite::Database& db, LocalTable& local, const TableSpec& spec) : db_(db), local_(local), spec_(spec) {}

  // Renames, then native ALTERs, then, where those cannot express it, the rebuild that SQLite documents (lang_altertable.html
  // section 7). Rows keep their rowids, indexes and triggers of the application stay. `local` follows. In the caller's
  // savepoint: after an error it is to be undone.
  Status run();
  // What a rebuild had to leave out.
  std::vector<RefusedRow> refused;
  // The keys of a table that has none any more, and where their rows are now.
  std::vector<FormerRow> former;
  // Keys as they were before: Replica::Impl::unfit_rows(), which no row's hash can tell any more afterwards. The caller's.
  std::set<std::string> unfit;

 private:
  Status rename_table();
  Status rename_columns();
  Status drop_columns();
  Status add_columns();
  Status rebuild();
  Result<std::optional<int64_t>> sequence_of(const std::string& table);
  Status keep_sequence(int64_t least);
  Status note_former_keys(const TableInfo& before);
  Status copy_one_by_one(const std::string& into, const std::string& from, const std::vector<ValueView>& parameters, bool with_rowid);
  Status reread();
  // False: SQLite refuses, nothing is changed.
  Result<bool> try_alter(const std::string& sql);
  const ColumnSpec* wanted(const std::string& id) const;
  std::map<std::string, std::string>::iterator local_column(const std::string& id);  // name and id here
  Result<bool> filled_as_wanted(const ColumnSpec& column);

  sqlite::Database& db_;
  LocalTable& local_;
  const TableSpec& spec_;
  CreateTable actual_;
};

}  // namespace marmot::replica
