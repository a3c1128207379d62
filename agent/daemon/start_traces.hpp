// What a start makes on the disk before it is known whether the agent can run. A start that fails takes it away again: a typing
// error leaves no folder behind. Nothing that stood there before is touched.
#pragma once

#include <string>
#include <vector>

#include "agent/config/config.hpp"

namespace marmot::agent {

class StartTraces {
 public:
  // Remembers what is missing now. Call it before anything is made.
  explicit StartTraces(const Config& config);

  // Removes what was missing then, in the folders whose lock the caller holds (`held`; nobody else's agent can be at work in
  // them): the lock and the socket, the embedded server's files, the folders if they are empty then, and a database file of no
  // bytes. Call it once nothing of the agent runs any more. What cannot be removed stays; nothing is reported.
  void take_away(const std::vector<std::string>& held) const;

 private:
  struct Folder {
    std::string path;
    std::vector<std::string> missing;  // the folder itself and those above it that are missing, the lowest first
    bool had_lock = false;
    bool had_nats = false;
  };
  std::vector<Folder> folders_;
  std::vector<std::string> databases_;  // that are missing
};

}  // namespace marmot::agent
