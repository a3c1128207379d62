#include "agent/replication/clock_check.hpp"

#include <chrono>
#include <cstdlib>

#include "agent/database/file_identity.hpp"
#include "agent/loop/clock.hpp"
#include "agent/loop/random.hpp"
#include "common/codec/message.hpp"

namespace marmot::agent {

ClockCheck::ClockCheck(uv::Loop& loop, std::string stream, std::string subject, int64_t max_drift_ms, std::function<void()> changed)
    : stream_(std::move(stream)),
      subject_(std::move(subject)),
      max_drift_ms_(max_drift_ms),
      changed_(std::move(changed)),
      timer_(loop, [this] { probe(); }) {}

ClockCheck::~ClockCheck() = default;

void ClockCheck::observe(WallMs sent, WallMs stored, WallMs known) {
  drift_ms_ = stored < sent ? sent - stored : stored > known ? known - stored : 0;
  const bool beyond = std::llabs(drift_ms_) > max_drift_ms_;
  if (beyond && !timer_.active()) timer_.start(uv::Milliseconds(kProbeMs), uv::Milliseconds(kProbeMs));
  if (!beyond) timer_.stop();
  if (beyond == beyond_) return;
  beyond_ = beyond;
  changed_();
}

void ClockCheck::start(nats::Connection& connection, NodeId node) {
  connection_ = &connection;
  node_ = node;
  if (beyond_) timer_.start(uv::Milliseconds(0), uv::Milliseconds(kProbeMs));
}

void ClockCheck::stop() {
  connection_ = nullptr;
  timer_.stop();
}

std::string ClockCheck::text() const {
  if (!beyond_) return {};
  return "this machine's clock is " + std::to_string(std::llabs(drift_ms_)) + " ms " + (drift_ms_ > 0 ? "ahead of" : "behind") +
         " the NATS server's (max_clock_drift_ms = " + std::to_string(max_drift_ms_) +
         "): nothing is published until it is set right (NTP)";
}

void ClockCheck::probe() {
  if (connection_ == nullptr) return;
  const Origin origin{node_, Incarnation{random_incarnation()}};
  const auto messages = codec::seal(codec::Kind::genesis, origin, 0, codec::encode_genesis(random_incarnation()), 4096);
  const WallMs sent = wall_now();
  // A probe that fails is made again by the timer.
  (void)connection_->publish_log(
      nats::LogMessage{subject_, stream_, codec::message_id(origin, 0, 0), messages.front(), std::nullopt},
      [this, sent, alive = std::weak_ptr<int>(alive_)](const Result<nats::Ack>& ack) {
        if (alive.expired() || !ack || connection_ == nullptr) return;
        const WallMs known = wall_now();
        connection_->get_message(stream_, ack->seq, [this, sent, known, alive](const Result<nats::StoredMessage>& message) {
          if (!alive.expired() && message) observe(sent, message->time_ms, known);
        });
      });
}

}  // namespace marmot::agent
