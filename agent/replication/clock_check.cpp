#include "agent/replication/clock_check.hpp"

#include <chrono>

#include "agent/loop/clock.hpp"
#include "agent/loop/random.hpp"
#include "common/codec/envelope.hpp"

namespace marmot::agent {

ClockCheck::ClockCheck(uv::Loop& loop, std::string stream, std::string subject, int64_t max_drift_ms, std::function<void()> changed)
    : stream_(std::move(stream)),
      subject_(std::move(subject)),
      changed_(std::move(changed)),
      timer_(loop, [this] { probe(); }),
      drift_(max_drift_ms) {}

ClockCheck::~ClockCheck() = default;

void ClockCheck::observe(WallMs sent, WallMs stored, WallMs known) {
  const bool could = drift_.may_publish(), was_beyond = drift_.beyond();
  drift_.observe(sent, stored, known);
  if (drift_.may_publish()) timer_.stop();
  else if (!was_beyond || !timer_.active()) timer_.start(uv::Milliseconds(0), uv::Milliseconds(kProbeMs));
  if (drift_.may_publish() != could || drift_.beyond() != was_beyond) changed_();
}

void ClockCheck::start(nats::Connection& connection, NodeId node) {
  connection_ = &connection;
  node_ = node;
  drift_.connected();
  timer_.start(uv::Milliseconds(drift_.beyond() ? 0 : kSoonMs), uv::Milliseconds(kProbeMs));
}

void ClockCheck::stop() {
  connection_ = nullptr;
  timer_.stop();
}

void ClockCheck::probe() {
  if (connection_ == nullptr) return;
  const Origin origin{node_, Incarnation{random_incarnation()}};
  // Of no stream: one with an id would begin the stream anew wherever it is met.
  const auto messages = codec::seal(codec::Kind::genesis, origin, 0, codec::encode_genesis({}), 4096, codec::kFormatOfKeys);
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
