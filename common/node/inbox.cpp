#include "common/node/inbox.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace marmot::node {

void Inbox::add(std::deque<replica::Incoming> messages, Origin self, int64_t now_us) {
  const std::string own_prefix = to_hex(self.node.value) + "." + to_hex(self.incarnation.value) + ".";
  for (replica::Incoming& message : messages) {
    const Tag tag{message.msg_id.starts_with(own_prefix), message.bytes.size(), message.at, now_us};
    bytes_ += tag.bytes;
    if (!tag.own) {
      ++foreign_;
      foreign_bytes_ += tag.bytes;
    }
    tags_.push_back(tag);
    queue_.push_back(std::move(message));
  }
}

void Inbox::clear() { *this = {}; }

size_t Inbox::consumed(size_t count) {
  size_t bytes = 0;
  for (; count > 0 && !tags_.empty(); --count) {
    const Tag& tag = tags_.front();
    bytes += tag.bytes;
    if (!tag.own) {
      --foreign_;
      foreign_bytes_ -= tag.bytes;
    }
    tags_.pop_front();
  }
  bytes_ -= bytes;
  return bytes;
}

Backlog Inbox::backlog(int64_t now_us) const {
  Backlog out;
  const auto oldest = std::find_if(tags_.begin(), tags_.end(), [](const Tag& tag) { return !tag.own; });
  if (oldest != tags_.end()) out.oldest_us = std::max<int64_t>(1, now_us - oldest->came_us);
  out.rows = static_cast<int64_t>(foreign_);
  out.bytes = foreign_bytes_;
  return out;
}

}  // namespace marmot::node
