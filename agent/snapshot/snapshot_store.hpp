// Snapshots of one database as objects of the bucket MARMOT_<cluster>_<db>_snapshots: a zstd file each, named by the stream
// sequence, with what it is of as metadata. Loop thread only; copying and compressing run on libuv's thread pool.
//
// Temporary files stand in the directory given, under names that begin with the database's; what a former life left there
// is removed at the start.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/loop/pool_job.hpp"
#include "agent/loop/uv.hpp"
#include "agent/nats/transport.hpp"
#include "common/base/log.hpp"
#include "common/replica/snapshot.hpp"

namespace marmot::agent {

struct SnapshotRecord {
  nats::ObjectInfo object;
  replica::SnapshotInfo info;
  int64_t bytes = 0;    // of the database file, before compression
  std::string version;  // of the Marmot that took it
};

// nullopt: the object is none of ours, or only a mark of a deleted one.
std::optional<SnapshotRecord> read_record(const nats::ObjectInfo& object);

// May a file that takes this snapshot go on with that stream, as far as its numbers and times tell?
bool bridges(const SnapshotRecord& record, const nats::StreamState& stream);

class SnapshotStore {
 public:
  using Progress = std::function<void(const char* what, uint64_t done, uint64_t total)>;  // bytes; may be empty

  SnapshotStore(uv::Loop& loop, nats::Connection& connection, const std::string& cluster, const std::string& name, int replicas,
                std::string directory, LogSink log);
  // What is under way is given up, nothing is called any more.
  ~SnapshotStore();
  SnapshotStore(const SnapshotStore&) = delete;
  SnapshotStore& operator=(const SnapshotStore&) = delete;

  // A path for a temporary file of this database.
  std::string scratch(const std::string& purpose) const;

  // Newest first: by time, then by sequence.
  void list(std::function<void(Result<std::vector<SnapshotRecord>>)> done);

  // Of those the newest from which the stream goes on, made sure of by the message that stands at its sequence.
  // `stream_id`: of the stream, where its first message told it; else 0. nullopt: there is none.
  void choose(const std::string& stream, const nats::StreamState& state, uint64_t stream_id,
              std::function<void(Result<std::optional<SnapshotRecord>>)> done);

  // Downloads it and unpacks it to `path`, which is checked to be that snapshot. One at a time. One that turns out to be
  // damaged (Errc::corrupt, Errc::schema) is not chosen again.
  void fetch(const SnapshotRecord& record, const std::string& path, Progress progress, std::function<void(Status)> done);

  const std::set<std::string>& damaged() const { return damaged_; }  // nuids

  // Finishes the copy (made at scratch("take")), compresses and stores it. One at a time.
  void save(std::unique_ptr<replica::SnapshotCopy> copy, Progress progress, std::function<void(Result<SnapshotRecord>)> done);

  // Deletes all but the newest `keep`; `done` with the number.
  void prune(size_t keep, std::function<void(Result<size_t>)> done);

 private:
  struct Saving;
  struct Fetching;
  void upload(const std::shared_ptr<Saving>& saving);
  void unpack(const std::shared_ptr<Fetching>& fetching);
  void fetched(const std::shared_ptr<Fetching>& fetching, Status outcome);
  struct Choosing;
  void check_candidate(const std::shared_ptr<Choosing>& choosing);
  void remove_all(std::vector<std::string> names, size_t removed, std::function<void(Result<size_t>)> done);

  uv::Loop& loop_;
  nats::Connection& connection_;
  const std::string name_, directory_;
  const LogSink log_;
  std::unique_ptr<nats::ObjectStore> objects_;
  std::unique_ptr<uv::PoolJob> save_work_, fetch_work_;
  uv::Timer progress_;
  std::set<std::string> damaged_;
  std::shared_ptr<Saving> saving_;
  std::shared_ptr<Fetching> fetching_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

// Gives the file `from` the name `to` as well, in one step and for good; another file system gets a copy. Errc::refused:
// there is a `to`. Blocks.
Status place_file(const std::string& from, const std::string& to);

// Removes a database file and what SQLite keeps beside it.
void remove_database(const std::string& path);

}  // namespace marmot::agent
