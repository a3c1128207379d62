#include "common/replica/probe.hpp"

#include "common/core/key.hpp"
#include "common/replica/sql_text.hpp"

namespace marmot::replica {

using sqlite::quote_identifier;
using sqlite::Statement;

namespace {

const std::string kSchema = "__marmot_probe";

// The definition under another name. Constraints may name their columns as table.column.
Result<std::string> renamed(std::string_view sql, const std::string& from, const std::string& to) {
  TRY_ASSIGN(const std::vector<Token> tokens, tokenize(sql));
  if (tokens.size() < 4) return make_error(Errc::schema, "table " + from + ": its definition could not be read");
  std::string out = "CREATE TABLE " + to + " ";
  size_t copied = tokens[2].offset + tokens[2].text.size();
  for (size_t i = 3; i + 1 < tokens.size(); ++i) {
    if (tokens[i + 1].text != "." || tokens[i].kind == Token::Kind::symbol) continue;
    if (fold_text(unquote(tokens[i].text), Collation::nocase) != fold_text(from, Collation::nocase)) continue;
    out.append(sql.substr(copied, tokens[i].offset - copied));
    out += to.substr(to.find('.') + 1);
    copied = tokens[i].offset + tokens[i].text.size();
  }
  out.append(sql.substr(copied));
  return out;
}

}  // namespace

Status Probe::attach(sqlite::Database& db) { return db.exec("ATTACH ':memory:' AS " + kSchema); }

Status Probe::create(sqlite::Database& db) {
  TRY_ASSIGN(Statement select, db.prepare("SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1"));
  select.bind(1, table_.info.name);
  TRY_ASSIGN(const bool found, select.step());
  if (!found) return make_error(Errc::schema, "table " + table_.info.name + " is gone");
  TRY_ASSIGN(const std::string sql, renamed(select.text(0), table_.info.name, from_));
  select.reset();
  return db.exec(sql);
}

Status Probe::prepare(sqlite::Database& db) {
  if (name_.empty()) {
    // A definition of its own for every state of the schema.
    TRY_ASSIGN(const int64_t version, db.query_integer("PRAGMA main.schema_version"));
    name_ = "t" + std::to_string(table_.id) + "_" + std::to_string(version);
    from_ = kSchema + "." + quote_identifier(name_);
    TRY_ASSIGN(exists_, db.prepare("SELECT 1 FROM " + kSchema + ".sqlite_schema WHERE name = ?1", true));
  }
  bool there = false;
  {
    exists_.bind(1, name_);
    const sqlite::ResetGuard guard(exists_);
    TRY_ASSIGN(there, exists_.step());
  }
  if (!there) TRY(create(db));
  if (insert_) return ok();
  std::string columns, parameters;
  for (const std::string& column : table_.stored_names()) {
    columns += (columns.empty() ? "" : ", ") + quote_identifier(column);
    parameters += parameters.empty() ? "?" : ", ?";
  }
  TRY_ASSIGN(insert_, db.prepare("INSERT OR ABORT INTO " + from_ + "(" + columns + ") VALUES(" + parameters + ")", true));
  TRY_ASSIGN(clear_, db.prepare("DELETE FROM " + from_, true));
  for (const UniqueIndex& index : table_.info.unique) {
    std::string terms;
    for (const std::string& term : index.terms) terms += (terms.empty() ? "" : ", ") + term;
    std::string text = "SELECT ";
    text += terms + " FROM " + from_ + " AS " + quote_identifier(table_.info.name);
    if (!index.where.empty()) text += " WHERE " + index.where;
    TRY_ASSIGN(Statement select, db.prepare(text, true));
    select_.push_back(std::move(select));
  }
  return ok();
}

Status Probe::put(const std::vector<ValueView>& values) {
  TRY(clear_.run());
  int at = 1;
  for (const ValueView& value : values) insert_.bind(at++, value);
  return insert_.run();
}

Result<std::vector<Table::UniqueValue>> Probe::unique_values(const std::vector<ValueView>& values) {
  TRY(put(values));
  std::vector<Table::UniqueValue> out;
  for (size_t i = 0; i < select_.size(); ++i) {
    const sqlite::ResetGuard guard(select_[i]);
    TRY_ASSIGN(const bool found, select_[i].step());
    const UniqueIndex& index = table_.info.unique[i];
    out.push_back({index.id, found ? table_.unique_hash(index, select_[i]) : std::nullopt});
  }
  return out;
}

}  // namespace marmot::replica
