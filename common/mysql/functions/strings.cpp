// Strings (MySQL 8.0 manual, 14.8).
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

std::span<const Function> string_functions() { return {}; }

}  // namespace marmot::mysql
