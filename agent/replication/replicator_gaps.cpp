// Messages that did not come: whether the stream has them still, and what then becomes of the nodes (docs/decisions/0026-a-message-that-is-gone.md).
#include <utility>

#include "agent/loop/clock.hpp"
#include "agent/replication/replicator.hpp"

namespace marmot::agent {

void Replicator::on_problem(const nats::LogProblem& problem) {
  if (problem.gap_to == 0 || problem.ended) return reenter(problem.error.message, problem.ended ? 200 : 500);
  // Aged out, or deleted one by one by an administrator? Nothing behind the gap is applied until that is known.
  subscription_->pause();
  in_gap_ = true;
  connection_->stream_state(plan_.stream.name, [this, from = problem.gap_from, to = problem.gap_to, generation = generation_,
                                                alive = std::weak_ptr<int>(alive_)](Result<nats::StreamState> state) {
    if (alive.expired() || generation != generation_) return;
    if (!state) return reenter(state.error().message, 500);
    const std::string what = "messages " + std::to_string(from) + " to " + std::to_string(to);
    if (node::gap_is_lost(state->first_seq, from)) {
      return reenter("the stream no longer holds " + what + ", which this file has not seen", 0);
    }
    ask_leader(from, to);
  });
}

// A server whose copy of the stream lacks a message delivers it no more than one that nobody has: the stream's leader knows which it is.
void Replicator::ask_leader(StreamSeq from, StreamSeq to) {
  connection_->get_message(plan_.stream.name, from, [this, from, to, generation = generation_,
                                                     alive = std::weak_ptr<int>(alive_)](const Result<nats::StoredMessage>& message) {
    if (alive.expired() || generation != generation_) return;
    if (message) return reenter("message " + std::to_string(from) + " is in the stream, and the server did not deliver it", 500);
    if (message.error().code != Errc::not_found) return reenter(message.error().message, 500);
    in_gap_ = false;
    lacks(from, to);  // now: until the engine has come there, what was delivered counts as applied
    // The engine says what becomes of it.
    const bool room = thread_->feed(replica::Incoming{to, wall_now(), {}, {}, true});
    if (room) subscription_->resume();
    caught_up();
    poke();
  });
}

// Messages are gone that this file had not read: the nodes are compared, whoever leads.
void Replicator::note_gap() {
  if (progress_.gap.last != compared_gap_) lacks(progress_.gap.first, progress_.gap.last);
}

void Replicator::lacks(StreamSeq first, StreamSeq last) {
  compared_gap_ = last;
  if (last == 0) return;
  if (!repair_->lacking()) missing_from_ = first;
  repair_->want(node::RepairRound::Why::messages_gone);
}

// Rows wait here for a table of which nobody has told: the others tell their schema.
void Replicator::look_for_untold() {
  if (state_ != State::running || !untold_.asks(monotonic_ms(), progress_.untold_units)) return;
  log_(LogLevel::warn, name() + ": " + std::to_string(progress_.untold_units) +
                           " units of rows wait for a table or column that no message has told of: the other nodes are asked for their schema");
  repair_->want(node::RepairRound::Why::untold);
}

}  // namespace marmot::agent
