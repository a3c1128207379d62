#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

std::vector<std::span<const Function>> chapters() {
  return {time_functions(), string_functions(), string_search_functions(), string_code_functions(), string_format_functions(), regexp_functions(), numeric_functions(), comparison_functions(), cast_functions(), xml_functions(), crypto_functions(), json_functions(), information_functions(), address_functions(), variable_functions()};
}

std::vector<std::span<const AggregateFunction>> aggregate_chapters() { return {aggregate_functions(), json_aggregate_functions()}; }

}  // namespace marmot::mysql
