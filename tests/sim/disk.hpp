// The disks, clocks and entropy of all simulated machines, behind one SQLite VFS.
//
// Paths are "n<machine>/<file>". A file knows which writes no sync has covered yet: a power cut keeps any part of them.
// Locks and the WAL's shared memory are in memory, shared between the connections of a machine, and held by processes, so
// that one may die and another go on. Everything is single-threaded and holds no address in any order.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/random.hpp"

namespace marmot::sim {

enum class Process : uint8_t { app, agent, checker };
inline constexpr int kProcesses = 3;

// One run of a process. Dead: its handles do nothing any more, and closing them changes nothing.
struct Life {
  Process process = Process::app;
  bool dead = false;
};

struct ShmLocks {
  std::array<int, 8> shared{};     // holders
  std::array<int, 8> exclusive{};
};

struct File {
  uint64_t inode = 0;
  std::string data;
  std::string durable;  // what a power cut leaves at least
  struct Unsynced {     // since then, in order; a truncation has no bytes
    bool truncate = false;
    size_t at = 0;
    std::string bytes;
  };
  std::vector<Unsynced> unsynced;
  int shared = 0;       // holders of SHARED or more
  const void* reserved = nullptr;
  const void* pending = nullptr;
  bool exclusive = false;
  std::vector<std::unique_ptr<char[]>> shm;
  ShmLocks shm_locks;
  std::vector<std::pair<const void*, Process>> shm_readers;  // who holds a read mark

  void write(size_t at, const char* bytes, size_t size);
  void truncate(size_t size);
  void sync();
  void power_cut(Random& random);
};

struct DiskFaults {
  int64_t stop_after = -1;         // I/O operations of `stops` until it dies in the middle of one; -1: never
  Process stops = Process::agent;
  bool stop_all = false;           // the power goes instead
  uint64_t error_per_mille = 0;    // of reads, writes and syncs
  int64_t room = -1;               // bytes that may still be added; -1: no end
  int64_t fail_after = kNever;     // I/O operations of `fails` until a single one fails
  Process fails = Process::agent;

  static constexpr int64_t kNever = -1, kFailed = -2;
  bool bad() const { return error_per_mille > 0 || room >= 0 || fail_after != kNever; }  // an operation may have failed
};

class Machine {
 public:
  explicit Machine(uint64_t seed) : random(seed) {}

  // The life of a process that runs now; made when there is none.
  const std::shared_ptr<Life>& life(Process process);
  void kill(Process process);
  bool stopped = false;  // DiskFaults::stop_after struck

  // No process may be alive. What was not synced goes, in part.
  void power_cut();
  bool exists(const std::string& path) const { return files.count(path) != 0; }
  void copy(const std::string& from, const std::string& to, bool new_inode);
  void remove(const std::string& path);
  void put(const std::string& path, const std::string& bytes);
  void move(const std::string& from, const std::string& to);
  // Does a process other than `process` hold a snapshot of the database `path`?
  bool others_reading(const std::string& path, Process process) const;

  Random random;
  std::function<int64_t()> now_ms;
  DiskFaults faults;
  std::map<std::string, std::shared_ptr<File>> files;
  std::array<std::shared_ptr<Life>, kProcesses> lives;
};

class Disks {
 public:
  Disks();   // registers the VFS as SQLite's default, and makes SQLite's own random numbers start anew
  ~Disks();  // every connection must be closed
  Machine& add(int id, uint64_t seed);
  Machine& of(int id) { return *machines_.at(id); }

  // Whose I/O comes next: clock, entropy and temporary files have no path to tell it by.
  void enter(int machine, Process process);
  Machine& current() { return *machines_.at(current_); }
  Machine& by_path(const std::string& path) { return *machines_.at(std::atoi(path.c_str() + 1)); }  // "n<id>/..."
  Process process() const { return process_; }
  uint64_t next_inode() { return ++inodes_; }

 private:
  std::map<int, std::unique_ptr<Machine>> machines_;
  friend class Enter;
  int current_ = 0;
  Process process_ = Process::checker;
  uint64_t inodes_ = 0;
};

// The scope in which a process of a machine runs.
class Enter {
 public:
  Enter(Disks& disks, int machine, Process process);
  ~Enter();
  Enter(const Enter&) = delete;
  Enter& operator=(const Enter&) = delete;

 private:
  Disks& disks_;
  int machine_;
  Process process_;
};

}  // namespace marmot::sim
