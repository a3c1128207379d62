// JSON (MySQL 8.0 manual, 14.17).
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

std::span<const Function> json_functions() { return {}; }

}  // namespace marmot::mysql
