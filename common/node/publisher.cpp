#include "common/node/publisher.hpp"

#include <algorithm>
#include <utility>

#include "common/base/mutation.hpp"

namespace marmot::node {

namespace {
constexpr int64_t kFirstBackoffMs = 50;
constexpr int64_t kMaxBackoffMs = 2000;
constexpr uint64_t kEchoAhead = 64;  // echoes come in the order of sending, but for what was sent again
}  // namespace

template <class F>
auto Publisher::guarded(F callback) {
  return [run = std::weak_ptr<int>(run_), callback = std::move(callback)](auto&&... values) {
    if (!run.expired()) callback(std::forward<decltype(values)>(values)...);
  };
}

void Publisher::add(std::vector<replica::OutUnit> units) {
  for (replica::OutUnit& given : units) {
    const auto unit = std::make_shared<replica::OutUnit>(std::move(given));
    pending_rows_ += unit->rows;
    for (size_t i = 0; i < unit->messages.size(); ++i) {
      bytes_ += unit->messages[i].size();
      ++unstored_;
      messages_.push_back(Message{unit, i});
    }
  }
  pump();
  host_.changed();
}

void Publisher::start(StreamSeq position, uint64_t own_units) {
  pause();
  started_ = true;
  position_ = position;
  own_units_ = own_units;
  while (!messages_.empty() && messages_.front().unit->number <= own_units) {
    Message& front = messages_.front();
    if (front.state != Message::State::stored) settle(front);  // its acknowledgement was lost
    drop_front();
  }
  cursor_ = first_;
  for (Message& message : messages_) {
    // Acknowledged, not come round: the stream may have lost it. A stored one is told by `duplicate`.
    if (message.state == Message::State::stored) {
      ++unstored_;
      if (message.index + 1 == message.unit->messages.size()) pending_rows_ += message.unit->rows;
    }
    message.state = Message::State::unsent;
  }
  pump();
}

void Publisher::pause() {
  run_ = std::make_shared<int>(0);
  started_ = failing_ = waiting_ = false;
  in_flight_ = 0;
  cursor_ = first_;
  for (Message& message : messages_) {
    if (message.state == Message::State::in_flight) message.state = Message::State::unsent;
  }
}

void Publisher::applied(StreamSeq position, uint64_t own_units) {
  position_ = position;
  own_units_ = own_units;
  release();
}

void Publisher::release() {
  bool released = false;
  while (!messages_.empty()) {
    Message& front = messages_.front();
    if (front.state != Message::State::stored || (front.seq > position_ && !mutated(Mutation::forgotten_when_stored))) break;
    // All of it stood in what was applied, and it did not come: somebody deleted it there. Those behind it wait for it everywhere.
    if (front.seq <= position_ && front.unit->number == own_units_ + 1 && front.index + 1 == front.unit->messages.size()) lose(front);
    drop_front();
    released = true;
  }
  cursor_ = std::max(cursor_, first_);
  if (released) host_.changed();
}

void Publisher::drop_front() {
  const Message& front = messages_.front();
  bytes_ -= front.unit->messages[front.index].size();
  messages_.pop_front();
  ++first_;
}

void Publisher::clear() {
  pause();
  first_ += messages_.size();
  cursor_ = first_;
  messages_.clear();
  unstored_ = bytes_ = pending_rows_ = 0;
  position_ = last_stored_ = own_units_ = 0;
  backoff_ms_ = 0;
  last_error_.clear();
  host_.changed();
}

void Publisher::hold(bool on) {
  held_ = on;
  pump();
}

std::optional<WallMs> Publisher::came(std::string_view msg_id, std::string_view bytes) {
  echo_ = std::max(echo_, first_);
  const uint64_t end = std::min(first_ + messages_.size(), echo_ + kEchoAhead);
  for (uint64_t id = echo_; id < end; ++id) {
    Message& message = messages_[static_cast<size_t>(id - first_)];
    if (message.sends == 0 || message.unit->msg_ids[message.index] != msg_id) continue;
    echo_ = id + 1;
    if (message.unit->messages[message.index] != bytes) lose(message);  // foreign, or damaged
    // Sent again: any of the sendings may be the one that was stored, the first at the earliest.
    return message.sent_at;
  }
  return std::nullopt;
}

bool Publisher::stored_through(uint64_t mark) const {
  for (uint64_t id = first_; id < mark && id < first_ + messages_.size(); ++id) {
    if (messages_[static_cast<size_t>(id - first_)].state != Message::State::stored) return false;
  }
  return true;
}

void Publisher::pump() {
  if (!started_ || held_ || failing_ || waiting_) return;
  while (cursor_ < first_ + messages_.size()) {
    Message& message = messages_[static_cast<size_t>(cursor_ - first_)];
    if (message.state != Message::State::unsent) {
      ++cursor_;
      continue;
    }
    const std::string& bytes = message.unit->messages[message.index];
    const std::string& msg_id = message.unit->msg_ids[message.index];
    const uint64_t id = cursor_;
    const Status sent = host_.send(msg_id, bytes, guarded([this, id](const Result<PublishAck>& answer) { answered(id, answer); }));
    if (!sent) {
      // An answer makes room; where none is expected here, what was sent before pause() is still under way.
      if (sent.error().code != Errc::busy) failed(sent.error());
      else if (in_flight_ > 0) return;
      return retry_when_idle();
    }
    message.state = Message::State::in_flight;
    message.position = position_;
    if (message.sends == 0) message.sent_at = host_.now();
    ++message.sends;
    ++in_flight_;
    ++cursor_;
  }
}

void Publisher::answered(uint64_t id, const Result<PublishAck>& answer) {
  --in_flight_;
  if (id < first_) return pump();
  Message& message = messages_[static_cast<size_t>(id - first_)];
  if (!answer) {
    message.state = Message::State::unsent;
    failed(answer.error());
    return retry_when_idle();
  }
  const std::string& msg_id = message.unit->msg_ids[message.index];
  if (answer->duplicate && message.sends == 1) {
    last_error_ = "the stream holds message id " + msg_id + " already, and dropped what was sent under it: that is sent again under another; report this";
    host_.log(LogLevel::error, last_error_);
    lose(message);
  }
  message.seq = answer->seq;
  settle(message);
  last_stored_ = std::max(last_stored_, answer->seq);
  // A new message is stored behind everything this file had seen when it was sent, unless the stream was cut back.
  const bool suspicious = !answer->duplicate && answer->seq <= message.position;
  if (!failing_) {
    backoff_ms_ = 0;
    if (!last_error_.empty() && !answer->duplicate) {
      host_.log(LogLevel::info, "publishing again");
      last_error_.clear();
    }
  }
  release();
  if (failing_) retry_when_idle();
  else pump();
  host_.changed();
  if (suspicious) host_.suspicious();
}

void Publisher::settle(Message& message) {
  message.state = Message::State::stored;
  --unstored_;
  // Parts go and come in order: the last one settles the unit.
  if (message.index + 1 != message.unit->messages.size()) return;
  pending_rows_ -= std::min(pending_rows_, message.unit->rows);
  published_rows_ += message.unit->rows;
}

void Publisher::lose(Message& message) {
  if (!std::exchange(message.told_lost, true)) host_.lost();
}

void Publisher::failed(const Error& error) {
  failing_ = true;
  const std::string text = "publish: " + error.message +
                           (error.code == Errc::full ? ": raise the stream's or the server's limits (log.max_bytes), nothing is lost meanwhile" : "");
  if (text == last_error_) return;
  last_error_ = text;
  // A broken connection is told by whoever watches it.
  if (error.code != Errc::unavailable) host_.log(LogLevel::error, text + " (trying again)");
  host_.changed();
}

// Everything in flight is answered for first: then all that is not stored goes again, the oldest first.
void Publisher::retry_when_idle() {
  if (in_flight_ > 0 || !started_) return;
  failing_ = false;
  cursor_ = first_;
  backoff_ms_ = backoff_ms_ == 0 ? kFirstBackoffMs : std::min(backoff_ms_ * 2, kMaxBackoffMs);
  waiting_ = true;
  host_.pause(backoff_ms_, guarded([this] {
    waiting_ = false;
    pump();
  }));
}

}  // namespace marmot::node
