#include "tests/sim/stream.hpp"

namespace marmot::sim {

void Stream::create(uint64_t stamp) {
  destroy();
  created_ = stamp;
}

std::optional<StreamAck> Stream::publish(WallMs now, const std::string& msg_id, const std::string& bytes,
                                         std::optional<StreamSeq> expected_last) {
  const auto known = msg_id.empty() ? recent_.end() : recent_.find(msg_id);
  if (known != recent_.end() && now - known->second.second < kDuplicateWindow) return StreamAck{known->second.first, true};
  if (expected_last && *expected_last != last_) return std::nullopt;
  messages_[++last_] = Stored{now, msg_id, bytes};
  if (!msg_id.empty()) recent_[msg_id] = {last_, now};
  return StreamAck{last_, false};
}

const Stored* Stream::get(StreamSeq seq) const {
  const auto found = messages_.find(seq);
  return found == messages_.end() ? nullptr : &found->second;
}

void Stream::trim(StreamSeq first) { messages_.erase(messages_.begin(), messages_.lower_bound(first)); }

void Stream::lose_tail(StreamSeq last) {
  messages_.erase(messages_.upper_bound(last), messages_.end());
  last_ = last;
  // The server learns the ids again from what it still has.
  for (auto known = recent_.begin(); known != recent_.end();) {
    known = known->second.first > last ? recent_.erase(known) : std::next(known);
  }
}

}  // namespace marmot::sim
