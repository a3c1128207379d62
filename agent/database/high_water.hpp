// The largest HLC ever given out for a database file, kept in data_dir, beside and not inside the file: a power cut that
// rolls the file back must not let the same version be given out twice (docs/design.md, "Versions").
//
// 16 bytes, little-endian: the value, and its complement (a torn or foreign file is noticed).
// store() belongs to the database thread; descriptor() may be synced from any thread.
#pragma once

#include <string>

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

  // Writes a larger value; a smaller or equal one is nothing to do. Survives the process, not yet a power cut.
  // Returns true when something was written.
  Result<bool> store(Hlc value);

  // Blocks until it survives a power cut.
  Status sync();

  int descriptor() const { return fd_; }

 private:
  HighWater(int fd, Hlc value) : fd_(fd), value_(value) {}
  int fd_ = -1;
  Hlc value_;
};

}  // namespace marmot::agent
