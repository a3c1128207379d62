// `marmot snapshot restore`: makes one snapshot a database of its own.
//
//   list -> choose -> download, unpack -> take out what is Marmot's -> put it in its place
//
// The file appears whole, by a link, and never over another one. One object a restore. Loop thread only; unpacking and what
// follows run on libuv's thread pool.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/loop/pool_job.hpp"
#include "agent/loop/uv.hpp"
#include "agent/snapshot/snapshot_store.hpp"

namespace marmot::agent {

struct RestoreOrder {
  std::string id;     // the object's name, or the stream sequence in decimal; empty: the newest
  std::string to;     // an absolute path where nothing is
  bool keep = false;  // with Marmot's tables and triggers, as a copy that may join the cluster; else a plain database
};

class SnapshotRestore {
 public:
  using Done = std::function<void(Result<SnapshotRecord>)>;

  // `done` once, unless this is destroyed first. Errc::not_found: no such snapshot; Errc::refused: something is at `to`.
  SnapshotRestore(uv::Loop& loop, SnapshotStore& store, RestoreOrder order, SnapshotStore::Progress progress, Done done);
  ~SnapshotRestore();
  SnapshotRestore(const SnapshotRestore&) = delete;
  SnapshotRestore& operator=(const SnapshotRestore&) = delete;

  bool over() const { return !done_; }

 private:
  void choose(const std::vector<SnapshotRecord>& records);
  void place(const SnapshotRecord& record);
  void finish(Result<SnapshotRecord> outcome);
  template <class F>
  auto guarded(F callback);

  uv::Loop& loop_;
  SnapshotStore& store_;
  const RestoreOrder order_;
  const SnapshotStore::Progress progress_;
  Done done_;
  std::unique_ptr<uv::PoolJob> placing_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace marmot::agent
