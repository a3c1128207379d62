// What agent/replication/publisher.cpp does, on simulated time: every message is kept until its echo was applied to the file, and sent
// again, the same bytes under the same id, after each failure; after a failure nothing new goes until everything in flight
// is answered for.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "common/replica/replica.hpp"

namespace marmot::sim {

class World;
struct Node;

class Sender {
 public:
  Sender(World& world, Node& node, std::function<void()> suspicious) : world_(world), node_(node), suspicious_(std::move(suspicious)) {}
  ~Sender() { pause(); }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  void add(const std::vector<replica::OutUnit>& units);
  void start(StreamSeq position, uint64_t own_units);
  void pause();
  void applied(StreamSeq position);
  void clear();
  void hold(bool on);
  bool empty() const { return messages_.empty(); }

 private:
  enum class State : uint8_t { unsent, in_flight, stored };
  struct Message {
    std::string msg_id, bytes;
    uint64_t number = 0;
    State state = State::unsent;
    int sends = 0;
    StreamSeq position = 0, seq = 0;
  };
  void pump();
  void send(uint64_t id);
  void answered(uint64_t id, bool came, StreamSeq seq, bool duplicate);
  void retry_when_idle();

  World& world_;
  Node& node_;
  const std::function<void()> suspicious_;
  std::shared_ptr<int> run_ = std::make_shared<int>(0);  // answers of an earlier start() are not listened to
  std::deque<Message> messages_;
  uint64_t first_ = 1, cursor_ = 1;
  size_t in_flight_ = 0;
  StreamSeq position_ = 0;
  bool started_ = false, held_ = false, failing_ = false, waiting_ = false;
  int64_t backoff_ms_ = 0;
};

}  // namespace marmot::sim
