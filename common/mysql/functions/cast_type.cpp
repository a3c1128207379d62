#include "common/mysql/functions/cast_type.hpp"

#include <array>
#include <charconv>
#include <limits>

#include "common/mysql/functions/ascii.hpp"

namespace marmot::mysql {

namespace {

// A word, a mark or a number at a time.
class TypeReader {
 public:
  explicit TypeReader(std::string_view text) : rest_(text) { advance(0); }
  bool done() const { return rest_.empty(); }
  std::string_view word() {
    size_t size = 0;
    while (size < rest_.size() && (is_letter(rest_[size]) || rest_[size] == '_' || (size > 0 && is_digit(rest_[size])))) ++size;
    const std::string_view out = rest_.substr(0, size);
    advance(size);
    return out;
  }
  bool take(std::string_view wanted) {
    const std::string_view before = rest_;
    if (same_word(word(), wanted)) return true;
    rest_ = before;
    return false;
  }
  bool mark(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    advance(1);
    return true;
  }
  std::optional<int64_t> number() {
    if (rest_.empty() || !is_digit(rest_.front())) return std::nullopt;
    int64_t out = 0;
    const auto read = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
    if (read.ec != std::errc()) out = std::numeric_limits<int64_t>::max();
    advance(static_cast<size_t>(read.ptr - rest_.data()));
    return out;
  }

 private:
  void advance(size_t by) {
    rest_.remove_prefix(by);
    while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

struct Name {
  std::string_view word;
  CastKind kind;
  int numbers;  // that may stand in brackets behind it
  std::string_view charset = {};
};
constexpr std::string_view kNational = "utf8mb3";  // manual 12.3.7
constexpr std::array kNames = {
    Name{"BINARY", CastKind::binary, 1},
    Name{"CHAR", CastKind::character, 1},
    Name{"CHARACTER", CastKind::character, 1},
    Name{"DATE", CastKind::date, 0},
    Name{"DATETIME", CastKind::datetime, 1},
    Name{"DEC", CastKind::decimal, 2},
    Name{"DECIMAL", CastKind::decimal, 2},
    Name{"DOUBLE", CastKind::real, 0},
    Name{"FLOAT", CastKind::single, 1},
    Name{"JSON", CastKind::json, 0},
    Name{"NCHAR", CastKind::character, 1, kNational},
    Name{"REAL", CastKind::real, 0},
    Name{"SIGNED", CastKind::signed_integer, 0},
    Name{"TIME", CastKind::time, 1},
    Name{"UNSIGNED", CastKind::unsigned_integer, 0},
    Name{"YEAR", CastKind::year, 0},
};

bool read_numbers(TypeReader& in, int most, CastType& type) {
  if (most == 0 || !in.mark('(')) return true;
  type.length = in.number();
  if (!type.length) return false;
  if (most == 2 && in.mark(',')) {
    type.decimals = in.number();
    if (!type.decimals) return false;
  }
  return in.mark(')');
}

// CHARACTER SET name, CHARSET name; ASCII: latin1, UNICODE: ucs2.
bool read_charset(TypeReader& in, CastType& type) {
  if (in.done()) return true;
  if (in.take("ASCII")) type.charset = "latin1";
  else if (in.take("UNICODE")) type.charset = "ucs2";
  else if (in.take("CHARSET") || ((in.take("CHARACTER") || in.take("CHAR")) && in.take("SET"))) type.charset = in.word();
  return !type.charset.empty();
}

}  // namespace

std::optional<CastType> read_cast_type(std::string_view text) {
  TypeReader in(text);
  const bool national = in.take("NATIONAL");
  const std::string_view word = in.word();
  for (const Name& name : kNames) {
    if (!same_word(name.word, word)) continue;
    CastType type{name.kind, {}, {}, national ? kNational : name.charset};
    if (national && (name.kind != CastKind::character || !name.charset.empty())) return std::nullopt;
    if (!read_numbers(in, name.numbers, type)) return std::nullopt;
    if (type.kind == CastKind::character && type.charset.empty() && !read_charset(in, type)) return std::nullopt;
    if (type.kind == CastKind::signed_integer || type.kind == CastKind::unsigned_integer) in.take("INTEGER") || in.take("INT");
    return in.done() ? std::optional(type) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace marmot::mysql
