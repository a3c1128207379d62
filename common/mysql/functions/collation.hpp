// How MySQL compares strings: its collations, and what its functions do with them when no collation is named.
//
//   utf8mb4_0900_ai_ci   Unicode's collation algorithm, primary differences only; no padding. What functions use for text
//   utf8mb4_0900_as_cs   the same with accents and case
//   utf8mb4_unicode_ci   primary differences only, padded with blanks; all supplementary characters are equal
//   utf8mb4_general_ci   character by character, upper case without accents; padded
//   utf8mb4_bin          by code point; padded
//   latin1_swedish_ci    Windows-1252 in Swedish order; padded. What it lacks follows it by code point
//
// ICU does the work for the first three, with the tables of its own Unicode version rather than MySQL's 9.0 and 4.0 (manual 10.10.1):
// characters newer than those have places of their own here. Of what was otherwise in 4.0, utf8mb4_unicode_ci knows the Latin and
// Cyrillic letters (its 'ø' is not 'o'); Hangul is before kana and not behind Han. An index in one of the three is of the
// ICU that it was made with: another version may order some characters otherwise (REINDEX mends it).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace marmot::mysql {

struct Collation {
  std::string_view name;
  int (*compare)(std::string_view a, std::string_view b);  // < 0, 0, > 0; any thread
};

std::span<const Collation> collations();
const Collation* find_collation(std::string_view name);  // in any case; nullptr: there is none

// As functions compare: utf8mb4_0900_ai_ci, or by bytes where one side is `binary`.
int compare_strings(std::string_view a, std::string_view b, bool binary);
bool equal_strings(std::string_view a, std::string_view b, bool binary);

// Two characters on their own, as LIKE compares them.
bool equal_characters(uint32_t a, uint32_t b);

// Where `what` first is in `text`: a place that begins and ends with a character, is as many bytes long, and equal. npos: nowhere.
size_t find_string(std::string_view text, std::string_view what, bool binary);

// The bytes by whose order utf8mb4_0900_ai_ci sorts (ICU's, not MySQL's).
std::string sort_key(std::string_view text);

}  // namespace marmot::mysql
