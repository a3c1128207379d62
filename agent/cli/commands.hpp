// One function a subcommand, in cmd_<name>.cpp. Each prints its result on stdout and its complaints on stderr, and returns
// the exit code (client.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/cli/client.hpp"
#include "agent/config/config.hpp"
#include "agent/report/plain_ids.hpp"

namespace marmot::agent {

int cmd_agent(const ConfigOverrides& overrides);
struct StatusOptions {
  TargetOptions target;
  bool metrics = false;  // in Prometheus' text format
};
int cmd_status(const StatusOptions& options);
int cmd_members(const TargetOptions& options);
int cmd_config_check(const std::string& file);
int cmd_cleanup(const TargetOptions& options);
int cmd_check(const TargetOptions& options);

struct WaitOptions {
  TargetOptions target;
  std::string level = "published";  // or "all", "ready"
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
  bool repair = false;
  bool reachable = false;  // members that do not answer are no failure
};
int cmd_verify(const VerifyOptions& options);

struct ConflictsOptions {
  TargetOptions target;
  std::vector<std::string> words;  // [DB] [show|restore|discard ID]
  bool all = false;                // discard --all, restore --all
  std::string table;               // restore --all: those of one table
  bool with_children = false;      // restore
  std::vector<std::string> set;    // restore --set COLUMN=VALUE
};
int cmd_conflicts(const ConflictsOptions& options);

struct QuarantineOptions {
  TargetOptions target;
  bool empty = false;
};
int cmd_quarantine(const QuarantineOptions& options);

struct IdsOptions {
  TargetOptions target;
  int slot = -1;  // retire: which
};
int cmd_ids(const IdsOptions& options);
int cmd_ids_retire(const IdsOptions& options);
// Of the `ids` of a database's status.
std::vector<PlainIds> plain_ids_in(const Json& ids);

struct ClockOptions {
  TargetOptions target;
  bool dry_run = false;  // reset
  int64_t bound_ms = 0;  // bound
};
int cmd_clock(const ClockOptions& options);
int cmd_clock_reset(const ClockOptions& options);
int cmd_clock_bound(const ClockOptions& options);

struct AdoptOptions {
  TargetOptions target;
  std::vector<std::string> words;  // [DB] TABLE...; without DB where there is a configuration
  bool all = false;
};
int cmd_ids_adopt(const AdoptOptions& options);
int cmd_ids_release(const AdoptOptions& options);

struct SnapshotOptions {
  TargetOptions target;
  std::string id;     // restore: empty: the newest
  std::string to;     // restore
  bool keep = false;  // restore: with Marmot's tables
};
int cmd_snapshot_save(const SnapshotOptions& options);
int cmd_snapshot_list(const SnapshotOptions& options);
int cmd_snapshot_restore(const SnapshotOptions& options);

}  // namespace marmot::agent
