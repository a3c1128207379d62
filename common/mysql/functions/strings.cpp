// Strings put together, cut, padded and changed in case (MySQL 8.0 manual, 14.8). Positions and lengths count characters, bytes in
// binary strings; a result of binary arguments is binary.
#include <unicode/uchar.h>

#include <algorithm>
#include <array>

#include "common/mysql/functions/collation.hpp"
#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"
#include "common/mysql/functions/text.hpp"

namespace marmot::mysql {

namespace {

// --- lengths -----------------------------------------------------------------------------------------------------------

// LENGTH(str), OCTET_LENGTH(str) -> bytes
void length(Call& call) { call.integer_is(static_cast<int64_t>(call.text(0).size())); }

// BIT_LENGTH(str) -> bits
void bit_length(Call& call) { call.integer_is(static_cast<int64_t>(call.text(0).size()) * 8); }

// CHAR_LENGTH(str), CHARACTER_LENGTH(str) -> characters
void char_length(Call& call) { call.integer_is(static_cast<int64_t>(count_characters(call.text(0), call.is_blob(0)))); }

// --- putting together --------------------------------------------------------------------------------------------------

// CONCAT(str, ...); NULL if any is NULL
void concat(Call& call) {
  uint64_t size = 0;
  for (int i = 0; i < call.count(); ++i) size += call.text(i).size();
  if (!call.fits(size)) return;
  std::string& out = call.buffer();
  out.reserve(size);
  for (int i = 0; i < call.count(); ++i) out += call.text(i);
  text_or_blob_done(call, any_binary(call, 0, call.count() - 1));
}

// CONCAT_WS(separator, str, ...); NULLs after the separator are left out
void concat_ws(Call& call) {
  if (call.is_null(0)) return;
  const std::string_view separator = call.text(0);
  uint64_t size = 0;
  for (int i = 1; i < call.count(); ++i) size += call.is_null(i) ? 0 : call.text(i).size() + separator.size();
  if (size > separator.size() && !call.fits(size - separator.size())) return;
  std::string& out = call.buffer();
  out.reserve(size);
  bool first = true;
  for (int i = 1; i < call.count(); ++i) {
    if (call.is_null(i)) continue;
    if (!first) out += separator;
    first = false;
    out += call.text(i);
  }
  text_or_blob_done(call, any_binary(call, 0, call.count() - 1));
}

// ELT(N, str, ...) -> the Nth of them; NULL where there is none
void elt(Call& call) {
  const int64_t n = call.integer(0);
  if (n < 1 || n >= call.count() || call.is_null(static_cast<int>(n))) return;
  text_or_blob_is(call, call.text(static_cast<int>(n)), any_binary(call, 1, call.count() - 1));
}

// MAKE_SET(bits, str, ...) -> those whose bit is set, with commas between; NULLs are left out
void make_set(Call& call) {
  if (call.is_null(0)) return;
  const uint64_t bits = call.bits(0);
  std::string& out = call.buffer();
  bool first = true;
  for (int i = 1; i < call.count() && i <= 64; ++i) {
    if ((bits >> (i - 1) & 1) == 0 || call.is_null(i)) continue;
    if (!first) out += ',';
    first = false;
    if (!call.fits(out.size() + call.text(i).size())) return;
    out += call.text(i);
  }
  text_or_blob_done(call, any_binary(call, 1, call.count() - 1));
}

// EXPORT_SET(bits, on, off [, separator [, number_of_bits]]), the lowest bit first; 64 bits where it is not 0 to 64
void export_set(Call& call) {
  const uint64_t bits = call.bits(0);
  const std::string_view separator = call.count() > 3 ? call.text(3) : ",";
  const int64_t asked = call.count() > 4 ? call.integer(4) : 64;
  const int number = asked < 0 || asked > 64 ? 64 : static_cast<int>(asked);
  std::string& out = call.buffer();
  for (int bit = 0; bit < number; ++bit) {
    if (bit > 0) out += separator;
    out += call.text((bits >> bit & 1) != 0 ? 1 : 2);
    if (!call.fits(out.size())) return;
  }
  text_or_blob_done(call, any_binary(call, 1, std::min(call.count() - 1, 3)));
}

// Call::fits() of `times` times `size` bytes and some `besides`.
bool repeated_fits(Call& call, uint64_t times, uint64_t size, uint64_t besides) {
  const bool countable = times <= call.session().max_allowed_packet;  // else the product may overflow
  return call.fits(countable ? times * size + besides : UINT64_MAX);
}

void repeated(Call& call, std::string_view text, int64_t times, bool binary) {
  if (times <= 0 || text.empty()) return text_or_blob_is(call, "", binary);
  if (!repeated_fits(call, static_cast<uint64_t>(times), text.size(), 0)) return;
  std::string& out = call.buffer();
  out.reserve(text.size() * static_cast<size_t>(times));
  for (int64_t i = 0; i < times; ++i) out += text;
  text_or_blob_done(call, binary);
}

// REPEAT(str, count)
void repeat(Call& call) { repeated(call, call.text(0), call.integer(1), call.is_blob(0)); }

// SPACE(N)
void space(Call& call) { repeated(call, " ", call.integer(0), false); }

// --- cutting -----------------------------------------------------------------------------------------------------------

// LEFT(str, len), LEFT_STR(str, len)
void left(Call& call) {
  const std::string_view text = call.text(0);
  const bool binary = call.is_blob(0);
  text_or_blob_is(call, text.substr(0, offset_of(text, call.integer(1), binary)), binary);
}

// RIGHT(str, len), RIGHT_STR(str, len)
void right(Call& call) {
  const std::string_view text = call.text(0);
  const bool binary = call.is_blob(0);
  const int64_t wanted = call.integer(1);
  if (wanted <= 0) return text_or_blob_is(call, "", binary);
  const auto there = static_cast<int64_t>(count_characters(text, binary));
  text_or_blob_is(call, text.substr(wanted >= there ? 0 : offset_of(text, there - wanted, binary)), binary);
}

// SUBSTRING(str, pos [, len]), SUBSTR, MID; pos < 0: from the end
void substring(Call& call) {
  std::string_view text = call.text(0);
  const bool binary = call.is_blob(0);
  int64_t position = call.integer(1);
  const int64_t wanted = call.count() > 2 ? call.integer(2) : INT64_MAX;
  if (position < 0) {
    const auto there = static_cast<int64_t>(count_characters(text, binary));
    position = position < -there ? 0 : there + position + 1;
  }
  if (position == 0 || wanted <= 0) return text_or_blob_is(call, "", binary);
  text.remove_prefix(offset_of(text, position - 1, binary));
  text_or_blob_is(call, text.substr(0, offset_of(text, wanted, binary)), binary);
}

// INSERT(str, pos, len, newstr), INSERT_STR: str where pos is none of its positions; to its end where len is too long or negative
void insert(Call& call) {
  const std::string_view text = call.text(0);
  const bool binary = any_binary(call, 0, 0) || call.is_blob(3);
  const int64_t position = call.integer(1);
  const int64_t size = call.integer(2);
  const size_t begin = offset_of(text, position - (position > INT64_MIN ? 1 : 0), binary);
  if (position < 1 || begin >= text.size()) return text_or_blob_is(call, text, binary);
  const std::string_view rest = text.substr(begin);
  const std::string_view after = rest.substr(size < 0 ? rest.size() : offset_of(rest, size, binary));
  const std::string_view added = call.text(3);
  if (!call.fits(begin + added.size() + after.size())) return;
  call.buffer().append(text.substr(0, begin)).append(added).append(after);
  text_or_blob_done(call, binary);
}

// The place of the `n`-th delimiter (from 1, none overlapping); npos: there are fewer.
size_t nth_delimiter(std::string_view text, std::string_view delimiter, int64_t n) {
  for (size_t from = 0;; --n) {
    const size_t at = find_string(text.substr(from), delimiter, true);
    if (at == std::string_view::npos || n == 1) return at == std::string_view::npos ? at : from + at;
    from += at + delimiter.size();
  }
}

// SUBSTRING_INDEX(str, delim, count): what is before the count-th delim; count < 0: what is behind the one that is count-th from the
// right; all of str where there are fewer. The delimiter is matched exactly, case included.
void substring_index(Call& call) {
  const std::string_view text = call.text(0);
  const std::string_view delimiter = call.text(1);
  const bool binary = any_binary(call, 0, 1);
  const int64_t count = call.integer(2);
  if (count == 0 || delimiter.empty()) return text_or_blob_is(call, "", binary);
  if (count > 0) return text_or_blob_is(call, text.substr(0, nth_delimiter(text, delimiter, count)), binary);
  const std::string mirrored(text.rbegin(), text.rend()), mirrored_delimiter(delimiter.rbegin(), delimiter.rend());
  const size_t kept = nth_delimiter(mirrored, mirrored_delimiter, count == INT64_MIN ? INT64_MAX : -count);
  text_or_blob_is(call, kept == std::string_view::npos ? text : text.substr(text.size() - kept), binary);
}

enum Side { kLeading = 1, kTrailing = 2, kBoth = 3 };

void trimmed(Call& call, Side side) {
  std::string_view text = call.text(0);
  const std::string_view what = call.count() > 1 ? call.text(1) : " ";
  if (!what.empty()) {
    while ((side & kLeading) != 0 && text.substr(0, what.size()) == what) text.remove_prefix(what.size());
    while ((side & kTrailing) != 0 && text.size() >= what.size() && text.substr(text.size() - what.size()) == what) text.remove_suffix(what.size());
  }
  text_or_blob_is(call, text, any_binary(call, 0, call.count() - 1));
}

// TRIM(str [, remstr]): TRIM(BOTH remstr FROM str), blanks where it is left out
void trim(Call& call) { trimmed(call, kBoth); }
// LTRIM(str [, remstr]): TRIM(LEADING remstr FROM str)
void ltrim(Call& call) { trimmed(call, kLeading); }
// RTRIM(str [, remstr]): TRIM(TRAILING remstr FROM str)
void rtrim(Call& call) { trimmed(call, kTrailing); }

// --- padding -----------------------------------------------------------------------------------------------------------

void padded(Call& call, Side side) {
  const std::string_view text = call.text(0);
  const std::string_view pad = call.text(2);
  const bool binary = any_binary(call, 0, 0) || call.is_blob(2);
  const int64_t wanted = call.integer(1);
  if (wanted < 0) return;
  const auto there = static_cast<int64_t>(count_characters(text, binary));
  if (wanted <= there) return text_or_blob_is(call, text.substr(0, offset_of(text, wanted, binary)), binary);
  const int64_t missing = wanted - there;
  if (pad.empty()) {
    if (repeated_fits(call, static_cast<uint64_t>(missing), 1, text.size())) text_or_blob_is(call, "", binary);
    return;
  }
  const auto pad_characters = static_cast<int64_t>(count_characters(pad, binary));
  const std::string_view part = pad.substr(0, offset_of(pad, missing % pad_characters, binary));
  const auto times = static_cast<uint64_t>(missing / pad_characters);
  if (!repeated_fits(call, times, pad.size(), text.size() + part.size())) return;
  std::string& out = call.buffer();
  out.reserve(text.size() + part.size() + static_cast<size_t>(times) * pad.size());
  if (side == kTrailing) out += text;
  for (uint64_t i = 0; i < times; ++i) out += pad;
  out += part;
  if (side == kLeading) out += text;
  text_or_blob_done(call, binary);
}

// LPAD(str, len, padstr); NULL where len is negative; '' where padstr is empty and needed
void lpad(Call& call) { padded(call, kLeading); }
// RPAD(str, len, padstr)
void rpad(Call& call) { padded(call, kTrailing); }

// --- changing ----------------------------------------------------------------------------------------------------------

// Georgian got upper case in Unicode 11, MySQL's tables are those of 9.
bool is_georgian(uint32_t code) { return (code >= 0x10D0 && code < 0x1100) || (code >= 0x1C90 && code < 0x1CC0); }

// Character by character (Unicode's simple mappings), as MySQL's: 'ß' stays. Binary strings have no case.
void cased(Call& call, int32_t (*map)(int32_t), char first, char last) {
  std::string_view text = call.text(0);
  if (call.is_blob(0)) return text_or_blob_is(call, text, true);
  std::string& out = call.buffer();
  out.reserve(text.size());
  while (!text.empty()) {
    const char c = text.front();
    if (static_cast<signed char>(c) >= 0) {
      out += c >= first && c <= last ? static_cast<char>(c ^ 0x20) : c;
      text.remove_prefix(1);
      continue;
    }
    const Character character = first_character(text);
    const bool uncased = character.code >= kNoCharacter || is_georgian(character.code);
    append_character(out, uncased ? character.code : static_cast<uint32_t>(map(static_cast<int32_t>(character.code))));
    text.remove_prefix(character.size);
  }
  call.text_done();
}

// LOWER(str), LCASE(str)
void lower(Call& call) { cased(call, u_tolower, 'A', 'Z'); }
// UPPER(str), UCASE(str)
void upper(Call& call) { cased(call, u_toupper, 'a', 'z'); }

// REVERSE(str)
void reverse(Call& call) {
  std::string_view text = call.text(0);
  if (call.is_blob(0) || is_ascii(text)) {
    call.buffer().assign(text.rbegin(), text.rend());
    return text_or_blob_done(call, call.is_blob(0));
  }
  std::string& out = call.buffer();
  out.resize(text.size());
  for (size_t end = text.size(); !text.empty();) {
    const size_t size = character_size(text);
    end -= size;
    text.copy(&out[end], size);
    text.remove_prefix(size);
  }
  call.text_done();
}

// REPLACE(str, from_str, to_str): matched exactly, case included
void replace(Call& call) {
  std::string_view text = call.text(0);
  const std::string_view from = call.text(1);
  const std::string_view to = call.text(2);
  const bool binary = any_binary(call, 0, 2);
  if (from.empty()) return text_or_blob_is(call, text, binary);
  std::string& out = call.buffer();
  for (size_t at = 0; (at = find_string(text, from, true)) != std::string_view::npos; text.remove_prefix(at + from.size())) {
    out.append(text.substr(0, at)).append(to);
    if (!call.fits(out.size())) return;
  }
  out += text;
  text_or_blob_done(call, binary);
}

constexpr std::array kStringsFunctions = {
    Function{"BIT_LENGTH", 1, 1, kStrict, bit_length},
    Function{"CHARACTER_LENGTH", 1, 1, kStrict, char_length},
    Function{"CHAR_LENGTH", 1, 1, kStrict, char_length},
    Function{"CONCAT", 1, kMany, kStrict, concat},
    Function{"CONCAT_WS", 2, kMany, kPure, concat_ws},
    Function{"ELT", 2, kMany, kPure, elt},
    Function{"EXPORT_SET", 3, 5, kStrict, export_set},
    Function{"INSERT", 4, 4, kStrict, insert},
    Function{"INSERT_STR", 4, 4, kStrict, insert},
    Function{"LCASE", 1, 1, kStrict, lower},
    Function{"LEFT", 2, 2, kStrict, left},
    Function{"LEFT_STR", 2, 2, kStrict, left},
    Function{"LENGTH", 1, 1, kStrict, length},
    Function{"LOWER", 1, 1, kStrict, lower},
    Function{"LPAD", 3, 3, kStrict, lpad},
    Function{"LTRIM", 1, 2, kStrict, ltrim},
    Function{"MAKE_SET", 2, kMany, kPure, make_set},
    Function{"MID", 2, 3, kStrict, substring},
    Function{"OCTET_LENGTH", 1, 1, kStrict, length},
    Function{"REPEAT", 2, 2, kStrict, repeat},
    Function{"REPLACE", 3, 3, kStrict, replace},
    Function{"REVERSE", 1, 1, kStrict, reverse},
    Function{"RIGHT", 2, 2, kStrict, right},
    Function{"RIGHT_STR", 2, 2, kStrict, right},
    Function{"RPAD", 3, 3, kStrict, rpad},
    Function{"RTRIM", 1, 2, kStrict, rtrim},
    Function{"SPACE", 1, 1, kStrict, space},
    Function{"SUBSTR", 2, 3, kStrict, substring},
    Function{"SUBSTRING", 2, 3, kStrict, substring},
    Function{"SUBSTRING_INDEX", 3, 3, kStrict, substring_index},
    Function{"TRIM", 1, 2, kStrict, trim},
    Function{"UCASE", 1, 1, kStrict, upper},
    Function{"UPPER", 1, 1, kStrict, upper},
};

}  // namespace

std::span<const Function> string_functions() { return kStringsFunctions; }

}  // namespace marmot::mysql
