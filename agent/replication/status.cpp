#include "agent/replication/status.hpp"

namespace marmot::agent {

const char* name_of(DatabaseState state) {
  switch (state) {
    case DatabaseState::opening: return "opening";
    case DatabaseState::preparing: return "preparing";
    case DatabaseState::waiting: return "waiting";
    case DatabaseState::entering: return "entering";
    case DatabaseState::joining: return "joining";
    case DatabaseState::running: return "running";
    case DatabaseState::behind: return "behind";
    case DatabaseState::stopped: return "stopped";
  }
  return "?";
}

}  // namespace marmot::agent
