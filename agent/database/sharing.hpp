// A database file that others reach without its folder: by a hard link, or where a container mounts the file alone. SQLite keeps what is
// committed in `<name>-wal`, and knows it by the name that it opened: under two names there are two, and each overwrites what the
// other has committed (docs/decisions/0029).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/sqlite/database.hpp"

namespace marmot::agent {

// How the file at `path` can be reached without its folder, and the cure, for people; empty: it cannot, as far as this process sees (who
// mounts the file elsewhere is not seen here). Does not open the file: closing a descriptor of it drops SQLite's locks.
std::string shared_alone(const std::string& path);

// Is `path`, absolute and without links, itself a mount point? `mountinfo`: the text of /proc/self/mountinfo (proc(5)).
bool is_mount_point(std::string_view mountinfo, std::string_view path);

// Notices that somebody writes to the database file past our -wal: its change counter (fileformat2.html, bytes 24 to 27) or the time of its
// last write moves while our -wal stands still and no checkpoint has moved on. Called every second or so. One thread: the connection's.
class SharingWatch {
 public:
  struct Facts {
    int64_t wal_bytes = 0, wal_written_ns = 0;  // of the -wal file: size and time of the last write
    uint32_t committed = 0, backfilled = 0;     // frames of the -wal: committed, and in the database file too
    uint32_t counter = 0;                       // the database file's change counter: one connection moves it once
    int64_t file_written_ns = 0;                // time of its last write
  };
  // A checkpoint is told of when it has ended: it may last so long.
  static constexpr int64_t kSureUs = 5'000'000;

  // True, once for each: it has been written past our -wal. `now_us`: a monotonic clock.
  bool look(int64_t now_us, const Facts& now);

 private:
  std::optional<Facts> known_;
  int64_t differs_since_us_ = 0;  // 0: it does not
};

// nullopt: not to be told now.
std::optional<SharingWatch::Facts> sharing_facts(sqlite::Database& db, const std::string& path);

}  // namespace marmot::agent
