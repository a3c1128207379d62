// Snapshots as a simulated agent takes and uses them.
#include <algorithm>

#include "tests/sim/agent.hpp"
#include "tests/sim/world.hpp"

namespace marmot::sim {

using replica::Membership;

std::string Agent::scratch(const char* what) const { return "n" + std::to_string(node_.id) + "/" + what + ".db"; }

// A few pages at a time; the application goes on meanwhile.
void Agent::take_snapshot() {
  Machine& machine = world_.disks.of(node_.id);
  const std::string path = scratch("snapshot");
  if (!copy_) {
    machine.remove(path);
    snapshot_at_ = world_.now() + world_.random.between(1, 2 * std::max<int64_t>(world_.profile.snapshot_ms, 500));
    copy_of_ = created_;
    inside([&] {
      if (auto copy = replica::SnapshotCopy::begin(*engine_, path)) copy_ = std::move(*copy);
    });
    return;
  }
  const int pages = static_cast<int>(world_.random.between(1, 20));
  std::optional<Result<bool>> all;
  if (!inside([&] { all = copy_->step(pages); })) return;
  if (*all && !**all) return;
  if (*all && copy_of_ == created_) {
    world_.snapshots.push_back({copy_->info(), copy_of_, machine.files.at(path)->data});
    world_.say(node_.id, "a snapshot of message " + std::to_string(copy_->info().seq));
    world_.count("snapshot");
    if (world_.snapshots.size() > 3) world_.snapshots.erase(world_.snapshots.begin());
  }
  const Enter scope(world_.disks, node_.id, Process::agent);
  copy_.reset();
  machine.remove(path);
}

bool Agent::snapshot_now() {
  const size_t before = world_.snapshots.empty() ? 0 : world_.snapshots.back().info.seq;
  const size_t count = world_.snapshots.size();
  if (!engine_ || state_ != State::running || schedule_->holds()) return false;
  take_snapshot();
  while (copy_) take_snapshot();
  return world_.snapshots.size() != count || world_.snapshots.back().info.seq != before;
}

// The newest snapshot becomes the file; where there is none, the file is made, empty.
Status Agent::adopt_snapshot() {
  Machine& machine = world_.disks.of(node_.id);
  const KeptSnapshot* const kept = world_.choose_snapshot(0);
  if (kept != nullptr) {
    const std::string path = scratch("adopt");
    machine.put(path, kept->bytes);
    const Status adopted = replica::adopt_copy(path);
    if (adopted) machine.move(path, node_.path);
    else machine.remove(path);
    TRY(adopted);
    world_.say(node_.id, "a snapshot of message " + std::to_string(kept->info.seq) + " becomes its file");
    world_.count("adopted");
    return ok();
  }
  TRY_ASSIGN(auto db, sqlite::Database::open(node_.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX));
  return db.exec(node_.encoding + "PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS sim_commit(n INT); INSERT INTO sim_commit VALUES(0)");
}

// The stream's first messages are gone: a snapshot of it has its id too.
void Agent::learn_stream() {
  facts_.asked_name = true;
  if (const KeptSnapshot* const kept = world_.choose_snapshot(0)) facts_.genesis = node::EntryFacts::Genesis{kept->info.stream_id, {}, {}};
  proceed();
}

// Who else is there, as far as the network lets it be known.
node::EntryFacts::Company Agent::company() const {
  node::EntryFacts::Company company;
  company.waited_ms = node_.waits_since < 0 ? 0 : world_.now() - node_.waits_since;
  company.all_wait = company.lowest = true;
  for (const auto& [id, other] : world_.nodes) {
    if (id == node_.id) continue;
    const bool heard = other.agent->alive() && other.link.connected && !other.link.out_blocked && !node_.link.in_blocked;
    const bool waits = heard && other.waits_since >= 0;
    company.able = company.able || (heard && other.agent->follows());
    company.all_wait = company.all_wait && (waits || !other.agent->was_member());
    company.lowest = company.lowest && !(waits && id < node_.id);
  }
  return company;
}

void Agent::need_snapshot(const std::string& why) {
  const KeptSnapshot* const kept = world_.choose_snapshot(facts_.genesis ? facts_.genesis->stream_id : 0);
  if (kept == nullptr) {
    facts_.company = company();
    return proceed();
  }
  world_.say(node_.id, "the stream no longer holds " + why + ": takes a snapshot");
  world_.count("merged");
  const replica::SnapshotInfo info = kept->info;
  world_.disks.of(node_.id).put(scratch("merge"), kept->bytes);
  if (facts_.membership == Membership::none) {
    if (!engine_->empty_file()) compare_with_snapshot(info);
    if (state_ != State::entering) return;
    return change([this, info] { return engine_->join(info.stream_id, facts_.last); }, [this] { merge_begin(); });
  }
  if (facts_.position.stream_id == info.stream_id) return merge_begin();
  uint64_t incarnation = (world_.random.next() >> 1) | 1;
  change([this, info, incarnation] { return engine_->history_lost(info.stream_id, facts_.last, Incarnation{incarnation}); },
         [this] {
           note_versions();
           publisher_->clear();
           catch_up_.merged(true);
           merge_begin();
         });
}

void Agent::compare_with_snapshot(const replica::SnapshotInfo& info) {
  node_.merged = true;
  std::optional<Error> error;
  const bool lives = inside([&] {
    if (Status done = engine_->compare_snapshot(scratch("merge")); !done) error = std::move(done).error();
    for (StreamSeq seq = info.seq + 1; seq <= facts_.last && !error; ++seq) {
      const Stored* const stored = world_.stream.get(seq);
      if (stored == nullptr) continue;
      if (Status done = engine_->compare({seq, stored->at, stored->msg_id, stored->bytes}); !done) error = std::move(done).error();
    }
    if (auto comparison = engine_->comparison(); !comparison && !error) error = std::move(comparison).error();
  });
  if (!lives) return;
  note_versions();  // of a table that was rebuilt meanwhile
  if (error) {
    done("compare", *error);
    leave(State::waiting, 200);
  }
}

void Agent::merge_begin() {
  std::optional<Status> begun;
  if (!inside([&] { begun = engine_->merge_begin(scratch("merge")); })) return;
  if (!*begun) {
    if (begun->error().code != Errc::refused) done("merge", begun->error());
    else world_.say(node_.id, "merge: " + begun->error().message);
    return leave(State::waiting, 500);
  }
  state_ = State::merging;
  schedule_->merge(true);
  node_.waits_since = -1;
}

void Agent::merge() {
  std::optional<Result<replica::MergeResult>> result;
  if (!inside([&] { result = engine_->merge_slice(polite()); })) return;
  if (!*result) {
    const bool busy = result->error().code == Errc::busy;
    // A table of the snapshot cannot be made here, or is stopped, until somebody makes room: the merge is tried again.
    const bool waits = result->error().code == Errc::schema && (world_.profile.kinds != 0 || world_.profile.lose_ms != 0);
    if (waits) world_.count("merge waits"), world_.say(node_.id, "merge: " + result->error().message);
    else done("merge", result->error());
    if (busy || !engine_) return;
    const Enter scope(world_.disks, node_.id, Process::agent);
    engine_->merge_abandon();
    return leave(State::waiting, 200);
  }
  succeeded((*result)->held_us);
  note((*result)->changes);
  publish(std::move((*result)->units));
  if (!(*result)->done) return;
  world_.say(node_.id, "merged, at " + std::to_string(engine_->position().seq));
  world_.disks.of(node_.id).remove(scratch("merge"));
  catch_up_.merged(false);
  leave(State::waiting, 0);
}

}  // namespace marmot::sim
