// The other nodes of one database, over core NATS (nothing here is kept while the connection is away):
//
//   marmot.<cluster>.ctl.<db>.beat       Beat, every second
//   marmot.<cluster>.ctl.<db>.digest     DigestRequest: each node answers once it has applied so much
//   marmot.<cluster>.ctl.<db>.node.<N>   BucketsRequest, KeysRequest, FullTextRequest
//
// The messages are structs of common/codec/control.hpp; docs/format.md has their fields. One that is not understood is dropped
// and logged once.
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/database/database_thread.hpp"
#include "agent/loop/uv.hpp"
#include "agent/nats/transport.hpp"
#include "common/base/log.hpp"
#include "common/base/result.hpp"
#include "common/codec/control.hpp"

namespace marmot::agent {

// For how long the check of one full-text index may keep applications from writing.
inline constexpr int64_t kFullTextLimitUs = 1'000'000;

struct Peer {
  NodeId node;
  Incarnation incarnation;
  StreamSeq applied = 0;
  uint64_t pending = 0;
  int64_t seen_ms = 0;      // of the loop's monotonic clock
  bool able = false;        // a member that follows the stream
  std::string marmot;       // its program's version: printable, at most 32 bytes
  uint8_t data_format = 0;  // the latest format of stream messages that it may write
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
    StreamSeq whole = 0;       // applied, and nothing is known to be missing up to there: what the others are told
    bool wants_floor = false;  // something waits here that only a floor ends
  };
  struct Events {
    std::function<Self()> self;
    std::function<void()> changed;              // a beat came
    std::function<void(StreamSeq)> hasten;      // somebody waits until this node has applied that much
    std::function<void()> stranger;             // a beat under our node id that is not ours; it may be of a former life, and late
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

  // A message from another node, or its answer, was not understood and is dropped: logged once a node and reason.
  void not_understood(std::string_view bytes, const Error& error);

  // The answer to a request, from this node. One that is too large for a message becomes a refusal that says so. An empty `reply`: nobody
  // waits for it.
  template <class M>
  void answer(const std::string& reply, M message) {
    if (connection_ == nullptr || reply.empty()) return;
    message.node = events_.self().origin.node;
    const Status sent = connection_->publish(reply, codec::control::encode(message));
    if (sent || sent.error().code != Errc::bad_input) return;
    (void)connection_->publish(reply, codec::control::encode(codec::control::Refusal{message.node, false, sent.error().message}));
  }
  void refuse(const std::string& reply, const Error& error);
  // A request that was not understood: both of the above.
  void reject(const nats::Message& request, const Error& error);

 private:
  void on_beat(const nats::Message& message);
  void on_digest(const nats::Message& message);
  void on_node(const nats::Message& message);
  void answer_digest(const std::string& reply, const HashKey& seed);
  void answer_full_text(const std::string& reply);
  void answer_buckets(const std::string& reply, const codec::control::BucketsRequest& request);
  void answer_keys(const std::string& reply, const codec::control::KeysRequest& request);

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
    HashKey seed;
  };
  std::vector<Waiting> waiting_;
  std::set<std::string> told_;  // of messages that were not understood
  std::shared_ptr<int> alive_token_ = std::make_shared<int>(0);
};

// What Members and Repair work with.
struct PeersHost {
  uv::Loop& loop;
  DatabaseThread& thread;
  Peers& peers;
  std::string prefix;  // of the control subjects
  std::string name;    // in the log
  LogSink log;
  std::function<Peers::Self()> self;
};

}  // namespace marmot::agent
