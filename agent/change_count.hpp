// How many changes lie between two places of the stream. Messages are counted, but for those with which the agents talk among
// themselves (floors): they say nothing that a user is waiting for.
//
// Loop thread only. Known are the messages that were delivered since the stream was entered; any other counts as a change.
#pragma once

#include <cstdint>
#include <set>
#include <string_view>

#include "common/base/ids.hpp"

namespace marmot::agent {

class ChangeCount {
 public:
  // The stream is followed after `position`: nothing is known of it any more.
  void restart(StreamSeq position);
  void delivered(StreamSeq seq, std::string_view message);

  // In (after, end].
  uint64_t between(StreamSeq after, StreamSeq end) const;
  // The last one delivered; the position of restart() before the first.
  StreamSeq last_change() const { return last_change_; }

 private:
  static constexpr size_t kMaxKept = 20'000;  // two weeks of floors, one a minute
  std::set<StreamSeq> floors_;
  StreamSeq last_change_ = 0;
};

}  // namespace marmot::agent
