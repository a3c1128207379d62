// Is another agent alive under the node id of this one: a copied configuration, a cloned disk? Then one of the two has to give way
// (docs/decisions/0030). Both ask, both answer, and both decide alike. Pure; the agent and the simulator carry the messages
// (codec::control::Alive) and say what happens. Times are monotonic milliseconds.
//
//   before it enters the stream an agent asks, and waits kAskMs for an answer
//   a beat of somebody else under its node id, or a question that it would have to yield to: it asks again
//   an answer shows that the other one is alive: yields() says which of the two gives way
#pragma once

#include <cstdint>

#include "common/base/ids.hpp"

namespace marmot::node {

// An agent in one life, as it says of itself.
struct TwinLife {
  Incarnation incarnation;
  bool asking = true;   // it publishes nothing yet
  StreamSeq first = 0;  // its first message in the stream; 0: none is known
  bool operator==(const TwinLife&) const = default;
};

// Which of two is the later one: who still asks; who has published nothing; whose first message stands later; the lower incarnation. What
// `other` says may be old, what `own` says may not. Then two never both yield, and they agree as soon as neither has changed meanwhile.
bool yields(const TwinLife& own, const TwinLife& other);

class Twins {
 public:
  static constexpr int64_t kAskMs = 250;      // a question is answered within
  static constexpr int64_t kAgainMs = 1000;   // between two questions; kAskMs while it waits for an answer

  // Its life begins, or it goes on under another incarnation.
  void live(Incarnation incarnation);
  // Ask now: connected to the others.
  void connected() { due_ = true; }
  // What was asked before is not answered any more.
  void disconnected();
  // A beat under our node id with another incarnation.
  void suspect() { due_ = true; }
  // Something of this life is on its way to the stream; its message `seq` is in it.
  void sent() { sent_ = true; }
  void came(StreamSeq seq);

  bool due() const { return due_; }
  // A question is to be sent now.
  bool asks(int64_t now);
  // Nobody has answered in time, and there is nothing to ask: this life may publish, and from here on does.
  bool may_publish(int64_t now);

  enum class Then : uint8_t {
    nothing,
    answer,
    yield,   // publish and drain no more
  };
  // `asker`: whose question the message answers; 0: it is a question.
  Then heard(const TwinLife& other, Incarnation asker);

  const TwinLife& own() const { return own_; }

 private:
  TwinLife own_;
  bool due_ = false, sent_ = false, yielded_ = false;
  int64_t asked_ = -1;  // -1: not since connected
};

}  // namespace marmot::node
