// One database of the agent: the engine on its thread, wired to NATS on the loop.
//
//   opening -> preparing (first versions) -> waiting (for NATS) -> entering (StreamEntry) -> running
//                                              ^-- connection lost, or the stream is in doubt --'
//   behind: the stream no longer holds what comes next.   stopped: the engine gave up on this file.
//
// Whatever happens to NATS, the application writes on: its changes wait in the file's log. Loop thread only.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/database/database_thread.hpp"
#include "agent/loop/uv.hpp"
#include "agent/membership/clocks.hpp"
#include "agent/membership/members.hpp"
#include "agent/membership/peers.hpp"
#include "agent/membership/twin_watch.hpp"
#include "agent/nats/transport.hpp"
#include "agent/repair/repair.hpp"
#include "agent/repair/verify.hpp"
#include "agent/replication/clock_check.hpp"
#include "agent/replication/publisher_host.hpp"
#include "agent/replication/stall_alarm.hpp"
#include "agent/replication/status.hpp"
#include "agent/replication/stream_entry.hpp"
#include "agent/replication/tails.hpp"
#include "agent/replication/waiters.hpp"
#include "agent/snapshot/snapshot_join.hpp"
#include "agent/snapshot/snapshots.hpp"
#include "agent/report/plain_ids.hpp"
#include "common/base/long_work.hpp"
#include "common/node/change_count.hpp"
#include "common/node/following.hpp"
#include "common/node/untold.hpp"

namespace marmot::agent {

// What is to be told of a database once it is ready.
struct ReadyFacts {
  std::vector<std::string> watched;  // tables
  std::string to_know;               // the short form of `marmot check`; empty: nothing
  std::vector<PlainIds> plain_ids;
};

class Replicator {
 public:
  struct Events {
    std::function<void(NodeId node)> opened;
    // Once: it runs, and what was there has arrived.
    std::function<void(const ReadyFacts& facts)> ready;
    std::function<void(const Error& error)> failed;                      // it cannot go on: the agent ends
    std::function<void()> reopen;                                        // the file was replaced: make this object anew
    std::function<void(const std::set<std::string>& names)> schema_changed;  // because of other nodes, in the file
  };
  Replicator(uv::Loop& loop, uv::Mailbox::Sender sender, const Config& config, const DatabaseConfig& database, LogSink log,
             Events events);
  ~Replicator();
  Replicator(const Replicator&) = delete;
  Replicator& operator=(const Replicator&) = delete;

  void on_up(nats::Connection& connection);
  void on_down(const std::string& reason);

  // Drains once more and publishes what is possible until then; `done` comes once.
  void stop(int64_t timeout_ms, std::function<void()> done);

  // The questions that the faces pass on (agent/control). Each callback comes once, possibly from within the call, unless this
  // object is destroyed first.

  // At once, or within a second; without DatabaseStatus::file where the database thread does not answer in that time.
  void status(std::function<void(DatabaseStatus)> done);
  std::vector<MemberStatus> members() const;
  std::vector<MemberStatus> members_but(const std::set<uint64_t>& answered) const;
  enum class WaitLevel : uint8_t {
    published,  // what was committed here before this call is in the stream, and has come back from there
    all,        // and every live node has applied it
    ready,      // all that the stream held when this node entered it is here, and its ids are its own; nothing is waited for to be published
  };
  bool ready() const;  // WaitLevel::ready, now
  // Slot `slot` of ids is given up for its owner, which is gone for good. As Replica::retire_slot.
  void retire_slot(int slot, std::function<void(Status)> done);
  // How things stand before what `order` changes. Errc::unavailable: not in the stream. Errc::refused: this machine's clock is wrong itself, or an
  // agent with an earlier Marmot could not follow the stream any more.
  void clock(ClockOrder order, std::function<void(Result<ClockStatus>)> done);
  void wait(WaitLevel level, int64_t timeout_ms, std::function<void(const WaitOutcome&)> done);
  // Compares the rows of all live nodes; with `repair` after they were repaired. Errc::busy: another one runs.
  // Errc::unavailable: not connected, or not in the stream.
  void verify(int64_t timeout_ms, bool repair, Verify::Progress progress, std::function<void(Result<VerifyOutcome>)> done);
  Tails& tails() { return *tails_; }
  Snapshots& snapshots() { return *snapshots_; }

  const std::string& name() const { return database_.name; }
  const std::string& path() const { return database_.path; }
  const std::string& stream() const { return plan_.stream.name; }
  LongWork work() const;

 private:
  using State = DatabaseState;

  void on_opened(Result<DatabaseOpened> opened);
  void tell_whole_schema();
  void on_progress(const DatabaseProgress& progress);
  void on_delivered(nats::Delivered message);

  // replicator_gaps.cpp
  void on_problem(const nats::LogProblem& problem);
  void ask_leader(StreamSeq from, StreamSeq to);
  void note_gap();
  void look_for_untold();
  void lacks(StreamSeq first, StreamSeq last);

  void first_file();
  void enter();
  void on_entry(EntryOutcome outcome);
  void release_ids();
  void go_live(const DatabaseProgress& progress, const EntryOutcome& outcome);
  void leave(State state);
  void reenter(const std::string& why, int64_t delay_ms);
  void check_stream();
  void check_position();
  void check_delivery(StreamSeq end);
  void replaced(const std::string& why);
  void give_way(const std::string& twin);  // replicator_twin.cpp
  void watch_wal();
  // replicator_clock.cpp
  void on_clock();
  std::string clock_trouble() const;
  bool may_publish() const { return clock_.may_publish() && stamps_right_; }
  void look_at_stamps();
  void redate();
  Status may_change_clocks() const;
  void change_clocks(const ClockOrder& order, const replica::ClockReport& report, std::function<void(Status)> done);
  void update_flow();
  void caught_up();
  void announce_ready();
  void check_file(ReadyFacts facts);
  void report(LogLevel level, const std::string& text);
  bool outbox_complete() const;
  void send_again();
  StreamSeq applied() const;
  StreamSeq followed() const;

  // replicator_waits.cpp. `done(false)`: not in time.
  void until_published(int64_t deadline_ms, std::function<void(bool)> done);
  void until_applied(StreamSeq seq, int64_t deadline_ms, std::function<void(bool)> done);
  void until_running(int64_t deadline_ms, std::function<void(bool)> done);
  void repair_and_compare(int64_t timeout_ms, const Verify::Progress& progress, std::function<void(Result<VerifyOutcome>)> done);
  void compare(int64_t timeout_ms, Verify::Progress progress, Verify::Done done);
  void poke() { waiters_.look(); }

  // replicator_status.cpp
  Peers::Self self() const;
  bool all_there() const;
  node::EntryFacts::Company company() const;
  std::optional<size_t> snapshot_rank() const;
  StreamSeq stream_end() const;
  DatabaseState shown_state() const;
  std::string trouble() const;
  struct FileFacts {
    replica::Counters counters;
    std::vector<std::string> watched;
    replica::IdReport ids;
  };
  DatabaseStatus status_now(const std::optional<FileFacts>& facts) const;

  uv::Loop& loop_;
  const Config& config_;
  const DatabaseConfig& database_;
  const LogSink log_;
  const Events events_;
  EntryPlan plan_;
  const std::string prefix_;  // of control subjects
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);

  State state_ = State::opening;  // never `joining`: shown_state() tells it from `running`
  std::string state_text_;   // why it waits, is behind or stopped
  std::string last_error_;
  std::string reported_;     // the last text of report(), so that it is said once
  nats::Connection* connection_ = nullptr;
  bool connected_ = false;
  uint64_t generation_ = 0;  // grows whenever the stream is left: callbacks from before are not listened to
  std::optional<DatabaseOpened> opened_;
  DatabaseProgress progress_;

  std::unique_ptr<DatabaseThread> thread_;
  PublisherHost publisher_host_;
  node::Publisher publisher_;
  ClockCheck clock_;
  std::unique_ptr<Clocks> clocks_;
  std::unique_ptr<TwinWatch> twins_;
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<Repair> repair_;
  std::unique_ptr<Members> members_;
  StallAlarm alarm_;
  std::unique_ptr<Snapshots> snapshots_;
  std::unique_ptr<SnapshotJoin> first_file_;  // the file is missing or empty: a snapshot becomes it
  std::unique_ptr<StreamEntry> entry_;
  std::unique_ptr<nats::LogSubscription> subscription_;
  std::unique_ptr<Verify> verify_;
  uv::FsEvent wal_;
  uv::Timer retry_, check_, outbox_delay_, beat_soon_, lost_again_, ids_soon_, retry_stamps_;
  bool ids_held_ = true;         // Replica::hold_ids
  int64_t live_since_ms_ = 0;
  bool founded_ = false;         // the stream, when it was entered
  bool earlier_peer_ = false;    // an agent with an earlier Marmot is heard, so that nothing is said of ids
  bool wal_watched_ = false;

  bool publishing_ = false;     // as the thread was told
  std::string clock_told_;      // what was logged last of the clock
  bool stamps_right_ = false;   // in this stay in the stream: Replica::misdated says 0
  bool redating_ = false;       // the file's changes get other stamps: the stream is not entered before
  DatabaseThread::Mode mode_ = DatabaseThread::Mode::idle;
  node::CatchUp catch_up_;
  bool file_held_ = false;      // not opened yet: first_file()
  bool from_snapshot_ = false;  // first_file() filled it
  int64_t behind_since_ms_ = 0; // no snapshot has helped since; 0: not behind
  bool in_gap_ = false;         // paused until it is known why messages are missing
  StreamSeq compared_gap_ = 0;  // the end of the last gap that the nodes were to be compared for; 0: none
  node::Untold untold_;
  StreamSeq missing_from_ = 0;  // while Repair::lacking(): the first message that this file lacks
  bool ready_ = false;
  std::string created_;         // the stream's creation time, as it was entered
  replica::Position delivered_;  // the last message that came, applied or not
  StreamSeq known_end_ = 0;
  node::ChangeCount changes_;         // how far members are behind
  StreamSeq checked_seq_ = 0;   // the stream's leader holds the message that was applied here
  std::optional<StreamSeq> stuck_at_;  // the last message delivered when the stream was looked at, and had more
  std::deque<std::pair<StreamSeq, WallMs>> arrivals_;  // of other nodes: delivered, not applied yet

  Waiters waiters_;
  std::unique_ptr<Tails> tails_;
  bool verify_running_ = false;
  std::vector<std::string> watched_;
  std::unique_ptr<uv::PoolJob> check_work_;
  std::string to_know_;         // what `marmot check` says of the file, in short, as it was when it became ready
};

}  // namespace marmot::agent
