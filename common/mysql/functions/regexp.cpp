// Regular expressions (MySQL 8.0 manual, 14.8.2).
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

std::span<const Function> regexp_functions() { return {}; }

}  // namespace marmot::mysql
