#include "agent/cli/commands.hpp"
#include "agent/daemon/agent.hpp"

namespace marmot::agent {

int cmd_agent(const ConfigOverrides& overrides) {
  const auto config = load_config(overrides);
  if (!config) {
    const int code = fail(config.error());
    return config.error().code == Errc::io ? kExitUsage : code;
  }
  return run_agent(*config);
}

}  // namespace marmot::agent
