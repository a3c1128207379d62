// Messages of the stream that are here and not applied yet, and what of them decides when that is done: whose they are, how large,
// since when they wait. Pure; times are monotonic microseconds.
#pragma once

#include <cstdint>
#include <deque>

#include "common/base/ids.hpp"
#include "common/node/patience.hpp"
#include "common/replica/types.hpp"

namespace marmot::node {

class Inbox {
 public:
  // Takes `messages` over, as they came. `self`: who this file is now; its own messages are echoes, which only mark what they acknowledge.
  void add(std::deque<replica::Incoming> messages, Origin self, int64_t now_us);
  void clear();

  // For Replica::apply and compare, which look at its front; whoever took `count` messages from it says so: their bytes are the answer.
  std::deque<replica::Incoming>& queue() { return queue_; }
  const std::deque<replica::Incoming>& queue() const { return queue_; }
  size_t consumed(size_t count);

  bool empty() const { return tags_.empty(); }
  size_t size() const { return tags_.size(); }
  size_t bytes() const { return bytes_; }
  bool only_echoes() const { return foreign_ == 0; }
  int64_t front_came_us() const { return tags_.front().came_us; }
  WallMs at(size_t index) const { return tags_[index].at; }  // the stream's time

  // What waits here of other nodes: all of Backlog but what only the file knows.
  Backlog backlog(int64_t now_us) const;

 private:
  struct Tag {
    bool own = false;
    size_t bytes = 0;
    WallMs at = 0;
    int64_t came_us = 0;
  };
  std::deque<replica::Incoming> queue_;
  std::deque<Tag> tags_;  // one a message of the queue
  size_t bytes_ = 0;
  size_t foreign_ = 0, foreign_bytes_ = 0;  // of other nodes
};

}  // namespace marmot::node
