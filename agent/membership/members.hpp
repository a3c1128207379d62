// Who belongs to the cluster of one database: every node that was heard within `retention`, kept in the file
// (__marmot_member) so that a node which is away is not forgotten over a restart of the others; and what follows from it: the
// floor. The lowest member that is there announces it, at most once a minute, at what every member, away or not, had applied
// ten seconds ago (docs/how-it-works.md).
//
//   marmot.<cluster>.ctl.<db>.members   MemberList (common/codec/control.hpp), every minute, so that a node that came late knows
//                                       of those who are away
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/database/database_thread.hpp"
#include "agent/loop/clock.hpp"
#include "agent/loop/uv.hpp"
#include "agent/membership/peers.hpp"
#include "agent/nats/transport.hpp"
#include "common/base/log.hpp"

namespace marmot::agent {

class Members {
 public:
  Members(PeersHost host, int64_t retention_ms);
  ~Members();
  Members(const Members&) = delete;
  Members& operator=(const Members&) = delete;

  void load();                               // who belonged to it, from the file
  void start(nats::Connection& connection);  // the stream is followed
  void stop();

  // This node too; by number. `seen` is of the wall clock.
  std::vector<replica::Member> all() const;
  // What every member has applied; 0 while nobody is known.
  StreamSeq applied_by_all() const;

 private:
  void tick();
  void heard(const replica::Member& member);
  void keep();
  void tell();
  void consider_floor();
  void on_members(const nats::Message& message);

  const PeersHost host_;
  const int64_t retention_ms_;
  nats::Connection* connection_ = nullptr;
  std::vector<std::unique_ptr<nats::Subscription>> subscriptions_;
  uv::Timer timer_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);

  bool loaded_ = false;
  bool keeping_ = false;
  bool news_ = false;          // somebody is new, or lives again
  std::map<uint64_t, replica::Member> members_;  // others too
  int64_t kept_ms_ = 0, told_ms_ = 0, announced_ms_ = 0, started_ms_ = 0;  // of monotonic_ms(); 0: never
  StreamSeq announced_ = 0;
  std::deque<std::pair<int64_t, StreamSeq>> samples_;  // what all had applied, when
};

}  // namespace marmot::agent
