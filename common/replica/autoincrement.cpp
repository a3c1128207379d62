#include "common/replica/autoincrement.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <vector>

#include "common/replica/capture.hpp"
#include "common/replica/create_table.hpp"
#include "common/replica/sql_text.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

using Tokens = std::vector<Token>;

bool is_word(const Tokens& tokens, size_t at, std::string_view lower) {
  return at < tokens.size() && tokens[at].kind == Token::Kind::word && fold_name(tokens[at].text) == lower;
}

bool is_symbol(const Tokens& tokens, size_t at, char symbol) {
  return at < tokens.size() && tokens[at].kind == Token::Kind::symbol && tokens[at].text[0] == symbol;
}

Error cannot(const char* why) { return make_error(Errc::refused, why); }

// Where the word PRIMARY of the table's key stands, outside of inner parentheses; nothing: it has none.
std::optional<size_t> primary_of(const Tokens& tokens) {
  int depth = 0;
  for (size_t at = 0; at < tokens.size(); ++at) {
    if (is_symbol(tokens, at, '(')) ++depth;
    else if (is_symbol(tokens, at, ')')) --depth;
    else if (depth == 1 && is_word(tokens, at, "primary") && is_word(tokens, at + 1, "key")) return at;
  }
  return std::nullopt;
}

bool is_without_rowid(const Tokens& tokens) {
  for (size_t at = tokens.size(); at-- > 0 && !is_symbol(tokens, at, ')');) {
    if (is_word(tokens, at, "without") && is_word(tokens, at + 1, "rowid")) return true;
  }
  return false;
}

// The first token of the part of the list in which token `at` stands: the column's name.
size_t part_of(const Tokens& tokens, size_t at) {
  for (int depth = 0; at > 0; --at) {
    if (is_symbol(tokens, at - 1, ')')) ++depth;
    else if (is_symbol(tokens, at - 1, '(') && depth-- == 0) return at;
    else if (depth == 0 && is_symbol(tokens, at - 1, ',')) return at;
  }
  return at;
}

// The type is that one word, and nothing or a constraint comes behind it.
bool is_integer(std::string_view definition) {
  static constexpr std::string_view kBehind[] = {"primary", "constraint", "not", "null", "default", "check", "unique", "references", "collate"};
  const auto tokens = tokenize(definition);
  if (!tokens || !is_word(*tokens, 0, "integer")) return false;
  return tokens->size() == 1 || std::any_of(std::begin(kBehind), std::end(kBehind), [&](std::string_view word) { return is_word(*tokens, 1, word); });
}

struct Key {
  std::string column;
  size_t last = 0;  // the word goes behind this token
};

// INTEGER PRIMARY KEY [ASC] [ON CONFLICT x] of a column, or PRIMARY KEY(id) behind the columns, where SQLite takes the word before the parenthesis.
Result<Key> key_of(const Tokens& tokens) {
  const auto primary = primary_of(tokens);
  if (!primary) return cannot("it has no primary key");
  Key key;
  key.last = *primary + 1;
  if (is_symbol(tokens, *primary + 2, '(')) {
    const size_t column = *primary + 3;
    for (key.last = column; key.last + 1 < tokens.size() && !is_symbol(tokens, key.last + 1, ')'); ++key.last) {
      if (is_symbol(tokens, key.last + 1, ',')) return cannot("its key has several columns");
    }
    if (column < tokens.size()) key.column = unquote(tokens[column].text);
  } else {
    key.column = unquote(tokens[part_of(tokens, *primary)].text);
    if (is_word(tokens, key.last + 1, "desc")) return cannot("INTEGER PRIMARY KEY DESC is a key like any other to SQLite, which gives out no ids for it");
    if (is_word(tokens, key.last + 1, "asc")) ++key.last;
    if (is_word(tokens, key.last + 1, "on") && is_word(tokens, key.last + 2, "conflict")) key.last += 3;
  }
  if (key.last >= tokens.size()) return cannot("its definition is cut short");
  return key;
}

std::optional<size_t> find_word(const Tokens& tokens) {
  for (size_t at = 0; at < tokens.size(); ++at) {
    if (is_word(tokens, at, "autoincrement")) return at;
  }
  return std::nullopt;
}

size_t end_of(const Token& token) { return token.offset + token.text.size(); }

Result<std::string> stored_text(sqlite::Database& db, const std::string& table) {
  TRY_ASSIGN(std::string sql, table_sql(db, table));
  if (sql.empty()) return make_error(Errc::not_found, "there is no table " + table);
  return sql;
}

// The file's schema is another one then, for every connection.
Status write_text(sqlite::Database& db, const std::string& table, const std::string& sql) {
  TRY(db.exec("PRAGMA writable_schema = ON"));
  const auto put = [&]() -> Status {
    TRY_ASSIGN(Statement write, db.prepare("UPDATE main.sqlite_schema SET sql = ?2 WHERE type = 'table' AND name = ?1 COLLATE NOCASE"));
    write.bind(1, table).bind(2, sql);
    TRY(write.run());
    return db.bump_schema_version();
  };
  const Status done = put();
  TRY(db.exec("PRAGMA writable_schema = RESET"));
  return done;
}

// Without sqlite_sequence an AUTOINCREMENT table refuses every insert, as if the file were damaged. SQLite makes it with the first such table.
Status make_sequence(sqlite::Database& db) {
  TRY_ASSIGN(const int64_t there, db.query_integer("SELECT count(*) FROM main.sqlite_schema WHERE name = 'sqlite_sequence'"));
  if (there != 0) return ok();
  return db.exec("CREATE TABLE main.__marmot_counted(id INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE main.__marmot_counted");
}

Status forget_sequence(sqlite::Database& db, const std::string& table) {
  TRY_ASSIGN(Statement forget, db.prepare("DELETE FROM main.sqlite_sequence WHERE name = ?1 COLLATE NOCASE"));
  forget.bind(1, table);
  return forget.run();
}

Result<std::vector<std::string>> first_column(sqlite::Database& db, std::string_view select) {
  TRY_ASSIGN(Statement rows, db.prepare(select));
  std::vector<std::string> out;
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return out;
    out.emplace_back(rows.text(0));
  }
}

Result<int64_t> watched_id(sqlite::Database& db, const std::string& table) {
  TRY(stored_text(db, table));
  TRY_ASSIGN(const int64_t known, db.query_integer(sql::kHasAdopted));
  if (known == 0) return cannot("no agent has opened this file yet: start it, then adopt");
  TRY_ASSIGN(Statement row, db.prepare("SELECT id FROM main.__marmot_table WHERE name = ?1 COLLATE NOCASE"));
  row.bind(1, table);
  TRY_ASSIGN(const bool found, row.step());
  if (!found) return cannot("it is not replicated");
  const int64_t id = row.integer(0);
  row.reset();
  TRY_ASSIGN(const std::vector<InstalledTrigger> triggers, installed_triggers(db));
  const auto is_its = [&](const InstalledTrigger& trigger) { return trigger.table_id == id && fold_name(trigger.table) == fold_name(table); };
  // What is noted for the id would be lost with it: the table may be renamed before the agent looks.
  if (std::none_of(triggers.begin(), triggers.end(), is_its)) {
    return cannot("it was made anew, and the agent has not seen that yet: try again while the agent runs");
  }
  return id;
}

}  // namespace

Result<std::string> with_autoincrement(std::string_view sql) {
  TRY_ASSIGN(const Tokens tokens, tokenize(sql));
  if (find_word(tokens)) return cannot("it is AUTOINCREMENT already");
  if (is_without_rowid(tokens)) return cannot("it is WITHOUT ROWID, where SQLite gives out no ids");
  TRY_ASSIGN(const Key key, key_of(tokens));
  TRY_ASSIGN(const CreateTable parsed, parse_create_table(sql));
  const auto column = std::find_if(parsed.columns.begin(), parsed.columns.end(), [&](const ColumnSql& one) { return fold_name(one.name) == fold_name(key.column); });
  if (column == parsed.columns.end() || !is_integer(column->definition)) return cannot("its key is not of the type INTEGER");
  std::string out(sql);
  return out.insert(end_of(tokens[key.last]), " AUTOINCREMENT");
}

std::string without_autoincrement(std::string_view sql) {
  std::string out(sql);
  const auto tokens = tokenize(sql);
  const auto word = tokens ? find_word(*tokens) : std::nullopt;
  if (!word || *word == 0) return out;
  const Token& its = (*tokens)[*word];
  const size_t from = sql[its.offset - 1] == ' ' ? its.offset - 1 : its.offset;
  return out.erase(from, end_of(its) - from);
}

Status add_autoincrement(sqlite::Database& db, const std::string& table) {
  TRY_ASSIGN(const std::string before, stored_text(db, table));
  TRY_ASSIGN(const std::string after, with_autoincrement(before));
  TRY_ASSIGN(const Tokens tokens, tokenize(before));
  TRY_ASSIGN(const Key key, key_of(tokens));
  TRY(make_sequence(db));
  TRY(forget_sequence(db, table));
  TRY_ASSIGN(Statement note, db.prepare("INSERT INTO main.sqlite_sequence(name, seq) SELECT name, (SELECT max(0, coalesce(max(" +
                                        sqlite::quote_identifier(key.column) + "), 0)) FROM main." + sqlite::quote_identifier(table) +
                                        ") FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE"));
  note.bind(1, table);
  TRY(note.run());
  return write_text(db, table, after);
}

Status remove_autoincrement(sqlite::Database& db, const std::string& table) {
  TRY_ASSIGN(const std::string before, stored_text(db, table));
  const std::string after = without_autoincrement(before);
  if (after == before) return make_error(Errc::refused, "it is not AUTOINCREMENT");
  TRY(write_text(db, table, after));
  return forget_sequence(db, table);
}

Status wish_adopted(sqlite::Database& db, int64_t table_id, bool adopt) {
  TRY_ASSIGN(Statement mark, db.prepare(sql::kWishAdopted));
  mark.bind(1, table_id).bind(2, int64_t{adopt ? 1 : 0});
  return mark.run();
}

Status adopt_table(sqlite::Database& db, const std::string& table) {
  TRY_ASSIGN(const int64_t id, watched_id(db, table));
  TRY(add_autoincrement(db, table));
  return wish_adopted(db, id, true);
}

Status release_table(sqlite::Database& db, const std::string& table) {
  TRY_ASSIGN(const int64_t id, watched_id(db, table));
  TRY_ASSIGN(Statement mark, db.prepare("SELECT count(*) FROM __marmot_adopted WHERE tbl = ?1 AND wish IS NOT 0"));
  mark.bind(1, id);
  TRY(mark.step());
  if (mark.integer(0) == 0) return cannot("it was not adopted");
  mark.reset();
  TRY(remove_autoincrement(db, table));
  return wish_adopted(db, id, false);
}

Result<std::vector<std::string>> adoptable_tables(sqlite::Database& db) {
  TRY_ASSIGN(const std::vector<std::string> watched, first_column(db, "SELECT name FROM main.__marmot_table ORDER BY name"));
  std::vector<std::string> out;
  for (const std::string& table : watched) {
    const auto sql = stored_text(db, table);
    if (sql && with_autoincrement(*sql)) out.push_back(table);
  }
  return out;
}

Result<std::vector<std::string>> adopted_tables(sqlite::Database& db) {
  TRY_ASSIGN(const int64_t any, db.query_integer(sql::kHasAdopted));
  return any == 0 ? std::vector<std::string>() : first_column(db, sql::kAdoptedTables);
}

Status tell_adopted(sqlite::Database& db, int64_t table_id, bool adopted) {
  TRY_ASSIGN(Statement mark, db.prepare(adopted ? sql::kToldAdopted : sql::kForgetAdopted));
  mark.bind(1, table_id);
  return mark.run();
}

Status release_all(sqlite::Database& db) {
  TRY_ASSIGN(const std::vector<std::string> tables, adopted_tables(db));
  for (const std::string& table : tables) {
    const auto sql = stored_text(db, table);
    if (sql && without_autoincrement(*sql) != *sql) TRY_IN("release table " + table, remove_autoincrement(db, table));
  }
  return ok();
}

}  // namespace marmot::replica
