#include "common/replica/create_table.hpp"

#include "common/core/key.hpp"
#include "common/replica/sql_text.hpp"

namespace marmot::replica {

namespace {

bool is_word(const Token& token, std::string_view lower) { return token.kind == Token::Kind::word && fold_name(token.text) == lower; }
bool is_symbol(const Token& token, std::string_view symbol) {
  return token.kind == Token::Kind::symbol && token.text == symbol;
}
bool is_name(const Token& token) {
  return token.kind == Token::Kind::word || token.kind == Token::Kind::quoted_name || token.kind == Token::Kind::string;
}

bool begins_constraint(const Token& token) {
  for (const std::string_view word : {"constraint", "primary", "unique", "check", "foreign"}) {
    if (is_word(token, word)) return true;
  }
  return false;
}

// From token `first` to before token `last`, comments in between included.
std::string text_between(std::string_view sql, const std::vector<Token>& tokens, size_t first, size_t last) {
  if (first >= last) return {};
  const Token& end = tokens[last - 1];
  return std::string(sql.substr(tokens[first].offset, end.offset + end.text.size() - tokens[first].offset));
}

Error refused(std::string_view wanted) { return make_error(Errc::bad_input, "CREATE TABLE: expected " + std::string(wanted)); }

// Skips words, and [schema.]name; the name is left in `name`.
size_t skip_name(const std::vector<Token>& tokens, size_t at, std::string& name) {
  if (at >= tokens.size() || !is_name(tokens[at])) return tokens.size();
  name = unquote(tokens[at].text);
  if (at + 2 < tokens.size() && is_symbol(tokens[at + 1], ".")) {
    name = unquote(tokens[at + 2].text);
    return at + 3;
  }
  return at + 1;
}

size_t skip_if_not_exists(const std::vector<Token>& tokens, size_t at) {
  return at + 2 < tokens.size() && is_word(tokens[at], "if") && is_word(tokens[at + 1], "not") && is_word(tokens[at + 2], "exists") ? at + 3 : at;
}

}  // namespace

Result<std::string> table_sql(sqlite::Database& db, std::string_view name) {
  TRY_ASSIGN(sqlite::Statement row, db.prepare("SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND rootpage <> 0 AND name = ?1 COLLATE NOCASE"));
  row.bind(1, name);
  TRY_ASSIGN(const bool found, row.step());
  return found ? std::string(row.text(0)) : std::string();
}

Result<CreateTable> parse_create_table(std::string_view sql) {
  TRY_ASSIGN(const std::vector<Token> tokens, tokenize(sql));
  size_t end = tokens.size();
  while (end > 0 && is_symbol(tokens[end - 1], ";")) --end;
  size_t at = 0;
  if (end < 4 || !is_word(tokens[at++], "create")) return refused("CREATE");
  if (is_word(tokens[at], "temp") || is_word(tokens[at], "temporary")) ++at;
  if (!is_word(tokens[at++], "table")) return refused("TABLE");
  at = skip_if_not_exists(tokens, at);
  CreateTable out;
  at = skip_name(tokens, at, out.name);
  if (at >= end || !is_symbol(tokens[at++], "(")) return refused("a list of columns");

  int depth = 0;
  size_t first = at;
  for (; at < end; ++at) {
    const bool closes = depth == 0 && is_symbol(tokens[at], ")");
    if (closes || (depth == 0 && is_symbol(tokens[at], ","))) {
      if (first >= at) return refused("a column");
      if (begins_constraint(tokens[first])) {
        if (out.columns.empty()) return refused("a column");
        out.tail = ", " + text_between(sql, tokens, first, end);
        return out;
      }
      if (!is_name(tokens[first])) return refused("a column's name");
      out.columns.push_back({unquote(tokens[first].text), text_between(sql, tokens, first + 1, at)});
      first = at + 1;
    }
    if (closes) {
      out.tail = text_between(sql, tokens, at, end);
      return out;
    }
    if (is_symbol(tokens[at], "(")) ++depth;
    else if (is_symbol(tokens[at], ")")) --depth;
  }
  return refused(")");
}

std::string create_table_sql(const CreateTable& table) {
  std::string out = "CREATE TABLE " + sqlite::quote_identifier(table.name) + "(";
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const ColumnSql& column = table.columns[i];
    // A definition may end in a comment of its line: the tokens behind it are safe on the next.
    out += (i == 0 ? "" : ", ") + sqlite::quote_identifier(column.name) + (column.definition.empty() ? "" : " ") + column.definition;
    if (column.definition.find("--") != std::string::npos) out += '\n';
  }
  return out + table.tail;
}

std::string canonical_sql(std::string_view sql) { return canonical_sql(sql, {}, {}); }

std::string canonical_sql(std::string_view sql, std::string_view from, std::string_view to) {
  const auto tokens = tokenize(sql);
  if (!tokens) return std::string(sql);
  const std::string folded_from = fold_name(from);
  std::string out;
  for (const Token& token : *tokens) {
    if (!out.empty()) out += ' ';
    if (token.kind != Token::Kind::word && token.kind != Token::Kind::quoted_name) {
      out += token.text;
      continue;
    }
    const std::string word = fold_name(token.kind == Token::Kind::word ? std::string(token.text) : unquote(token.text));
    out += !from.empty() && word == folded_from ? fold_name(to) : word;
  }
  return out;
}

Result<std::string> object_table(std::string_view sql) {
  TRY_ASSIGN(const std::vector<Token> tokens, tokenize(sql));
  for (size_t i = 2; i + 1 < tokens.size(); ++i) {
    // The first ON that is not part of a name: INDEX name ON, ... OF a, b ON.
    if (!is_word(tokens[i], "on") || is_symbol(tokens[i - 1], ".")) continue;
    std::string name;
    (void)skip_name(tokens, i + 1, name);
    if (name.empty()) break;
    return name;
  }
  return make_error(Errc::bad_input, "neither an index nor a trigger");
}

}  // namespace marmot::replica
