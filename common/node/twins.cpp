#include "common/node/twins.hpp"

namespace marmot::node {

bool yields(const TwinLife& own, const TwinLife& other) {
  if (own.asking != other.asking) return own.asking;
  if (own.first != other.first) return own.first == 0 || (other.first != 0 && own.first > other.first);
  return own.incarnation < other.incarnation;
}

void Twins::live(Incarnation incarnation) {
  if (incarnation == own_.incarnation) return;
  own_.incarnation = incarnation;
  own_.first = 0;
  sent_ = false;
}

void Twins::disconnected() { asked_ = -1; }

void Twins::came(StreamSeq seq) {
  if (own_.first == 0) own_.first = seq;
}

bool Twins::asks(int64_t now) {
  if (!due_ || yielded_ || own_.incarnation.value == 0) return false;
  if (asked_ >= 0 && now - asked_ < (own_.asking ? kAskMs : kAgainMs)) return false;
  due_ = false;
  asked_ = now;
  return true;
}

bool Twins::may_publish(int64_t now) {
  if (yielded_) return false;
  if (own_.asking && (due_ || asked_ < 0 || now - asked_ < kAskMs)) return false;
  own_.asking = false;
  return true;
}

Twins::Then Twins::heard(const TwinLife& other, Incarnation asker) {
  if (own_.incarnation.value == 0 || other.incarnation == own_.incarnation || yielded_) return Then::nothing;
  const bool known = !sent_ || own_.first != 0;  // where our own first message stands
  const bool later = known && yields(own_, other);
  if (asker.value == 0) {
    due_ = due_ || later || !known;
    return Then::answer;
  }
  if (asker != own_.incarnation) return Then::nothing;
  due_ = due_ || !known;
  if (!later) return Then::nothing;
  yielded_ = true;
  return Then::yield;
}

}  // namespace marmot::node
