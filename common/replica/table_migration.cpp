#include <algorithm>
#include <deque>
#include <set>

#include "common/base/mutation.hpp"
#include "common/core/key.hpp"
#include "common/replica/autoincrement.hpp"
#include "common/replica/coerce.hpp"
#include "common/replica/column_id.hpp"
#include "common/replica/schema_migrate.hpp"
#include "common/replica/sql_text.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::quote_identifier;
using sqlite::Statement;

namespace {

bool same_column(const ColumnSql& a, const ColumnSpec& b) {
  return a.name == b.name && canonical_sql(a.definition) == canonical_sql(b.definition);
}

// As people write it: SQLite keeps the spelling, and its quotes.
std::string spelled(const std::string& name) {
  const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!plain || (name[0] >= '0' && name[0] <= '9') || sqlite3_keyword_check(name.c_str(), static_cast<int>(name.size())) != 0) return quote_identifier(name);
  return name;
}

// One order of the rows of a WITHOUT ROWID table: keys that differ at all differ as bytes.
std::string key_order(const TableInfo& table) {
  std::string out;
  for (const KeyColumn& part : table.key) {
    out += (out.empty() ? "" : ", ") + quote_identifier(table.columns[static_cast<size_t>(part.column)].name) + " COLLATE BINARY";
  }
  return out;
}

bool same_tail(std::string_view a, std::string_view b) { return canonical_sql(a) == canonical_sql(b) || mutated(Mutation::tail_forgotten); }

}  // namespace

bool fits(const CreateTable& actual, const LocalTable& local, const TableSpec& spec) {
  if (local.name != spec.name || actual.columns.size() != spec.columns.size() || !same_tail(actual.tail, spec.tail)) return false;
  for (size_t i = 0; i < spec.columns.size(); ++i) {
    const auto known = local.column_ids.find(fold_name(actual.columns[i].name));
    if (known == local.column_ids.end() || known->second != spec.columns[i].id || !same_column(actual.columns[i], spec.columns[i])) return false;
  }
  return true;
}

bool only_adds(const CreateTable& actual, const LocalTable& local, const TableSpec& spec) {
  if (!same_tail(actual.tail, spec.tail)) return false;
  return std::all_of(actual.columns.begin(), actual.columns.end(), [&](const ColumnSql& column) {
    const auto known = local.column_ids.find(fold_name(column.name));
    return known != local.column_ids.end() && std::any_of(spec.columns.begin(), spec.columns.end(), [&](const ColumnSpec& wanted) {
      return wanted.id == known->second && canonical_sql(column.definition) == canonical_sql(wanted.definition);
    });
  });
}

std::string wanted_sql(const TableSpec& spec) {
  const bool forgotten = mutated(Mutation::tail_forgotten);
  const auto text = parse_create_table(spec.text);
  if (text && !forgotten && text->name == spec.name && text->columns.size() == spec.columns.size() && canonical_sql(text->tail) == canonical_sql(spec.tail)) {
    bool same = true;
    for (size_t i = 0; i < spec.columns.size(); ++i) same = same && same_column(text->columns[i], spec.columns[i]);
    if (same) return spec.text;
  }
  CreateTable made{spec.name, {}, forgotten ? ")" : spec.tail};
  for (const ColumnSpec& column : spec.columns) made.columns.push_back({column.name, column.definition});
  return create_table_sql(made);
}

Status TableMigration::run() {
  TRY(rename_table());
  TRY(reread());
  if (!fits(actual_, local_, spec_)) {
    TRY(rename_columns());
    TRY(drop_columns());
    TRY(add_columns());
  }
  if (!fits(actual_, local_, spec_)) TRY(rebuild());
  return ok();
}

Status TableMigration::reread() {
  TRY_ASSIGN(local_.sql, own_sql(db_, local_, local_.name));
  TRY_ASSIGN(actual_, parse_create_table(local_.sql));
  return ok();
}

const ColumnSpec* TableMigration::wanted(const std::string& id) const {
  const auto at = std::find_if(spec_.columns.begin(), spec_.columns.end(), [&](const ColumnSpec& column) { return same_column_id(column.id, id); });
  return at == spec_.columns.end() ? nullptr : &*at;
}

std::map<std::string, std::string>::iterator TableMigration::local_column(const std::string& id) {
  return std::find_if(local_.column_ids.begin(), local_.column_ids.end(), [&](const auto& one) { return same_column_id(one.second, id); });
}

Result<bool> TableMigration::try_alter(const std::string& sql) {
  TRY(db_.exec("SAVEPOINT __marmot_alter"));
  const Status done = db_.exec(sql);
  if (!done && !db_.in_transaction()) return done.error();
  TRY(db_.exec(done ? "RELEASE __marmot_alter" : "ROLLBACK TO __marmot_alter; RELEASE __marmot_alter"));
  if (!done && (done.error().code == Errc::full || done.error().code == Errc::io || done.error().code == Errc::busy)) return done.error();
  return static_cast<bool>(done);
}

Status TableMigration::rename_table() {
  if (local_.name == spec_.name) return ok();
  const std::string to = quote_identifier(spec_.name);
  std::string from = quote_identifier(local_.name);
  if (fold_name(local_.name) == fold_name(spec_.name)) {  // only the case: SQLite takes the new name for taken
    TRY(db_.exec("ALTER TABLE main." + from + " RENAME TO __marmot_renamed"));
    from = "__marmot_renamed";
  }
  const std::string rename = "ALTER TABLE main." + from + " RENAME TO " + to;
  TRY_ASSIGN(const bool done, try_alter(rename));
  if (!done) {
    // A view or trigger that is broken already, perhaps by this very name, stands in the way of a checked rename.
    TRY(db_.exec("PRAGMA legacy_alter_table = ON"));
    const Status forced = db_.exec(rename);
    TRY(db_.exec("PRAGMA legacy_alter_table = OFF"));
    if (!forced) return forced.error();
  }
  local_.name = spec_.name;
  return ok();
}

Status TableMigration::rename_columns() {
  const std::string head = "ALTER TABLE main." + quote_identifier(local_.name) + " RENAME COLUMN ";
  // From the last one: where one gives a name to another, that is the one behind it.
  for (auto at = spec_.columns.rbegin(); at != spec_.columns.rend(); ++at) {
    const ColumnSpec& column = *at;
    const auto known = local_column(column.id);
    if (known == local_.column_ids.end()) continue;
    const auto here = std::find_if(actual_.columns.begin(), actual_.columns.end(), [&](const ColumnSql& one) { return fold_name(one.name) == known->first; });
    if (here == actual_.columns.end() || here->name == column.name) continue;
    if (fold_name(column.name) != known->first && local_.column_ids.count(fold_name(column.name)) != 0) continue;  // the name is taken: rebuild()
    TRY_ASSIGN(const bool done, try_alter(head + quote_identifier(here->name) + " TO " + spelled(column.name)));
    if (!done) continue;
    std::string id = known->second;
    local_.column_ids.erase(known);
    local_.column_ids[fold_name(column.name)] = std::move(id);
    TRY(reread());
  }
  return ok();
}

Status TableMigration::drop_columns() {
  if (sqlite3_libversion_number() < 3035000) return ok();
  const std::string head = "ALTER TABLE main." + quote_identifier(local_.name) + " DROP COLUMN ";
  const std::vector<ColumnSql> columns = actual_.columns;
  for (const ColumnSql& column : columns) {
    const std::string folded = fold_name(column.name);
    if (wanted(local_.column_ids[folded]) != nullptr) continue;
    TRY_ASSIGN(const bool done, try_alter(head + quote_identifier(column.name)));
    if (done) local_.column_ids.erase(folded);
  }
  return reread();
}

// ADD COLUMN gave the rows the default of the definition, which may be another than the column was made with.
Result<bool> TableMigration::filled_as_wanted(const ColumnSpec& column) {
  TRY_ASSIGN(TableInfo info, read_table(db_, local_.name));
  const ValueView filled = info.columns.back().default_value;
  const auto bytes = info.columns.back().default_bytes;  // `filled` borrows them
  name_columns(info, {{fold_name(column.name), column.id}});
  return same_value(filled, info.columns.back().default_value);
}

Status TableMigration::add_columns() {
  for (const ColumnSpec& column : spec_.columns) {
    if (local_column(column.id) != local_.column_ids.end()) continue;
    TRY(db_.exec("SAVEPOINT __marmot_add"));
    TRY_ASSIGN(bool done, try_alter("ALTER TABLE main." + quote_identifier(local_.name) + " ADD COLUMN " +
                                    spelled(column.name) + " " + column.definition));
    if (done) {
      TRY_ASSIGN(done, filled_as_wanted(column));
    }
    TRY(db_.exec(done ? "RELEASE __marmot_add" : "ROLLBACK TO __marmot_add; RELEASE __marmot_add"));
    if (!done) continue;
    local_.column_ids[fold_name(column.name)] = column.id;
    TRY(reread());
  }
  return ok();
}

Status TableMigration::rebuild() {
  const std::string name = quote_identifier(local_.name);
  // What falls with the table, and is put back. Ours come back with watch().
  std::vector<std::string> objects;
  {
    TRY_ASSIGN(Statement rows, db_.prepare("SELECT sql FROM main.sqlite_schema WHERE tbl_name = ?1 COLLATE NOCASE AND type IN ('index', 'trigger') "
                                           "AND sql IS NOT NULL AND name NOT GLOB '__marmot_*' ORDER BY rowid"));
    rows.bind(1, local_.name);
    for (;;) {
      TRY_ASSIGN(const bool more, rows.step());
      if (!more) break;
      objects.emplace_back(rows.text(0));
    }
  }
  TRY_ASSIGN(const TableInfo before, read_table(db_, local_.name));
  TRY_ASSIGN(const std::optional<int64_t> sequence, sequence_of(local_.name));
  // The old one steps aside under another name, and nothing that names it is rewritten, so that the new one is made by the
  // very text that its author wrote.
  TRY(db_.exec("PRAGMA legacy_alter_table = ON"));
  const Status aside = db_.exec("ALTER TABLE main." + name + " RENAME TO __marmot_former");
  TRY(db_.exec("PRAGMA legacy_alter_table = OFF"));
  if (!aside) return aside.error();
  TRY(db_.exec(wanted_sql(spec_)));
  if (local_.adopted && with_autoincrement(wanted_sql(spec_))) TRY(add_autoincrement(db_, spec_.name));
  std::map<std::string, std::string> ids;
  for (const ColumnSpec& column : spec_.columns) ids[fold_name(column.name)] = column.id;
  TRY_ASSIGN(TableInfo after, read_table(db_, spec_.name));
  name_columns(after, ids);

  std::string into, from;
  std::vector<ValueView> parameters;
  Coercer coercer;
  std::deque<std::string> bytes;
  const auto add = [&](const std::string& column, const std::string& value) {
    into += (into.empty() ? "" : ", ") + column;
    from += (from.empty() ? "" : ", ") + value;
  };
  const auto number = [&](const ValueView& value) {  // a parameter: no literal is the same text in files of all encodings
    parameters.push_back(value);
    return "?" + std::to_string(parameters.size());
  };
  const bool has_alias = after.key_kind == KeyKind::rowid_alias;
  const bool key_lost = after.key_kind == KeyKind::rowid && before.key_kind != KeyKind::rowid;
  const bool with_rowid = key_lost || (!before.rowid_name.empty() && !after.rowid_name.empty() && !has_alias);
  if (with_rowid) add(after.rowid_name, before.rowid_name.empty() ? "row_number() OVER (ORDER BY " + key_order(before) + ")" : before.rowid_name);
  if (key_lost) TRY(note_former_keys(before));
  for (const Column& column : after.columns) {
    if (column.generated) continue;
    const auto known = local_column(column.spelled_id);
    const auto was = known == local_.column_ids.end() ? before.columns.end()
                                                      : std::find_if(before.columns.begin(), before.columns.end(), [&](const Column& one) { return fold_name(one.name) == known->first; });
    const bool was_here = was != before.columns.end();
    std::string value = was_here ? quote_identifier(known->first) : number(column.default_value);
    if (was_here && known->second != column.spelled_id) {
      for (const std::string& fill : given_up(parse_column_id(known->second), parse_column_id(column.spelled_id))) {
        const std::string here = quote_identifier(known->first);
        const std::string other = number(coercer.stored_if_changed(was->affinity, fill_value(fill, bytes.emplace_back()), bytes));
        value = "iif(" + here + " IS " + other + " COLLATE BINARY AND typeof(" + here + ") = typeof(" + other + "), " + number(column.default_value) + ", " + value + ")";
      }
    }
    add(quote_identifier(column.name), was_here && column.not_null ? "coalesce(" + value + ", " + number(column.default_value) + ")" : value);
  }
  const auto copy_all = [&]() -> Status {
    TRY_ASSIGN(Statement copy, db_.prepare("INSERT OR ABORT INTO main." + quote_identifier(spec_.name) + "(" + into + ") SELECT " + from +
                                           " FROM main.__marmot_former"));
    for (size_t i = 0; i < parameters.size(); ++i) copy.bind(static_cast<int>(i) + 1, parameters[i]);
    return copy.run();
  };
  if (Status copied = copy_all(); !copied) {
    if (copied.error().code != Errc::constraint) return copied;
    TRY(copy_one_by_one(into, from, parameters, with_rowid));
  }
  TRY(db_.exec("DROP TABLE main.__marmot_former"));
  if (sequence && after.auto_increment) TRY(keep_sequence(*sequence));
  for (const std::string& sql : objects) {
    // One that names a column which is gone: its register, if it still wants it, makes it or says why not.
    TRY(try_alter(sql));
  }
  local_.column_ids = std::move(ids);
  return reread();
}

// The highest id that the table gave out, which may be deleted by now.
Result<std::optional<int64_t>> TableMigration::sequence_of(const std::string& table) {
  TRY_ASSIGN(const int64_t kept, db_.query_integer("SELECT count(*) FROM main.sqlite_schema WHERE name = 'sqlite_sequence'"));
  if (kept == 0) return std::optional<int64_t>{};
  TRY_ASSIGN(Statement row, db_.prepare("SELECT CAST(seq AS INT) FROM main.sqlite_sequence WHERE name = ?1"));
  row.bind(1, table);
  TRY_ASSIGN(const bool found, row.step());
  return found ? std::optional(row.integer(0)) : std::nullopt;
}

// An empty table has no row there.
Status TableMigration::keep_sequence(int64_t least) {
  TRY_ASSIGN(const auto now, sequence_of(spec_.name));
  TRY_ASSIGN(Statement keep, db_.prepare(now ? sql::kMoveNextId : sql::kMakeNextId));
  keep.bind(1, spec_.name).bind(2, std::max(least, now.value_or(0)));
  return keep.run();
}

// Before the copy, which keeps rowids, or numbers the rows in the order of their keys.
Status TableMigration::note_former_keys(const TableInfo& before) {
  std::string columns;
  for (const KeyColumn& part : before.key) columns += ", " + quote_identifier(before.columns[static_cast<size_t>(part.column)].name);
  TRY_ASSIGN(Statement rows, db_.prepare("SELECT " + (before.rowid_name.empty() ? "0" : before.rowid_name) + columns + " FROM main.__marmot_former" +
                                         (before.rowid_name.empty() ? " ORDER BY " + key_order(before) : "")));
  for (int64_t count = 1;; ++count) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return ok();
    FormerRow row{"", before.rowid_name.empty() ? count : rows.integer(0)};
    bool keyless = false;
    for (size_t i = 0; i < before.key.size() && !keyless; ++i) {
      const ValueView value = rows.value(static_cast<int>(i) + 1);
      keyless = value.type == ValueType::null;
      if (!keyless) append_key_part(row.key, value, before.key[i].collation);
    }
    if (!keyless) former.push_back(std::move(row));
  }
}

Status TableMigration::copy_one_by_one(const std::string& into, const std::string& from, const std::vector<ValueView>& parameters,
                                       bool with_rowid) {
  TRY_ASSIGN(Statement read, db_.prepare("SELECT " + from + " FROM main.__marmot_former"));
  for (size_t i = 0; i < parameters.size(); ++i) read.bind(static_cast<int>(i) + 1, parameters[i]);
  std::string places;
  for (int i = 1; i <= read.columns(); ++i) places += (i == 1 ? "?" : ", ?") + std::to_string(i);
  TRY_ASSIGN(Statement write, db_.prepare("INSERT OR ABORT INTO main." + quote_identifier(spec_.name) + "(" + into + ") VALUES(" + places + ")"));
  for (;;) {
    TRY_ASSIGN(const bool more, read.step());
    if (!more) return ok();
    for (int i = 0; i < read.columns(); ++i) write.bind(i + 1, read.value(i));
    const Status written = write.run();
    if (written) continue;
    if (written.error().code != Errc::constraint) return written;
    write.reset();
    RefusedRow row;
    for (int i = 0; i < read.columns(); ++i) {
      ValueView value = read.value(i);
      if (with_rowid && i == 0) {
        row.rowid = value.integer;
        continue;
      }
      if (value.type == ValueType::text || value.type == ValueType::blob) value.bytes = row.bytes.emplace_back(value.bytes);
      row.values.push_back(value);
    }
    refused.push_back(std::move(row));
  }
}

}  // namespace marmot::replica
