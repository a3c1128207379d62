// Text as MySQL counts it: in characters (code points of UTF-8), in bytes where it is binary. What is no UTF-8 counts byte by byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/mysql/functions/call.hpp"

namespace marmot::mysql {

// Bytes of the first character of `text`, which is not empty.
size_t character_size(std::string_view text);

// The first character of `text`, which is not empty, and its bytes. A byte that is no UTF-8 is kNoCharacter plus its value.
inline constexpr uint32_t kNoCharacter = 0x110000;
struct Character {
  uint32_t code = 0;
  size_t size = 0;
};
Character first_character(std::string_view text);

void append_character(std::string& out, uint32_t code);

bool is_ascii(std::string_view text);
bool is_utf8(std::string_view text);

size_t count_characters(std::string_view text, bool binary);

// Where the character number `n` (from 0) begins; n <= 0: 0; there are fewer: the end.
size_t offset_of(std::string_view text, int64_t n, bool binary);

// True if one of the arguments from `first` to `last` is binary: the result is then binary as well (manual 14.8).
bool any_binary(const Call& call, int first, int last);

// Answers: text, or a blob where the arguments were binary; one that SQLite has as TEXT where all of those were such (Call::is_readable()).
void text_or_blob_is(Call& call, std::string_view value, bool binary);
void text_or_blob_done(Call& call, bool binary);

}  // namespace marmot::mysql
