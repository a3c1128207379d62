// One round of anti-entropy as the node that leads it goes through it (repair_plan.hpp compares and plans; docs/decisions/0013).
// A round that is wanted because messages are gone (docs/decisions/0026-a-message-that-is-gone.md) begins by having the others tell their schema.
//
// No I/O, no clock: the Host asks the nodes and waits; the agent over NATS, the simulator over its own network.
//
//   walk        every table, a range at a time: digests of all nodes
//   look again  what differed or could not be compared, a little later; what differs then is divergent
//   exchange    keys and versions of what is divergent; the plan's actions go to their nodes
//   look        whether it is equal now; else once more, kMaxAttempts times, then only every kSeldom rounds
//
// A Host's functions never call back before they return; what they answer after the round has ended is not listened to.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/log.hpp"
#include "common/base/result.hpp"
#include "common/node/repair_plan.hpp"

namespace marmot::node {

class RepairRound {
 public:
  // A node that follows the stream as a member.
  struct Present {
    uint64_t node = 0;
    uint64_t incarnation = 0;
    StreamSeq applied = 0;
  };
  struct Limits {
    int64_t range_registers = 2000;
    int64_t max_keys = 4000;  // of one answer
    size_t max_key_bytes = 200 * 1024;
  };
  struct Host {
    std::function<Present()> self;
    std::function<std::vector<Present>()> others;
    std::function<bool()> complete;  // every member of the cluster is among them
    std::function<void(std::function<void(std::vector<std::string>)> then)> tables;  // that are replicated here
    // `node` may be this one. Exactly one answer; Errc::not_found: the node has no such table, or it is stopped there: it
    // has no say. Any other error: it may have one, and is asked again in the next round.
    std::function<void(uint64_t node, const CompareBy&, const KeyRange&, int64_t limit, std::function<void(Result<RangeDigest>)> then)> digest;
    std::function<void(uint64_t node, const CompareBy&, const KeyRange&, std::function<void(Result<RangeKeys>)> then)> keys;
    std::function<void(uint64_t node, const std::string& table, std::vector<RepairAction>, std::function<void(int64_t done)> then)> act;
    std::function<void(int64_t ms, std::function<void()> then)> pause;  // one at a time
    std::function<HashKey()> seed;  // random, another each time: of one comparison of a range
    std::function<int64_t()> now_ms;
    // How it ended. An error: it did not come to its end.
    std::function<void(Status)> over;
    std::function<void(LogLevel, const std::string&)> log;
    std::function<void(const std::string& table, size_t done, size_t of)> walking;  // an urgent round, for people
    std::function<void(const std::string& table, int64_t rows)> repaired;
  };

  RepairRound(Host host, Limits limits) : host_(std::move(host)), limits_(limits) {}

  // Is it this node that begins rounds: the lowest of those that are there, and not the only one?
  bool leads() const;
  // A round is due. It is left out where nobody has applied anything since all was found equal, but not for ever.
  void due();
  // Messages are gone from the stream that this node had not read: what it lacks others may have, whoever leads. The others tell their whole
  // schema once, each as soon as it is there and carries that out; then due() begins rounds here until one finds all members equal, or kMostUnequal did not.
  // Or rows wait for a table that nobody has told of (untold.hpp). What was there before that, nobody knows: it holds nothing up.
  enum class Why : uint8_t { messages_gone, untold };
  void want(Why why = Why::messages_gone);
  bool wanted() const { return wanted_ > 0; }
  bool seeking() const { return wanted() && !equal_so_far_; }  // no round since has found those equal that were there
  bool lacking() const { return seeking() && lacks_; }         // ... and messages are gone
  bool alone() const { return host_.others().empty(); }        // nobody is there who could have what is missing
  // One that somebody waits for: no pauses, and it waits for ranges to stand still, until the deadline (of Host::now_ms).
  void begin_urgent(int64_t deadline_ms);
  void stop(Error why);  // Host::over is told
  void yield();            // another node has led a round: it looks after what differs

  bool busy() const { return busy_; }
  bool clean() const { return clean_; }  // of the last round: all nodes answered, and nothing differed
  uint64_t ranges() const { return ranges_; }
  size_t divergent() const { return divergent_.size(); }

 private:
  struct Suspect {
    KeyRange range;
    int times = 1;           // it was found different, or could not be compared
    bool differs = false;    // both nodes stood still: it is a difference
  };
  struct Divergent {
    KeyRange range;
    int attempts = 0;        // to repair it
    uint64_t next_round = 0; // not before
  };
  using Looked = std::function<void(KeyRange, bool differs, bool unsure)>;

  bool at_rest();
  void begin(bool urgent);
  void begin_wanted();
  bool ask_for_schemas();
  bool all_told() const;
  void begin_plain();
  void end(Status how);
  void wait(int64_t ms, void (RepairRound::*then)());
  void walk();
  void look(const KeyRange& range, bool walking, Looked then);
  CompareBy freshly() const;
  void ask_others(const CompareBy& by, const KeyRange& range, const RangeDigest& here, Looked then);
  void look_again();
  void exchange(size_t index);
  void carry_out(size_t index, const std::map<uint64_t, RangeKeys>& held);
  void acted(size_t index, int64_t done);
  void look_whether_equal();
  template <class F>
  auto guarded(F callback);  // not called once this round is over

  const Host host_;
  const Limits limits_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  uint64_t round_ = 0;
  bool busy_ = false, urgent_ = false, clean_ = false;
  bool sure_ = false;            // all nodes answered, and all that was looked at could be compared in the end
  int64_t deadline_ms_ = 0;
  int wanted_ = 0;               // rounds that may still find differences; 0: nothing is known to be missing
  bool lacks_ = false;           // messages are gone
  uint64_t wants_ = 0;           // times that want() was called
  std::set<uint64_t> told_;      // nodes that told their schema since
  bool equal_so_far_ = false;    // likewise
  std::vector<std::string> tables_;
  size_t table_ = 0;
  std::string after_;
  std::vector<Suspect> suspects_;
  size_t suspect_ = 0;
  std::vector<Divergent> divergent_;
  size_t exchanging_ = 0;   // which of them
  size_t waiting_for_ = 0;  // answers to actions
  uint64_t ranges_ = 0;
  // What the last round that found all equal saw: node -> incarnation and position.
  std::map<uint64_t, std::pair<uint64_t, StreamSeq>> rest_;
  int rested_ = 0;
};

}  // namespace marmot::node
