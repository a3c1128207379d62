// Takes the snapshots of one database, lists them, and gives them out.
//
// Who takes: on the schedule (snapshot_schedule.hpp) only the live node with the lowest id; on `marmot snapshot save` the
// node that is asked; when a node that cannot go on asks for one (SnapshotRequest of common/codec/control.hpp, on subject
// marmot.<cluster>.ctl.<db>.snapshot), the lowest live one at once and the others, should none appear, one after the other a
// little later.
//
// How: the database thread begins the copy (a read transaction at a moment when the log is empty; no writer waits), a pool
// thread copies and compresses, the loop uploads. kill -9 anywhere leaves nothing but a temporary file, which the next
// start removes. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/database/database_thread.hpp"
#include "agent/loop/uv.hpp"
#include "agent/nats/transport.hpp"
#include "agent/snapshot/snapshot_restore.hpp"
#include "agent/snapshot/snapshot_store.hpp"
#include "common/base/log.hpp"
#include "common/base/long_work.hpp"
#include "common/node/snapshot_due.hpp"

namespace marmot::agent {

// What is known of the snapshots of one database, for `marmot status`.
struct SnapshotsStatus {
  bool taking = false;           // one is being taken here
  std::string last_error;        // why the last one could not be taken here; empty: it could
  std::optional<size_t> count;   // in the object store, as last listed; nullopt: not listed yet
  struct Newest {
    std::string id;              // the object's name
    StreamSeq seq = 0;           // the last message it holds
    int64_t age_ms = 0;
  };
  std::optional<Newest> newest;  // nullopt: none is known
};

class Snapshots {
 public:
  struct Setup {
    std::string cluster, name, stream;
    std::string prefix;     // of the control subjects
    std::string directory;  // for temporary files
    int replicas = 1;
    size_t keep = 3;
    node::SnapshotPolicy policy;
  };
  struct Host {
    // How many live members have a lower id than this node; nullopt: this node is none that may take snapshots (it is not
    // in the stream, or still joining).
    std::function<std::optional<size_t>()> rank;
    // A message from another node was not understood.
    std::function<void(std::string_view bytes, const Error& error)> not_understood;
  };
  using Saved = std::function<void(Result<SnapshotRecord>)>;
  using Listed = std::function<void(Result<std::vector<SnapshotRecord>>)>;
  using Progress = SnapshotStore::Progress;

  Snapshots(uv::Loop& loop, DatabaseThread& thread, Setup setup, Host host, LogSink log);
  ~Snapshots();
  Snapshots(const Snapshots&) = delete;
  Snapshots& operator=(const Snapshots&) = delete;

  // Connected, the first time and again. From then on store() is there.
  void start(nats::Connection& connection);
  SnapshotStore* store() { return store_.get(); }

  // Takes one now. While one is being taken, waits for the one after it. Errc::unavailable, as of the two below: not
  // connected yet; here also: this node is none that may take snapshots.
  void save(Progress progress, Saved done);
  // All there are, newest first.
  void list(Listed done);
  // Makes one a database of its own (snapshot_restore.hpp). One at a time: Errc::busy.
  void restore(RestoreOrder order, Progress progress, SnapshotRestore::Done done);

  // Asks, as `node`, the other nodes for a snapshot that holds everything up to `seq` at least and is none of those that were
  // found damaged. At most once in kAskAgainMs.
  void ask(NodeId node, StreamSeq seq);
  static constexpr int64_t kAskAgainMs = 3000;
  // The other nodes that have asked lately: they wait for one.
  std::set<uint64_t> waiting_nodes() const;

  SnapshotsStatus status() const;
  // What is going on, for a progress bar; empty: nothing.
  const LongWork& work() const { return work_; }

 private:
  void look();
  void on_listed(Result<std::vector<SnapshotRecord>> records);
  void on_asked(const nats::Message& message);
  void take(const std::string& why);
  void begin();
  void taken(Result<SnapshotRecord> record);

  uv::Loop& loop_;
  DatabaseThread& thread_;
  const Setup setup_;
  const Host host_;
  const LogSink log_;
  nats::Connection* connection_ = nullptr;
  std::unique_ptr<SnapshotStore> store_;
  std::unique_ptr<SnapshotRestore> restore_;  // the last one; it may be over
  std::unique_ptr<nats::Subscription> asked_;
  uv::Timer look_, answer_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);

  std::vector<SnapshotRecord> known_;  // as last listed, newest first
  bool listed_ = false;
  bool taking_ = false;
  int64_t taking_since_ms_ = 0;
  StreamSeq wanted_ = 0;               // by a node that asked: a snapshot of that sequence or later
  std::set<std::string> unwanted_;     // by that node: nuids
  int64_t asked_ms_ = 0;
  std::map<uint64_t, int64_t> askers_; // node -> when
  int64_t not_before_ms_ = 0;          // after a failure
  std::string last_error_;
  std::vector<std::pair<Progress, Saved>> waiting_, next_;  // for the one that is being taken; for the one after it
  LongWork work_;
};

}  // namespace marmot::agent
