// Every function that there is: one table a chapter of the manual.
#pragma once

#include <span>
#include <vector>

#include "common/mysql/functions/call.hpp"

namespace marmot::mysql {

std::span<const Function> time_functions();       // 14.7
std::span<const Function> string_functions();     // 14.8
std::span<const Function> string_search_functions();
std::span<const Function> string_code_functions();
std::span<const Function> string_format_functions();
std::span<const Function> regexp_functions();     // 14.8.2
std::span<const Function> numeric_functions();    // 14.6
std::span<const Function> comparison_functions(); // 14.4, 14.5, 14.12: control flow, comparison, bits
std::span<const Function> cast_functions();       // 14.10
std::span<const Function> xml_functions();        // 14.11
std::span<const Function> crypto_functions();     // 14.13
std::span<const Function> json_functions();       // 14.17
std::span<const Function> information_functions();// 14.14, 14.15: information, locking
std::span<const Function> address_functions();    // 14.23: UUIDs, network
std::span<const Function> variable_functions();   // setting the session's variables
std::span<const AggregateFunction> aggregate_functions();       // 14.19
std::span<const AggregateFunction> json_aggregate_functions();  // 14.19

// All chapters, in the order above.
std::vector<std::span<const Function>> chapters();
std::vector<std::span<const AggregateFunction>> aggregate_chapters();

}  // namespace marmot::mysql
