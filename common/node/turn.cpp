#include "common/node/turn.hpp"

#include <algorithm>

namespace marmot::node {

namespace {

constexpr int64_t kIdleUs = 1'000'000;  // nothing is expected: whoever brings something says so

Turn once_free(const TurnFacts& facts, Step step) {
  if (facts.now < facts.not_before) return {Step::none, facts.not_before, false};
  return {step, facts.now, false};
}

}  // namespace

Turn decide_turn(const TurnFacts& facts) {
  const Turn nothing{Step::none, facts.now + kIdleUs, false};
  if (facts.halted) return nothing;
  if (!facts.baseline_done) return once_free(facts, Step::baseline);
  if (facts.merging) return facts.units_held ? nothing : once_free(facts, Step::merge);
  if (facts.mode == Mode::compare) return facts.messages > 0 ? once_free(facts, Step::compare) : nothing;
  if (facts.membership == replica::Membership::none) return nothing;

  const bool may_drain = facts.publishing && !facts.units_held;
  const bool outbox = may_drain && facts.outbox_due && facts.drained_for_outbox;
  const bool drain = may_drain && (facts.logged || (facts.outbox_due && !facts.drained_for_outbox));
  const bool may_apply = facts.mode == Mode::apply && facts.messages > 0 && !facts.units_held;
  const bool apply = may_apply && (facts.apply_now || (facts.logged && facts.publishing) || facts.now >= facts.echoes_at);
  const bool resume = facts.stopped_tables && facts.now >= facts.resume_at;
  const bool scrub = may_drain && facts.now >= facts.scrub_at;
  const bool due = apply || drain || outbox;

  Turn turn{Step::none, 0, due || facts.logged};
  if (facts.now >= facts.look_at) turn.step = Step::look;
  else if (facts.now < facts.not_before) turn.step = Step::none;
  else if (outbox && !facts.outbox_last) turn.step = Step::outbox;
  else if (apply) turn.step = Step::apply;
  else if (drain) turn.step = Step::drain;
  else if (outbox) turn.step = Step::outbox;
  else if (resume) turn.step = Step::resume;
  else if (scrub) turn.step = Step::scrub;

  // What a look finds cannot be drained before: it waits for that, too.
  int64_t first = due ? 0 : std::min(facts.look_at, facts.now + kIdleUs);
  if (may_apply) first = std::min(first, facts.echoes_at);
  if (facts.stopped_tables) first = std::min(first, facts.resume_at);
  if (may_drain) first = std::min(first, facts.scrub_at);
  turn.again = std::max(facts.not_before, first);
  return turn;
}

}  // namespace marmot::node
