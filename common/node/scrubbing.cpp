#include "common/node/scrubbing.hpp"

#include <algorithm>

#include "common/node/turn.hpp"

namespace marmot::node {

namespace {
constexpr int64_t kShare = 50;             // of the time goes to it: one part in so many
constexpr int64_t kMinPause = 1000;
constexpr int64_t kNotNow = 20'000;        // something waited to be drained, or another process was reading
constexpr int kMaxRefused = 50;
constexpr int kMaxIdle = 20;               // passes are left out while nobody commits, so many one after the other
constexpr size_t kMaxExamples = 5;
}  // namespace

void Scrubbing::ask() {
  asked_ = true;
  running_ = false;
}

int64_t Scrubbing::at(int64_t now) const {
  if (every_ == 0 && !asked_) return TurnFacts::kNever;
  return asked_ && !running_ ? now : next_;
}

bool Scrubbing::begin(int64_t now, const Result<int64_t>& version) {
  const bool idle = version && *version == version_ && !asked_;
  if (idle && ++idle_ < kMaxIdle) {
    next_ = now + every_;
    return false;
  }
  running_ = true;
  began_ = now;
  version_ = version ? *version : -1;
  idle_ = 0;
  found_ = {};
  return true;
}

bool Scrubbing::polite() const { return refused_ < kMaxRefused; }

void Scrubbing::failed(int64_t began) { next_ = began + kMaxRefused * kNotNow; }

void Scrubbing::put_off(int64_t began, bool others_read) {
  refused_ += others_read ? 1 : 0;
  next_ = began + kNotNow;
}

bool Scrubbing::done(int64_t began, int64_t now, const replica::ScrubResult& slice) {
  refused_ = 0;
  next_ = asked_ ? now : now + std::max(kMinPause, (now - began) * (kShare - 1));
  for (const replica::Change& change : slice.found) {
    ++found_.rows[change.table];
    if (found_.examples.size() < kMaxExamples) found_.examples.push_back(change.table + " " + change.key);
  }
  if (!slice.done) return false;
  running_ = asked_ = false;
  if (every_ > 0) next_ = std::max(next_, began_ + every_);
  return true;
}

}  // namespace marmot::node
