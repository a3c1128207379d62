#include "agent/database/file_identity.hpp"
#include "agent/replication/replicator.hpp"

namespace marmot::agent {

// Another agent runs under this one's node id, and was there before: from here on this one publishes and drains nothing. What is in its file
// stays there, and goes out under a node id of its own.
void Replicator::give_way(const std::string& twin) {
  if (state_ == State::stopped) return;
  const std::string who = "another agent runs as node " + std::to_string(progress_.origin.node.value) + " of this database: " + twin;
  leave(State::stopped);
  state_text_ = last_error_ = who;
  if (config_.node_id != 0) {
    return events_.failed(make_error(Errc::refused, name() + ": " + who + ": give this agent a node_id (--node-id) that no other has, or leave it out and one is made; nothing is lost"));
  }
  log_(LogLevel::warn, name() + ": " + who + ": this file gets a node id of its own");
  const auto written = [this](const Status& done) {
    if (done) return events_.reopen();
    events_.failed(Error(done.error()).in(name() + ": give up a node id that another agent has"));
  };
  if (const Status asked = thread_->change([](replica::Replica& replica) { return give_up(replica.database()); }, written); !asked) written(asked);
}

}  // namespace marmot::agent
