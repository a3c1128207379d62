// The shelf after a table's definition has changed: unique indexes that came, went or are others now.
#include <algorithm>

#include "common/core/row_hash.hpp"
#include "common/replica/local_schema.hpp"
#include "common/replica/probe.hpp"
#include "common/replica/shelf.hpp"
#include "common/replica/sql_text.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

// One line an index: its id, and a hash of how it compares.
std::string definition(const UniqueIndex& index) {
  std::string text = index.where;
  for (size_t i = 0; i < index.terms.size(); ++i) {
    text += '\0';
    text += index.terms[i];
    text += static_cast<char>(index.collations[i]);
  }
  return to_hex(index.id) + ' ' + to_hex(bytes_hash(text)) + '\n';
}

std::string definitions(const Table& table) {
  std::string out;
  for (const UniqueIndex& index : table.info.unique) out += definition(index);
  return out;
}

Result<std::optional<std::string>> known_definitions(Store& store, const Table& table) {
  TRY_ASSIGN(Statement* const select, store.statement(sql::kSelectUniques));
  select->bind(1, table.id);
  TRY_ASSIGN(const bool found, select->step());
  std::optional<std::string> out;
  if (found && !select->is_null(0)) out = std::string(select->text(0));
  select->reset();
  return out;
}

Status keep_definitions(Store& store, const Table& table) {
  const std::string text = definitions(table);
  TRY_ASSIGN(Statement* const update, store.statement(sql::kUpdateUniques));
  update->bind(1, table.id).bind(2, text);
  return update->run();
}

// Forgets the values of indexes that are gone or have changed.
Status forget_changed(Store& store, const Table& table, const std::string& known) {
  std::vector<int64_t> ids;
  TRY_ASSIGN(Statement* const select, store.statement(sql::kUniqueIndexesOf));
  select->bind(1, table.id);
  for (;;) {
    TRY_ASSIGN(const bool more, select->step());
    if (!more) break;
    ids.push_back(select->integer(0));
  }
  for (const int64_t id : ids) {
    const auto same = [&](const UniqueIndex& index) {
      return static_cast<int64_t>(index.id) == id && known.find(definition(index)) != std::string::npos;
    };
    if (std::any_of(table.info.unique.begin(), table.info.unique.end(), same)) continue;
    TRY_ASSIGN(Statement* const drop, store.statement(sql::kUniqueDropIndex));
    drop->bind(1, table.id).bind(2, id);
    TRY(drop->run());
  }
  return ok();
}

constexpr std::string_view kCreateUnique = "CREATE UNIQUE INDEX ";

// A unique index that does not fit yet, `rest` being what follows CREATE UNIQUE INDEX: as an ordinary index it fits, and
// SQLite tells how it compares.
Result<UniqueIndex> read_as_ordinary(sqlite::Database& db, const TableInfo& table, const std::string& rest) {
  const std::string sql = "CREATE INDEX " + rest;
  TRY_ASSIGN(const std::vector<Token> tokens, tokenize(sql));
  if (tokens.size() < 3) return make_error(Errc::schema, "no CREATE INDEX statement: " + sql);
  const std::string name = unquote(tokens[2].text);
  TRY(db.exec(sql));
  TRY_ASSIGN(UniqueIndex index, read_unique_index(db, table, name));
  TRY(db.exec("DROP INDEX main." + sqlite::quote_identifier(name)));
  return index;
}

}  // namespace

// Of the rows in the table; settle() makes those of shelved rows where they are wanted.
Status Replica::Impl::rebuild_unique(Table& table, const std::string& known) {
  TRY(forget_changed(store, table, known));
  for (size_t i = 0; i < table.info.unique.size(); ++i) {
    const UniqueIndex& index = table.info.unique[i];
    if (known.find(definition(index)) != std::string::npos) continue;
    Table::Position position;
    TRY(table.scan(position, INT64_MAX, true, [&](const std::string& key, const std::vector<ValueView>&) -> Status {
      TRY_ASSIGN(const Table::UniqueValue value, table.unique_value(i, key));
      if (!value.hash) return ok();
      TRY_ASSIGN(Statement* const put, store.statement(sql::kUniquePut));
      put->bind(1, table.id).bind(2, static_cast<int64_t>(value.index)).bind_blob(3, key).bind(4, static_cast<int64_t>(*value.hash));
      return put->run();
    }));
    TRY(scan_shelf(table, [&](const std::string& key, const Register&, const std::vector<ValueView>& values) -> Status {
      TRY(table.probe().prepare(db));
      const auto probed = table.probe().unique_values(values);
      if (!probed && probed.error().code == Errc::constraint) return ok();  // refused: it is in nobody's way
      TRY(probed);
      if (!(*probed)[i].hash) return ok();
      TRY_ASSIGN(Statement* const put, store.statement(sql::kUniquePut));
      put->bind(1, table.id).bind(2, static_cast<int64_t>(index.id)).bind_blob(3, key).bind(4, static_cast<int64_t>(*(*probed)[i].hash));
      return put->run();
    }));
  }
  return keep_definitions(store, table);
}

Status Replica::Impl::settle_table(Table& table) {
  TRY_ASSIGN(const auto known, known_definitions(store, table));
  if (known != definitions(table)) TRY(rebuild_unique(table, known.value_or("")));
  if (state.shelved == 0) return ok();
  Settle settle(*this, table);
  TRY(settle.all_shelved());
  return settle.run();
}

Status Replica::Impl::check_unique_indexes() {
  for (const auto& table : tables) {
    if (!table->running()) continue;  // restart() settles it
    TRY_ASSIGN(const auto known, known_definitions(store, *table));
    if (!known) {
      TRY(keep_definitions(store, *table));  // a new table: its values are kept as its rows get their versions
    } else if (*known != definitions(*table)) {
      TRY_IN("settle " + table->info.name, settle_table(*table));
    }
  }
  return ok();
}

Status Replica::Impl::create_unique_index(int64_t table_id, const std::string& sql) {
  if (sql.rfind(kCreateUnique, 0) != 0) return make_error(Errc::schema, "no CREATE UNIQUE INDEX statement: " + sql);
  const auto owned = std::find_if(tables.begin(), tables.end(), [&](const auto& table) { return table->id == table_id; });
  if (owned == tables.end()) return make_error(Errc::not_found, "no such table here");
  tables_dirty = true;
  const auto reload = [&]() -> Status {
    TRY_ASSIGN(const std::vector<LocalTable> known, read_local_tables(db));
    for (const LocalTable& local : known) {
      if (local.id != table_id) continue;
      TRY_ASSIGN(*owned, load_table(local));
    }
    return ok();
  };
  (*owned)->release();
  const Status fits = db.exec(sql);
  if (fits) {
    TRY(reload());
    return settle_table(**owned);
  }
  if ((fits.error().detail & 0xff) != SQLITE_CONSTRAINT) return fits;
  TRY_ASSIGN(UniqueIndex index, read_as_ordinary(db, (*owned)->info, sql.substr(kCreateUnique.size())));
  TableInfo info = (*owned)->info;
  info.unique.push_back(std::move(index));
  Table with_index(db, store, state.life, table_id, std::move(info));
  TRY_ASSIGN(const auto known, known_definitions(store, **owned));
  std::string kept = known.value_or("");
  // It does not stand on the table: what is known of one like it may be of a column that had its name.
  const std::string made_anew = definition(with_index.info.unique.back());
  if (const size_t at = kept.find(made_anew); at != std::string::npos) kept.erase(at, made_anew.size());
  TRY(rebuild_unique(with_index, kept));
  Settle settle(*this, with_index);
  std::vector<std::string> colliding;
  {
    TRY_ASSIGN(Statement* const select, store.statement(sql::kUniqueDuplicates));
    select->bind(1, table_id).bind(2, static_cast<int64_t>(with_index.info.unique.back().id));
    for (;;) {
      TRY_ASSIGN(const bool more, select->step());
      if (!more) break;
      colliding.emplace_back(select->blob(0));
    }
  }
  for (const std::string& key : colliding) {
    TRY_ASSIGN(const auto now, store.find(table_id, key));
    if (now && now->visible()) TRY(settle.again(key, *now));
  }
  TRY(settle.all_shelved());
  TRY(db.exec(sql));
  TRY(settle.run());
  return reload();
}

}  // namespace marmot::replica
