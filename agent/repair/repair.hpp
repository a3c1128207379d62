// Anti-entropy: the nodes of one database compare their registers with one another (common/node/repair_plan.hpp), and what
// differs is published again by whoever holds the higher version. What is compared, asked and done when is decided by
// common/node/repair_round.hpp; this carries its questions to the nodes, and answers theirs. Over core NATS:
//
//   marmot.<cluster>.ctl.<db>.repair.<N>   RangeDigestRequest, RangeKeysRequest, RepairRequest (common/codec/control.hpp)
//   marmot.<cluster>.ctl.<db>.scrub        ScrubRequest: each node answers once it has compared all its rows
//   marmot.<cluster>.ctl.<db>.repaired     Repaired, after a round
//
// Nothing of this while a node joins or is behind. Every wait has a deadline; a message holds at most Limits::max_keys keys.
// Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/database/database_thread.hpp"
#include "agent/loop/uv.hpp"
#include "agent/membership/peers.hpp"
#include "agent/nats/transport.hpp"
#include "common/base/log.hpp"
#include "common/node/repair_round.hpp"

namespace marmot::agent {

// What repairing did to one table.
struct TableRepair {
  int64_t found = 0;     // rows that capture had not seen, on any node
  int64_t repaired = 0;  // registers that differed and were published again
};
using RepairReport = std::map<std::string, TableRepair>;

class Repair {
 public:
  struct Status {
    int64_t divergent_ranges = 0;  // that differed twice and are not equal yet, as far as this node has heard
    uint64_t rounds = 0;           // completed, begun here
    uint64_t ranges = 0;           // compared in them
    uint64_t repaired = 0;         // registers that this node published again
  };

  // `interval_ms` 0: only when asked, or wanted. `complete`: RepairRound::Host::complete.
  Repair(PeersHost host, int64_t interval_ms, std::function<bool()> complete);
  ~Repair();
  Repair(const Repair&) = delete;
  Repair& operator=(const Repair&) = delete;

  void start(nats::Connection& connection);  // the stream is followed
  void stop();
  Status status() const;

  // RepairRound::want. While this node is lacking() no floor may pass what is missing.
  void want(node::RepairRound::Why why);
  bool wanted() const { return round_.wanted(); }
  bool lacking() const { return round_.lacking(); }
  bool alone() const { return round_.alone(); }

  // `marmot verify --repair`: every node compares its rows with their versions, then the nodes their registers.
  using Progress = std::function<void(std::string_view what, int64_t done, int64_t total)>;
  using Done = std::function<void(Result<RepairReport>)>;
  void run(int64_t timeout_ms, Progress progress, Done done);

 private:
  void tick();
  bool busy() const;
  void fail(Error error);
  void over(marmot::Status how);
  node::RepairRound::Host round_host();
  void later(std::function<void()> what);
  template <class Answer, class T>
  void ask(uint64_t node, const std::string& request, T Answer::*part, std::function<Result<T>(replica::Replica&)> here,
           std::function<void(Result<T>)> then);
  void note_unread(std::string_view bytes, const Error& error);
  void order(uint64_t node, const std::string& table, std::vector<RepairAction> actions, std::function<void(int64_t)> then);
  void scrub_everywhere();

  void on_repair(const nats::Message& message);
  void on_scrub(const nats::Message& message);
  void on_repaired(const nats::Message& message);
  void act(const std::string& table, std::vector<RepairAction> actions, std::function<void(int64_t)> then);
  template <class F>
  auto guarded(F callback);  // not called once the rows of all nodes were compared, or that was given up
  template <class F>
  auto living(F callback);   // not called once this object is gone

  const PeersHost host_;
  const int64_t interval_ms_;
  nats::Connection* connection_ = nullptr;
  bool started_ = false;
  std::vector<std::unique_ptr<nats::Subscription>> subscriptions_;
  const std::function<bool()> complete_;
  uv::Timer timer_, soon_, pause_;
  std::function<void()> after_pause_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);

  node::RepairRound round_;
  std::shared_ptr<int> scrubbing_;   // on demand: rows are compared with their versions first
  int64_t deadline_ms_ = 0;
  int64_t told_divergent_ = 0;       // by the node that led the last round
  uint64_t rounds_ = 0, repaired_ = 0;

  Progress progress_;
  Done done_;
  RepairReport report_;
};

}  // namespace marmot::agent
