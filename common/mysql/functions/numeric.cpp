// Numbers (MySQL 8.0 manual, 14.6).
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

std::span<const Function> numeric_functions() { return {}; }

}  // namespace marmot::mysql
