#include "common/node/schedule.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace marmot::node {

namespace {

// The WAL's last write comes before the commit is visible (an fsync may lie between), and no event tells of the latter: so
// after an event the file is looked at again and again for a while. Microseconds between two looks.
constexpr std::array<int64_t, 10> kRechecks{0, 100, 200, 400, 800, 1500, 3000, 6000, 12'000, 25'000};

constexpr int64_t kNap = 1000;                // after it was found locked
constexpr int64_t kMinAway = 5000;            // so long the write lock is left alone, or twice as long as it was held
constexpr int64_t kContendedAway = 25'000;    // where applications read and write all the time, commit less often
constexpr int64_t kMinBackoff = 10'000;
constexpr int64_t kMaxBackoff = 1'000'000;

}  // namespace

TurnFacts Schedule::first_facts() {
  TurnFacts facts;
  facts.baseline_done = facts.publishing = false;
  facts.mode = Mode::idle;
  return facts;
}

Turn Schedule::next(int64_t now, const Standing& standing) {
  facts_.now = now;
  facts_.membership = standing.membership;
  facts_.stopped_tables = standing.stopped_tables;
  facts_.look_at = looked_ ? poll_at_ : 0;
  if (recheck_at_ != 0) facts_.look_at = std::min(facts_.look_at, recheck_at_);
  facts_.units_held = holds();
  facts_.messages = inbox_.size();
  facts_.apply_now = !inbox_.only_echoes() || hastened_ || marking_;
  facts_.echoes_at = inbox_.empty() ? TurnFacts::kNever : echoes_at(now, standing.wants_echoes);
  const bool scrubs = facts_.mode == Mode::apply && standing.membership == replica::Membership::member && !facts_.outbox_due;
  facts_.scrub_at = scrubs ? scrubbing.at(now) : TurnFacts::kNever;
  return decide_turn(facts_);
}

int64_t Schedule::echoes_at(int64_t now, bool wanted) const {
  const int64_t first = echoes_since_ + limits_.echo_delay_us;
  if (now < first) return first;
  if (wanted || inbox_.size() >= kMaxEchoes || inbox_.bytes() >= kMaxEchoBytes) return first;
  return std::max(first, std::max(echoes_since_, moved_) + limits_.echo_quiet_us);
}

bool Schedule::drained(const Standing& standing) const {
  const bool draining = facts_.publishing && !facts_.halted && standing.membership != replica::Membership::none;
  return !draining || (looked_ && !facts_.logged && !holds());
}

void Schedule::set(Mode mode, bool publishing) {
  facts_.mode = mode;
  facts_.publishing = publishing;
}

void Schedule::wake(int64_t now) {
  recheck_ = 0;
  recheck_at_ = std::max<int64_t>(now, 1);
}

void Schedule::request_outbox() {
  outbox_asked_ = facts_.outbox_due = true;
  facts_.drained_for_outbox = false;
}

void Schedule::add(std::deque<replica::Incoming> messages, Origin self, int64_t now) {
  if (messages.empty()) return;
  if (inbox_.empty()) echoes_since_ = now;
  moved_ = now;
  inbox_.add(std::move(messages), self, now);
}

void Schedule::clear() {
  inbox_.clear();
  marking_ = false;
}

bool Schedule::echoes_only(int64_t now) const {
  return inbox_.only_echoes() && !hastened_ && !facts_.logged && inbox_.size() < kMaxEchoes &&
         now - inbox_.front_came_us() < limits_.echo_longest_us;
}

void Schedule::looked(int64_t now, bool logged) {
  const bool recheck = recheck_at_ != 0 && now >= recheck_at_;
  poll_at_ = now + limits_.poll_us;
  if (recheck) recheck_at_ = ++recheck_ < kRechecks.size() ? now + kRechecks[recheck_] : 0;
  looked_ = true;
  if (facts_.logged) return;  // a drain takes whatever is there by then
  facts_.logged = logged;
  if (logged) moved_ = now;
}

size_t Schedule::applied(int64_t now, const replica::ApplyResult& result, bool only_echoes) {
  facts_.outbox_last = false;
  hastened_ = false;
  facts_.drained_for_outbox = true;
  if (result.refused) outbox_again();
  const size_t bytes = inbox_.consumed(result.messages);
  if (!inbox_.empty()) echoes_since_ = now;
  marking_ = only_echoes && !inbox_.empty();
  // Nothing consumed and no error: never spin on it.
  if (result.messages == 0) facts_.not_before = std::max(facts_.not_before, now + kMinAway);
  return bytes;
}

void Schedule::echoes_put_off(int64_t now) {
  echoes_since_ = now;
  marking_ = false;
}

void Schedule::drained() {
  facts_.outbox_last = false;
  facts_.drained_for_outbox = true;
}

void Schedule::sent_outbox(const replica::DrainResult& result) {
  facts_.outbox_last = true;
  if (result.units.empty() && !result.more) facts_.outbox_due = false;
}

// What was written while the table was stopped goes out with the outbox.
void Schedule::resumed(int64_t now, const Result<bool>& any) {
  facts_.resume_at = now + limits_.resume_every_us;
  if (!any || !*any) return;
  facts_.logged = true;
  request_outbox();
}

void Schedule::scrub_put_off(int64_t began, bool others_read) {
  scrubbing.put_off(began, others_read);
  if (!others_read) facts_.logged = true;  // a drain looks what it is
}

void Schedule::stay_away(int64_t now, int64_t held_us, bool alone, bool contended) {
  if (!alone) facts_.not_before = now + std::max(2 * held_us, contended ? kContendedAway : kMinAway);
}

void Schedule::succeeded(bool logged) {
  busy_since_ = backoff_ = 0;
  facts_.logged = logged;
}

int64_t Schedule::failed(int64_t now, Errc code) {
  if (code != Errc::busy) {
    backoff_ = backoff_ == 0 ? kMinBackoff : std::min(backoff_ * 2, kMaxBackoff);
    facts_.not_before = now + backoff_;
    return 0;
  }
  if (busy_since_ == 0) busy_since_ = now;
  facts_.not_before = now + kNap;
  return now - busy_since_;
}

void Schedule::hold(std::vector<replica::OutUnit> units) {
  for (replica::OutUnit& unit : units) held_.push_back(std::move(unit));
}

std::vector<replica::OutUnit> Schedule::release() { return std::exchange(held_, {}); }

}  // namespace marmot::node
