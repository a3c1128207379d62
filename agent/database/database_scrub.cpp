// The database thread's spare time: rows are compared with their versions.
#include <algorithm>

#include "agent/database/database_worker.hpp"
#include "agent/loop/clock.hpp"

namespace marmot::agent {

namespace {
constexpr int64_t kShare = 50;             // of the time goes to it: one part in so many
constexpr int64_t kMinPause = 1000;
constexpr int64_t kNotNow = 20'000;        // something waited to be drained, or another process was reading
constexpr int kMaxRefused = 50;
constexpr int kMaxIdle = 20;               // passes are left out while nobody commits, so many one after the other
constexpr size_t kMaxExamples = 5;
}  // namespace

bool DatabaseThread::Worker::scrub_wanted() const {
  return mode == Mode::apply && publishing && engine->membership() == replica::Membership::member &&
         (setup.scrub_interval_ms > 0 || !scrubbing.asked.empty());
}

bool DatabaseThread::Worker::scrub_due(int64_t now) {
  if (!scrub_wanted() || outbox_due || (now < scrubbing.next && scrubbing.asked.empty())) return false;
  if (scrubbing.running) return now >= scrubbing.next;
  const auto version = engine->data_version();
  const bool idle = version && *version == scrubbing.version && scrubbing.asked.empty();
  if (idle && ++scrubbing.idle < kMaxIdle) {
    scrubbing.next = now + setup.scrub_interval_ms * 1000;
    return false;
  }
  scrubbing.running = true;
  scrubbing.began = now;
  scrubbing.version = version ? *version : -1;
  scrubbing.idle = 0;
  scrubbing.found.clear();
  scrubbing.examples.clear();
  engine->scrub_again();
  return true;
}

void DatabaseThread::Worker::scrub() {
  const int64_t began = monotonic_us();
  auto slice = engine->scrub(scrubbing.refused < kMaxRefused);
  const bool busy = !slice && slice.error().code == Errc::busy;
  if (!slice && !busy) {
    scrubbing.next = began + kMaxRefused * kNotNow;
    return failed("compare rows with their versions", slice.error());
  }
  if (busy || slice->not_now) {
    scrubbing.refused += busy ? 1 : 0;
    scrubbing.next = began + kNotNow;
    if (!busy) work = true;  // a drain looks what it is
    return;
  }
  scrubbing.refused = 0;
  const int64_t now = monotonic_us();
  scrubbing.next = scrubbing.asked.empty() ? now + std::max(kMinPause, (now - began) * (kShare - 1)) : now;
  if (slice->held_us > 0) stay_away(slice->held_us);
  for (const replica::Change& change : slice->found) {
    ++scrubbing.found[change.table];
    ++progress.scrub_found;
    progress_changed = true;
    if (scrubbing.examples.size() < kMaxExamples) scrubbing.examples.push_back(change.table + " " + change.key);
  }
  if (slice->held_us > 0) succeeded();
  trace(std::move(slice->changes));
  publish(std::move(slice->units));
  if (slice->done) scrubbed();
}

// The end of a pass.
void DatabaseThread::Worker::scrubbed() {
  ++progress.scrub_passes;
  progress_changed = true;
  scrubbing.running = false;
  if (setup.scrub_interval_ms > 0) {
    scrubbing.next = std::max(scrubbing.next, scrubbing.began + setup.scrub_interval_ms * 1000);
  }
  int64_t total = 0;
  for (const auto& [table, rows] : scrubbing.found) total += rows;
  if (total > 0) {
    std::string text;
    for (const std::string& example : scrubbing.examples) text += (text.empty() ? "" : ", ") + example;
    setup.log(LogLevel::warn, setup.name + ": " + std::to_string(total) +
                                  (total == 1 ? " row was" : " rows were") + " written without the triggers: published now (" + text +
                                  (total > static_cast<int64_t>(scrubbing.examples.size()) ? ", ..." : "") + ")");
  }
  for (auto& done : std::exchange(scrubbing.asked, {})) {
    shared->post([done = std::move(done), found = scrubbing.found](DatabaseEvents&) { done(found); });
  }
}

}  // namespace marmot::agent
