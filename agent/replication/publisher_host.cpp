#include "agent/replication/publisher_host.hpp"

#include <utility>

#include "agent/loop/clock.hpp"

namespace marmot::agent {

PublisherHost::PublisherHost(uv::Loop& loop, std::string stream, std::string subject)
    : stream_(std::move(stream)), subject_(std::move(subject)), timer_(loop, [this] { std::exchange(after_pause_, nullptr)(); }) {}

node::Publisher::Host PublisherHost::host(const std::string& name, const LogSink& log, std::function<void()> changed,
                                          std::function<void()> lost, std::function<void()> suspicious) {
  node::Publisher::Host host;
  host.send = [this](std::string_view msg_id, std::string_view bytes, std::function<void(Result<node::PublishAck>)> then) {
    return connection_->publish_log(nats::LogMessage{subject_, stream_, msg_id, bytes, std::nullopt}, [then = std::move(then)](Result<nats::Ack> ack) {
      if (ack) then(node::PublishAck{ack->seq, ack->duplicate});
      else then(std::move(ack).error());
    });
  };
  host.pause = [this](int64_t ms, std::function<void()> then) {
    after_pause_ = std::move(then);
    timer_.start(uv::Milliseconds(ms));
  };
  host.now = wall_now;
  host.changed = std::move(changed);
  host.lost = std::move(lost);
  host.suspicious = std::move(suspicious);
  host.log = [name, log](LogLevel level, std::string_view text) { log(level, name + ": " + std::string(text)); };
  return host;
}

}  // namespace marmot::agent
