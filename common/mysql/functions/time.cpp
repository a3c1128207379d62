// Date and time (MySQL 8.0 manual, 14.7).
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

std::span<const Function> time_functions() { return {}; }

}  // namespace marmot::mysql
