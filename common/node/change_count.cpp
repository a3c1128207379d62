#include "common/node/change_count.hpp"

#include <iterator>

#include "common/codec/envelope.hpp"

namespace marmot::node {

void ChangeCount::restart() { floors_.clear(); }

void ChangeCount::delivered(StreamSeq seq, std::string_view message) {
  const auto envelope = codec::open(message);
  if (!envelope || envelope->kind != codec::Kind::floor) return;
  floors_.insert(seq);
  if (floors_.size() > kMaxKept) floors_.erase(floors_.begin());
}

uint64_t ChangeCount::between(StreamSeq after, StreamSeq end) const {
  if (end <= after) return 0;
  const auto floors = std::distance(floors_.upper_bound(after), floors_.upper_bound(end));
  return end - after - static_cast<uint64_t>(floors);
}

}  // namespace marmot::node
