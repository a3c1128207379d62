// An agent on simulated time: it carries the engine and what common/node decides (entering the stream, what is done next with the
// file, publishing, repair) over the simulated disk and network.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/codec/message.hpp"
#include "common/node/clock_drift.hpp"
#include "common/node/stream_entry.hpp"
#include "common/node/following.hpp"
#include "common/node/publisher.hpp"
#include "common/node/repair_round.hpp"
#include "common/node/schedule.hpp"
#include "common/node/twins.hpp"
#include "common/node/untold.hpp"
#include "common/replica/replica.hpp"
#include "common/replica/snapshot.hpp"

namespace marmot::sim {

class World;
struct Node;

constexpr int64_t kGivenUp = -1;  // in the place of the inode that a file remembers: another agent is alive under its node id

class Agent {
 public:
  Agent(World& world, Node& node);
  ~Agent();

  void start();             // its process starts; it ticks until killed
  void kill();
  bool alive() const { return alive_; }
  void on_connected();      // the client's view of the server
  void on_disconnected();
  bool member() const { return engine_ && engine_->membership() == replica::Membership::member; }
  bool follows() const { return state_ == State::running && member(); }
  bool was_member() const { return !engine_ || engine_->membership() != replica::Membership::none; }
  NodeId name() const { return engine_ ? engine_->origin().node : NodeId{}; }
  std::string id_ahead(uint64_t units) const;  // the message id of the unit so many behind the last one; empty: it is dead
  StreamSeq position() const { return engine_ ? engine_->position().seq : 0; }
  // Up to where nothing is known to be missing of what it applied.
  StreamSeq whole() const {
    return engine_ && round_ && round_->lacking() && engine_->gap().first != 0 ? engine_->gap().first - 1 : position();
  }
  bool may_found = true;

  // Nothing is left to do here. Else `why` says what is.
  bool settled(std::string* why);
  std::string trouble();    // what the engine says is wrong for good: stopped tables, quarantine

  bool waits_for_floor();   // something that a floor ends
  void announce_floor(StreamSeq seen);
  bool reset_clocks(WallMs to, int64_t bound);
  void retire(NodeId owner);  // its slot of ids
  void drain_now();         // whatever it is doing
  void outbox_now();        // likewise
  bool snapshot_now();      // false: it cannot take one
  bool repair_now(const std::string& table);  // as another node asks for it that found nothing to repair
  void scrub_again();       // a whole pass must end before this agent is settled

  void tick();

 private:
  enum class State : uint8_t { opening, preparing, waiting, entering, merging, running, behind };

  // Runs an engine call as this process. False: the process died in it; nothing of its result is to be used.
  bool inside(const std::function<void()>& call);
  bool open();
  Result<replica::Identity> identify(sqlite::Database& db);
  Status remember(NodeId node);
  void watch_commits();
  void work();
  void turn();
  bool send_again();
  void take(node::Step step);
  void follow();
  bool snapshots();
  int64_t now_us() const;
  node::Schedule::Limits limits();
  node::Schedule::Standing standing() const;
  bool polite() const;
  node::Publisher::Host publisher_host();
  void look();
  void prepare();
  void drain();
  void apply();
  void outbox();
  void resume();
  void scrub();
  void feed();
  void note(const std::vector<replica::Change>& changes);
  void note_versions();
  void check_stream();
  void done(const char* verb, const Error& error);
  void succeeded(int64_t held_us);
  void publish(std::vector<replica::OutUnit> units);
  void check_cursor(StreamSeq before, const std::deque<replica::Incoming>& queue_before, size_t consumed);

  // agent_snapshot.cpp
  void take_snapshot();
  Status adopt_snapshot();  // where there is no file
  void learn_stream();
  node::EntryFacts::Company company() const;
  void need_snapshot(const std::string& why);
  void compare_with_snapshot(const replica::SnapshotInfo& info);
  void merge_begin();
  void merge();
  std::string scratch(const char* what) const;

  // agent_twins.cpp: another agent under the same node id
  void look_for_twins();
  bool may_publish();
  void tell_alive(Incarnation asker);
  void tell_twins(std::function<void(Agent&)> what);
  void hear_alive(std::string_view bytes);
  void give_up();

  // agent_clock.cpp
  void compare_clock();
  bool may_publish_by_clock() const { return !checks_clock() || (drift_.may_publish() && stamps_right_); }
  bool checks_clock() const;
  void look_at_stamps();

  // agent_repair.cpp
  void compare_nodes();
  void note_gap();
  void look_for_untold();
  void make_round();
  bool all_there() const;
  std::vector<node::RepairRound::Present> present() const;
  node::RepairRound::Host round_host();
  int64_t act(const std::string& table, const std::vector<RepairAction>& actions);
  template <class T>
  void ask_node(uint64_t node, std::function<Result<T>(Agent&)> question, std::function<void(Result<T>)> then);
  template <class Answer, class Request, class T>
  void send_request(uint64_t node, const Request& request, T Answer::*part, std::function<void(Result<T>)> then);
  template <class T>
  T must_read(Result<T> message) const;
  std::string answer(std::string_view request);
  std::string refusal(const Error& error) const;

  // agent_entry.cpp
  void enter();
  void proceed();
  void publish_genesis();
  void drop_before();
  void read_genesis();
  void read_position();
  void compare_and_join();
  void join();
  void found();
  void lose_history(const std::string& why);
  void go_live(StreamSeq end, bool founded, bool history_lost);
  void leave(State state, int64_t retry_ms);
  void reenter(const std::string& why);
  // Runs `change` on the engine until it is not busy, then `then`.
  void change(std::function<Status()> change, std::function<void()> then);
  template <class F>
  auto guarded(F callback);

  World& world_;
  Node& node_;
  bool alive_ = false;
  uint64_t life_ = 0;       // of the process: events of an earlier one are not listened to
  uint64_t generation_ = 0; // of the stay in the stream
  State state_ = State::opening;
  int64_t retry_at_ = 0;
  int64_t monotonic_us_ = 0;
  std::optional<replica::Replica> engine_;
  std::optional<node::Schedule> schedule_;  // of this process
  std::unique_ptr<node::Publisher> publisher_;
  size_t in_flight_ = 0;
  std::optional<codec::MessageId> last_unit_;  // the last one handed over
  bool unit_lost_ = false;  // Publisher::Host::lost
  node::EntryFacts facts_;
  uint64_t created_ = 0;    // the stream that was entered
  StreamSeq anew_ = 0;      // where it begins anew, as this process has seen
  StreamSeq next_ = 1;      // to be delivered
  int busy_ = 0;            // attempts that were turned away, one after another
  node::CatchUp catch_up_;
  bool scrubbed_ = true;
  int64_t check_at_ = 0;
  std::unique_ptr<replica::SnapshotCopy> copy_;
  uint64_t copy_of_ = 0;    // the stream's stamp
  int64_t snapshot_at_ = 0;
  std::unique_ptr<node::RepairRound> round_;
  node::Twins twins_;
  node::Untold untold_{1000};
  int64_t beat_at_ = 0;
  node::ClockDrift drift_;
  bool stamps_right_ = false;  // in this stay in the stream, Replica::misdated says 0
  int64_t probe_at_ = 0, live_at_ = 0;
  bool gives_up_ = false;   // its node id
  StreamSeq compared_gap_ = 0;  // the last gap that the nodes were to be compared for
  int64_t repair_at_ = 0, round_began_ = 0;
};

}  // namespace marmot::sim
