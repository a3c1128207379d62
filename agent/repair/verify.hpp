// `marmot verify`: are the rows of one database the same on every node that is there?
//
//   what is written here is in the stream -> apply up to the stream's end -> digests here and of every live peer,
//   each taken once it has applied that much -> where they differ: buckets, then keys, of that peer -> FTS's own check of the
//   full-text indexes, here and on every peer: they are not replicated, and each node's own triggers keep them.
//
// While writes go on digests may differ because of them: then it is tried again, until they stop or the deadline is near.
// Loop thread only. One object a request; it deletes nothing and holds nothing of the database thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/database/database_thread.hpp"
#include "agent/loop/clock.hpp"
#include "agent/loop/uv.hpp"
#include "agent/membership/peers.hpp"
#include "agent/nats/transport.hpp"

namespace marmot::agent {

struct TableVerdict {
  std::string name;
  int64_t rows = 0;  // here
  struct Difference {
    uint64_t node = 0;
    std::vector<std::string> keys;  // describe_key; at most kMaxKeys
    int64_t more = 0;               // not listed
  };
  std::vector<Difference> differs;
};

struct VerifyReport {
  std::set<uint64_t> answered;  // nodes, but for this one
  size_t nodes() const { return 1 + answered.size(); }
  std::vector<TableVerdict> tables;
  struct FullText {
    uint64_t node = 0;
    FullTextFault fault;
  };
  std::vector<FullText> full_text;
  bool identical() const;
};

class Verify {
 public:
  static constexpr size_t kMaxKeys = 20;

  struct Host {
    uv::Loop& loop;
    nats::Connection& connection;
    DatabaseThread& thread;
    Peers& peers;
    std::string stream;
    std::string prefix;  // of the control subjects
    // Calls back with false when the deadline passed first.
    std::function<void(int64_t deadline_ms, std::function<void(bool)>)> until_published;
    std::function<void(StreamSeq seq, int64_t deadline_ms, std::function<void(bool)>)> until_applied;
    std::function<Peers::Self()> self;
  };
  using Progress = std::function<void(std::string_view what, int64_t done, int64_t total)>;
  using Done = std::function<void(Result<VerifyReport>)>;

  Verify(Host host, int64_t timeout_ms, Progress progress, Done done);
  ~Verify();
  Verify(const Verify&) = delete;
  Verify& operator=(const Verify&) = delete;

 private:
  struct PeerDigest {
    StreamSeq applied = 0;
    uint64_t pending = 0;
    std::map<std::string, std::pair<int64_t, Hash128>> tables;  // name -> rows, hash
  };
  struct Detail {  // a table that differs from one peer's
    std::string table;
    uint64_t node = 0;
    std::vector<int> buckets;  // that differ, not looked into yet
  };

  void round();
  void take_digests(StreamSeq seq);
  void on_digest(const nats::Message& message);
  void compare();
  void next_detail();
  void check_full_text();
  void check_full_text_of_next();
  void on_full_text(uint64_t node, const Result<std::string>& answer);
  void on_buckets(const Result<std::string>& answer);
  void next_bucket();
  void on_keys(const Result<std::string>& answer, const std::vector<KeyHash>& ours);
  void add_difference(const std::string& table, const std::string& key);
  void fail(Errc code, std::string text);
  void finish();
  template <class F>
  auto guarded(F callback);
  TableVerdict& verdict(const std::string& table);

  Host host_;
  const int64_t deadline_ms_;  // of monotonic_ms()
  Progress progress_;
  Done done_;
  uv::Timer timer_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);

  uint64_t round_ = 0;
  HashKey seed_;                                // of this round's digests: nobody could know it before
  StreamSeq seq_ = 0;
  StreamSeq here_ = 0;                          // applied here when the own digests were taken
  std::set<uint64_t> expected_;                 // peers that were alive
  std::map<uint64_t, PeerDigest> theirs_;
  std::optional<std::vector<TableDigest>> ours_;
  bool replies_over_ = false;
  std::vector<Detail> details_;
  std::set<uint64_t> unchecked_;                // peers whose full-text indexes are still to be asked for
  VerifyReport report_;
};

}  // namespace marmot::agent
