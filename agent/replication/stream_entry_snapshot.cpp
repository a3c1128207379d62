// Where the stream no longer holds what comes next for a file: the newest snapshot from which the stream goes on.
//
//   choose -> none: ask another node for one, try again; nobody could take one: the stream begins anew
//          -> download -> the file never met a stream and holds rows: compare them with it, and with the stream behind it
//                      -> the file is of another stream: history was lost
//          -> merge into the live file, in slices -> enter again, from the snapshot's position
#include "agent/database/file_identity.hpp"
#include "agent/loop/random.hpp"
#include "agent/replication/stream_entry.hpp"
#include "common/base/long_work.hpp"

namespace marmot::agent {

namespace {
constexpr int64_t kAgainMs = 500;
}  // namespace

// The message with the stream's id is gone. A snapshot of the stream has it too.
void StreamEntry::learn_stream() {
  snapshots_.store()->choose(plan_.stream.name, state_, 0, guarded([this](Result<std::optional<SnapshotRecord>> record) {
    if (!record) return wait("look for a snapshot: " + record.error().message, 1000, true);
    facts_.asked_name = true;
    if (*record) facts_.genesis = node::EntryFacts::Genesis{(*record)->info.stream_id, Origin{}, std::nullopt};
    proceed();
  }));
}

void StreamEntry::need_snapshot(const std::string& what) {
  snapshots_.store()->choose(plan_.stream.name, state_, 0, guarded([this, what](Result<std::optional<SnapshotRecord>> record) {
    on_chosen(what, std::move(record));
  }));
}

void StreamEntry::ask_for_snapshot(const std::string& what) {
  snapshots_.ask(facts_.node, state_.first_seq - 1);
  EntryOutcome outcome;
  outcome.kind = EntryOutcome::Kind::behind;
  outcome.text = "the stream no longer holds " + what + ", which this file has not seen: waiting for a snapshot of another node"
                 " (changes here are kept in the file)";
  outcome.retry_ms = kAgainMs;
  finish(std::move(outcome));
}

void StreamEntry::on_chosen(const std::string& what, Result<std::optional<SnapshotRecord>> record) {
  if (!record) return wait("look for a snapshot: " + record.error().message, 1000, true);
  if (!*record) {
    facts_.company = plan_.company();
    return proceed();
  }
  snapshot_ = **std::move(record);
  log_(LogLevel::warn, plan_.name + ": the stream no longer holds " + what + ", which this file has not seen: taking the snapshot of message " +
                           std::to_string(snapshot_->info.seq) + " (" + std::to_string(snapshot_->object.size) + " bytes)");
  if (facts_.membership != replica::Membership::none) return fetch_snapshot(false);
  const Status asked = thread_.ask<bool>([](replica::Replica& replica) -> Result<bool> { return replica.empty_file(); },
                                         guarded([this](Result<bool> empty) {
                                           if (!empty) return wait(empty.error().message, 1000, true);
                                           fetch_snapshot(!*empty);
                                         }));
  if (!asked) wait(asked.error().message, 1000, true);
}

void StreamEntry::fetch_snapshot(bool compare_first) {
  snapshots_.store()->fetch(*snapshot_, snapshots_.store()->scratch("merge"),
                            guarded([this](const char* what, uint64_t done, uint64_t total) {
                              work_ = LongWork{std::string(what) + " a snapshot of " + plan_.name, done, total};
                            }),
                            guarded([this, compare_first](Status fetched) {
                              work_ = LongWork();
                              if (!fetched) return wait("take a snapshot: " + fetched.error().message, 1000, true);
                              if (compare_first) compare_snapshot();
                              else use_snapshot();
                            }));
}

// Instead of the messages that made it; what follows it in the stream is compared as always.
void StreamEntry::compare_snapshot() {
  log_(LogLevel::info, plan_.name + ": the file holds data: comparing it with the snapshot and " +
                           std::to_string(state_.last_seq - snapshot_->info.seq) + " messages of the cluster");
  const Status asked = thread_.ask<bool>(
      [path = snapshots_.store()->scratch("merge")](replica::Replica& replica) -> Result<bool> {
        TRY(replica.compare_snapshot(path));
        return true;
      },
      guarded([this](Result<bool> compared) {
        if (!compared) return wait("compare with a snapshot: " + compared.error().message, 1000, true);
        from_ = fed_ = snapshot_->info.seq;
        start_compare();
      }));
  if (!asked) wait(asked.error().message, 1000, true);
}

void StreamEntry::use_snapshot() {
  if (facts_.membership == replica::Membership::none) return join_snapshot();
  if (facts_.position.stream_id == snapshot_->info.stream_id) return merge_snapshot();
  log_(LogLevel::error, plan_.name + ": the stream " + plan_.stream.name + " is another one than this file has been in: merging its"
                            " snapshot, then publishing what it lacks");
  const Incarnation incarnation{random_incarnation()};
  const Status asked = thread_.change(
      [id = snapshot_->info.stream_id, end = state_.last_seq, incarnation](replica::Replica& replica) {
        return replica.history_lost(id, end, incarnation);
      },
      guarded([this](Status done) {
        if (!done) return wait("recover from lost history: " + done.error().message, 1000, true);
        lost_ = true;
        merge_snapshot();
      }),
      DatabaseThread::Lasts::longer);
  if (!asked) wait(asked.error().message, 1000, true);
}

void StreamEntry::join_snapshot() {
  const Status asked = thread_.change(
      [id = snapshot_->info.stream_id, end = state_.last_seq](replica::Replica& replica) { return replica.join(id, end); },
      guarded([this](Status done) {
        if (!done) return wait("join: " + done.error().message, 1000, true);
        merge_snapshot();
      }));
  if (!asked) wait(asked.error().message, 1000, true);
}

void StreamEntry::merge_snapshot() {
  merging_ = true;
  thread_.merge(snapshots_.store()->scratch("merge"), guarded([this](Status merged) {
    merging_ = false;
    drop_snapshot();
    if (!merged) return wait("merge a snapshot: " + merged.error().message, 2000, true);
    EntryOutcome outcome;
    outcome.kind = EntryOutcome::Kind::merged;
    outcome.history_lost = lost_;
    outcome.text = "the snapshot of message " + std::to_string(snapshot_->info.seq) + " was merged";
    log_(LogLevel::info, plan_.name + ": " + outcome.text);
    finish(std::move(outcome));
  }));
}

// The thread may have it open still: its pages stay until it closes them.
void StreamEntry::drop_snapshot() {
  if (snapshot_) remove_database(snapshots_.store()->scratch("merge"));
}

}  // namespace marmot::agent
