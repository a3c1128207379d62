// Anti-entropy: the nodes of one database compare their registers with one another (common/replica/repair.hpp), and what
// differs is published again by whoever holds the higher version. Over core NATS:
//
//   marmot.<cluster>.ctl.<db>.repair.<N>   request {"digest":RANGE}, RANGE: {"table":S,"after":HEX,"upto":HEX}:
//                                          {"position":SEQ,"newest":SEQ,"floor":SEQ,"pending":B,"cut":B,"n":I,"sum":"hex"}
//                                          request {"keys":RANGE}:
//                                          {"position":SEQ,"floor":SEQ,"floor_hlc":H,"cut":B,"keys":[["hex key",H,NODE,INC,"hash",SEQ,live],...]}
//                                          request {"table":S,"do":[["hex key",op,H,NODE,INC],...]}: {"done":I}
//   marmot.<cluster>.ctl.<db>.scrub        request {"node":N}: each node answers once it has compared all its rows with
//                                          their versions: {"node":N,"found":{"table":I,...}}
//   marmot.<cluster>.ctl.<db>.repaired     told after a round: {"node":N,"divergent":I}
//
// The lowest member that is there begins a round every interval, when the one before it is over. A range that differs is
// looked at again a little later; what differs twice is exchanged. Nothing of this while a node joins or is behind. Where
// no message has been applied anywhere since a round that found all equal, only every twentieth round is walked.
// Every wait has a deadline; a message holds at most kMaxKeys keys. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "agent/database_thread.hpp"
#include "agent/nats/transport.hpp"
#include "agent/peers.hpp"
#include "agent/uv.hpp"
#include "common/base/log.hpp"
#include "common/replica/repair.hpp"

namespace marmot::agent {

// What repairing did to one table.
struct TableRepair {
  int64_t found = 0;     // rows that capture had not seen, on any node
  int64_t repaired = 0;  // registers that differed and were published again
};
using RepairReport = std::map<std::string, TableRepair>;

class Repair {
 public:
  static constexpr int64_t kRangeRegisters = 2000;
  static constexpr int64_t kMaxKeys = 4000;

  struct Host {
    uv::Loop& loop;
    DatabaseThread& thread;
    Peers& peers;
    std::string prefix;  // of the control subjects
    std::string name;    // in the log
    LogSink log;
    std::function<Peers::Self()> self;
  };
  struct Status {
    int64_t divergent_ranges = 0;  // that differed twice and are not equal yet, as far as this node has heard
    uint64_t rounds = 0;           // completed, begun here
    uint64_t ranges = 0;           // compared in them
    uint64_t repaired = 0;         // registers that this node published again
  };

  Repair(Host host, int64_t interval_ms);  // 0: only when asked
  ~Repair();
  Repair(const Repair&) = delete;
  Repair& operator=(const Repair&) = delete;

  void start(nats::Connection& connection);  // the stream is followed
  void stop();
  const Status& status() const { return status_; }

  // `marmot verify --repair`: every node compares its rows with their versions, then the nodes their registers.
  using Progress = std::function<void(std::string_view what, int64_t done, int64_t total)>;
  using Done = std::function<void(Result<RepairReport>)>;
  void run(int64_t timeout_ms, Progress progress, Done done);

 private:
  struct Suspect {
    replica::KeyRange range;
    int times = 1;           // it was found different, or could not be compared
    bool differs = false;    // both nodes stood still: it is a difference
  };
  struct Divergent {
    replica::KeyRange range;
    int attempts = 0;        // to repair it
    uint64_t next_round = 0; // not before
  };
  using Digests = std::map<uint64_t, replica::RangeDigest>;

  void tick();
  bool leads() const;
  bool at_rest();
  void begin(bool urgent);
  void fail(Error error);
  void walk();
  void look(const replica::KeyRange& range, bool walking, std::function<void(replica::KeyRange, bool differs, bool unsure)> then);
  void ask_peers(const replica::KeyRange& range, std::function<void(const Digests&)> then);
  void look_again();
  void exchange(size_t index);
  void carry_out(size_t index, const std::map<uint64_t, replica::RangeKeys>& held);
  void acted(size_t index, const std::string& table, int64_t done);
  void look_whether_equal(size_t index);
  void finish();
  void scrub_everywhere();

  void on_repair(const nats::Message& message);
  void on_scrub(const nats::Message& message);
  void on_repaired(const nats::Message& message);
  void send(const std::string& reply, const nlohmann::json& json);
  void act(const std::string& table, std::vector<replica::RepairAction> actions, std::function<void(int64_t)> then);
  template <class F>
  auto guarded(F callback);  // not called once this round is over
  template <class F>
  auto living(F callback);   // not called once this object is gone

  const Host host_;
  const int64_t interval_ms_;
  nats::Connection* connection_ = nullptr;
  bool started_ = false;
  std::vector<std::unique_ptr<nats::Subscription>> subscriptions_;
  uv::Timer timer_, pause_;
  std::function<void()> after_pause_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  Status status_;

  // The round that is going on.
  uint64_t round_ = 0;
  bool busy_ = false;
  bool urgent_ = false;
  bool clean_ = true;       // nothing differed or could not be compared
  int64_t deadline_ms_ = 0;
  std::vector<std::string> tables_;
  size_t table_ = 0;
  std::string after_;
  std::vector<Suspect> suspects_;
  size_t suspect_ = 0;
  size_t waiting_for_ = 0;  // answers to actions
  std::vector<Divergent> divergent_;

  // What the last round that found all equal saw: node -> incarnation and position.
  std::map<uint64_t, std::pair<uint64_t, StreamSeq>> rest_;
  int rested_ = 0;

  Progress progress_;
  Done done_;
  RepairReport report_;
};

}  // namespace marmot::agent
