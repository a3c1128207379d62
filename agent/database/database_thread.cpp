#include "agent/database/database_thread.hpp"

#include "agent/database/database_worker.hpp"
#include "agent/loop/clock.hpp"

namespace marmot::agent {

void DatabaseThread::Shared::post(std::function<void(DatabaseEvents&)> work) {
  const std::weak_ptr<DatabaseEvents> target = events;
  // A full mailbox is a loop that lags: wait, but not for a loop that waits for this thread to end.
  while (!stop) {
    const Status posted = sender.post([target, work] {
      if (const auto alive = target.lock()) work(*alive);
    }, uv::Milliseconds{100});
    if (posted || posted.error().code != Errc::timeout) return;
  }
}

DatabaseThread::DatabaseThread(DatabaseSetup setup, DatabaseEvents events, uv::Mailbox::Sender sender)
    : events_(std::make_shared<DatabaseEvents>(std::move(events))),
      shared_(std::make_shared<Shared>(std::move(setup), std::move(sender))) {
  shared_->events = events_;
  thread_ = std::thread([shared = shared_] {
    Worker worker(shared);
    shared->worker = &worker;
    worker.run();
  });
}

DatabaseThread::~DatabaseThread() { close(); }

void DatabaseThread::close() {
  events_.reset();
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stop = true;
    shared_->signalled = true;
  }
  shared_->changed.notify_all();
  if (thread_.joinable()) thread_.join();
}

void DatabaseThread::signal(const std::function<void(Shared&)>& change) {
  {
    const std::lock_guard lock(shared_->mutex);
    change(*shared_);
    shared_->signalled = true;
  }
  shared_->changed.notify_one();
}

void DatabaseThread::wake() {
  signal([](Shared& shared) { shared.wake = true; });
}

void DatabaseThread::set_mode(Mode mode) {
  signal([mode](Shared& shared) { shared.mode = mode; });
}

void DatabaseThread::set_max_message(size_t bytes) {
  signal([bytes](Shared& shared) { shared.max_message = bytes; });
}

void DatabaseThread::set_hold_ids(bool on) {
  signal([on](Shared& shared) { shared.hold_ids = on; });
}

void DatabaseThread::set_follows_to(StreamSeq end) {
  signal([end](Shared& shared) { shared.follows_to = end; });
}

void DatabaseThread::set_tracing(bool on) {
  signal([on](Shared& shared) { shared.tracing = on; });
}

void DatabaseThread::set_publishing(bool allowed) {
  signal([allowed](Shared& shared) { shared.publishing = allowed; });
}

void DatabaseThread::publish_outbox() {
  signal([](Shared& shared) { shared.outbox = true; });
}

void DatabaseThread::hasten() {
  signal([](Shared& shared) { shared.hasten = true; });
}

bool DatabaseThread::feed(replica::Incoming message) {
  bool room = true;
  signal([&](Shared& shared) {
    shared.queued_bytes += message.bytes.size();
    shared.queued_messages += 1;
    shared.inbox.push_back(std::move(message));
    room = shared.queued_bytes < kMaxQueueBytes && shared.queued_messages < kMaxQueueMessages;
    if (!room) shared.full = true;
  });
  return room;
}

void DatabaseThread::reset_queue(std::function<void(const DatabaseProgress&)> done) {
  signal([&](Shared& shared) {
    for (const replica::Incoming& message : shared.inbox) {
      shared.queued_bytes -= message.bytes.size();
      shared.queued_messages -= 1;
    }
    shared.inbox.clear();
    shared.full = false;
    shared.mode = Mode::idle;
    shared.reset = std::move(done);
  });
}

void DatabaseThread::go() {
  signal([](Shared& shared) { shared.hold = false; });
}

void DatabaseThread::merge(std::string path, std::function<void(Status)> done) {
  signal([&](Shared& shared) { shared.merge = Merge{std::move(path), std::move(done), false}; });
}

void DatabaseThread::abandon_merge() {
  signal([](Shared& shared) { shared.merge = Merge{}; });
}

void DatabaseThread::after_drain(std::function<void()> done) {
  signal([&](Shared& shared) { shared.after_drain.push_back(std::move(done)); });
}

Status DatabaseThread::add_job(Job job) {
  bool taken = false;
  signal([&](Shared& shared) {
    if (shared.unanswered_jobs >= kMaxJobs) return;
    ++shared.unanswered_jobs;
    shared.jobs.push_back(std::move(job));
    taken = true;
  });
  if (!taken) return make_error(Errc::busy, "too many questions are waiting for the database thread");
  return ok();
}

void DatabaseThread::add_drained_job(Job job) {
  signal([&](Shared& shared) { shared.drained_jobs.push_back(std::move(job)); });
}

Status DatabaseThread::change(std::function<Status(replica::Replica&)> write, std::function<void(Status)> then, Lasts lasts) {
  return add_job([this, write = std::move(write), then = std::move(then), lasts, since = int64_t{0}](replica::Replica& engine) mutable {
    if (since == 0) since = monotonic_us();
    if (!shared_->worker->free_to_write(lasts == Lasts::milliseconds) && monotonic_us() - since < node::kPatienceUs) return false;
    auto outcome = std::make_shared<Status>(write(engine));
    shared_->worker->transaction_over();  // where none was begun
    if (!*outcome && outcome->error().code == Errc::busy) return false;
    to_loop([outcome, then] { then(std::move(*outcome)); });
    return true;
  });
}

Status DatabaseThread::write(DrainingWrite write, std::function<void(Result<size_t>)> then) {
  return add_job([this, write = std::move(write), then = std::move(then), since = int64_t{0}](replica::Replica& engine) mutable {
    const int64_t now = monotonic_us();
    if (since == 0) since = now;
    auto outcome = write(engine, now - since < node::kPatienceUs);
    if (!outcome && outcome.error().code == Errc::busy) return false;
    Result<size_t> rows = size_t{0};
    if (outcome) {
      for (const replica::OutUnit& unit : outcome->units) *rows += unit.rows;
      shared_->worker->publish(std::move(outcome->units));
    } else {
      rows = outcome.error();
    }
    to_loop([rows, then] { then(rows); });
    return true;
  });
}

void DatabaseThread::scrub(std::function<void(ScrubReport)> done) {
  signal([&](Shared& shared) { shared.scrubs.push_back(std::move(done)); });
}

int64_t DatabaseThread::stalled_ms() const {
  const int64_t since = shared_->stalled_since;
  return since == 0 ? 0 : (monotonic_us() - since) / 1000;
}

void DatabaseThread::to_loop(std::function<void()> work) {
  shared_->post([work = std::move(work)](DatabaseEvents&) { work(); });
}

}  // namespace marmot::agent
