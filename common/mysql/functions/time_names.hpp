// Names of months and days in the locales that lc_time_names takes (manual 12.16, "MySQL Server Locale Support").
#pragma once

#include <span>
#include <string_view>

namespace marmot::mysql {

// Each a list with | between the names, months from January, days from Monday.
struct TimeNames {
  std::string_view locales;  // with blanks between them
  std::string_view months, short_months, days, short_days;
};

std::span<const TimeNames> time_names_table();

// A locale's names, en_US first in the table; nullptr: MySQL does not know the locale. Upper and lower case are the same.
const TimeNames* find_time_names(std::string_view locale);

// The name number `i` of a list, from 0; empty: it has no such.
std::string_view name_at(std::string_view list, int i);

// Which of the list's names (English ones) the word is that `text` begins with, or the only one that begins with the word: 'Septembe'. `text` goes on
// behind it. -1: none.
int take_name(std::string_view list, std::string_view& text);

}  // namespace marmot::mysql
