// The other nodes of one database, over core NATS (nothing here is kept while the connection is away):
//
//   marmot.<cluster>.ctl.<db>.beat            every second: {"node":N,"incarnation":"hex","applied":SEQ,"pending":ROWS,"able":B}
//   marmot.<cluster>.ctl.<db>.digest          request {"node":N,"seq":SEQ}: each node answers once it has applied SEQ
//                                             {"node":N,"applied":SEQ,"pending":ROWS,"tables":[["name",ROWS,"hash"],...]}
//   marmot.<cluster>.ctl.<db>.node.<N>        request {"table":S}: {"buckets":[["hash",ROWS],...]}
//                                             request {"table":S,"bucket":I}: {"keys":[["hex key","hex hash"],...],"all":B}
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "agent/database/database_thread.hpp"
#include "agent/loop/uv.hpp"
#include "agent/nats/transport.hpp"
#include "common/base/log.hpp"

namespace marmot::agent {

// For how long the check of one full-text index may keep applications from writing.
inline constexpr int64_t kFullTextLimitUs = 1'000'000;

struct Peer {
  NodeId node;
  uint64_t incarnation = 0;
  StreamSeq applied = 0;
  uint64_t pending = 0;
  int64_t seen_ms = 0;  // of the loop's monotonic clock
  bool able = false;    // a member that follows the stream
  std::string life;     // the incarnation as it calls it
};

class Peers {
 public:
  static constexpr int64_t kBeatMs = 1000;
  static constexpr int64_t kAliveMs = 5000;     // without a beat for so long a peer counts as away
  static constexpr int64_t kForgetMs = 600'000; // and is no longer listed after this

  // What this node says of itself.
  struct Self {
    Origin origin;
    StreamSeq applied = 0;
    uint64_t pending = 0;
    bool able = false;  // a member that follows the stream
  };
  struct Events {
    std::function<Self()> self;
    std::function<void()> changed;              // a beat came
    std::function<void(StreamSeq)> hasten;      // somebody waits until this node has applied that much
  };

  Peers(uv::Loop& loop, std::string subject_prefix, std::string name, DatabaseThread& thread, LogSink log, Events events);
  ~Peers();
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  void listen(nats::Connection& connection); // connected: who is there?
  void start(nats::Connection& connection);  // the stream is followed
  void stop();
  void beat();                               // now, besides the regular ones
  // This node has applied more: answers what waited for it.
  void on_applied();

  std::vector<Peer> all() const;    // that were heard within kForgetMs
  std::vector<Peer> alive() const;  // within kAliveMs

 private:
  void on_beat(const nats::Message& message);
  void on_digest(const nats::Message& message);
  void on_node(const nats::Message& message);
  void answer_digest(const std::string& reply);
  void answer_full_text(const std::string& reply);
  void send(const std::string& reply, const nlohmann::json& json);

  const std::string prefix_, name_;
  DatabaseThread& thread_;
  const LogSink log_;
  const Events events_;
  uv::Timer timer_;
  nats::Connection* connection_ = nullptr;
  std::unique_ptr<nats::Subscription> beats_;
  std::vector<std::unique_ptr<nats::Subscription>> subscriptions_;
  std::map<uint64_t, Peer> peers_;
  struct Waiting {
    StreamSeq seq = 0;
    int64_t until_ms = 0;
    std::string reply;
  };
  std::vector<Waiting> waiting_;
  uint64_t stranger_ = 0;   // the last beat under our node id that was not ours: its incarnation, hashed
  uint64_t told_twin_ = 0;
  std::shared_ptr<int> alive_token_ = std::make_shared<int>(0);
};

// A table's digest in one number.
uint64_t digest_hash(const replica::TableDigest& digest);

std::string hex_bytes(std::string_view bytes);
std::string bytes_of_hex(std::string_view hex);  // what is not hexadecimal is dropped

}  // namespace marmot::agent
