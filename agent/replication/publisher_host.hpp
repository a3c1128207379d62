// What common/node/publisher.hpp asks for, over NATS and the loop's timer. Loop thread only.
#pragma once

#include <functional>
#include <string>

#include "agent/loop/uv.hpp"
#include "agent/nats/transport.hpp"
#include "common/base/log.hpp"
#include "common/node/publisher.hpp"

namespace marmot::agent {

class PublisherHost {
 public:
  PublisherHost(uv::Loop& loop, std::string stream, std::string subject);

  // Where messages go; before Publisher::start(). The Publisher is paused before the connection ends.
  void connect(nats::Connection& connection) { connection_ = &connection; }
  // For a Publisher that ends before this object does. `name` stands before what it logs.
  node::Publisher::Host host(const std::string& name, const LogSink& log, std::function<void()> changed, std::function<void()> lost,
                             std::function<void()> suspicious);

 private:
  const std::string stream_, subject_;
  nats::Connection* connection_ = nullptr;
  std::function<void()> after_pause_;
  uv::Timer timer_;
};

}  // namespace marmot::agent
