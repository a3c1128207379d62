// The formats of DATE_FORMAT, TIME_FORMAT and STR_TO_DATE (manual 14.7, DATE_FORMAT's table of specifiers), both ways.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/mysql/functions/time_calendar.hpp"
#include "common/mysql/functions/time_names.hpp"

namespace marmot::mysql {

// Appends `moment` as `format` has it. False, for a NULL: the format asks for what the moment has not (a date of a TIME, the name of month 0).
// It stops soon after `most` bytes.
bool format_moment(std::string& out, const Moment& moment, std::string_view format, const TimeNames& names, size_t most);

// What is shown by `text` in that format; its kind is what the format's specifiers make of it, with six digits for %f. The date may be zero or
// incomplete. nullopt: it does not fit, or is no moment. `rest`: what is left of the text.
std::optional<Moment> scan_moment(std::string_view text, std::string_view format, std::string_view& rest);

}  // namespace marmot::mysql
