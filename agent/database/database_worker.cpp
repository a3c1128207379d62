#include "agent/database/database_worker.hpp"

#include <sys/prctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>

#include "agent/database/file_identity.hpp"
#include "agent/database/open_database.hpp"
#include "agent/loop/clock.hpp"
#include "agent/loop/random.hpp"
#include "common/node/former_ids.hpp"

namespace marmot::agent {

namespace {

constexpr int64_t kNap = 1000;                // until a locked database is tried again
constexpr int kCheckpointPages = 1000;        // of the WAL, as SQLite's default
constexpr int64_t kBusyTold = 5'000'000;      // a lock held by another process for so long is reported
constexpr int64_t kLogAgain = 10'000'000;     // the same trouble is logged again after
constexpr int64_t kDrainedAgain = 20'000;     // a job that wants an empty log looks again, also where nothing is drained
constexpr int64_t kSharingEvery = 1'000'000;  // between two looks for a writer past our -wal
constexpr int64_t kSyncAfter = 1'000'000;     // the high-water mark reaches the disk at least so often

void nap(int64_t us = kNap) { std::this_thread::sleep_for(std::chrono::microseconds(us)); }

node::Schedule::Limits limits_of(const DatabaseSetup& setup) {
  node::Schedule::Limits limits;
  limits.poll_us = setup.poll_interval_ms * 1000;
  limits.scrub_every_us = setup.scrub_interval_ms * 1000;
  return limits;
}

}  // namespace

DatabaseThread::Worker::Worker(std::shared_ptr<Shared> given)
    : shared(std::move(given)), setup(shared->setup), schedule(limits_of(setup), monotonic_us()) {}

Result<DatabaseOpened> DatabaseThread::Worker::open() {
  const auto cancelled = [this] { return shared->stop.load(); };
  TRY_ASSIGN(OpenedDatabase opened, open_database(OpenOptions{setup.path, setup.may_create, setup.extensions, 30'000, cancelled, setup.log}));
  const bool created = opened.created, installed = opened.installed;
  TRY_ASSIGN(const FileIdentity identity, identify(opened.db, setup.path, setup.node_id, 0));
  if (identity.origin == FileIdentity::Origin::copied) {
    setup.log(LogLevel::warn, setup.name + ": this file was copied together with its identity (node " +
                                  std::to_string(identity.before.value) + "): it is node " +
                                  std::to_string(identity.node.value) + " now");
  }
  TRY_ASSIGN(HighWater mark, HighWater::open(setup.high_water_path));
  high_water.emplace(std::move(mark));
  const Incarnation incarnation{random_incarnation()};
  const Hlc water = high_water->value();
  const std::vector<NodeId> ids = node::ids_of_path(high_water->nodes(), identity.before, identity.node, identity.given_up);
  const std::vector<NodeId> former(ids.begin(), ids.end() - 1);
  const std::vector<NodeId> lives = node::lives_of_path(high_water->lives(), Origin{identity.node, incarnation}, identity.given_up);
  TRY_IN(setup.path, high_water->keep(ids, lives));  // before the file has the new one

  const auto environment = [this] {
    const auto others_reading = [this](replica::Environment::Moment moment) {
      return way && way->others_reading(monotonic_us(), moment == replica::Environment::Moment::before_commit, engine->being_copied());
    };
    return replica::Environment{wall_now, monotonic_us, others_reading, [this] { transaction_over(); }, setup.log};
  };
  const int64_t start = monotonic_us();
  for (;;) {
    // open() takes the connection along, also when it fails: a retry opens the file again.
    auto replica = replica::Replica::open(std::move(opened.db), setup.settings, environment(),
                                          replica::Identity{identity.node, incarnation, water, HashKey{random_secret(), random_secret()}, identity.moved, former, identity.rebooted, lives});
    if (replica) {
      engine.emplace(*std::move(replica));
      break;
    }
    const bool unreadable = replica.error().code == Errc::unreadable;  // open_database() waits
    if (shared->stop || (!unreadable && (replica.error().code != Errc::busy || monotonic_us() - start > 30'000'000))) {
      return std::move(replica).error().in(setup.path);
    }
    nap();
    TRY_ASSIGN(opened, open_database(OpenOptions{setup.path, true, setup.extensions, 30'000, cancelled, setup.log}));
  }
  for (;;) {
    const Status remembered = remember(engine->database(), setup.path, identity.node);
    if (remembered) break;
    if (remembered.error().code != Errc::busy || shared->stop) return Error(remembered.error()).in(setup.path);
  }
  way.emplace(setup.path, setup.name, setup.log);
  sqlite3_wal_hook(engine->database().get(), committed, this);

  const Origin origin = engine->origin();
  struct stat facts {};
  if (::stat(setup.path.c_str(), &facts) != 0) return make_error(Errc::io, setup.path + ": removed while it was opened");
  return DatabaseOpened{created, installed, facts.st_dev, facts.st_ino, origin, engine->membership(), engine->position()};
}

void DatabaseThread::Worker::run() {
  {
    std::unique_lock lock(shared->mutex);
    shared->changed.wait(lock, [this] { return !shared->hold || shared->stop; });
    if (shared->stop) return;
  }
  auto opened = std::make_shared<Result<DatabaseOpened>>(open());
  const bool usable = static_cast<bool>(*opened);
  shared->post([opened](DatabaseEvents& events) { events.opened(std::move(*opened)); });
  if (!usable) return;
  ::prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);  // of this thread, nanoseconds: the gap between two transactions is short
  int64_t until = 0;
  while (take(until)) {
    const bool retry = run_jobs();
    until = turn();
    tell_schema_changes();
    if (retry) until = std::min(until, monotonic_us() + kNap);
    if (progress_changed) post_progress();
  }
  if (high_water && sync_at != 0) (void)high_water->sync();  // the process ends: nothing is left to tell
}

bool DatabaseThread::Worker::take(int64_t until_us) {
  std::unique_lock lock(shared->mutex);
  const auto until = std::chrono::steady_clock::time_point(std::chrono::microseconds(until_us));
  if (until_us > 0) shared->changed.wait_until(lock, until, [this] { return shared->signalled; });
  shared->signalled = false;
  if (shared->stop) return false;
  if (std::exchange(shared->wake, false)) schedule.wake(monotonic_us());
  take_settings();
  if (std::exchange(shared->hasten, false)) schedule.hasten();
  if (std::exchange(shared->outbox, false)) schedule.request_outbox();
  if (!shared->after_drain.empty()) {
    for (auto& done : shared->after_drain) waiting_for_drain.push_back(std::move(done));
    shared->after_drain.clear();
    schedule.look_now();
  }
  if (!shared->scrubs.empty()) schedule.scrubbing.ask();
  for (auto& done : shared->scrubs) waiting_for_scrub.push_back(std::move(done));
  shared->scrubs.clear();
  for (Job& job : shared->jobs) jobs.push_back(std::move(job));
  shared->jobs.clear();
  for (Job& job : shared->drained_jobs) drained_jobs.push_back(std::move(job));
  shared->drained_jobs.clear();
  if (shared->merge) {
    if (merging.begun) engine->merge_abandon();
    merging = *std::exchange(shared->merge, std::nullopt);
    schedule.merge(!merging.path.empty());
    progress.merged = progress.to_merge = 0;
  }
  take_queue();
  return true;
}

// Under the lock, before the queue: what a setting is for comes behind it.
void DatabaseThread::Worker::take_settings() {
  schedule.set(shared->mode, shared->publishing);
  engine->set_max_message(shared->max_message);
  engine->hold_ids(shared->hold_ids);
  engine->follows_to(shared->follows_to);
  engine->trace(shared->tracing);
}

// Under the lock.
void DatabaseThread::Worker::take_queue() {
  if (auto reset = std::exchange(shared->reset, std::nullopt)) {
    shared->queued_bytes -= schedule.inbox().bytes();
    shared->queued_messages -= schedule.inbox().size();
    schedule.clear();
    progress.compared = 0;
    ++shared->unanswered_jobs;
    jobs.push_back([this, done = *std::move(reset)](replica::Replica& replica) {
      progress.membership = replica.membership();
      tell_position(replica);
      shared->post([done, now = progress](DatabaseEvents&) { done(now); });
      progress.begins_anew = 0;
      return true;
    });
  }
  // The origin changes when history was lost.
  if (!shared->inbox.empty()) schedule.add(std::exchange(shared->inbox, {}), engine->origin(), monotonic_us());
}

void DatabaseThread::Worker::tell_position(replica::Replica& replica) {
  const auto units = replica.own_units();
  progress.own_units = units ? *units : 0;  // all are sent again then, which does no harm
  progress.position = replica.position();
  progress.hash_key = replica.hash_key();
  progress.origin = replica.origin();
  progress.gap = replica.gap();
  const auto wants_floor = replica.wants_floor();
  progress.wants_floor = wants_floor && *wants_floor;
  const auto untold = replica.untold_units();
  if (untold) progress.untold_units = *untold;
}

void DatabaseThread::Worker::consumed(size_t messages, size_t bytes) {
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

// True: one is left that must be tried again.
bool DatabaseThread::Worker::run_jobs() {
  while (!jobs.empty()) {
    if (!jobs.front()(*engine)) {
      failed("write", make_error(Errc::busy, "locked"));
      return true;
    }
    jobs.pop_front();
    {
      const std::lock_guard lock(shared->mutex);
      --shared->unanswered_jobs;
    }
    if (schedule.locked()) succeeded();
  }
  return false;
}

void DatabaseThread::Worker::run_drained_jobs() {
  std::erase_if(drained_jobs, [this](const Job& job) { return job(*engine); });
  drained_jobs_at = monotonic_us() + kDrainedAgain;
}

int64_t DatabaseThread::Worker::turn() {
  const int64_t now = monotonic_us();
  if (!schedule.halted()) chores(now);
  const node::Turn turn = schedule.next(now, standing());
  switch (turn.step) {
    case node::Step::none: break;
    case node::Step::baseline: baseline(); break;
    case node::Step::merge: merge(); break;
    case node::Step::compare: compare(); break;
    case node::Step::look: look(); break;
    case node::Step::outbox: outbox(); break;
    case node::Step::apply: apply(); break;
    case node::Step::drain: drain(); break;
    case node::Step::resume: resume(); break;
    case node::Step::scrub: scrub(); break;
  }
  finish_after_drain();
  if (engine->outbox_again()) schedule.outbox_again();
  if (progress.outbox_done != schedule.outbox_done()) {
    progress.outbox_done = schedule.outbox_done();
    progress_changed = true;
  }
  if (!turn.waits) shared->stalled_since = 0;
  else if (shared->stalled_since == 0) shared->stalled_since = now;
  if (turn.step != node::Step::none) return 0;
  int64_t again = turn.again;
  if (sync_at != 0) again = std::min(again, sync_at + (schedule.logged() ? kSyncAfter : 0));
  if (!drained_jobs.empty()) again = std::min(again, drained_jobs_at);
  return again;
}

// What is done beside the turns, for no lock of the file is needed for it.
void DatabaseThread::Worker::chores(int64_t now) {
  if (sync_at != 0 && now >= sync_at && (!schedule.logged() || now >= sync_at + kSyncAfter)) {
    sync_at = 0;
    if (const Status synced = high_water->sync(); !synced) failed("sync", synced.error());
  }
  if (schedule.may_write(now) && schedule.holds()) flush_units();
  if (!drained_jobs.empty() && now >= drained_jobs_at) run_drained_jobs();
  if (now >= sharing_at) watch_sharing(now);
}

void DatabaseThread::Worker::watch_sharing(int64_t now) {
  sharing_at = now + kSharingEvery;
  const auto facts = sharing_facts(engine->database(), setup.path);
  if (!facts || !sharing.look(now, *facts)) return;
  const std::string alone = shared_alone(setup.path);
  setup.log(LogLevel::error, setup.name + ": somebody writes to " + setup.path + " past its -wal file, and what is committed is overwritten: " +
                                 (alone.empty() ? "it is opened by another name, from where the file is mounted or linked without its folder: share the folder, not the file"
                                                : alone));
}

void DatabaseThread::Worker::note_stopped() {
  progress.stopped = engine->stopped();
  progress.unfilled = engine->unfilled();
}

node::Schedule::Standing DatabaseThread::Worker::standing() {
  return {engine->membership(), engine->resumes(), engine->wants_echoes()};
}

// Did somebody commit?
void DatabaseThread::Worker::look() {
  const int64_t now = monotonic_us();
  if (now >= sample_at) {
    sample_at = now + setup.poll_interval_ms * 1000;
    way->sample(now, setup.poll_interval_ms);
    if (progress.giving_way.read_percent != way->facts().read_percent) progress_changed = true;
  }
  const auto found = schedule.logged() ? Result<bool>(true) : engine->has_work();
  schedule.looked(now, found && *found);
  if (!found) failed("look for commits", found.error());
}

void DatabaseThread::Worker::baseline() {
  const int64_t start = monotonic_us();
  const auto done = engine->baseline();
  if (!done) return failed("give the rows their first versions", done.error());
  stay_away(monotonic_us() - start);
  succeeded();
  if (!*done) return;
  schedule.baselined();
  progress.baseline_done = true;
  progress.membership = engine->membership();
  tell_position(*engine);
  note_stopped();
  progress_changed = true;
}

void DatabaseThread::Worker::merge() {
  const auto trouble = [this](const Error& error) {
    const bool passes = error.code == Errc::busy || error.code == Errc::unreadable || error.code == Errc::full || error.code == Errc::io;
    failed("merge the snapshot", error);
    if (!passes) end_merge(error);
  };
  if (!merging.begun) {
    const Status begun = engine->merge_begin(merging.path);
    if (!begun) return trouble(begun.error());
    merging.begun = true;
  }
  auto merged = politely([this](bool polite) -> Result<replica::MergeResult> {
    if (!merging.begun) return make_error(Errc::busy, "given up");  // while it waited for the application
    return engine->merge_slice(polite);
  });
  if (!merging.begun) return;
  if (!merged) return trouble(merged.error());
  progress.merged = merged->rows;
  progress.to_merge = merged->total;
  progress_changed = true;
  stay_away(merged->held_us);
  succeeded();
  publish(std::move(merged->units));
  if (merged->done) end_merge(ok());
}

void DatabaseThread::Worker::end_merge(Status outcome) {
  engine->merge_abandon();
  const auto done = std::exchange(merging, Merge{}).done;
  schedule.merge(false);
  progress.merged = progress.to_merge = 0;
  progress_changed = true;
  shared->post([done, outcome](DatabaseEvents&) { done(outcome); });
}

void DatabaseThread::Worker::compare() {
  const int64_t start = monotonic_us();
  std::deque<replica::Incoming>& queue = schedule.inbox().queue();
  size_t done = 0;
  while (done < queue.size() && monotonic_us() - start < 20'000) {
    const Status compared = engine->compare(queue[done]);
    if (!compared) {
      failed("compare with the stream", compared.error());
      break;
    }
    progress.compared = queue[done].seq;
    ++done;
  }
  queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(done));
  consumed(done, schedule.inbox().consumed(done));
  if (done > 0) progress_changed = true;
  if (done > 0 && queue.empty() && !progress.trouble.empty()) succeeded();
}

template <class F>
auto DatabaseThread::Worker::politely(F attempt, bool may_wait) -> decltype(attempt(true)) {
  if (polite_since == 0) polite_since = monotonic_us();
  bool waited = false;
  int64_t patience = node::kPatienceUs;
  bool little = false;
  for (bool now_or_never = false;;) {
    if (!now_or_never) {  // no question to the file while the marks are held
      const node::Backlog waiting = backlog();
      patience = node::patience_us(waiting);
      little = node::is_little(waiting) && !engine->being_copied();
    }
    const int64_t now = monotonic_us();
    // What may wait waits until a reader that stays for long is known as one.
    const bool polite = !shared->stop && (may_wait || now - polite_since < patience);
    if (may_wait && now - polite_since > node::kPatienceUs + ShmReaders::kIgnoreAfterUs / 4) {
      polite_since = 0;
      return make_error(Errc::busy, "others read");
    }
    if (!polite && !free_to_write(false)) way->count_forced();
    if (!polite || now_or_never || way->free(now, little)) {
      auto result = attempt(polite);
      transaction_over();  // where the attempt ended before it began one
      const bool busy = !result && result.error().code == Errc::busy;
      if (!busy || !polite) {
        contended = waited;
        // Locked at the end of all patience: the next attempt does not begin with being patient again.
        if (!busy) polite_since = 0;
        return result;
      }
    }
    if (!std::exchange(waited, true)) way->count_gave_way();
    now_or_never = way->wait_for_gap(monotonic_us() + kNap, little);
    // No transaction is open: questions are answered meanwhile.
    if (!now_or_never && take(0)) (void)run_jobs();
  }
}

bool DatabaseThread::Worker::free_to_write(bool hold) { return way->free(monotonic_us(), hold && !engine->being_copied()); }

void DatabaseThread::Worker::transaction_over() {
  if (way && engine) way->release(sqlite3_txn_state(engine->database().get(), "main") != SQLITE_TXN_NONE);
}

// SQLite checkpoints in here by itself where no hook is set. Readers must not wait for that.
int DatabaseThread::Worker::committed(void* self, sqlite3* db, const char* schema, int pages) {
  static_cast<Worker*>(self)->transaction_over();
  if (pages >= kCheckpointPages) (void)sqlite3_wal_checkpoint_v2(db, schema, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  return SQLITE_OK;
}

node::Backlog DatabaseThread::Worker::backlog() {
  node::Backlog out = schedule.inbox().backlog(monotonic_us());
  const auto rows = engine->undrained();
  out.rows += rows ? *rows : 0;
  out.wal_bytes = way->wal_bytes();
  return out;
}

void DatabaseThread::Worker::apply() {
  const bool echoes_only = schedule.echoes_only(monotonic_us());
  auto applied = politely([this](bool polite) { return engine->apply(schedule.inbox().queue(), polite); }, echoes_only);
  if (!applied && echoes_only && applied.error().code == Errc::busy) return schedule.echoes_put_off(monotonic_us());
  if (!applied) return failed("apply", applied.error());
  if (applied->messages > 0) progress.applied_at = schedule.inbox().at(applied->messages - 1);
  if (!drained_jobs.empty()) run_drained_jobs();
  stay_away(applied->held_us);
  consumed(applied->messages, schedule.applied(monotonic_us(), *applied, echoes_only));
  progress.begins_anew = applied->begins_anew;
  if (applied->misdated) shared->post([](DatabaseEvents& events) {
    if (events.misdated) events.misdated();
  });
  progress.rows_in += applied->rows;
  progress.rows_changed += applied->rows_changed;
  progress_changed = true;
  succeeded();
  trace(std::move(applied->changes));
  publish(std::move(applied->units));
}

void DatabaseThread::Worker::drain() {
  auto drained = politely([this](bool polite) { return engine->drain(polite); });
  if (!drained) return failed("drain", drained.error());
  if (!drained_jobs.empty()) run_drained_jobs();
  schedule.drained();
  stay_away(drained->held_us);
  succeeded();
  trace(std::move(drained->changes));
  publish(std::move(drained->units));
}

void DatabaseThread::Worker::outbox() {
  auto drained = politely([this](bool polite) { return engine->publish_outbox(polite); });
  if (!drained) return failed("publish what is unacknowledged", drained.error());
  schedule.sent_outbox(*drained);
  stay_away(drained->held_us);
  succeeded();
  trace(std::move(drained->changes));
  publish(std::move(drained->units));
}

void DatabaseThread::Worker::resume() {
  const auto resumed = engine->resume_stopped();
  schedule.resumed(monotonic_us(), resumed);
  if (!resumed) return failed("resume stopped tables", resumed.error());
  note_stopped();
  tell_position(*engine);
  progress_changed = true;
}

void DatabaseThread::Worker::finish_after_drain() {
  if (waiting_for_drain.empty() || !schedule.drained(standing())) return;
  for (auto& done : waiting_for_drain) {
    shared->post([done = std::move(done)](DatabaseEvents&) { done(); });
  }
  waiting_for_drain.clear();
}

void DatabaseThread::Worker::publish(std::vector<replica::OutUnit> units) {
  for (const replica::OutUnit& unit : units) progress.rows_out += unit.rows;
  progress_changed = progress_changed || !units.empty();
  schedule.hold(std::move(units));
  if (schedule.holds()) flush_units();
}

// No version leaves before data_dir remembers its HLC, and the life that gave it: where history was lost another one has begun.
void DatabaseThread::Worker::flush_units() {
  if (high_water->lives().empty() || high_water->lives().back() != life_of(engine->origin())) {
    const Status kept = high_water->keep(high_water->nodes(), node::lives_of_path(high_water->lives(), engine->origin(), false));
    if (!kept) return failed("keep the life", kept.error());
    const Status lowered = high_water->lower(engine->last_hlc());  // Replica::redate has set the clock back
    if (!lowered) return failed("keep the clock", lowered.error());
  }
  const auto stored = high_water->store(engine->last_hlc());
  if (!stored) return failed("keep the clock", stored.error());
  if (*stored && sync_at == 0) sync_at = monotonic_us() + kSyncAfter;
  auto units = std::make_shared<std::vector<replica::OutUnit>>(schedule.release());
  shared->post([units](DatabaseEvents& events) { events.units(std::move(*units)); });
}

void DatabaseThread::Worker::trace(std::vector<replica::Change> changes) {
  if (changes.empty()) return;
  auto shown = std::make_shared<std::vector<replica::Change>>(std::move(changes));
  shared->post([shown](DatabaseEvents& events) { events.changes(std::move(*shown)); });
}

// Whatever committed them: a message, a merged snapshot, a table that is tried again.
void DatabaseThread::Worker::tell_schema_changes() {
  auto names = engine->take_schema_changes();
  if (names.empty()) return;
  shared->post([names = std::move(names)](DatabaseEvents& events) {
    if (events.schema_changed) events.schema_changed(names);
  });
}

void DatabaseThread::Worker::stay_away(int64_t held_us) {
  schedule.stay_away(monotonic_us(), held_us, way->alone(), contended);
}

// After every piece of work that went well.
void DatabaseThread::Worker::succeeded() {
  shared->stalled_since = 0;  // turn() looks whether more is due
  const auto found = engine->has_work();
  schedule.succeeded(found && *found);
  if (!progress.trouble.empty()) {
    setup.log(LogLevel::info, setup.name + ": goes on (it was: " + progress.trouble + ")");
    progress.trouble.clear();
    logged_trouble.clear();
    progress_changed = true;
  }
  const bool was_joining = progress.membership != engine->membership();
  progress.membership = engine->membership();
  // Units of ours come round with messages only: a drain asks the file for nothing.
  const replica::Position at = engine->position();
  const bool moved = at.seq != progress.position.seq || at.stream_id != progress.position.stream_id || engine->origin() != progress.origin;
  if (moved) tell_position(*engine);
  note_stopped();
  if (was_joining) progress_changed = true;
}

void DatabaseThread::Worker::failed(const char* verb, const Error& error) {
  const int64_t now = monotonic_us();
  if (error.code == Errc::stale) {
    progress.stale = true;
    return halt(error.message);
  }
  if (error.code == Errc::newer_format) return halt("upgrade this Marmot: " + error.message);
  const bool of_virtual_table = error.detail == SQLITE_CORRUPT_VTAB;
  if (error.code == Errc::corrupt && error.detail != 0 && !of_virtual_table) return halt(setup.path + ": " + explain_damage(error));
  std::string text = std::string(verb) + ": " + (of_virtual_table ? explain_damage(error) : error.message);
  const int64_t locked_us = schedule.failed(now, error.code);
  if (error.code == Errc::busy) {
    if (locked_us < kBusyTold) return;
    text = "another process has kept the database locked for " + std::to_string(locked_us / 1'000'000) + " s";
  }
  // A busy text counts seconds: it is not news each time.
  const std::string kind = error.code == Errc::busy ? "busy" : text;
  if (kind != logged_trouble || now - logged_at > kLogAgain) {
    setup.log(LogLevel::error, setup.name + ": " + text + " (trying again)");
    logged_trouble = kind;
    logged_at = now;
  }
  if (progress.trouble != text) {
    progress.trouble = text;
    progress_changed = true;
  }
}

void DatabaseThread::Worker::halt(const std::string& why) {
  setup.log(LogLevel::error, setup.name + ": stopped: " + why);
  schedule.halt();
  progress.halted = why;
  progress_changed = true;
}

void DatabaseThread::Worker::post_progress() {
  progress_changed = false;
  progress.giving_way = way->facts();
  progress.failed_effects = engine->failed_effects();
  progress.ids_ready = engine->ids_ready();
  shared->post([now = progress](DatabaseEvents& events) { events.progress(now); });
}

}  // namespace marmot::agent
