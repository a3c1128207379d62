// The database thread's queue of messages that came from the stream: taken over, due, weighed, done with.
#include <algorithm>

#include "agent/database/database_worker.hpp"
#include "agent/loop/clock.hpp"

namespace marmot::agent {

// Under the lock.
void DatabaseThread::Worker::take_queue() {
  if (auto reset = std::exchange(shared->reset, std::nullopt)) {
    for (const Tag& tag : tags) shared->queued_bytes -= tag.bytes;
    shared->queued_messages -= tags.size();
    queue.clear();
    tags.clear();
    foreign = foreign_bytes = 0;
    marking = false;
    progress.compared = 0;
    ++shared->unanswered_jobs;
    jobs.push_back([this, done = *std::move(reset)](replica::Replica& replica) {
      progress.membership = replica.membership();
      progress.position = replica.position();
      progress.origin = replica.origin();
      const auto units = replica.own_units();
      progress.own_units = units ? *units : 0;  // all are sent again then, which does no harm
      shared->post([done, now = progress](DatabaseEvents&) { done(now); });
      progress.begins_anew = 0;
      return true;
    });
  }
  if (shared->inbox.empty()) return;
  const int64_t now = monotonic_us();
  if (queue.empty()) echoes_since = now;
  moved_us = now;
  const Origin self = engine->origin();  // changes when history was lost
  const std::string own_prefix = to_hex(self.node.value) + "." + to_hex(self.incarnation.value) + ".";
  for (replica::Incoming& message : shared->inbox) {
    const bool own = message.msg_id.starts_with(own_prefix);
    tags.push_back(Tag{own, message.bytes.size(), message.at, now});
    if (!own) {
      ++foreign;
      foreign_bytes += message.bytes.size();
    }
    queue.push_back(std::move(message));
  }
  shared->inbox.clear();
}

bool DatabaseThread::Worker::apply_due(int64_t now) const {
  if (mode != Mode::apply || queue.empty()) return false;
  return foreign > 0 || hastened || (work && publishing) || echoes_due(now);
}

// Our own messages only mark what they acknowledge: they ride along with the next drain, or wait until nobody has done anything for
// a while. Where something waits for them, or there are many of them, they do not.
bool DatabaseThread::Worker::echoes_due(int64_t now) const {
  if (marking) return true;
  if (now < echoes_since + kEchoDelayUs) return false;
  if (engine->wants_echoes() || queue.size() >= kMaxEchoes) return true;
  size_t bytes = 0;
  for (size_t i = 0; i < tags.size() && bytes < kMaxEchoBytes; ++i) bytes += tags[i].bytes;
  return bytes >= kMaxEchoBytes || now >= std::max(echoes_since, moved_us) + kEchoQuietUs;
}

Backlog DatabaseThread::Worker::backlog() {
  Backlog out;
  const auto oldest = std::find_if(tags.begin(), tags.end(), [](const Tag& tag) { return !tag.own; });
  if (oldest != tags.end()) out.oldest_us = std::max<int64_t>(1, monotonic_us() - oldest->came_us);
  const auto rows = engine->undrained();
  out.rows = (rows ? *rows : 0) + static_cast<int64_t>(foreign);
  out.bytes = foreign_bytes;
  out.wal_bytes = way->wal_bytes();
  return out;
}

void DatabaseThread::Worker::consumed(size_t messages) {
  size_t bytes = 0;
  for (size_t i = 0; i < messages && !tags.empty(); ++i) {
    bytes += tags.front().bytes;
    if (!tags.front().own) {
      --foreign;
      foreign_bytes -= tags.front().bytes;
    }
    tags.pop_front();
  }
  if (!queue.empty()) echoes_since = monotonic_us();
  bool room = false;
  {
    const std::lock_guard lock(shared->mutex);
    shared->queued_bytes -= bytes;
    shared->queued_messages -= messages;
    progress.waiting = shared->queued_messages;
    if (shared->full && shared->queued_bytes < kMaxQueueBytes / 2 && shared->queued_messages < kMaxQueueMessages / 2) {
      shared->full = false;
      room = true;
    }
  }
  if (room) shared->post([](DatabaseEvents& events) { events.room(); });
}

}  // namespace marmot::agent
