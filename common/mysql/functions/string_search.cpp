// Strings compared and searched (MySQL 8.0 manual, 14.8 and 14.8.1): without case and accents (utf8mb4_0900_ai_ci), by bytes where
// one of the strings is binary.
#include <array>

#include "common/mysql/functions/collation.hpp"
#include "common/mysql/functions/table.hpp"
#include "common/mysql/functions/text.hpp"

namespace marmot::mysql {

namespace {

// STRCMP(expr1, expr2) -> -1, 0 or 1
void strcmp(Call& call) { call.integer_is(call.compare_texts(0, 1)); }

// FIELD(str, str1, ...) -> which of them it is, 0 for none. Compared as strings if all are strings, as exact numbers if all are
// numbers, as doubles otherwise.
void field(Call& call) {
  call.integer_is(0);
  if (call.is_null(0)) return;
  bool numbers = true, strings = true;
  for (int i = 0; i < call.count(); ++i) {
    if (call.is_null(i)) continue;
    (call.is_number(i) ? strings : numbers) = false;
  }
  const bool binary = any_binary(call, 0, call.count() - 1);
  for (int i = 1; i < call.count(); ++i) {
    if (call.is_null(i)) continue;
    const bool equal = strings   ? equal_strings(call.text(0), call.text(i), binary)
                       : numbers ? call.decimal(0).compare(call.decimal(i)) == 0
                                 : call.real(0) == call.real(i);
    if (equal) return call.integer_is(i);
  }
}

// FIND_IN_SET(str, strlist) -> which of the strings between the commas it is; 0 where there is none or str has a comma
void find_in_set(Call& call) {
  const std::string_view wanted = call.text(0);
  std::string_view list = call.text(1);
  const bool binary = any_binary(call, 0, 1);
  call.integer_is(0);
  if (list.empty()) return;
  for (int64_t i = 1;; ++i) {
    const size_t comma = list.find(',');
    if (equal_strings(wanted, list.substr(0, comma), binary)) return call.integer_is(i);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

void located(Call& call, int what, int where, int64_t from) {
  std::string_view text = call.text(where);
  const bool binary = any_binary(call, 0, 1);
  call.integer_is(0);
  if (from < 1) return;
  const size_t skipped = offset_of(text, from - 1, binary);
  if (skipped == text.size() && from > 1 && static_cast<int64_t>(count_characters(text, binary)) < from - 1) return;
  const size_t at = find_string(text.substr(skipped), call.text(what), binary);
  if (at == std::string_view::npos) return;
  call.integer_is(from + static_cast<int64_t>(count_characters(text.substr(skipped, at), binary)));
}

// INSTR(str, substr) -> the first place, 0 for none
void instr(Call& call) { located(call, 1, 0, 1); }

// LOCATE(substr, str [, pos]), POSITION(substr, str)
void locate(Call& call) { located(call, 0, 1, call.count() > 2 ? call.integer(2) : 1); }

// --- LIKE --------------------------------------------------------------------------------------------------------------

// One step of a pattern: a character that stands for itself, _ or %.
struct Step {
  enum { kCharacter, kOne, kMany } kind = kCharacter;
  uint32_t code = 0;
  size_t size = 0;
};

constexpr uint32_t kNoEscape = UINT32_MAX;

Character next_of(std::string_view text, bool binary) {
  return binary ? Character{static_cast<unsigned char>(text.front()), 1} : first_character(text);
}

Step step_of(std::string_view pattern, uint32_t escape, bool binary) {
  const Character first = next_of(pattern, binary);
  if (first.code == escape && first.size < pattern.size()) {
    const Character escaped = next_of(pattern.substr(first.size), binary);
    return {Step::kCharacter, escaped.code, first.size + escaped.size};
  }
  if (first.code == '%') return {Step::kMany, 0, first.size};
  if (first.code == '_') return {Step::kOne, 0, first.size};
  return {Step::kCharacter, first.code, first.size};
}

// A hostile pattern takes the product of both lengths. Seconds of it are enough: no honest one comes near.
constexpr int64_t kMostSteps = 100'000'000;  // besides some for each byte of the text
constexpr int kFarSteps = 32;  // what a comparison beyond ASCII costs

enum class Match { no, yes, too_long };

Match matches(std::string_view text, std::string_view pattern, uint32_t escape, bool binary) {
  std::string_view text_then, pattern_then;  // where to go on after one more character for the last %
  bool many = false;
  const int64_t most_steps = kMostSteps + 4 * static_cast<int64_t>(text.size());
  for (int64_t steps = 0; steps < most_steps; ++steps) {
    if (!pattern.empty()) {
      const Step step = step_of(pattern, escape, binary);
      if (step.kind == Step::kMany) {
        pattern.remove_prefix(step.size);
        if (pattern.empty()) return Match::yes;
        many = true;
        text_then = text;
        pattern_then = pattern;
        continue;
      }
      if (!text.empty()) {
        const Character character = next_of(text, binary);
        const bool same = step.kind == Step::kOne || character.code == step.code;
        if (!same && (character.code | step.code) > 127) steps += kFarSteps;
        if (same || (!binary && equal_characters(character.code, step.code))) {
          text.remove_prefix(character.size);
          pattern.remove_prefix(step.size);
          continue;
        }
      }
    } else if (text.empty()) {
      return Match::yes;
    }
    if (!many || text_then.empty()) return Match::no;
    text_then.remove_prefix(next_of(text_then, binary).size);
    text = text_then;
    pattern = pattern_then;
  }
  return Match::too_long;
}

// LIKE(pattern, expr [, escape]), as SQLite calls it for expr LIKE pattern ESCAPE escape (14.8.1). The escape character is \ where
// none is given or it is NULL; '' is none at all.
void like(Call& call) {
  if (call.is_null(0) || call.is_null(1)) return;
  const bool binary = any_binary(call, 0, 1);
  uint32_t escape = '\\';
  if (call.count() > 2 && !call.is_null(2)) {
    const std::string_view given = call.text(2);
    const bool one = given.empty() || next_of(given, binary).size == given.size();
    if (!one) return call.fail(kErWrongArguments, "Incorrect arguments to ESCAPE");
    escape = given.empty() ? kNoEscape : next_of(given, binary).code;
  }
  const Match match = matches(call.text(1), call.text(0), escape, binary);
  if (match == Match::too_long) return call.fail(kErRegexpTimeOut, "the pattern takes too long to match");
  call.integer_is(match == Match::yes ? 1 : 0);
}

constexpr std::array kStringSearchFunctions = {
    Function{"FIELD", 2, kMany, kPure, field},
    Function{"FIND_IN_SET", 2, 2, kStrict, find_in_set},
    Function{"INSTR", 2, 2, kStrict, instr},
    Function{"LIKE", 2, 3, kPure, like},
    Function{"LOCATE", 2, 3, kStrict, locate},
    Function{"POSITION", 2, 2, kStrict, locate},
    Function{"STRCMP", 2, 2, kStrict, strcmp},
};

}  // namespace

std::span<const Function> string_search_functions() { return kStringSearchFunctions; }

}  // namespace marmot::mysql
