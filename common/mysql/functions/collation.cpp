#include "common/mysql/functions/collation.hpp"

#include <unicode/ucol.h>
#include <unicode/ucoleitr.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/mysql/functions/general_ci.hpp"
#include "common/mysql/functions/text.hpp"

namespace marmot::mysql {

namespace {

constexpr size_t npos = std::string_view::npos;

int sign(int value) { return value < 0 ? -1 : (value > 0 ? 1 : 0); }
int compare_bytes(std::string_view a, std::string_view b) { return sign(a.compare(b)); }

char fold(char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); }

// ASCII whose characters all have a primary weight: letters are then equal without case, everything else to itself only.
bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= ' ' && c < 127) || (c >= '\t' && c <= '\r'); });
}

// --- ICU ---------------------------------------------------------------------------------------------------------------

// Unicode's own order, shared by all threads, never closed. nullptr: ICU has lost its data.
const UCollator* open_root(UCollationStrength strength) {
  UErrorCode status = U_ZERO_ERROR;
  UCollator* out = ucol_open("", &status);
  if (U_FAILURE(status) != 0) return nullptr;
  ucol_setStrength(out, strength);
  return out;
}

const UCollator* primary() {
  static const UCollator* const collator = open_root(UCOL_PRIMARY);
  return collator;
}

const UCollator* tertiary() {
  static const UCollator* const collator = open_root(UCOL_TERTIARY);
  return collator;
}

int compare_icu(const UCollator* collator, std::string_view a, std::string_view b) {
  UErrorCode status = U_ZERO_ERROR;
  if (collator == nullptr || std::max(a.size(), b.size()) > INT32_MAX) return compare_bytes(a, b);
  const auto order = ucol_strcollUTF8(collator, a.data(), static_cast<int32_t>(a.size()), b.data(), static_cast<int32_t>(b.size()), &status);
  return U_FAILURE(status) != 0 ? compare_bytes(a, b) : static_cast<int>(order);
}

struct ElementsDeleter {
  void operator()(UCollationElements* elements) const { ucol_closeElements(elements); }
};

// The primary weights of characters, each on its own.
class PrimaryWeights {
 public:
  PrimaryWeights() {
    UErrorCode status = U_ZERO_ERROR;
    if (primary() != nullptr) elements_.reset(ucol_openElements(primary(), u"", 0, &status));
  }

  // Not zero; none for what Unicode ignores, such as an accent of its own.
  const std::vector<uint32_t>& of(uint32_t code) {
    const auto [there, added] = known_.try_emplace(code);
    if (!added) return there->second;
    std::vector<uint32_t>& out = there->second;
    if (elements_ == nullptr || code >= kNoCharacter) {
      out.push_back(0x10000 + code);  // no weight of ICU's
      return out;
    }
    UChar text[U16_MAX_LENGTH] = {};
    int32_t size = 0;
    U16_APPEND_UNSAFE(text, size, code);
    UErrorCode status = U_ZERO_ERROR;
    ucol_setText(elements_.get(), text, size, &status);
    for (int32_t element = 0; (element = ucol_next(elements_.get(), &status)) != UCOL_NULLORDER;) {
      const auto weight = static_cast<uint32_t>(ucol_primaryOrder(element)) & 0xFFFF;
      if (weight != 0) out.push_back(weight);
    }
    return out;
  }

 private:
  std::unique_ptr<UCollationElements, ElementsDeleter> elements_;
  std::unordered_map<uint32_t, std::vector<uint32_t>> known_;
};

// --- utf8mb4_0900_ai_ci ------------------------------------------------------------------------------------------------

int compare_0900_ai_ci(std::string_view a, std::string_view b) { return compare_icu(primary(), a, b); }
int compare_0900_as_cs(std::string_view a, std::string_view b) { return compare_icu(tertiary(), a, b); }

// A string as its weights, and for each of them the place of the character that it belongs to; characters without any weigh 0.
struct Weighed {
  std::vector<uint32_t> weights;
  std::vector<size_t> places;  // one more: the end
  Weighed(std::string_view text, PrimaryWeights& known) {
    weights.reserve(text.size());
    places.reserve(text.size() + 1);
    for (size_t at = 0; at < text.size();) {
      const Character character = first_character(text.substr(at));
      const auto& its = known.of(character.code);
      if (its.empty()) weights.push_back(0);
      weights.insert(weights.end(), its.begin(), its.end());
      places.resize(weights.size(), at);
      at += character.size;
    }
    places.push_back(text.size());
  }
  bool begins_character(size_t i) const { return i == 0 || i == weights.size() || places[i] != places[i - 1]; }
};

// Knuth, Morris and Pratt: linear, whatever the strings.
size_t find_weighed(const Weighed& text, const Weighed& what) {
  const std::vector<uint32_t>& pattern = what.weights;
  std::vector<size_t> border(pattern.size() + 1, 0);
  for (size_t i = 1, length = 0; i < pattern.size(); ++i) {
    while (length > 0 && pattern[i] != pattern[length]) length = border[length];
    if (pattern[i] == pattern[length]) ++length;
    border[i + 1] = length;
  }
  for (size_t i = 0, length = 0; i < text.weights.size(); ++i) {
    while (length > 0 && text.weights[i] != pattern[length]) length = border[length];
    if (text.weights[i] == pattern[length]) ++length;
    if (length < pattern.size()) continue;
    const size_t begin = i + 1 - length;
    const bool whole = text.begins_character(begin) && text.begins_character(i + 1);
    if (whole && text.places[i + 1] - text.places[begin] == what.places.back()) return text.places[begin];
    length = border[length];
  }
  return npos;
}

size_t find_bytes(std::string_view text, std::string_view what) {
  if (what.empty()) return 0;
  const void* const there = memmem(text.data(), text.size(), what.data(), what.size());  // linear, unlike find()
  return there == nullptr ? npos : static_cast<size_t>(static_cast<const char*>(there) - text.data());
}

std::string folded(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = fold(c);
  return out;
}

// --- padded collations -------------------------------------------------------------------------------------------------

// Character by character; the shorter string goes on with blanks (PAD SPACE, manual 10.8.5).
template <class Weight>
int compare_padded(std::string_view a, std::string_view b, Weight weight) {
  const auto next = [&weight](std::string_view& text) {
    if (text.empty()) return weight(U' ');
    const Character character = first_character(text);
    text.remove_prefix(character.size);
    return weight(character.code);
  };
  while (!a.empty() || !b.empty()) {
    const uint32_t left = next(a), right = next(b);
    if (left != right) return left < right ? -1 : 1;
  }
  return 0;
}

int compare_general_ci(std::string_view a, std::string_view b) { return compare_padded(a, b, general_ci_weight); }
int compare_bin(std::string_view a, std::string_view b) {
  return compare_padded(a, b, [](uint32_t code) { return code; });
}

// Windows-1252's characters from 0x80 to 0x9F, and in Swedish order those from 0xC0 to 0xDF (manual 10.10.2); 0xE0 to 0xFF are their
// lower case.
constexpr std::array<uint16_t, 32> kWindows = {0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
                                               0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
                                               0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};
constexpr std::array<uint8_t, 32> kSwedish = {0x41, 0x41, 0x41, 0x41, 0x5C, 0x5B, 0x5C, 0x43, 0x45, 0x45, 0x45, 0x45, 0x49, 0x49, 0x49, 0x49,
                                              0x44, 0x4E, 0x4F, 0x4F, 0x4F, 0x4F, 0x5D, 0xD7, 0xD8, 0x55, 0x55, 0x55, 0x59, 0x59, 0xDE, 0xDF};

uint32_t swedish_weight(uint32_t code) {
  if (code < 0x80) return code >= 'a' && code <= 'z' ? code - 0x20 : code;
  if (code >= 0xC0 && code < 0xE0) return kSwedish[code - 0xC0];
  if (code >= 0xE0 && code < 0xFF) return code == 0xF7 ? code : kSwedish[code - 0xE0];
  if (code >= 0xA0 && code <= 0xFF) return code;
  const auto* const there = std::find(kWindows.begin(), kWindows.end(), code);
  return there != kWindows.end() ? 0x80 + static_cast<uint32_t>(there - kWindows.begin()) : 0x100 + code;
}

int compare_swedish_ci(std::string_view a, std::string_view b) { return compare_padded(a, b, swedish_weight); }

// Unicode 4's letters that later versions made accented ones of (or, of two, a pair): what utf8mb4_unicode_ci knows as letters.
constexpr std::u16string_view kUnicode4 =
    u"&a<æ<<<Æ &d<đ<<<Đ<ð<<<Ð &h<ħ<<<Ħ &l<ł<<<Ł &o<ø<<<Ø"
    u"&а<ӑ<<<Ӑ<ӓ<<<Ӓ &ә<ӛ<<<Ӛ &ђ<ѓ<<<Ѓ &е<ӗ<<<Ӗ &ж<ӝ<<<Ӝ &з<ӟ<<<Ӟ &и<ӥ<<<Ӥ &і<ї<<<Ї &о<ӧ<<<Ӧ &ө<ӫ<<<Ӫ &ћ<ќ<<<Ќ"
    u"&у<ў<<<Ў<ӱ<<<Ӱ<ӳ<<<Ӳ &ч<ӵ<<<Ӵ &ы<ӹ<<<Ӹ &э<ӭ<<<Ӭ &ѵ<ѷ<<<Ѷ";

const UCollator* unicode_4() {
  static const UCollator* const collator = [] {
    UErrorCode status = U_ZERO_ERROR;
    const auto size = static_cast<int32_t>(kUnicode4.size());
    return ucol_openRules(kUnicode4.data(), size, UCOL_DEFAULT, UCOL_PRIMARY, nullptr, &status);
  }();
  return collator;
}

bool is_blank(uint32_t code) {
  return code == ' ' || code == 0xA0 || (code >= 0x2000 && code <= 0x200A) || code == 0x202F || code == 0x205F || code == 0x3000;
}

std::string_view last_character(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && text.size() - at < 4 && (text[at] & 0xC0) == 0x80) --at;
  return text.substr(at + character_size(text.substr(at)) == text.size() ? at : text.size() - 1);
}

// Without the blanks at its end, and what has no weight among and after them.
std::string_view without_padding(std::string_view text) {
  std::unique_ptr<PrimaryWeights> known;
  std::string_view rest = text;
  while (!rest.empty() && !(rest.back() > ' ' && rest.back() < 127)) {
    const std::string_view last = last_character(rest);
    const uint32_t code = first_character(last).code;
    if (!is_blank(code)) {
      if (known == nullptr) known = std::make_unique<PrimaryWeights>();
      if (!known->of(code).empty()) return text;
    }
    rest.remove_suffix(last.size());
    if (is_blank(code)) text = rest;
  }
  return text;
}

// True: it has characters that sort before a blank, so that where it is longer it may still be the lesser one.
bool has_line_ends(std::string_view text) {
  return text.find_first_of("\t\n\v\f\r") != npos || text.find("\xC2\x85") != npos || text.find("\xE2\x80\xA8") != npos || text.find("\xE2\x80\xA9") != npos;
}

// Supplementary characters all weigh as U+FFFD; `blanks` are put behind.
std::string in_basic_plane(std::string_view text, size_t blanks) {
  std::string out;
  while (!text.empty()) {
    const Character character = first_character(text);
    append_character(out, character.code >= 0x10000 && character.code < kNoCharacter ? 0xFFFD : character.code);
    text.remove_prefix(character.size);
  }
  return out.append(blanks, ' ');
}

int compare_unicode_ci(std::string_view a, std::string_view b) {
  constexpr size_t kWeightsOfByte = 6;  // at most: U+FDFA is three bytes and eighteen characters
  a = without_padding(a);
  b = without_padding(b);
  const auto supplementary = [](std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0xF0; });
  };
  const bool padded = has_line_ends(a) || has_line_ends(b);
  if (!padded && !supplementary(a) && !supplementary(b)) return compare_icu(unicode_4(), a, b);
  const size_t blanks = padded ? kWeightsOfByte * std::max(a.size(), b.size()) : 0;
  return compare_icu(unicode_4(), in_basic_plane(a, blanks), in_basic_plane(b, blanks));
}

constexpr std::array kCollations = {
    Collation{"utf8mb4_general_ci", compare_general_ci}, Collation{"utf8mb4_unicode_ci", compare_unicode_ci},
    Collation{"utf8mb4_0900_ai_ci", compare_0900_ai_ci}, Collation{"utf8mb4_0900_as_cs", compare_0900_as_cs},
    Collation{"utf8mb4_bin", compare_bin},               Collation{"latin1_swedish_ci", compare_swedish_ci},
};

}  // namespace

std::span<const Collation> collations() { return kCollations; }

const Collation* find_collation(std::string_view name) {
  const auto* const there = std::find_if(kCollations.begin(), kCollations.end(), [name](const Collation& collation) {
    return collation.name.size() == name.size() && std::equal(name.begin(), name.end(), collation.name.begin(), [](char a, char b) { return fold(a) == b; });
  });
  return there == kCollations.end() ? nullptr : there;
}

int compare_strings(std::string_view a, std::string_view b, bool binary) { return binary ? compare_bytes(a, b) : sign(compare_0900_ai_ci(a, b)); }

bool equal_strings(std::string_view a, std::string_view b, bool binary) {
  if (a == b || binary) return a == b;
  if (is_plain(a) && is_plain(b)) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return fold(x) == fold(y); });
  }
  return compare_0900_ai_ci(a, b) == 0;
}

bool equal_characters(uint32_t a, uint32_t b) {
  if (a == b) return true;
  if (a < 127 && b < 127 && a >= ' ' && b >= ' ') return fold(static_cast<char>(a)) == fold(static_cast<char>(b));
  if (a >= kNoCharacter || b >= kNoCharacter) return false;
  std::string left, right;
  append_character(left, a);
  append_character(right, b);
  return equal_strings(left, right, false);
}

size_t find_string(std::string_view text, std::string_view what, bool binary) {
  if (what.size() > text.size()) return npos;
  if (binary || what.empty()) return find_bytes(text, what);
  if (is_plain(text) && is_plain(what)) return find_bytes(folded(text), folded(what));
  PrimaryWeights known;
  return find_weighed(Weighed(text, known), Weighed(what, known));
}

std::string sort_key(std::string_view text) {
  std::vector<UChar> wide(text.size() + 1);
  UErrorCode status = U_ZERO_ERROR;
  int32_t size = 0;
  u_strFromUTF8WithSub(wide.data(), static_cast<int32_t>(wide.size()), &size, text.data(), static_cast<int32_t>(text.size()), 0xFFFD, nullptr, &status);
  if (primary() == nullptr || U_FAILURE(status) != 0) return std::string(text);
  std::string out(static_cast<size_t>(ucol_getSortKey(primary(), wide.data(), size, nullptr, 0)), '\0');
  ucol_getSortKey(primary(), wide.data(), size, reinterpret_cast<uint8_t*>(out.data()), static_cast<int32_t>(out.size()));
  while (!out.empty() && out.back() <= 1 && out.back() >= 0) out.pop_back();  // the level's end, and the key's
  return out;
}

}  // namespace marmot::mysql
