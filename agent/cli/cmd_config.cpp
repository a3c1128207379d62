#include "agent/cli/commands.hpp"

namespace marmot::agent {

int cmd_config_check(const std::string& file) {
  ConfigOverrides overrides;
  overrides.file = file;
  const auto config = load_config(overrides);
  if (!config) {
    fail(config.error());
    return kExitUsage;
  }
  print("# " + file + " is good; this is what it means\n" + to_toml(*config));
  return kExitOk;
}

}  // namespace marmot::agent
