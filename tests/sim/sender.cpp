#include "tests/sim/sender.hpp"

#include <algorithm>
#include <memory>

#include "tests/sim/world.hpp"

namespace marmot::sim {

namespace {
constexpr size_t kInFlight = 8;
}

void Sender::add(const std::vector<replica::OutUnit>& units) {
  for (const replica::OutUnit& unit : units) {
    for (size_t i = 0; i < unit.messages.size(); ++i) messages_.push_back(Message{unit.msg_ids[i], unit.messages[i], unit.number});
  }
  pump();
}

void Sender::start(StreamSeq position, uint64_t own_units) {
  pause();
  started_ = true;
  position_ = position;
  while (!messages_.empty() && messages_.front().number <= own_units) {
    messages_.pop_front();
    ++first_;
  }
  cursor_ = first_;
  for (Message& message : messages_) message.state = State::unsent;
  pump();
}

void Sender::pause() {
  run_ = std::make_shared<int>(0);
  started_ = failing_ = waiting_ = false;
  in_flight_ = 0;
  cursor_ = first_;
  for (Message& message : messages_) {
    if (message.state == State::in_flight) message.state = State::unsent;
  }
}

void Sender::applied(StreamSeq position) {
  position_ = position;
  while (!messages_.empty() && messages_.front().state == State::stored && messages_.front().seq <= position) {
    messages_.pop_front();
    ++first_;
  }
  cursor_ = std::max(cursor_, first_);
}

void Sender::clear() {
  pause();
  first_ += messages_.size();
  cursor_ = first_;
  messages_.clear();
  position_ = 0;
  backoff_ms_ = 0;
}

void Sender::hold(bool on) {
  held_ = on;
  pump();
}

void Sender::pump() {
  if (!started_ || held_ || failing_ || waiting_) return;
  while (cursor_ < first_ + messages_.size() && in_flight_ < kInFlight) {
    const uint64_t id = cursor_++;
    if (messages_[id - first_].state == State::unsent) send(id);
  }
}

void Sender::send(uint64_t id) {
  Message& message = messages_[id - first_];
  message.state = State::in_flight;
  message.position = position_;
  ++message.sends;
  ++in_flight_;
  struct Answer {
    bool stored = false;
    StreamAck ack;
  };
  const auto answer = std::make_shared<Answer>();
  World& world = world_;
  world_.request(
      node_,
      [&world, answer, msg_id = message.msg_id, bytes = message.bytes] {
        if (!world.stream.exists()) return;
        const auto ack = world.stream.publish(world.now(), msg_id, bytes, std::nullopt);
        if (ack) world.ledger.stored(msg_id);
        answer->stored = ack.has_value();
        if (ack) answer->ack = *ack;
      },
      [this, answer, id, run = std::weak_ptr<int>(run_)](bool came) {
        if (!run.expired()) answered(id, came && answer->stored, answer->ack.seq, answer->ack.duplicate);
      });
}

void Sender::answered(uint64_t id, bool came, StreamSeq seq, bool duplicate) {
  --in_flight_;
  if (id < first_) return pump();
  Message& message = messages_[id - first_];
  if (!came) {
    message.state = State::unsent;
    failing_ = true;
    return retry_when_idle();
  }
  if (duplicate && message.sends == 1) {
    return world_.fail(node_.id, "the stream holds message id " + message.msg_id + " already, and dropped what was first sent under it");
  }
  message.seq = seq;
  message.state = State::stored;
  const bool suspicious = !duplicate && seq <= message.position;
  if (!failing_) backoff_ms_ = 0;
  applied(position_);
  if (failing_) retry_when_idle();
  else pump();
  if (suspicious) suspicious_();
}

void Sender::retry_when_idle() {
  if (in_flight_ > 0 || !started_) return;
  failing_ = false;
  cursor_ = first_;
  backoff_ms_ = backoff_ms_ == 0 ? 50 : std::min<int64_t>(backoff_ms_ * 2, 2000);
  waiting_ = true;
  world_.after(backoff_ms_, [this, run = std::weak_ptr<int>(run_)] {
    if (run.expired()) return;
    waiting_ = false;
    pump();
  });
}

}  // namespace marmot::sim
