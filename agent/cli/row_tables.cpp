#include "agent/cli/row_tables.hpp"

#include "common/core/key.hpp"

namespace marmot::agent {

using replica::RowPlace;
using sqlite::quote_identifier;
using sqlite::Statement;

Result<replica::Table*> Tables::find(const std::string& name) {
  auto& known = tables_[fold_text(name, Collation::nocase)];
  if (!known) {
    TRY_ASSIGN(replica::TableInfo info, replica::read_table(db_, name));
    known = std::make_unique<replica::Table>(db_, store_, kNoLife, 0, std::move(info));
  }
  return known.get();
}

std::string Tables::returning(const replica::Table& table) {
  std::string out = table.info.without_rowid ? " RETURNING 0" : " RETURNING " + quote_identifier(table.info.rowid_name);
  for (const std::string& column : table.stored_names()) out += ", " + quote_identifier(column);
  return out;
}

Result<std::optional<Written>> Tables::write(const replica::Table& table, Statement& statement) {
  TRY_ASSIGN(const bool found, statement.step());
  if (!found) return std::optional<Written>{};
  Written out{{table.info.name, statement.integer(0), {}}, {}};
  std::vector<ValueView> values;
  for (int i = 1; i < statement.columns(); ++i) values.push_back(statement.value(i));
  (void)table.key_of_values(values, out.place.key);
  const std::vector<std::string> names = table.stored_names();
  for (size_t i = 0; i < names.size(); ++i) out.row.add(names[i], values[i]);
  TRY(statement.run());
  return std::optional<Written>{std::move(out)};
}

std::string Tables::where(const replica::Table& table, const std::string& alias, int first) {
  if (!table.info.without_rowid) return " WHERE " + alias + quote_identifier(table.info.rowid_name) + " = ?" + std::to_string(first);
  std::string out;
  for (const replica::KeyColumn& column : table.info.key) {
    out += (out.empty() ? " WHERE " : " AND ") + alias + quote_identifier(table.info.columns[static_cast<size_t>(column.column)].name) + " = ?" +
           std::to_string(first++);
  }
  return out;
}

Status Tables::bind_place(const replica::Table& table, const RowPlace& place, DecodedKey& key, int first, Statement& statement) {
  if (!table.info.without_rowid) {
    statement.bind(first, place.rowid);
    return ok();
  }
  TRY_ASSIGN(key, decode_key(place.key));
  for (const ValueView& part : key.parts) statement.bind(first++, part);
  return ok();
}

Status Tables::find_followers(const replica::ForeignKey& key, const RowPlace& place, const std::function<void(const RowPlace&)>& fn) {
  if (fold_text(key.parent, Collation::nocase) != fold_text(place.table, Collation::nocase)) return ok();
  TRY_ASSIGN(const replica::Table* const parent, find(place.table));
  DecodedKey decoded;
  const auto bind = [&](Statement& statement) { return bind_place(*parent, place, decoded, 1, statement); };
  return replica::find_referrers_of(db_, key, where(*parent, "l.", 1), bind, fn);
}

}  // namespace marmot::agent
