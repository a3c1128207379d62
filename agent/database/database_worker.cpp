#include "agent/database/database_worker.hpp"

#include <sys/prctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "agent/database/file_identity.hpp"
#include "agent/database/open_database.hpp"
#include "agent/loop/clock.hpp"
#include "agent/loop/random.hpp"

namespace marmot::agent {

namespace {

// The WAL's last write comes before the commit is visible (an fsync may lie between), and no event tells of the latter: so
// after an event the file is looked at again and again for a while. Microseconds between two looks.
constexpr std::array<int64_t, 10> kRechecks{0, 100, 200, 400, 800, 1500, 3000, 6000, 12'000, 25'000};

constexpr int64_t kNap = 1000;
constexpr int64_t kMinAway = 5000;
constexpr int64_t kShortLog = 2000;           // rows: so many are drained while new readers wait
constexpr size_t kShortBytes = size_t{1} << 20;  // and so many bytes of messages applied
constexpr int kCheckpointPages = 1000;        // of the WAL, as SQLite's default
constexpr int64_t kContendedAway = 25'000;    // where applications read and write all the time, commit less often
constexpr int64_t kMaxBackoff = 1'000'000;
constexpr int64_t kBusyTold = 5'000'000;      // a lock held by another process for so long is reported
constexpr int64_t kLogAgain = 10'000'000;     // the same trouble is logged again after
constexpr int64_t kResumeEvery = 5'000'000;   // stopped tables are tried again
constexpr int64_t kDrainedAgain = 20'000;     // a job that wants an empty log looks again, also where nothing is drained
constexpr int64_t kSyncAfter = 1'000'000;     // the high-water mark reaches the disk at least so often

void nap(int64_t us = kNap) { std::this_thread::sleep_for(std::chrono::microseconds(us)); }

}  // namespace

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
                                          replica::Identity{identity.node, incarnation, water});
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
  scrubbing.next = monotonic_us() + setup.scrub_interval_ms * 1000;
  int64_t until = 0;
  while (take(until)) {
    const bool retry = run_jobs();
    until = step();
    tell_schema_changes();
    if (retry) until = std::min(until, monotonic_us() + kNap);
    if (progress_changed) post_progress();
  }
  if (high_water && sync_at != 0) (void)high_water->sync();  // the process ends: nothing is left to tell
}

bool DatabaseThread::Worker::take(int64_t until_us) {
  std::unique_lock lock(shared->mutex);
  const auto until = std::chrono::steady_clock::time_point(std::chrono::microseconds(until_us));
  shared->changed.wait_until(lock, until, [this] { return shared->signalled; });
  shared->signalled = false;
  if (shared->stop) return false;
  if (std::exchange(shared->wake, false)) {
    recheck = 0;
    recheck_at = monotonic_us();
  }
  mode = shared->mode;
  publishing = shared->publishing;
  if (std::exchange(shared->hasten, false)) hastened = true;
  if (std::exchange(shared->outbox, false)) {
    outbox_due = true;
    drained_for_outbox = false;
    progress.outbox_done = false;
  }
  if (!shared->after_drain.empty()) {
    for (auto& done : shared->after_drain) waiting_for_drain.push_back(std::move(done));
    shared->after_drain.clear();
    looked = false;
  }
  for (auto& done : shared->scrubs) scrubbing.asked.push_back(std::move(done));
  if (!shared->scrubs.empty()) scrubbing.running = false;  // a pass of its own
  shared->scrubs.clear();
  for (Job& job : shared->jobs) jobs.push_back(std::move(job));
  shared->jobs.clear();
  for (Job& job : shared->drained_jobs) drained_jobs.push_back(std::move(job));
  shared->drained_jobs.clear();
  if (shared->merge) {
    if (merging.begun) engine->merge_abandon();
    merging = *std::exchange(shared->merge, std::nullopt);
    progress.merged = progress.to_merge = 0;
  }
  take_queue();
  return true;
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
    if (busy_since != 0) succeeded();
  }
  return false;
}

void DatabaseThread::Worker::run_drained_jobs() {
  std::erase_if(drained_jobs, [this](const Job& job) { return job(*engine); });
  drained_jobs_at = monotonic_us() + kDrainedAgain;
}

int64_t DatabaseThread::Worker::step() {
  const int64_t now = monotonic_us();
  if (!progress.halted.empty()) {
    finish_after_drain();
    return now + 1'000'000;
  }
  if (sync_at != 0 && now >= sync_at && (!work || now >= sync_at + kSyncAfter)) {
    sync_at = 0;
    if (const Status synced = high_water->sync(); !synced) failed("sync", synced.error());
  }
  if (now >= not_before && !held_units.empty()) flush_units();
  const bool follows = progress.baseline_done && merging.path.empty() && mode != Mode::compare && engine->membership() != replica::Membership::none;
  if (!follows) shared->stalled_since = 0;  // it has other things to do first
  if (!progress.baseline_done) {
    if (now >= not_before) baseline();
    return not_before;
  }
  if (!merging.path.empty()) {
    if (now >= not_before) merge();
    return std::max(not_before, int64_t{1});
  }
  if (mode == Mode::compare) {
    compare();
    return queue.empty() || mode == Mode::idle ? now + 1'000'000 : now;
  }
  if (engine->membership() == replica::Membership::none) {
    finish_after_drain();
    return now + 1'000'000;
  }
  look(now);
  const bool may_drain = publishing && held_units.empty();
  if (now >= not_before) {
    const bool may_outbox = outbox_due && may_drain && drained_for_outbox;
    if (may_outbox && !outbox_last) outbox();
    else if (apply_due(now)) apply();
    else if (may_drain && (work || (outbox_due && !drained_for_outbox))) drain();
    else if (may_outbox) outbox();
    else if (now >= resume_at && !progress.stopped.empty()) resume();
    else if (may_drain && scrub_due(now)) scrub();
  }
  finish_after_drain();
  if (!drained_jobs.empty() && now >= drained_jobs_at) run_drained_jobs();
  if (engine->outbox_again()) {
    outbox_due = true;
    progress.outbox_done = false;
  }

  const bool more = apply_due(now) || (may_drain && (work || outbox_due));
  if (!more && !work) shared->stalled_since = 0;
  else if (shared->stalled_since == 0) shared->stalled_since = now;
  int64_t next = more ? std::max(not_before, int64_t{1}) : std::max(next_look(), not_before);
  if (!more && mode == Mode::apply && !queue.empty()) {
    const int64_t first = echoes_since + kEchoDelayUs;
    next = std::min(next, std::max(not_before, now < first ? first : now + kEchoDelayUs / 2));
  }
  if (sync_at != 0) next = std::min(next, sync_at + (work ? kSyncAfter : 0));
  if (!drained_jobs.empty()) next = std::min(next, drained_jobs_at);
  if (!more && scrub_wanted()) next = std::min(next, std::max(not_before, scrubbing.next));
  return next;
}

// Did somebody commit?
void DatabaseThread::Worker::look(int64_t now) {
  const bool recheck_due = recheck_at != 0 && now >= recheck_at;
  if (!recheck_due && now < poll_at && (looked || waiting_for_drain.empty())) return;
  poll_at = now + setup.poll_interval_ms * 1000;
  if (recheck_due) recheck_at = ++recheck < kRechecks.size() ? now + kRechecks[recheck] : 0;
  looked = true;
  if (now >= sample_at) {
    sample_at = now + setup.poll_interval_ms * 1000;
    way->sample(now, setup.poll_interval_ms);
    if (progress.giving_way.read_percent != way->facts().read_percent) progress_changed = true;
  }
  if (work) return;  // a drain takes whatever is there by then
  const auto found = engine->has_work();
  if (!found) failed("look for commits", found.error());
  else if (*found) work = true;
  if (work) moved_us = now;
}

int64_t DatabaseThread::Worker::next_look() const {
  return recheck_at != 0 ? std::min(recheck_at, poll_at) : poll_at;
}

void DatabaseThread::Worker::baseline() {
  const int64_t start = monotonic_us();
  const auto done = engine->baseline();
  if (!done) return failed("give the rows their first versions", done.error());
  stay_away(monotonic_us() - start);
  succeeded();
  if (!*done) return;
  progress.baseline_done = true;
  progress.membership = engine->membership();
  progress.position = engine->position();
  progress.origin = engine->origin();
  progress.stopped = engine->stopped();
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
  progress.merged = progress.to_merge = 0;
  progress_changed = true;
  shared->post([done, outcome](DatabaseEvents&) { done(outcome); });
}

void DatabaseThread::Worker::compare() {
  const int64_t start = monotonic_us();
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
  consumed(done);
  if (done > 0) progress_changed = true;
  if (!progress.trouble.empty()) mode = Mode::idle;
}

template <class F>
auto DatabaseThread::Worker::politely(F attempt, bool may_wait) -> decltype(attempt(true)) {
  if (polite_since == 0) polite_since = monotonic_us();
  bool waited = false;
  int64_t patience = GivingWay::kPatienceUs;
  bool little = false;
  for (bool now_or_never = false;;) {
    if (!now_or_never) {  // no question to the file while the marks are held
      const Backlog waiting = backlog();
      patience = GivingWay::patience_us(waiting);
      little = waiting.rows <= kShortLog && waiting.bytes <= kShortBytes && !engine->being_copied();
    }
    const int64_t now = monotonic_us();
    // What may wait waits until a reader that stays for long is known as one.
    const bool polite = !shared->stop && (may_wait || now - polite_since < patience);
    if (may_wait && now - polite_since > GivingWay::kPatienceUs + ShmReaders::kIgnoreAfterUs / 4) {
      polite_since = 0;
      return make_error(Errc::busy, "others read");
    }
    if (!polite && reading()) way->count_forced();
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

bool DatabaseThread::Worker::reading() { return !way->free(monotonic_us(), false); }

void DatabaseThread::Worker::transaction_over() {
  if (way && engine) way->release(sqlite3_txn_state(engine->database().get(), "main") != SQLITE_TXN_NONE);
}

// SQLite checkpoints in here by itself where no hook is set. Readers must not wait for that.
int DatabaseThread::Worker::committed(void* self, sqlite3* db, const char* schema, int pages) {
  static_cast<Worker*>(self)->transaction_over();
  if (pages >= kCheckpointPages) (void)sqlite3_wal_checkpoint_v2(db, schema, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  return SQLITE_OK;
}

void DatabaseThread::Worker::apply() {
  const bool echoes_only = foreign == 0 && !hastened && !work && queue.size() < kMaxEchoes && monotonic_us() - tags.front().came_us < kEchoLongestUs;
  auto applied = politely([this](bool polite) { return engine->apply(queue, polite); }, echoes_only);
  if (!applied && echoes_only && applied.error().code == Errc::busy) {
    echoes_since = monotonic_us();
    marking = false;
    return;
  }
  if (!applied) return failed("apply", applied.error());
  outbox_last = false;
  hastened = false;
  drained_for_outbox = true;
  if (applied->refused) {
    outbox_due = true;
    progress.outbox_done = false;
  }
  if (applied->messages > 0) progress.applied_at = tags[applied->messages - 1].at;
  if (!drained_jobs.empty()) run_drained_jobs();
  consumed(applied->messages);
  marking = echoes_only && !queue.empty();
  progress.begins_anew = applied->begins_anew;
  progress.rows_in += applied->rows;
  progress.rows_changed += applied->rows_changed;
  progress_changed = true;
  stay_away(applied->held_us);
  succeeded();
  trace(std::move(applied->changes));
  publish(std::move(applied->units));
  // Nothing consumed and no error: never spin on it.
  if (applied->messages == 0) not_before = std::max(not_before, monotonic_us() + kMinAway);
}

void DatabaseThread::Worker::drain() {
  auto drained = politely([this](bool polite) { return engine->drain(polite); });
  if (!drained) return failed("drain", drained.error());
  if (!drained_jobs.empty()) run_drained_jobs();
  outbox_last = false;
  drained_for_outbox = true;
  stay_away(drained->held_us);
  succeeded();
  trace(std::move(drained->changes));
  publish(std::move(drained->units));
}

void DatabaseThread::Worker::outbox() {
  auto drained = politely([this](bool polite) { return engine->publish_outbox(polite); });
  if (!drained) return failed("publish what is unacknowledged", drained.error());
  outbox_last = true;
  stay_away(drained->held_us);
  const bool nothing = drained->units.empty() && !drained->more;
  succeeded();
  trace(std::move(drained->changes));
  publish(std::move(drained->units));
  if (nothing) {
    outbox_due = false;
    progress.outbox_done = true;
    progress_changed = true;
  }
}

void DatabaseThread::Worker::resume() {
  resume_at = monotonic_us() + kResumeEvery;
  const auto resumed = engine->resume_stopped();
  if (!resumed) return failed("resume stopped tables", resumed.error());
  if (*resumed) {
    // What was written while the table was stopped goes out with the outbox.
    work = outbox_due = true;
    drained_for_outbox = false;
    progress.outbox_done = false;
  }
  progress.stopped = engine->stopped();
  progress_changed = true;
}

void DatabaseThread::Worker::finish_after_drain() {
  const bool draining = publishing && progress.halted.empty() && engine->membership() != replica::Membership::none;
  if (waiting_for_drain.empty() || (draining && (work || !looked || !held_units.empty()))) return;
  for (auto& done : waiting_for_drain) {
    shared->post([done = std::move(done)](DatabaseEvents&) { done(); });
  }
  waiting_for_drain.clear();
}

void DatabaseThread::Worker::publish(std::vector<replica::OutUnit> units) {
  for (replica::OutUnit& unit : units) {
    progress.rows_out += unit.rows;
    progress_changed = true;
    held_units.push_back(std::move(unit));
  }
  if (!held_units.empty()) flush_units();
}

// No version leaves before data_dir remembers its HLC.
void DatabaseThread::Worker::flush_units() {
  const auto stored = high_water->store(engine->last_hlc());
  if (!stored) return failed("keep the clock", stored.error());
  if (*stored && sync_at == 0) sync_at = monotonic_us() + kSyncAfter;
  auto units = std::make_shared<std::vector<replica::OutUnit>>(std::exchange(held_units, {}));
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
  if (!way->alone()) not_before = monotonic_us() + std::max(2 * held_us, contended ? kContendedAway : kMinAway);
}

// After every piece of work that went well.
void DatabaseThread::Worker::succeeded() {
  busy_since = 0;
  backoff = 0;
  shared->stalled_since = 0;  // step() looks whether more is due
  const auto found = engine->has_work();
  work = found && *found;
  if (!progress.trouble.empty()) {
    setup.log(LogLevel::info, setup.name + ": goes on (it was: " + progress.trouble + ")");
    progress.trouble.clear();
    logged_trouble.clear();
    progress_changed = true;
  }
  const bool was_joining = progress.membership != engine->membership();
  progress.membership = engine->membership();
  progress.position = engine->position();
  progress.origin = engine->origin();
  progress.stopped = engine->stopped();
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
  if (error.code == Errc::busy) {
    if (busy_since == 0) busy_since = now;
    not_before = now + kNap;
    if (now - busy_since < kBusyTold) return;
    text = "another process has kept the database locked for " + std::to_string((now - busy_since) / 1'000'000) + " s";
  } else {
    backoff = backoff == 0 ? 10'000 : std::min(backoff * 2, kMaxBackoff);
    not_before = now + backoff;
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
  progress.halted = why;
  progress_changed = true;
}

void DatabaseThread::Worker::post_progress() {
  progress_changed = false;
  progress.giving_way = way->facts();
  progress.failed_effects = engine->failed_effects();
  shared->post([now = progress](DatabaseEvents& events) { events.progress(now); });
}

}  // namespace marmot::agent
