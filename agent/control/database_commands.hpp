// The commands of a running agent on its control socket (control.hpp has the messages): requests become questions to a
// Replicator, its typed answers JSON. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "agent/control/control.hpp"
#include "agent/replication/replicator.hpp"
#include "agent/replication/status.hpp"
#include "common/replica/types.hpp"

namespace marmot::agent {

// What `marmot status` shows of the agent itself.
struct AgentStatus {
  int pid = 0;
  std::string version, cluster;
  int64_t uptime_ms = 0;
  struct Nats {
    std::string url;         // of the server that it is connected to; empty: of none
    bool connected = false;
    bool embedded = false;   // the agent runs a server of its own
    std::string last_error;  // why it is not connected; empty: it is
  };
  Nats nats;
};

Json json_of(const replica::IdReport& ids);
Json json_of(const DatabaseStatus& status);
Json json_of(const MemberStatus& member);
Json json_of(const ClockStatus& clock);
Json json_of(const VerifyOutcome& outcome);
Json json_of(const replica::Change& change);

class DatabaseCommands {
 public:
  struct Host {
    std::function<std::vector<Replicator*>()> databases;  // as they are now: a Replicator may be made anew between two turns
    std::function<AgentStatus()> agent;
  };
  explicit DatabaseCommands(Host host) : host_(std::move(host)) {}
  DatabaseCommands(const DatabaseCommands&) = delete;
  DatabaseCommands& operator=(const DatabaseCommands&) = delete;

  // Answers status, wait, verify, members, snapshot and tail there. This outlives the server.
  void serve(ControlServer& server);

 private:
  void status(const Json& request, const Reply& reply);

  const Host host_;
};

}  // namespace marmot::agent
