// The largest HLC ever given out for a database file, kept in data_dir, beside and not inside the file: a power cut that
// rolls the file back must not let the same version be given out twice (docs/design.md, "Versions"). And the node ids that the file had: one that
// is put back has another (common/node/former_ids.hpp).
//
// Little-endian: 16 bytes, the value and its complement (a torn or foreign file is noticed); then as many for where this file stood when it was told the
// node ids, and for each of them, the oldest first; behind room for node::kMostIds of these the lives that agents had on the file, likewise. The first one that is
// torn ends either. Of a file that was copied together with data_dir
// they are the original's, which may be alive: they count for nothing where this file does not stand there.
// store() belongs to the database thread; descriptor() may be synced from any thread.
#pragma once

#include <string>
#include <vector>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/core/hlc.hpp"

namespace marmot::agent {

class HighWater {
 public:
  // Creates the file when it is missing (its value is then 0). Errc::corrupt when it does not hold what store() writes.
  static Result<HighWater> open(const std::string& path);
  ~HighWater();
  HighWater(HighWater&& other) noexcept;
  HighWater& operator=(HighWater&&) = delete;

  Hlc value() const { return value_; }
  const std::vector<NodeId>& nodes() const { return nodes_; }
  const std::vector<NodeId>& lives() const { return lives_; }

  // Writes a larger value; a smaller or equal one is nothing to do. Survives the process, not yet a power cut.
  // Returns true when something was written.
  Result<bool> store(Hlc value);

  // Under a new incarnation: no version names two contents, whatever its HLC.
  Status lower(Hlc value);

  // At most node::kMostIds and node::kMostLives; survives the process.
  Status keep(const std::vector<NodeId>& nodes, const std::vector<NodeId>& lives);

  // Blocks until it survives a power cut.
  Status sync();

  int descriptor() const { return fd_; }

 private:
  HighWater(int fd, uint64_t place) : fd_(fd), place_(place) {}
  int fd_ = -1;
  uint64_t place_ = 0;  // a hash of it
  Hlc value_;
  std::vector<NodeId> nodes_, lives_;
};

}  // namespace marmot::agent
