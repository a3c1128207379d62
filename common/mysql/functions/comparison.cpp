// Control flow, comparison, cast, bits (MySQL 8.0 manual, 14.4, 14.5, 14.10, 14.12).
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

std::span<const Function> comparison_functions() { return {}; }

}  // namespace marmot::mysql
