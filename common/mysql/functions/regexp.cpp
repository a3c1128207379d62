// Regular expressions (MySQL 8.0 manual, 14.8.2), ICU's as MySQL's are. Case does not matter unless 'c' is given; positions count
// characters from 1. A pattern is compiled once for the place of the statement that it stands in.
//
// Match types: c with case, i without (the last of them counts), m ^ and $ at every line, n the point matches line ends, u only
// newline ends a line. Errors are MySQL's (3685 to 3700, 3887), binary strings are refused (3995), and what takes more than the
// session's regexp_time_limit or regexp_stack_limit ends with 3699 or 3698. A pattern of more than 32,768 units is too big (3700).
#include <unicode/uregex.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>

#include <algorithm>
#include <array>
#include <string>

#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"
#include "common/mysql/functions/text.hpp"

namespace marmot::mysql {

namespace {

constexpr int kErCharacterSetMismatch = 3995;  // ER_CHARACTER_SET_MISMATCH
constexpr int kErIndexOutOfBounds = 3686;      // ER_REGEXP_INDEX_OUTOFBOUNDS_ERROR
constexpr size_t kLongestPattern = 32'768;      // UTF-16 units: ICU takes time with the square of it, a second for the worst of this length
constexpr int kErInternal = 3687;              // ER_REGEXP_INTERNAL_ERROR

struct RegexpError {
  UErrorCode icu;
  int code;
  std::string_view message;
};

constexpr std::array kErrors = {
    RegexpError{U_ILLEGAL_ARGUMENT_ERROR, 3685, "Illegal argument to a regular expression."},
    RegexpError{U_INDEX_OUTOFBOUNDS_ERROR, kErIndexOutOfBounds, "Index out of bounds in regular expression search."},
    RegexpError{U_REGEX_BAD_ESCAPE_SEQUENCE, 3689, "Unrecognized escape sequence in regular expression."},
    RegexpError{U_REGEX_UNIMPLEMENTED, 3690, "The regular expression contains a feature that is not implemented in this library version."},
    RegexpError{U_REGEX_MISMATCHED_PAREN, 3691, "Mismatched parenthesis in regular expression."},
    RegexpError{U_REGEX_BAD_INTERVAL, 3692, "Incorrect description of a {min,max} interval."},
    RegexpError{U_REGEX_MAX_LT_MIN, 3693, "The maximum is less than the minimum in a {min,max} interval."},
    RegexpError{U_REGEX_INVALID_BACK_REF, 3694, "Invalid back-reference in regular expression."},
    RegexpError{U_REGEX_LOOK_BEHIND_LIMIT, 3695, "The look-behind assertion exceeds the limit in regular expression."},
    RegexpError{U_REGEX_MISSING_CLOSE_BRACKET, 3696, "The regular expression contains an unclosed bracket expression."},
    RegexpError{U_REGEX_INVALID_RANGE, 3697, "The regular expression contains an [x-y] character range where x comes after y."},
    RegexpError{U_REGEX_STACK_OVERFLOW, 3698, "Overflow in the regular expression backtrack stack."},
    RegexpError{U_REGEX_TIME_OUT, kErRegexpTimeOut, "Timeout exceeded in regular expression match."},
    RegexpError{U_REGEX_PATTERN_TOO_BIG, 3700, "The regular expression pattern exceeds limits on size or complexity."},
    RegexpError{U_REGEX_INVALID_CAPTURE_GROUP_NAME, 3887, "A capture group has an invalid name."},
    RegexpError{U_REGEX_INVALID_FLAG, 3900, "Invalid match mode flag in regular expression."},
};

// True: an error, which the call has failed with.
bool failed(Call& call, UErrorCode status, const UParseError* where = nullptr) {
  if (U_FAILURE(status) == 0) return false;
  for (const RegexpError& error : kErrors) {
    if (error.icu == status) return call.fail(error.code, error.message), true;
  }
  if (status == U_REGEX_RULE_SYNTAX && where != nullptr) {
    call.fail(3688, "Syntax error in regular expression on line " + std::to_string(where->line) + ", character " + std::to_string(where->offset) + ".");
  } else {
    call.fail(kErInternal, std::string("Internal error in the regular expression library: ") + u_errorName(status));
  }
  return true;
}

// False: it does not fit ICU's lengths.
bool to_wide(std::string_view text, std::u16string& out) {
  out.resize(text.size());
  int32_t size = 0;
  UErrorCode status = U_ZERO_ERROR;
  u_strFromUTF8WithSub(out.data(), static_cast<int32_t>(out.size()), &size, text.data(), static_cast<int32_t>(text.size()), 0xFFFD, nullptr, &status);
  out.resize(U_FAILURE(status) != 0 ? 0 : static_cast<size_t>(size));
  return U_FAILURE(status) == 0;
}

void append_narrow(std::string& out, std::u16string_view text) {
  const size_t before = out.size();
  out.resize(before + text.size() * 3);
  int32_t size = 0;
  UErrorCode status = U_ZERO_ERROR;
  u_strToUTF8WithSub(out.data() + before, static_cast<int32_t>(out.size() - before), &size, text.data(), static_cast<int32_t>(text.size()), 0xFFFD, nullptr, &status);
  out.resize(before + static_cast<size_t>(size));
}

// A compiled pattern, and the string it was last set to.
class Pattern final : public Kept {
 public:
  Pattern(std::string_view text, uint32_t flags) : text_(text), flags_(flags) {}
  ~Pattern() override { uregex_close(regex_); }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  bool is(std::string_view text, uint32_t flags) const { return text_ == text && flags_ == flags; }

  bool compile(Call& call) {
    std::u16string wide;
    UErrorCode status = U_ZERO_ERROR;
    UParseError where{};
    if (!to_wide(text_, wide) || wide.size() > kLongestPattern) return failed(call, U_REGEX_PATTERN_TOO_BIG), false;
    regex_ = uregex_open(wide.data(), static_cast<int32_t>(wide.size()), flags_, &where, &status);
    if (!failed(call, status, &where)) uregex_setTimeLimit(regex_, call.session().regexp_time_limit, &status);
    if (!failed(call, status)) uregex_setStackLimit(regex_, call.session().regexp_stack_limit, &status);
    return !failed(call, status);
  }

  // What is searched from now on.
  bool search_in(Call& call, std::string_view subject) {
    UErrorCode status = to_wide(subject, subject_) ? U_ZERO_ERROR : U_INDEX_OUTOFBOUNDS_ERROR;
    uregex_setText(regex_, subject_.data(), static_cast<int32_t>(subject_.size()), &status);
    return !failed(call, status);
  }

  // The `occurrence`-th match that begins at character `position` or later (both from 1). False: there is none, or the call failed.
  bool find(Call& call, int64_t position, int64_t occurrence) {
    const auto end = static_cast<int32_t>(subject_.size());
    int32_t at = 0;
    for (int64_t i = 1; i < position && !subject_.empty(); ++i) {
      if (at == end) return failed(call, U_INDEX_OUTOFBOUNDS_ERROR), false;
      U16_FWD_1(subject_.data(), at, end);
    }
    UErrorCode status = U_ZERO_ERROR;
    bool found = uregex_find(regex_, at, &status) != 0;
    for (int64_t i = 1; i < occurrence && found; ++i) found = uregex_findNext(regex_, &status) != 0;
    return !failed(call, status) && found;
  }
  bool find_next(Call& call) {
    UErrorCode status = U_ZERO_ERROR;
    const bool found = uregex_findNext(regex_, &status) != 0;
    return !failed(call, status) && found;
  }

  int32_t begin(int32_t group = 0) const {
    UErrorCode status = U_ZERO_ERROR;
    return uregex_start(regex_, group, &status);
  }
  int32_t end(int32_t group = 0) const {
    UErrorCode status = U_ZERO_ERROR;
    return uregex_end(regex_, group, &status);
  }
  // Nothing for a group that took no part.
  std::u16string_view matched(int32_t group = 0) const { return begin(group) < 0 ? std::u16string_view() : between(begin(group), end(group)); }
  std::u16string_view between(int32_t from, int32_t to) const { return std::u16string_view(subject_).substr(static_cast<size_t>(from), static_cast<size_t>(to - from)); }
  std::u16string_view from(int32_t begin) const { return std::u16string_view(subject_).substr(static_cast<size_t>(begin)); }
  int64_t characters_before(int32_t offset) const { return u_countChar32(subject_.data(), offset); }
  int32_t groups() const {
    UErrorCode status = U_ZERO_ERROR;
    return uregex_groupCount(regex_, &status);
  }
  int32_t group_named(std::u16string_view name, UErrorCode& status) const {
    return uregex_groupNumberFromName(regex_, name.data(), static_cast<int32_t>(name.size()), &status);
  }

 private:
  std::string text_;
  uint32_t flags_;
  URegularExpression* regex_ = nullptr;
  std::u16string subject_;
};

// The flags of a match type, argument `i` if there is one. False: the call failed.
bool flags_of(Call& call, int i, uint32_t& flags) {
  flags = UREGEX_CASE_INSENSITIVE;
  if (i >= call.count()) return true;
  for (const char type : call.text(i)) {
    switch (type) {
      case 'c': flags &= ~static_cast<uint32_t>(UREGEX_CASE_INSENSITIVE); break;
      case 'i': flags |= UREGEX_CASE_INSENSITIVE; break;
      case 'm': flags |= UREGEX_MULTILINE; break;
      case 'n': flags |= UREGEX_DOTALL; break;
      case 'u': flags |= UREGEX_UNIX_LINES; break;
      default: return call.fail(kErWrongArguments, "Incorrect arguments to " + std::string(call.name()) + ": a match type is made of c, i, m, n and u"), false;
    }
  }
  return true;
}

// The pattern of argument `pattern`, set to search argument `subject`. nullptr: the call failed.
std::shared_ptr<Pattern> prepared(Call& call, int subject, int pattern, int match_type) {
  if (call.is_blob(subject) || call.is_blob(pattern)) {
    call.fail(kErCharacterSetMismatch, "Character set 'binary' cannot be used in conjunction with 'utf8mb4_0900_ai_ci' in call to " + std::string(call.name()) + ".");
    return nullptr;
  }
  uint32_t flags = 0;
  if (!flags_of(call, match_type, flags)) return nullptr;
  const std::string_view text = call.text(pattern);
  if (text.empty()) return failed(call, U_ILLEGAL_ARGUMENT_ERROR), nullptr;
  const auto make = [&]() -> std::shared_ptr<Pattern> {
    auto made = std::make_shared<Pattern>(text, flags);
    return made->compile(call) ? made : nullptr;
  };
  auto out = call.kept<Pattern>(pattern, make);
  if (out != nullptr && !out->is(text, flags)) {
    out = make();
    if (out != nullptr) call.keeper().keep(pattern, out);
  }
  return out != nullptr && out->search_in(call, call.text(subject)) ? out : nullptr;
}

// The position that argument `i` gives, 1 if there is none. False: the call failed.
bool position_of(Call& call, int i, int64_t& position) {
  position = i < call.count() ? call.integer(i) : 1;
  if (position >= 1) return true;
  call.fail(kErWrongParametersToNativeFct, "Incorrect parameters in the call to native function '" + std::string(call.name()) + "': positions count from 1");
  return false;
}

void matched(Call& call, int subject, int pattern, int match_type) {
  const auto regex = prepared(call, subject, pattern, match_type);
  if (regex == nullptr) return;
  const bool found = regex->find(call, 1, 1);
  call.integer_is(found ? 1 : 0);
}

// REGEXP_LIKE(expr, pat [, match_type]) -> 1 or 0
void regexp_like(Call& call) { matched(call, 0, 1, 2); }

// REGEXP(pat, expr), as SQLite calls it for expr REGEXP pat
void regexp(Call& call) { matched(call, 1, 0, 2); }

// REGEXP_INSTR(expr, pat [, pos [, occurrence [, return_option [, match_type]]]]) -> where it begins, 0 for none; return_option 1:
// the place behind it
void regexp_instr(Call& call) {
  int64_t position = 0;
  if (!position_of(call, 2, position)) return;
  const int64_t occurrence = call.count() > 3 ? call.integer(3) : 1;
  const int64_t option = call.count() > 4 ? call.integer(4) : 0;
  if (option != 0 && option != 1) return call.fail(kErWrongArguments, "Incorrect arguments to regexp_instr: return_option must be 1 or 0.");
  const auto regex = prepared(call, 0, 1, 5);
  if (regex == nullptr) return;
  const bool found = regex->find(call, position, occurrence);
  call.integer_is(found ? regex->characters_before(option == 1 ? regex->end() : regex->begin()) + 1 : 0);
}

// REGEXP_SUBSTR(expr, pat [, pos [, occurrence [, match_type]]]) -> what matches, NULL if nothing does
void regexp_substr(Call& call) {
  int64_t position = 0;
  if (!position_of(call, 2, position)) return;
  const int64_t occurrence = call.count() > 3 ? call.integer(3) : 1;
  const auto regex = prepared(call, 0, 1, 4);
  if (regex == nullptr || !regex->find(call, position, occurrence)) return;
  append_narrow(call.buffer(), regex->matched());
  call.text_done();
}

// --- replacing ---------------------------------------------------------------------------------------------------------

// The group that `$` refers to in a replacement, and takes it off: $n with as many digits as make a group of the pattern, or ${name}.
int32_t group_of(const Pattern& regex, std::u16string_view& rest, UErrorCode& status) {
  if (!rest.empty() && rest.front() == u'{') {
    const size_t close = rest.find(u'}');
    if (close == std::u16string_view::npos) return status = U_REGEX_INVALID_CAPTURE_GROUP_NAME, 0;
    const int32_t group = regex.group_named(rest.substr(1, close - 1), status);
    rest.remove_prefix(close + 1);
    return group;
  }
  if (rest.empty() || rest.front() < u'0' || rest.front() > u'9') return status = U_REGEX_INVALID_CAPTURE_GROUP_NAME, 0;
  int32_t group = rest.front() - u'0';
  if (group > regex.groups()) return status = U_INDEX_OUTOFBOUNDS_ERROR, 0;
  rest.remove_prefix(1);
  while (!rest.empty() && rest.front() >= u'0' && rest.front() <= u'9' && group * 10 + (rest.front() - u'0') <= regex.groups()) {
    group = group * 10 + (rest.front() - u'0');
    rest.remove_prefix(1);
  }
  return group;
}

// `replacement` for the match that there is: \ before a character is that character, $ a group.
bool append_replacement(Call& call, std::u16string& out, const Pattern& regex, std::u16string_view replacement) {
  UErrorCode status = U_ZERO_ERROR;
  while (!replacement.empty() && U_FAILURE(status) == 0) {
    const char16_t c = replacement.front();
    replacement.remove_prefix(1);
    if (c == u'$') {
      const int32_t group = group_of(regex, replacement, status);
      if (U_FAILURE(status) == 0) out += regex.matched(group);
    } else if (c != u'\\') {
      out += c;
    } else if (!replacement.empty()) {
      out += replacement.front();
      replacement.remove_prefix(1);
    }
  }
  return !failed(call, status);
}

// REGEXP_REPLACE(expr, pat, repl [, pos [, occurrence [, match_type]]]); occurrence 0: all of them
void regexp_replace(Call& call) {
  int64_t position = 0;
  if (!position_of(call, 3, position)) return;
  const int64_t occurrence = call.count() > 4 ? call.integer(4) : 0;
  const auto regex = prepared(call, 0, 1, 5);
  std::u16string replacement, out;
  if (regex == nullptr || !to_wide(call.text(2), replacement)) return;
  int32_t done = 0;  // of the subject
  bool found = regex->find(call, position, occurrence);
  while (found) {
    out += regex->between(done, regex->begin());
    if (!append_replacement(call, out, *regex, replacement) || !call.fits(out.size())) return;
    done = regex->end();
    found = occurrence == 0 && regex->find_next(call);
  }
  if (call.failed()) return;
  out += regex->from(done);
  if (!call.fits(out.size())) return;
  append_narrow(call.buffer(), out);
  call.text_done();
}

constexpr std::array kRegexpFunctions = {
    Function{"REGEXP", 2, 2, kStrict, regexp},
    Function{"REGEXP_INSTR", 2, 6, kStrict, regexp_instr},
    Function{"REGEXP_LIKE", 2, 3, kStrict, regexp_like},
    Function{"REGEXP_REPLACE", 3, 6, kStrict, regexp_replace},
    Function{"REGEXP_SUBSTR", 2, 5, kStrict, regexp_substr},
    Function{"RLIKE", 2, 2, kStrict, regexp_like},
};

}  // namespace

std::span<const Function> regexp_functions() { return kRegexpFunctions; }

}  // namespace marmot::mysql
