// Information, locking, UUIDs, network (MySQL 8.0 manual, 14.14, 14.15, 14.23).
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

std::span<const Function> information_functions() { return {}; }

}  // namespace marmot::mysql
