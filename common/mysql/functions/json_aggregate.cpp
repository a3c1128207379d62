// JSON aggregates (MySQL 8.0 manual, 14.19).
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

std::span<const AggregateFunction> json_aggregate_functions() { return {}; }

}  // namespace marmot::mysql
