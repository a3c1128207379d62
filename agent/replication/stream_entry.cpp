#include "agent/replication/stream_entry.hpp"

#include <ctime>
#include <utility>

#include "agent/database/file_identity.hpp"
#include "agent/loop/random.hpp"
#include "common/base/long_work.hpp"
#include "common/codec/envelope.hpp"
#include "common/replica/capture.hpp"
#include "common/replica/meta.hpp"

namespace marmot::agent {

namespace {

constexpr size_t kGenesisMax = 64 * 1024;
constexpr int kQuietLooks = 4;       // at a stream that does not grow, before the file's rows are judged by it
constexpr int64_t kQuietMs = 1000;   // over so long

uint64_t random_stream_id() { return random_incarnation(); }

std::string utc_stamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return text;
}

}  // namespace

StreamEntry::StreamEntry(uv::Loop& loop, nats::Connection& connection, DatabaseThread& thread, Snapshots& snapshots,
                         EntryPlan plan, DatabaseProgress progress, LogSink log, std::function<void(EntryOutcome)> done)
    : connection_(connection),
      thread_(thread),
      snapshots_(snapshots),
      plan_(std::move(plan)),
      progress_(std::move(progress)),
      log_(std::move(log)),
      done_(std::move(done)),
      again_(loop, [this] { look_again(); }) {
  facts_.node = progress_.origin.node;
  facts_.membership = progress_.membership;
  facts_.position = progress_.position;
  facts_.hash_key = progress_.hash_key;
  facts_.may_found = plan_.may_found;
  facts_.anew = progress_.begins_anew;
  connection_.ensure_stream(plan_.stream, guarded([this](Result<nats::StreamState> state) { on_stream(std::move(state)); }));
}

StreamEntry::~StreamEntry() {
  if (merging_) thread_.abandon_merge();
  drop_snapshot();
}

void StreamEntry::finish(EntryOutcome outcome) {
  comparing_.reset();
  // The owner may destroy this object in there.
  std::exchange(done_, nullptr)(std::move(outcome));
}

void StreamEntry::wait(std::string text, int64_t retry_ms, bool error) {
  EntryOutcome outcome;
  outcome.text = std::move(text);
  outcome.retry_ms = retry_ms;
  outcome.error = error;
  finish(std::move(outcome));
}

void StreamEntry::on_stream(Result<nats::StreamState> state) {
  if (!state) {
    const Error& error = state.error();
    if (error.code == Errc::not_found && !plan_.may_found) {
      return wait("waiting for the stream " + plan_.stream.name + ": it does not exist on " + connection_.url() +
                      " (is --name right, and does the first agent run?)", 1000, false);
    }
    return wait(error.message, 1000, true);
  }
  state_ = *std::move(state);
  for (const std::string& difference : state_.differences) {
    log_(LogLevel::warn, plan_.name + ": the stream " + plan_.stream.name + ": " + difference +
                             " (log.update_existing = true would change the stream)");
  }
  facts_.first = state_.first_seq;
  facts_.last = state_.last_seq;
  proceed();
}

// One step towards the stream; what needs an answer comes back here with it.
void StreamEntry::proceed() {
  const node::EntryDecision decision = node::decide_entry(facts_);
  switch (decision.step) {
    case node::EntryStep::wait_for_founder:
      return wait("waiting for the first agent: the stream " + plan_.stream.name + " is empty", 200, false);
    case node::EntryStep::publish_genesis: return publish_genesis();
    case node::EntryStep::read_genesis:
      return connection_.get_message(plan_.stream.name, facts_.first,
                                     guarded([this](Result<nats::StoredMessage> message) { on_genesis(std::move(message)); }));
    case node::EntryStep::learn_stream: return learn_stream();
    case node::EntryStep::found: return found();
    case node::EntryStep::join: return join_or_compare();
    case node::EntryStep::read_position:
      return connection_.get_message(plan_.stream.name, facts_.position.seq,
                                     guarded([this](Result<nats::StoredMessage> message) { on_position(std::move(message)); }));
    case node::EntryStep::follow_unchecked:
      log_(LogLevel::warn, plan_.name + ": message " + std::to_string(facts_.position.seq) + " was deleted from the stream: cannot"
                               " check that it is the one this file has seen");
      return follow();
    case node::EntryStep::follow: return follow();
    case node::EntryStep::snapshot: return need_snapshot(decision.why);
    case node::EntryStep::ask_for_snapshot: return ask_for_snapshot(decision.why);
    case node::EntryStep::begin_anew:
      log_(LogLevel::error, plan_.name + ": the stream " + plan_.stream.name + " no longer holds " + decision.why + ", and there is neither a"
                                " snapshot nor a node that could take one: beginning it anew from what the nodes hold");
      return publish_genesis();
    case node::EntryStep::drop_before: return drop_before();
    case node::EntryStep::history_lost: return lose_history(decision.why);
  }
}

// At the end of what the stream holds, which is nothing, or void from now on (begin_anew).
void StreamEntry::publish_genesis() {
  // Another one in each attempt: an id is never used again for other bytes.
  const uint64_t id = random_stream_id();
  const Origin origin{progress_.origin.node, Incarnation{random_incarnation()}};
  const codec::Genesis genesis{id, facts_.hash_key, plan_.clock_bound_ms};
  const auto messages = codec::seal(codec::Kind::genesis, origin, 0, codec::encode_genesis(genesis), kGenesisMax, codec::genesis_format(genesis));
  const std::string msg_id = codec::message_id(origin, 0, 0);
  const Status sent = connection_.publish_log(
      nats::LogMessage{plan_.stream.subject, plan_.stream.name, msg_id, messages.front(), facts_.last},
      guarded([this, id, origin](Result<nats::Ack> ack) {
        // Refused: somebody else was first. Unknown: the next attempt reads what is there.
        if (!ack) return wait("found the stream: " + ack.error().message, 50, ack.error().code != Errc::refused);
        state_.last_seq = ack->seq;
        if (ack->seq > 1) {
          facts_.anew = ack->seq;
          return drop_before();
        }
        facts_.first = facts_.last = ack->seq;
        facts_.genesis = node::EntryFacts::Genesis{id, origin, facts_.hash_key};
        facts_.beginning = node::EntryFacts::Beginning::there;
        proceed();
      }));
  if (!sent) wait("found the stream: " + sent.error().message, 1000, true);
}

// Whoever meets a genesis in the stream does this, so that it is done whatever becomes of the node that published it.
void StreamEntry::drop_before() {
  connection_.drop_before(plan_.stream.name, facts_.anew, guarded([this](Status dropped) {
    if (!dropped) return wait(dropped.error().message, 1000, true);
    wait("the stream " + plan_.stream.name + " begins anew with message " + std::to_string(facts_.anew), 50, false);
  }));
}

void StreamEntry::on_genesis(Result<nats::StoredMessage> message) {
  if (!message) return wait("read the stream's first message: " + message.error().message, 1000, true);
  auto genesis = node::read_beginning(message->seq, message->data);
  if (!genesis) {
    if (genesis.error().code == Errc::newer_format) return wait("upgrade this Marmot: " + genesis.error().message, 10'000, true);
    EntryOutcome outcome;
    outcome.kind = EntryOutcome::Kind::refused;
    outcome.text = "the stream " + plan_.stream.name + " does not begin with Marmot's first message (" + genesis.error().message +
                   "): choose another --name or --cluster, or delete that stream";
    return finish(std::move(outcome));
  }
  facts_.genesis = *std::move(genesis);
  facts_.beginning = facts_.genesis ? node::EntryFacts::Beginning::there : node::EntryFacts::Beginning::gone;
  proceed();
}

void StreamEntry::join_or_compare() {
  const Status asked = thread_.ask<bool>([](replica::Replica& replica) -> Result<bool> { return replica.empty_file(); },
                                         guarded([this](Result<bool> empty) {
                                           if (!empty) return wait(empty.error().message, 1000, true);
                                           if (*empty) return join();
                                           start_compare();
                                         }));
  if (!asked) wait(asked.error().message, 1000, true);
}

void StreamEntry::start_compare() {
  if (fed_ == 0) {
    fed_ = from_ = before_beginning(facts_);
    log_(LogLevel::info, plan_.name + ": the file holds data: comparing it with " + std::to_string(state_.last_seq) + " messages of the cluster");
  }
  thread_.set_mode(DatabaseThread::Mode::compare);
  nats::LogHandlers handlers;
  handlers.on_message = guarded([this](nats::Delivered message) {
    if (message.seq > state_.last_seq) return;
    fed_ = message.seq;
    if (!thread_.feed(replica::Incoming{message.seq, message.time_ms, std::move(message.msg_id), std::move(message.data)})) {
      comparing_->pause();
    }
  });
  handlers.on_problem = guarded([this](const nats::LogProblem& problem) {
    if (problem.ended) return wait("compare: " + problem.error.message, 1000, true);
    check_compared();
  });
  comparing_ = connection_.subscribe_log(plan_.stream.name, fed_ + 1, std::move(handlers));
  check_compared();
}

void StreamEntry::on_room() {
  if (comparing_) comparing_->resume();
}

LongWork StreamEntry::work() const {
  if (comparing_) return LongWork{"compare " + plan_.name, progress_.compared, state_.last_seq};
  return work_;
}

void StreamEntry::on_progress(const DatabaseProgress& progress) {
  if (!done_) return;
  progress_ = progress;
  if (comparing_ && !progress.trouble.empty()) return wait(progress.trouble, 1000, true);
  check_compared();
}

void StreamEntry::check_compared() {
  if (!comparing_ || comparing_->last_seq() < state_.last_seq || (fed_ > from_ && progress_.compared < fed_)) return;
  comparing_.reset();
  thread_.set_mode(DatabaseThread::Mode::idle);
  fed_ = from_ = state_.last_seq;
  const Status asked = thread_.ask<replica::Comparison>(
      [](replica::Replica& replica) { return replica.comparison(); },
      guarded([this](Result<replica::Comparison> comparison) { on_comparison(std::move(comparison)); }));
  if (!asked) wait(asked.error().message, 1000, true);
}

void StreamEntry::on_comparison(Result<replica::Comparison> comparison) {
  if (!comparison) return wait("compare: " + comparison.error().message, 1000, true);
  if (comparison->accepted()) return join();
  comparison_ = *std::move(comparison);
  look_again();
}

// What is missing may be on its way: the first agent publishes its rows one unit after another. A verdict needs a stream
// that has been quiet for a while.
void StreamEntry::look_again() {
  connection_.stream_state(plan_.stream.name, guarded([this](Result<nats::StreamState> state) {
    if (!state) return wait("compare: " + state.error().message, 1000, true);
    const bool grown = state->last_seq > state_.last_seq;
    state_.last_seq = state->last_seq;
    quiet_ = grown ? 0 : quiet_ + 1;
    if (grown) return start_compare();
    if (quiet_ < kQuietLooks) return again_.start(uv::Milliseconds(kQuietMs / kQuietLooks));
    log_(LogLevel::info, plan_.name + ": " + std::to_string(comparison_.equal) + " rows equal, " + std::to_string(comparison_.differing) +
                             " differ, " + std::to_string(comparison_.only_here) + " only here, " + std::to_string(comparison_.only_there) +
                             " only in the cluster");
    if (plan_.adopt == Adopt::merge) return join();
    if (plan_.adopt == Adopt::replace) return back_up();
    refuse(comparison_);
  }));
}

void StreamEntry::refuse(const replica::Comparison& comparison) {
  EntryOutcome outcome;
  outcome.kind = EntryOutcome::Kind::refused;
  outcome.text = plan_.path + " holds data that never belonged to this cluster: " + std::to_string(comparison.differing) +
                 " rows differ, " + std::to_string(comparison.only_here) + " are only here (" + std::to_string(comparison.equal) +
                 " are equal, " + std::to_string(comparison.only_there) + " are only in the cluster).";
  for (const std::string& example : comparison.examples) outcome.text += "\n  " + example;
  outcome.text += "\n--adopt merge: the cluster's rows win, local extras are published."
                  "\n--adopt replace: the cluster's rows only; a backup of this file is kept.";
  if (!plan_.installed_now) return finish(std::move(outcome));
  // Leave the file as it was found.
  const auto take_out = [](replica::Replica& replica) -> Status {
    const auto mode = read_meta(replica.database(), replica::meta::kJournalModeBefore);
    TRY(replica::cleanup(replica.database()));
    // Fails while another process has the file open; WAL does no harm then.
    if (mode) (void)replica.database().exec("PRAGMA journal_mode = " + *mode);
    return ok();
  };
  const Status asked = thread_.change(take_out, guarded([this, outcome](Status done) {
    EntryOutcome told = outcome;
    if (!done) told.text += "\n(What this run put into the file could not be removed: " + done.error().message + "; `marmot cleanup` does.)";
    finish(std::move(told));
  }), DatabaseThread::Lasts::longer);
  if (!asked) finish(std::move(outcome));
}

void StreamEntry::back_up() {
  const std::string backup = plan_.path + ".marmot-backup-" + utc_stamp();
  const Status asked = thread_.change(
      [backup](replica::Replica& replica) -> Status {
        TRY_IN("back up to " + backup, replica.database().exec("VACUUM INTO " + sqlite::quote_text(backup)));
        return replica.discard_rows();
      },
      guarded([this, backup](Status done) {
        if (!done) return wait("adopt: " + done.error().message, 1000, true);
        log_(LogLevel::info, plan_.name + ": the file's own rows were discarded; they are kept in " + backup);
        join();
      }),
      DatabaseThread::Lasts::longer);
  if (!asked) wait(asked.error().message, 1000, true);
}

void StreamEntry::found() {
  const Status asked = thread_.change([id = facts_.genesis->stream_id, key = facts_.genesis->hash_key, before = before_beginning(facts_)](
                                          replica::Replica& replica) { return replica.found(id, before, key); },
                                      guarded([this](Status done) {
                                        if (!done) return wait("found the stream: " + done.error().message, 1000, true);
                                        EntryOutcome outcome;
                                        outcome.kind = EntryOutcome::Kind::enter;
                                        outcome.end = state_.last_seq;
                                        outcome.founded = true;
                                        finish(std::move(outcome));
                                      }));
  if (!asked) wait(asked.error().message, 1000, true);
}

void StreamEntry::join() {
  if (snapshot_) return join_snapshot();
  const Status asked = thread_.change(
      [id = facts_.genesis->stream_id, key = facts_.genesis->hash_key, end = state_.last_seq, before = before_beginning(facts_)](replica::Replica& replica) {
        return replica.join(id, end, before, key);
      },
      guarded([this](Status done) {
        if (!done) return wait("join: " + done.error().message, 1000, true);
        EntryOutcome outcome;
        outcome.kind = EntryOutcome::Kind::enter;
        outcome.end = state_.last_seq;
        finish(std::move(outcome));
      }));
  if (!asked) wait(asked.error().message, 1000, true);
}

void StreamEntry::follow() {
  const Status asked = thread_.change(
      [end = state_.last_seq](replica::Replica& replica) { return replica.stream_ends(end); },
      guarded([this](Status done) {
        if (!done) return wait("follow the stream: " + done.error().message, 1000, true);
        EntryOutcome outcome;
        outcome.kind = EntryOutcome::Kind::enter;
        outcome.end = state_.last_seq;
        finish(std::move(outcome));
      }));
  if (!asked) wait(asked.error().message, 1000, true);
}

void StreamEntry::on_position(Result<nats::StoredMessage> message) {
  if (message) {
    facts_.looked = node::EntryFacts::Look::found;
    facts_.msg_id = std::move(message->msg_id);
    facts_.msg_at = message->time_ms;
  } else if (message.error().code == Errc::not_found) {
    facts_.looked = node::EntryFacts::Look::deleted;
  } else {
    return wait("check the stream: " + message.error().message, 1000, true);
  }
  proceed();
}

void StreamEntry::lose_history(const std::string& why) {
  log_(LogLevel::error, plan_.name + ": the stream " + plan_.stream.name + " lost history (" + why +
                            "): reading it again from its beginning, then publishing what it lacks");
  const uint64_t id = facts_.genesis ? facts_.genesis->stream_id : facts_.position.stream_id;
  const std::optional<HashKey> key = facts_.genesis ? facts_.genesis->hash_key : std::nullopt;
  const Incarnation incarnation{random_incarnation()};
  const Status asked = thread_.change(
      [id, key, end = state_.last_seq, incarnation, before = before_beginning(facts_)](replica::Replica& replica) {
        return replica.history_lost(id, end, incarnation, before, key);
      },
      guarded([this](Status done) {
        if (!done) return wait("recover from lost history: " + done.error().message, 1000, true);
        EntryOutcome outcome;
        outcome.kind = EntryOutcome::Kind::enter;
        outcome.end = state_.last_seq;
        outcome.history_lost = true;
        finish(std::move(outcome));
      }),
      DatabaseThread::Lasts::longer);
  if (!asked) wait(asked.error().message, 1000, true);
}

}  // namespace marmot::agent
