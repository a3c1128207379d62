// Snapshots: a copy of one node's whole file at one position of the stream (docs/decisions/0010-snapshots.md).
//
// A joiner whose file is missing takes the copy as its file (adopt_copy). Everybody else merges it by version into the
// live file, in short slices, with Replica::merge_begin() and merge_slice(); pending local changes survive.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/replica/types.hpp"

namespace marmot::replica {

class Replica;

// What a snapshot is of. Kept inside the copy; the agent writes it beside the object too.
struct SnapshotInfo {
  uint64_t stream_id = 0;
  StreamSeq seq = 0;        // everything up to this message is in it
  std::string msg_id;       // its Nats-Msg-Id
  WallMs msg_at = 0;        // Position::at
  NodeId node;              // who took it
  WallMs at = 0;
  int64_t rows = 0;         // registers, live and dead; known once the copy is complete

  Position position() const { return {stream_id, seq, msg_id, msg_at}; }
};

class SnapshotCopy {
 public:
  // Drains, then holds a read transaction on a connection of its own at a moment when the log is empty; no writer waits.
  // `path` must not exist. Call it on the engine's thread, outside any transaction. Errc::busy: the application writes
  // without a pause, try again.
  static Result<std::unique_ptr<SnapshotCopy>> begin(Replica& replica, const std::string& path);
  ~SnapshotCopy();  // unfinished: the file at `path` is removed
  SnapshotCopy(const SnapshotCopy&) = delete;
  SnapshotCopy& operator=(const SnapshotCopy&) = delete;

  // Copies up to `pages` pages. True: the copy is complete, checked and closed. Any thread, one at a time.
  Result<bool> step(int pages);
  const SnapshotInfo& info() const;
  int64_t pages_done() const;
  int64_t pages_total() const;

 private:
  struct State;
  explicit SnapshotCopy(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Errc::schema: no Marmot snapshot. Errc::newer_format: of a later Marmot.
Result<SnapshotInfo> read_snapshot_info(const std::string& path);

// Makes the copy at `path` the file of a node that had none: its rows, versions and position stay, its identity goes. The
// next Replica::open makes a new one.
Status adopt_copy(const std::string& path);

}  // namespace marmot::replica
