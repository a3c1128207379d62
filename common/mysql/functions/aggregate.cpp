// Aggregates (MySQL 8.0 manual, 14.19).
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

std::span<const AggregateFunction> aggregate_functions() { return {}; }

}  // namespace marmot::mysql
