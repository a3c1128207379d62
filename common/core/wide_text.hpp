// Text of a UTF-16 file, as the engine names it everywhere: UTF-8, in which half a surrogate pair is three bytes like any other code
// point. One to one, so that whatever such a file holds comes back as it was. SQLite's own conversion is not: it joins a half with
// whatever follows, and puts U+FFFD in the place of halves, U+FFFE and U+FFFF.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace marmot {

// Appends.
void narrow_text(std::u16string_view text, std::string& out);

// nullopt: a UTF-16 file cannot hold it, for it is not UTF-8 as above (also two halves that would become a pair).
std::optional<std::u16string> widen_text(std::string_view text);

// The length of the valid UTF-8 sequence at the start of `text`, which is not empty (RFC 3629, section 4: no halves of pairs); 0: there is none.
size_t utf8_length(std::string_view text);

// Does SQLite's own conversion to UTF-16 keep it? SQL goes through that: its names and literals too.
bool sqlite_widens(std::string_view text);

}  // namespace marmot
