// The database thread's spare time: rows are compared with their versions (common/node/scrubbing.hpp says when).
#include "agent/database/database_worker.hpp"
#include "agent/loop/clock.hpp"

namespace marmot::agent {

void DatabaseThread::Worker::scrub() {
  const int64_t began = monotonic_us();
  node::Scrubbing& scrubbing = schedule.scrubbing;
  if (!scrubbing.running()) {
    if (!scrubbing.begin(began, engine->data_version())) return;
    engine->scrub_again();
  }
  auto slice = engine->scrub(scrubbing.polite());
  const bool busy = !slice && slice.error().code == Errc::busy;
  if (!slice && !busy) {
    scrubbing.failed(began);
    return failed("compare rows with their versions", slice.error());
  }
  if (busy || slice->not_now) return schedule.scrub_put_off(began, busy);
  const bool passed = scrubbing.done(began, monotonic_us(), *slice);
  progress.scrub_found += slice->found.size();
  progress_changed = progress_changed || !slice->found.empty();
  if (slice->held_us > 0) {
    stay_away(slice->held_us);
    succeeded();
  }
  trace(std::move(slice->changes));
  publish(std::move(slice->units));
  if (passed) scrubbed();
}

// The end of a pass.
void DatabaseThread::Worker::scrubbed() {
  ++progress.scrub_passes;
  progress_changed = true;
  const node::Scrubbing::Found& found = schedule.scrubbing.found();
  int64_t total = 0;
  for (const auto& [table, rows] : found.rows) total += rows;
  if (total > 0) {
    std::string text;
    for (const std::string& example : found.examples) text += (text.empty() ? "" : ", ") + example;
    setup.log(LogLevel::warn, setup.name + ": " + std::to_string(total) +
                                  (total == 1 ? " row was" : " rows were") + " written without the triggers: published now (" + text +
                                  (total > static_cast<int64_t>(found.examples.size()) ? ", ..." : "") + ")");
  }
  for (auto& done : std::exchange(waiting_for_scrub, {})) {
    shared->post([done = std::move(done), rows = found.rows](DatabaseEvents&) { done(rows); });
  }
}

}  // namespace marmot::agent
