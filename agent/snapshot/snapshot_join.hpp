// Builds a database file that does not exist yet, or holds no byte, from the newest snapshot that the stream goes on from.
//
//   look at the stream -> choose a snapshot -> download, unpack -> adopt_copy -> put it in its place
//
// A missing file appears whole, by a link, and never over one that the application made meanwhile; an empty one is filled
// through SQLite's backup API, because the application may have it open. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/loop/pool_job.hpp"
#include "agent/loop/uv.hpp"
#include "agent/nats/transport.hpp"
#include "agent/snapshot/snapshot_store.hpp"
#include "common/base/log.hpp"
#include "common/base/long_work.hpp"

namespace marmot::agent {

class SnapshotJoin {
 public:
  // `done` once, unless this is destroyed first: true: the file is there; false: no snapshot helps, or the file is not
  // empty any more. An error: try again.
  SnapshotJoin(uv::Loop& loop, nats::Connection& connection, SnapshotStore& store, std::string stream, std::string path,
               std::string name, LogSink log, std::function<void(Result<bool>)> done);
  ~SnapshotJoin();
  SnapshotJoin(const SnapshotJoin&) = delete;
  SnapshotJoin& operator=(const SnapshotJoin&) = delete;

  const LongWork& work() const { return work_; }

 private:
  void choose(const nats::StreamState& state, uint64_t stream_id);
  void fetch(const SnapshotRecord& record);
  void adopt(const SnapshotRecord& record);
  void finish(Result<bool> outcome);
  template <class F>
  auto guarded(F callback);

  uv::Loop& loop_;
  nats::Connection& connection_;
  SnapshotStore& store_;
  const std::string stream_, path_, name_;
  const LogSink log_;
  std::function<void(Result<bool>)> done_;
  std::unique_ptr<uv::PoolJob> adopting_;
  LongWork work_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace marmot::agent
