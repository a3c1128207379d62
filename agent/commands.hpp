// One function a subcommand, in cmd_<name>.cpp. Each prints its result on stdout and its complaints on stderr, and returns
// the exit code (client.hpp).
#pragma once

#include <cstdint>
#include <string>

#include "agent/client.hpp"
#include "agent/config.hpp"

namespace marmot::agent {

int cmd_agent(const ConfigOverrides& overrides);
int cmd_status(const TargetOptions& options);
int cmd_config_check(const std::string& file);
int cmd_cleanup(const TargetOptions& options);

struct WaitOptions {
  TargetOptions target;
  std::string level = "published";  // or "all"
  int64_t timeout_ms = 10'000;
};
int cmd_wait(const WaitOptions& options);

struct TailOptions {
  TargetOptions target;
  std::string table;      // GLOB; empty: every table
  std::string direction;  // in, out; empty: both
};
int cmd_tail(const TailOptions& options);

struct VerifyOptions {
  TargetOptions target;
  int64_t timeout_ms = 60'000;
};
int cmd_verify(const VerifyOptions& options);

struct ConflictsOptions {
  TargetOptions target;
  std::string discard;  // an id, or "all"; empty: list them
};
int cmd_conflicts(const ConflictsOptions& options);

}  // namespace marmot::agent
