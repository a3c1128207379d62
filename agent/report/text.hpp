// How the commands print for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace marmot::agent {

// 15607 -> "15,607"
std::string grouped(int64_t number);

// Milliseconds as a person says them: "0 ms", "340 ms", "2.4 s", "3 min", "5.2 h", "3.1 d".
std::string spoken_ms(int64_t ms);

// "1 row", "2 rows"
std::string counted(int64_t number, std::string_view noun);

// Control characters as \xNN, so that a table's name cannot move the cursor.
std::string printable(std::string_view text);

// Columns two spaces apart, the last one as long as it is. Widths count UTF-8 code points.
std::string columns(const std::vector<std::vector<std::string>>& rows);

}  // namespace marmot::agent
