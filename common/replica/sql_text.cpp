#include "common/replica/sql_text.hpp"

#include <cstddef>
#include <utility>

#include "common/core/key.hpp"

namespace marmot::replica {

namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
// As sqlite3CtypeMap: letters, digits, '_', '$' and every byte above 0x7f.
bool is_name_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = upper(c);
  return out;
}

bool same_word(std::string_view text, std::string_view upper_word) {
  if (text.size() != upper_word.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (upper(text[i]) != upper_word[i]) return false;
  }
  return true;
}

// Splits front to back. Every scan_* returns the offset behind the token that starts at `at`; npos: it has no end.
class Scanner {
 public:
  explicit Scanner(std::string_view sql) : sql_(sql) {}

  Result<std::vector<Token>> all() {
    std::vector<Token> out;
    for (size_t at = 0; at < sql_.size();) {
      if (is_space(sql_[at])) {
        ++at;
        continue;
      }
      if (starts(at, "--")) {
        const size_t end = sql_.find('\n', at);
        at = end == std::string_view::npos ? sql_.size() : end + 1;
        continue;
      }
      // SQLite reads "/*" at the very end as two symbols, and so does it here.
      if (starts(at, "/*") && at + 2 < sql_.size()) {
        const size_t end = sql_.find("*/", at + 2);
        if (end == std::string_view::npos) return unterminated("comment", at);
        at = end + 2;
        continue;
      }
      Token token{Token::Kind::symbol, {}, at};
      const size_t end = scan(at, token.kind);
      if (end == std::string_view::npos) return unterminated("string or name", at);
      token.text = sql_.substr(at, end - at);
      out.push_back(token);
      at = end;
    }
    return out;
  }

 private:
  bool starts(size_t at, std::string_view with) const { return sql_.substr(at, with.size()) == with; }
  char peek(size_t at) const { return at < sql_.size() ? sql_[at] : '\0'; }

  static Error unterminated(std::string_view what, size_t at) {
    return make_error(Errc::bad_input, "unterminated " + std::string(what) + " at offset " + std::to_string(at));
  }

  size_t scan(size_t at, Token::Kind& kind) const {
    const char c = sql_[at];
    switch (c) {
      case '\'': kind = Token::Kind::string; return scan_quoted(at, c);
      case '"':
      case '`': kind = Token::Kind::quoted_name; return scan_quoted(at, c);
      case '[': {
        kind = Token::Kind::quoted_name;
        const size_t end = sql_.find(']', at);
        return end == std::string_view::npos ? end : end + 1;
      }
      case '?': kind = Token::Kind::variable; return skip_digits(at + 1);
      case '@':
      case ':':
      case '#':
        kind = Token::Kind::variable;
        return skip_name(at + 1);
      default: break;
    }
    if ((c == 'x' || c == 'X') && peek(at + 1) == '\'') {
      kind = Token::Kind::blob;
      return scan_quoted(at + 1, '\'');
    }
    if (is_digit(c) || (c == '.' && is_digit(peek(at + 1)))) {
      kind = Token::Kind::number;
      return scan_number(at);
    }
    if (c == '$') {
      kind = Token::Kind::variable;
      return skip_name(at + 1);
    }
    if (is_name_char(c)) {
      kind = Token::Kind::word;
      return skip_name(at);
    }
    kind = Token::Kind::symbol;
    for (const std::string_view symbol : {"->>", "->", "||", "<=", "<>", "<<", ">=", ">>", "==", "!="}) {
      if (starts(at, symbol)) return at + symbol.size();
    }
    return at + 1;
  }

  size_t scan_quoted(size_t at, char mark) const {
    for (size_t i = at + 1; i < sql_.size(); ++i) {
      if (sql_[i] != mark) continue;
      if (peek(i + 1) != mark) return i + 1;
      ++i;  // a doubled mark stands for itself
    }
    return std::string_view::npos;
  }

  size_t scan_number(size_t at) const {
    if (sql_[at] == '0' && (peek(at + 1) == 'x' || peek(at + 1) == 'X')) return skip_name(at + 2);
    at = skip_digits(at);
    if (peek(at) == '.') at = skip_digits(at + 1);
    if (peek(at) == 'e' || peek(at) == 'E') {
      const size_t sign = peek(at + 1) == '+' || peek(at + 1) == '-' ? 1 : 0;
      if (is_digit(peek(at + 1 + sign))) at = skip_digits(at + 1 + sign);
    }
    return skip_name(at);  // `1abc` is one malformed token, as in SQLite
  }

  size_t skip_digits(size_t at) const {
    while (at < sql_.size() && is_digit(sql_[at])) ++at;
    return at;
  }

  size_t skip_name(size_t at) const {
    while (at < sql_.size() && is_name_char(sql_[at])) ++at;
    return at;
  }

  std::string_view sql_;
};

// A cursor over tokens that cannot run off their end.
class Cursor {
 public:
  Cursor(std::string_view sql, const std::vector<Token>& tokens) : sql_(sql), tokens_(tokens) {}

  bool done() const { return at_ >= tokens_.size(); }
  size_t at() const { return at_; }
  void advance() {
    if (!done()) ++at_;
  }

  bool is_word(std::string_view upper_word, size_t ahead = 0) const {
    const Token* token = peek(ahead);
    return token != nullptr && token->kind == Token::Kind::word && same_word(token->text, upper_word);
  }
  bool is_symbol(std::string_view symbol) const {
    const Token* token = peek(0);
    return token != nullptr && token->kind == Token::Kind::symbol && token->text == symbol;
  }
  bool take_word(std::string_view upper_word) {
    if (!is_word(upper_word)) return false;
    advance();
    return true;
  }
  bool take_symbol(std::string_view symbol) {
    if (!is_symbol(symbol)) return false;
    advance();
    return true;
  }

  // A name, bare or quoted (SQLite takes 'x' for a name too).
  Result<std::string> take_name() {
    const Token* token = peek(0);
    if (token == nullptr || (token->kind != Token::Kind::word && token->kind != Token::Kind::quoted_name &&
                             token->kind != Token::Kind::string)) {
      return unexpected("a name");
    }
    advance();
    return unquote(token->text);
  }

  // [schema.]name
  Result<std::string> take_qualified_name() {
    TRY_ASSIGN(std::string name, take_name());
    if (!take_symbol(".")) return name;
    return take_name();
  }

  bool take_if_not_exists() {
    if (!is_word("IF") || !is_word("NOT", 1) || !is_word("EXISTS", 2)) return false;
    at_ += 3;
    return true;
  }

  Error unexpected(std::string_view wanted) const {
    const std::string found = done() ? "the end" : std::string(tokens_[at_].text);
    return make_error(Errc::bad_input, "expected " + std::string(wanted) + ", found " + found);
  }

  // The SQL from token `first` up to, not including, token `last`; comments in between stay.
  std::string text(size_t first, size_t last) const {
    if (first >= last) return {};
    const Token& end = tokens_[last - 1];
    return std::string(sql_.substr(tokens_[first].offset, end.offset + end.text.size() - tokens_[first].offset));
  }

  const Token* peek(size_t ahead) const { return at_ + ahead < tokens_.size() ? &tokens_[at_ + ahead] : nullptr; }
  const std::vector<Token>& tokens() const { return tokens_; }

 private:
  std::string_view sql_;
  const std::vector<Token>& tokens_;
  size_t at_ = 0;
};

int depth_change(const Token& token) {
  if (token.kind != Token::Kind::symbol) return 0;
  return token.text == "(" ? 1 : token.text == ")" ? -1 : 0;
}

// The end of an indexed term without ASC, DESC and COLLATE name: [first, returned).
size_t trim_term(const std::vector<Token>& tokens, size_t first, size_t last) {
  const auto word = [&](size_t i, std::string_view upper_word) {
    return tokens[i].kind == Token::Kind::word && same_word(tokens[i].text, upper_word);
  };
  if (last > first + 1 && (word(last - 1, "ASC") || word(last - 1, "DESC"))) --last;
  while (last > first + 2 && word(last - 2, "COLLATE")) last -= 2;
  return last;
}

Result<TriggerStatement> parse_statement(const Cursor& trigger, size_t first, size_t last) {
  TriggerStatement out;
  out.sql = trigger.text(first, last);
  const std::vector<Token>& tokens = trigger.tokens();
  for (size_t i = first; i + 1 < last; ++i) {
    if (tokens[i].kind == Token::Kind::word && same_word(tokens[i].text, "RAISE") && tokens[i + 1].text == "(") {
      out.raises = true;
    }
  }
  const std::vector<Token> mine(tokens.begin() + static_cast<std::ptrdiff_t>(first),
                                tokens.begin() + static_cast<std::ptrdiff_t>(last));
  Cursor in(out.sql, mine);
  if (in.is_word("SELECT") || in.is_word("WITH") || in.is_word("VALUES")) {
    out.verb = "SELECT";
    return out;
  }
  if (!in.is_word("INSERT") && !in.is_word("REPLACE") && !in.is_word("UPDATE") && !in.is_word("DELETE")) {
    return in.unexpected("INSERT, REPLACE, UPDATE, DELETE or SELECT");
  }
  out.verb = upper(in.peek(0)->text);
  in.advance();
  if (in.take_word("OR")) in.advance();  // OR REPLACE, OR IGNORE, ...
  const std::string_view between = out.verb == "DELETE" ? "FROM" : "INTO";
  if (out.verb != "UPDATE" && !in.take_word(between)) return in.unexpected(between);
  TRY_ASSIGN(out.target, in.take_qualified_name());
  return out;
}

// Timing and event, up to the table's name.
Status parse_event(Cursor& in, TriggerSql& out) {
  if (in.take_word("AFTER")) {
    out.timing = "AFTER";
  } else if (in.take_word("INSTEAD")) {
    if (!in.take_word("OF")) return in.unexpected("OF");
    out.timing = "INSTEAD OF";
  } else {
    (void)in.take_word("BEFORE");
    out.timing = "BEFORE";  // SQLite's default
  }
  if (!in.is_word("INSERT") && !in.is_word("UPDATE") && !in.is_word("DELETE")) {
    return in.unexpected("INSERT, UPDATE or DELETE");
  }
  out.event = upper(in.peek(0)->text);
  in.advance();
  if (out.event == "UPDATE" && in.take_word("OF")) {
    do {
      TRY_ASSIGN(std::string column, in.take_name());
      out.columns.push_back(std::move(column));
    } while (in.take_symbol(","));
  }
  if (!in.take_word("ON")) return in.unexpected("ON");
  TRY_ASSIGN(out.table, in.take_qualified_name());
  return ok();
}

// Stands on the first token behind WHEN; leaves the cursor on BEGIN. A column called begin is `NEW.begin` or inside ().
Status parse_when(Cursor& in, TriggerSql& out) {
  const size_t first = in.at();
  int depth = 0;
  bool after_dot = false;
  while (!in.done() && !(depth == 0 && !after_dot && in.is_word("BEGIN"))) {
    depth += depth_change(*in.peek(0));
    after_dot = in.is_symbol(".");
    in.advance();
  }
  out.when = in.text(first, in.at());
  return ok();
}

}  // namespace

std::string fold_name(std::string_view name) { return fold_text(name, Collation::nocase); }

Result<std::vector<Token>> tokenize(std::string_view sql) { return Scanner(sql).all(); }

std::string unquote(std::string_view token) {
  if (token.size() < 2) return std::string(token);
  const char first = token.front();
  if (first == '[' && token.back() == ']') return std::string(token.substr(1, token.size() - 2));
  if ((first != '"' && first != '`' && first != '\'') || token.back() != first) return std::string(token);
  std::string out;
  for (size_t i = 1; i + 1 < token.size(); ++i) {
    out += token[i];
    if (token[i] == first && token[i + 1] == first) ++i;
  }
  return out;
}

Result<IndexSql> parse_create_index(std::string_view sql) {
  TRY_ASSIGN(const std::vector<Token> tokens, tokenize(sql));
  Cursor in(sql, tokens);
  if (!in.take_word("CREATE")) return in.unexpected("CREATE");
  (void)in.take_word("UNIQUE");
  if (!in.take_word("INDEX")) return in.unexpected("INDEX");
  (void)in.take_if_not_exists();
  TRY(in.take_qualified_name());
  if (!in.take_word("ON")) return in.unexpected("ON");
  TRY(in.take_name());
  if (!in.take_symbol("(")) return in.unexpected("(");

  IndexSql out;
  int depth = 0;
  size_t first = in.at();
  for (; !in.done(); in.advance()) {
    const bool closes = depth == 0 && in.is_symbol(")");
    if (closes || (depth == 0 && in.is_symbol(","))) {
      if (first == in.at()) return in.unexpected("an indexed column or expression");
      out.terms.push_back(in.text(first, trim_term(tokens, first, in.at())));
      first = in.at() + 1;
    }
    if (closes) break;
    depth += depth_change(*in.peek(0));
  }
  if (!in.take_symbol(")")) return in.unexpected(")");
  if (in.take_word("WHERE")) {
    size_t last = tokens.size();
    if (last > in.at() && tokens[last - 1].text == ";") --last;
    out.where = in.text(in.at(), last);
    if (out.where.empty()) return in.unexpected("a condition");
  }
  return out;
}

Result<TriggerSql> parse_create_trigger(std::string_view sql) {
  TRY_ASSIGN(const std::vector<Token> tokens, tokenize(sql));
  Cursor in(sql, tokens);
  if (!in.take_word("CREATE")) return in.unexpected("CREATE");
  if (!in.take_word("TEMP")) (void)in.take_word("TEMPORARY");
  if (!in.take_word("TRIGGER")) return in.unexpected("TRIGGER");
  (void)in.take_if_not_exists();
  TRY(in.take_qualified_name());

  TriggerSql out;
  TRY(parse_event(in, out));
  if (in.take_word("FOR")) {
    if (!in.take_word("EACH") || !in.take_word("ROW")) return in.unexpected("EACH ROW");
  }
  if (in.take_word("WHEN")) TRY(parse_when(in, out));
  if (!in.take_word("BEGIN")) return in.unexpected("BEGIN");
  // Inside a trigger a semicolon only ever ends a statement, so CASE ... END needs no care.
  size_t first = in.at();
  for (; !in.done(); in.advance()) {
    if (!in.is_symbol(";")) continue;
    if (first == in.at()) return in.unexpected("a statement");
    TRY_ASSIGN(TriggerStatement statement, parse_statement(in, first, in.at()));
    out.statements.push_back(std::move(statement));
    first = in.at() + 1;
  }
  if (out.statements.empty() || first >= tokens.size() || !same_word(tokens[first].text, "END")) {
    return make_error(Errc::bad_input, "expected END behind the last statement");
  }
  return out;
}

}  // namespace marmot::replica
