// A cluster in one process: real SQLite files, an application's connection and an engine's on each, and a stream that is a
// vector. For the engine's own tests; delivery order and failures are the test's to choose.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/replica/replica.hpp"
#include "common/replica/snapshot.hpp"

namespace marmot::test {

// Ends the test with the error's text.
void require(const Status& status);
template <class T>
T require(Result<T> result) {
  if (!result) require(Status(result.error()));
  return std::move(*result);
}

constexpr HashKey kSeed{0x1234, 0x5678};  // of digests
constexpr CompareBy kBy{kSeed, false};

struct Stream {
  uint64_t id = 77;
  std::optional<HashKey> hash_key;  // of the node that founded it
  std::vector<replica::Incoming> messages;
  // JetStream's. Far ahead: whatever the clocks of a test's nodes say, it is not judged (common/replica/clock_rule.cpp).
  WallMs now = 2'000'000'000'000;
  int64_t clock_bound = 0;  // that its first message says

  void append(const replica::OutUnit& unit);
  void append(const std::vector<replica::OutUnit>& units);
  void append(const std::string& msg_id, const std::string& bytes);
};

class Node {
 public:
  Node(const std::filesystem::path& dir, uint64_t id, replica::Settings settings = {});

  // The application: its own connection, triggers on, no extension.
  void sql(const std::string& text);
  std::string query(const std::string& text);  // rows by '\n', columns by '|', values as quote() prints them

  // Puts the content of the file `from` in place of this one's, as the sqlite3 shell's .restore does.
  void restore(const std::string& from);

  // The agent's life.
  void start(bool copied = false);
  void start_as_copy() { start(true); }  // of another node's file, and known for one
  void start_as(uint64_t id);  // put back: another node id, and data_dir remembers the former ones
  void start_as_twin_of_the_former(uint64_t id);  // likewise, but another agent has the former id: data_dir remembers lives only
  void lived(uint64_t lives) { life_ = lives; }  // before: their incarnations are not given again
  void stop();  // as kill -9: what was not committed is gone
  void restart(replica::Settings settings) {
    stop();
    settings_ = std::move(settings);
    start();
  }
  void found(Stream& stream);
  void join(Stream& stream);

  std::vector<replica::OutUnit> drain();
  void publish(Stream& stream);           // drain and outbox, appended
  void apply(const Stream& stream);       // all that is new
  void redate(WallMs time);               // what was drained is void
  bool merge_slice();                     // after engine().merge_begin(); true: done
  replica::Replica& engine() { return *engine_; }

  WallMs now = 1'700'000'000'000;
  Hlc high_water;  // what data_dir remembers
  HashKey hash_key{0x0706050403020100, 0x0f0e0d0c0b0a0908};  // of a file that has none; the same on all, so that any of them may join by hand
  std::string path;
  std::vector<std::string> log;

 private:
  uint64_t id_;
  uint64_t life_ = 0;
  std::vector<NodeId> former_, lives_;
  replica::Settings settings_;
  std::unique_ptr<sqlite::Database> app_;
  std::unique_ptr<replica::Replica> engine_;
  std::vector<replica::OutUnit> pending_;  // found by the drain before an apply
};

// Nothing is stopped, waits or is still to be sent on it, and its file is sound.
void check_at_rest(Node& node);

// It announces a floor at the end of the stream.
void announce(Node& node, Stream& stream);

// A snapshot of its file, as a file; and such a file, merged into another one's.
replica::SnapshotInfo take_snapshot(Node& node, const std::string& path);
void merge_snapshot(Node& node, const std::string& path);

// Publishes and applies on all until nothing moves.
void settle(Stream& stream, const std::vector<Node*>& nodes);

// A directory of its own, removed at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  const std::filesystem::path path;
};

// Three nodes, the first with `schema`, the others empty.
struct Three {
  explicit Three(const std::string& schema, replica::Settings settings = {}, WallMs stream_time = Stream().now)
      : a(dir.path, 1, settings), b(dir.path, 2, settings), c(dir.path, 3, settings) {
    stream.now = stream_time;
    a.sql(schema);
    a.found(stream);
    a.publish(stream);
    b.join(stream);
    c.join(stream);
    settle();
  }
  void settle() { test::settle(stream, {&a, &b, &c}); }
  void same(const std::string& query, const std::string& expected);  // CHECKs

  TempDir dir;
  Stream stream;
  Node a, b, c;
};

// How many rows they send.
inline size_t rows_in(const std::vector<replica::OutUnit>& units) {
  size_t rows = 0;
  for (const auto& unit : units) rows += unit.rows;
  return rows;
}

}  // namespace marmot::test
