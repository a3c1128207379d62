// How many changes lie between two places of the stream. Messages are counted, but for those with which the agents talk among
// themselves (floors): they say nothing that a user is waiting for.
//
// Pure. Known are the messages that were delivered since the stream was entered; any other counts as a change.
#pragma once

#include <cstdint>
#include <set>
#include <string_view>

#include "common/base/ids.hpp"

namespace marmot::node {

class ChangeCount {
 public:
  // Another stream, or from another place: nothing is known of it any more.
  void restart();
  void delivered(StreamSeq seq, std::string_view message);

  // In (after, end].
  uint64_t between(StreamSeq after, StreamSeq end) const;

 private:
  static constexpr size_t kMaxKept = 20'000;  // two weeks of floors, one a minute
  std::set<StreamSeq> floors_;
};

}  // namespace marmot::node
