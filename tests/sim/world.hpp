// One simulated cluster: machines with a file, an application and an agent each, a network, a stream, and time. Everything
// happens in one queue of events, in the order of (time, number); every choice comes from the seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/mutation.hpp"
#include "common/replica/snapshot.hpp"
#include "tests/sim/ddl.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/given_ids.hpp"
#include "tests/sim/ledger.hpp"
#include "tests/sim/profile.hpp"
#include "tests/sim/random.hpp"
#include "tests/sim/replaced.hpp"
#include "tests/sim/schema_spec.hpp"
#include "tests/sim/stream.hpp"
#include "tests/sim/trace.hpp"
#include "tests/sim/workload.hpp"

namespace marmot::sim {

class Agent;
class App;

// A machine's way to the server.
struct Link {
  bool out_blocked = false, in_blocked = false;
  bool connected = true;  // what the agent's client believes
};

struct Node {
  int id = 0;
  std::string path;               // "n1/app.db"
  std::string encoding;           // the PRAGMA that its file is made with, and ";"; empty: UTF-8
  Link link;
  int64_t clock_offset = 0;       // of the wall clock, milliseconds
  int64_t clock_since = 0;        // when that was set
  uint64_t high_water = 0, high_water_synced = 0;  // data_dir's clock value
  int64_t high_water_since = -1;  // unsynced since
  std::vector<NodeId> lives;      // that agents had on its file, likewise
  std::vector<NodeId> ids;        // that its file had, as data_dir remembers them
  uint64_t former_incarnation = 0;
  bool rebooted = false;          // since its agent last opened its file
  bool older = false;             // its file is, since then: nobody can help what its application writes before the agent looks
  bool prepared = false;          // every row has a version: what stood there before is not the ledger's business
  int64_t waits_since = -1;       // for a snapshot that there is not; -1: it does not
  bool merged = false;            // it joined with rows of its own, one by one: its former transactions may come in part
  bool retired = false;           // an operator took it for gone: when it comes back, it does not know at once that its slot is another node's
  bool away = false;              // its agent is not to be started
  std::string backup;             // path of an old copy; empty: none
  bool backup_joins = false;      // it was no member's: put back it joins, and brings along rows that others have by now
  bool held = false;              // what it sends stays on its way
  std::vector<std::function<void(bool)>> on_its_way;
  std::unique_ptr<Agent> agent;
  std::unique_ptr<App> app;
  StreamSeq told_position = 0;    // what the others know of it
  int64_t told_at = -1;
  int64_t next_tag = 0;
};

struct Outcome {
  std::string failure;            // empty: all promises held
  uint64_t digest = 0, events = 0;
  std::vector<std::string> last;  // the last events
  std::string profile;
  size_t commits = 0, messages = 0;
  std::map<std::string, uint64_t> counts;  // how often what happened, for the one who tunes the profiles
};

// An object of the snapshot store.
struct KeptSnapshot {
  replica::SnapshotInfo info;
  uint64_t created = 0;  // of the stream it was taken from
  std::string bytes;
};

class World {
 public:
  World(uint64_t seed, const Profile& profile, bool print);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Outcome run();

  // -- for agents and applications
  int64_t now() const { return now_; }
  WallMs wall(const Node& node) const;
  WallMs server_time() const;
  // How far a stamp may be ahead of the stream's time, and a machine's clock off the server's.
  int64_t clock_bound() const;
  bool poisoned() const { return profile.reset_ms != 0 && !ledger.was_reset(); }  // nothing was refused so far
  void after(int64_t ms, std::function<void()> then);
  void say(int node, const std::string& text) { trace_.event(now_, node, text); }
  void logged(const Node& node, std::string_view text);  // by the node's engine
  void fail(int node, const std::string& text);
  bool failed() const { return !failure_.empty(); }
  bool calm() const { return calm_; }  // no faults any more
  void count(const char* what) { ++counts_[what]; }
  // `at_server` runs there if the request arrives, `reply(true)` if the answer comes back in time.
  void request(Node& node, std::function<void()> at_server, std::function<void(bool)> reply);
  void processes_stopped(Node& node);  // DiskFaults::stop_after struck
  // What a file counts as its commits, told to the ledger. After anything that may have taken some back.
  void recover(Node& node);
  sqlite::Database* checker(Node& node);  // a connection that no fault touches; nullptr: there is no file
  // A commit that any reader could see: whole transactions only.
  void check_whole(Node& node);
  void check_named_tables(Node& node, sqlite::Database& db);
  // After a commit of the node's agent, and of its application.
  void check_next_id(Node& node);
  void note_given_ids(Node& node, const std::vector<Change>& changes);
  // replaced.hpp, of a transaction of its application: what is there before it, and what it did, just after its commit.
  Keyless keyless_rows(Node& node);
  void mark_changes(Node& node, const Keyless& before, bool replaces, std::vector<Change>& changes);
  // damage.cpp. Where triggers of ours are missing: the names of tables.
  std::string untriggered(Node& node);
  // A node that compared all others with itself found that a range differs, or a whole round found nothing that does.
  void divergent(Node& node, const std::string& table);
  void found_equal(int64_t began);
  // Two agents may run on copies of one file, under one name.
  bool twins() const { return profile.clone_ms != 0; }
  // The nodes that agents are now, as SQL lists them.
  // What an agent sends goes into the stream as it is or, rarely, damaged. The ledger is told of what it holds.
  std::optional<StreamAck> store(const std::string& msg_id, const std::string& bytes);
  // Somebody who is no agent puts a message into the stream: under the id that the node uses `ahead` units from now or, where that
  // is 0, under none. `copy`: the bytes of the last message that is there; else they are nothing.
  void foreign(Node& node, uint64_t ahead, bool copy);
  bool harmed() const { return harmed_; }  // messages are not what agents sent
  bool may_lose_units() const { return harmed_ || stream_lost_ || cloned_; }
  // Some files may be in UTF-16: texts are read and written as such a file holds them.
  bool wide() const { return profile.wide != 0 || scripted_wide_; }
  // What a message held that is gone comes again row by row.
  bool pairs_whole() const { return profile.atomic_rows == 0 && profile.lose_ms == 0; }
  // The tables whose rows the ledger knows, as far as the file has to have them.
  std::vector<TableKey> tables_of(sqlite::Database& db);

  const Profile profile;
  bool scripted = false;  // a scenario: `schema` is learned from what its applications create
  Random random;
  Disks disks;
  SchemaSpec schema;
  Workload workload;
  Migrations migrations;
  Ledger ledger;
  GivenIds given_ids;
  Stream stream;
  std::vector<KeptSnapshot> snapshots;  // oldest first
  int64_t snapshot_wanted_at = -1;      // when a node asked the others for one; -1: none did
  // The newest one from which the stream goes on; `stream_id` 0: not known. nullptr: there is none.
  const KeptSnapshot* choose_snapshot(uint64_t stream_id) const;
  bool server_up = true;
  std::map<int, Node> nodes;
  int committed = 0;
  uint64_t next_node_id = 100;
  bool history_at_risk = false;  // the stream and a file lost something in one run: what both held is gone

 private:
  friend class Scenario;
  void start();
  enum class Begin : uint8_t { with_schema, empty, missing, clone };  // clone: whoever adds it gives it a file
  void add_node(int id, Begin begin);
  void announce_floor();
  void power_cut(Node& node);
  void schedule_faults();
  void every(int64_t mean_ms, std::function<void()> then);
  void partition();
  void leader_loss();
  void clock_jump();
  bool reset_said_ = false;  // from there on no clock jumps
  bool reset_clocks(Node& on);  // clocks are set right; true: stamps were ahead there, and are lowered now
  void restore();
  void keep_copy(Node& node);
  void put_back(Node& node, bool other_file);
  void copied();
  void clone();
  void make_anew(Node& node);
  void stream_tail();
  void stream_new();
  void lose_message(StreamSeq from_end);
  void trim();
  void away();
  void retire();
  void change_adoption();
  void discard_conflict();
  void lose_triggers();
  void foreign();
  void damage();
  bool held_elsewhere(Node& node, const std::string& version);
  void disconnect_all();
  void calm_down();
  bool settled(std::string* why);
  bool makes_room(std::string* why);
  void check_end();
  bool may_share_names() const;
  std::string check_moving();
  std::string check_handled();
  std::string check_stamps();
  // No id is given to two rows. Not so where two agents are one, or claims of slots are gone.
  bool ids_are_dealt() const { return !(cloned_ || replaced_ || twins() || profile.lose_ms != 0 || stream_lost_); }
  void tell_moving();
  Node& any_node();

  Trace trace_;
  int64_t now_ = 0;
  uint64_t number_ = 0;
  std::map<std::pair<int64_t, uint64_t>, std::function<void()>> queue_;
  std::string failure_;
  bool calm_ = false;
  bool stream_lost_ = false, file_lost_ = false, replaced_ = false, brought_again_ = false, cloned_ = false;
  bool harmed_ = false;
  std::set<Place> discarded_;       // where an operator discarded a conflict
  std::set<std::string> untold_;    // tables of which a file did not know which former row is which (decision 0028)
  bool scripted_wide_ = false;      // a scenario made a node with such a file
  bool damaged_ = false;            // World::damage struck
  int64_t equal_since_ = -1;        // when the last round began that found all nodes equal
  int64_t quiet_since_ = -1;        // since when nobody has anything to do, at quiet_at_; -1: somebody has
  StreamSeq quiet_at_ = 0;
  std::map<int, std::unique_ptr<sqlite::Database>> checkers_;
  std::map<std::string, uint64_t> counts_;
  int last_node_ = 0;
  Random encodings_;                // of files, apart from all other chance
};

// checks.cpp: what must hold once the cluster has settled. Each returns what is wrong; empty: nothing.
std::string check_identical(const std::map<int, Rows>& rows);
std::string check_winners(const Ledger& ledger, const SchemaSpec& schema, const Rows& rows);
// `twice`: tables in which a keyless row may be there twice, under two names. A copy of a file became a file of its own beside it: what its log
// held is drained again, and a keyless row in it is another row then (docs/consistency.md). Or a file joined once more with a row that was changed
// since; or was made anew without its rowids, and which former row is which could not be told (decision 0028).
std::string check_nothing_lost(const Ledger& ledger, const Rows& rows, const std::set<Place>& conflicts, const std::set<std::string>& twice);
// Every row was written by some application: nothing is doubled, mixed or made up.
std::string check_nothing_invented(const Ledger& ledger, const Rows& rows, const std::set<std::string>& twice);
std::string check_file(sqlite::Database& db, bool fts);

}  // namespace marmot::sim
