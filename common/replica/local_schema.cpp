#include "common/replica/local_schema.hpp"

#include "common/base/mutation.hpp"
#include "common/core/row_hash.hpp"
#include "common/replica/autoincrement.hpp"
#include "common/replica/capture.hpp"
#include "common/replica/coerce.hpp"
#include "common/replica/column_id.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

// A file that an earlier Marmot made has no such table.
Status read_adopted(sqlite::Database& db, std::vector<LocalTable>& tables) {
  TRY_ASSIGN(const int64_t any, db.query_integer(sql::kHasAdopted));
  if (any == 0) return ok();
  TRY_ASSIGN(Statement rows, db.prepare(sql::kSelectAdopted));
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return ok();
    for (LocalTable& table : tables) {
      if (table.id != rows.integer(0)) continue;
      table.adopted = true;
      if (!rows.is_null(1)) table.wish = rows.integer(1) != 0;
    }
  }
}

}  // namespace

Result<std::vector<LocalTable>> read_local_tables(sqlite::Database& db) {
  std::vector<LocalTable> out;
  TRY_ASSIGN(Statement rows, db.prepare(sql::kSelectTables));
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) break;
    LocalTable table;
    table.id = rows.integer(0);
    table.name = rows.text(1);
    if (!rows.is_null(2)) {
      table.permanent_id = Version{Hlc{static_cast<uint64_t>(rows.integer(2))},
                                   Origin{NodeId{static_cast<uint64_t>(rows.integer(3))}, Incarnation{static_cast<uint64_t>(rows.integer(4))}}};
    }
    table.sql = rows.text(5);
    out.push_back(std::move(table));
  }
  for (LocalTable& table : out) {
    TRY_ASSIGN(Statement columns, db.prepare(sql::kSelectColumns));
    columns.bind(1, table.id);
    for (;;) {
      TRY_ASSIGN(const bool more, columns.step());
      if (!more) break;
      table.column_ids[fold_text(columns.text(1), Collation::nocase)] = columns.text(0);
    }
  }
  TRY(read_adopted(db, out));
  return out;
}

Status save_local_table(sqlite::Database& db, const LocalTable& table) {
  TRY_ASSIGN(Statement update, db.prepare(sql::kSaveLocalTable));
  const Version id = table.permanent_id.value_or(Version{});
  update.bind(1, table.id).bind(2, table.name).bind(3, static_cast<int64_t>(id.hlc.value));
  update.bind(4, static_cast<int64_t>(id.origin.node.value)).bind(5, static_cast<int64_t>(id.origin.incarnation.value)).bind(6, table.sql);
  TRY(update.run());
  TRY_ASSIGN(Statement forget, db.prepare(sql::kForgetColumns));
  forget.bind(1, table.id);
  TRY(forget.run());
  TRY_ASSIGN(Statement put, db.prepare(sql::kPutColumn));
  for (const auto& [name, column] : table.column_ids) {
    put.bind(1, table.id).bind(2, column).bind(3, name);
    TRY(put.run());
  }
  return ok();
}

Status forget_local_table(sqlite::Database& db, int64_t id) {
  const std::string number = std::to_string(id);
  for (const char* event : {"insert", "update", "delete"}) {
    TRY(db.exec("DROP TRIGGER IF EXISTS main.\"__marmot_" + number + "_" + event + '"'));
  }
  TRY(db.exec("DROP INDEX IF EXISTS main.\"__marmot_" + number + "_keep\""));
  TRY(forget_rows_of(db, id));
  TRY(db.exec("DELETE FROM main.__marmot_column WHERE tbl = " + number));
  return db.exec("DELETE FROM main.__marmot_table WHERE id = " + number);
}

Result<std::string> own_sql(sqlite::Database& db, const LocalTable& table, std::string_view name) {
  TRY_ASSIGN(std::string sql, table_sql(db, name));
  return table.adopted && !mutated(Mutation::adopted_word_seen) ? without_autoincrement(sql) : std::move(sql);
}

void name_columns(TableInfo& info, const std::map<std::string, std::string>& column_ids) {
  Coercer coercer;
  for (Column& column : info.columns) {
    const auto known = column_ids.find(fold_text(column.name, Collation::nocase));
    if (known == column_ids.end()) continue;
    column.id = column_base(known->second);
    column.spelled_id = known->second;
    column.seed = column_seed(column.id);
    const std::string fill = parse_column_id(known->second).fill();
    if (fill.empty()) {
      if (!column.not_null) column.default_value = {};
      continue;
    }
    std::string bytes;
    std::deque<std::string> storage;
    column.default_value = coercer.stored_if_changed(column.affinity, fill_value(fill, bytes), storage);
    column.default_bytes = std::make_shared<const std::string>(column.default_value.bytes);
    column.default_value.bytes = *column.default_bytes;
  }
}

Result<TableInfo> describe_table(const LocalTable& table) {
  TRY_ASSIGN(sqlite::Database scratch, sqlite::Database::open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  TRY(scratch.exec(table.sql));
  TRY_ASSIGN(const CreateTable parsed, parse_create_table(table.sql));
  TRY_ASSIGN(TableInfo info, read_table(scratch, parsed.name));
  name_columns(info, table.column_ids);
  return info;
}

}  // namespace marmot::replica
