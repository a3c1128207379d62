// Looks for another agent that runs under the node id of this one (common/node/twins.hpp decides), over core NATS:
//
//   marmot.<cluster>.ctl.<db>.alive   Alive, a question or an answer
//
// Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/loop/uv.hpp"
#include "agent/nats/transport.hpp"
#include "common/base/ids.hpp"
#include "common/codec/control.hpp"
#include "common/node/twins.hpp"

namespace marmot::agent {

class TwinWatch {
 public:
  struct Events {
    std::function<Origin()> self;              // node 0: not known yet
    std::function<void()> may_publish;         // nobody answered; once
    std::function<void(const std::string& other)> yield;  // publish and drain no more: "process 17 on host a, started ..." is the other; once
    std::function<void(std::string_view bytes, const Error& error)> not_understood;
  };
  TwinWatch(uv::Loop& loop, std::string subject_prefix, Events events);
  ~TwinWatch();
  TwinWatch(const TwinWatch&) = delete;
  TwinWatch& operator=(const TwinWatch&) = delete;

  void listen(nats::Connection& connection);  // connected: asks, as soon as self() is known
  void on_down();
  void suspect();                             // a beat of somebody else under our node id
  // What this agent has published in this life.
  void sent();
  void came(StreamSeq seq);

  bool may_publish() const { return alone_; }

 private:
  void look();
  void on_alive(const nats::Message& message);
  void say(Incarnation asker);
  Origin live();

  const std::string subject_;
  const Events events_;
  const std::string host_;
  const int64_t started_;
  node::Twins twins_;
  bool alone_ = false;
  uv::Timer timer_;
  nats::Connection* connection_ = nullptr;
  std::unique_ptr<nats::Subscription> subscription_;
};

}  // namespace marmot::agent
