#include "common/node/stream_entry.hpp"

#include "common/base/mutation.hpp"
#include "common/codec/envelope.hpp"
#include "common/core/row_hash.hpp"

namespace marmot::node {

namespace {

constexpr int64_t kAskedMs = 5'000;      // so long another node has to be heard of
constexpr int64_t kRivalMs = 10'000;     // and the lowest that waits to begin anew
constexpr int64_t kMissingMs = 600'000;  // a member that is away may be the one that can help

// What comes next for this file is no longer in the stream. Where nobody can tell it either, what the nodes hold is all there
// is. A file that never was in the stream has no say in that.
EntryDecision without_messages(const EntryFacts& facts, const std::string& what) {
  if (!facts.company) return {EntryStep::snapshot, what};
  const EntryFacts::Company& company = *facts.company;
  const int64_t least = !company.all_wait ? kMissingMs : company.lowest ? kAskedMs : kRivalMs;
  if (facts.membership == replica::Membership::none || company.able || company.waited_ms < least) return {EntryStep::ask_for_snapshot, what};
  return {EntryStep::begin_anew, what};
}

EntryDecision without_position(const EntryFacts& facts) {
  if (facts.beginning != EntryFacts::Beginning::there) {
    return without_messages(facts, "its beginning (its first message is " + std::to_string(facts.first) + ")");
  }
  // Our own genesis, just written; or its acknowledgement, or what was to follow it, was cut off.
  if (facts.genesis->founder.node == facts.node && facts.last == facts.first) return {EntryStep::found, {}};
  return {EntryStep::join, {}};
}

// Is this the stream, and does it still hold what this file has seen?
EntryDecision with_position(const EntryFacts& facts) {
  const replica::Position& position = facts.position;
  if (facts.genesis && facts.genesis->stream_id != position.stream_id && !mutated(Mutation::cursor_without_stream)) {
    return {EntryStep::history_lost, "it is another stream"};
  }
  if (position.seq > facts.last && !mutated(Mutation::stream_back_unnoticed)) {
    return {EntryStep::history_lost,
            "it ends at " + std::to_string(facts.last) + ", this file has seen " + std::to_string(position.seq)};
  }
  if (facts.first > position.seq + 1 && !mutated(Mutation::gap_skipped)) {
    return without_messages(facts, "messages " + std::to_string(position.seq + 1) + " to " + std::to_string(facts.first - 1));
  }
  // Nothing seen yet, or what was seen last has aged out and the next message is the stream's first.
  if (position.seq == 0 || position.seq < facts.first) return {EntryStep::follow, {}};
  switch (facts.looked) {
    case EntryFacts::Look::not_yet: return {EntryStep::read_position, {}};
    case EntryFacts::Look::deleted: return {EntryStep::follow_unchecked, {}};
    case EntryFacts::Look::found: break;
  }
  if (!position.is(facts.msg_id, facts.msg_at) && !mutated(Mutation::stream_back_unnoticed) && !mutated(Mutation::cursor_without_stream)) {
    return {EntryStep::history_lost, "message " + std::to_string(position.seq) + " is another one than this file has seen"};
  }
  return {EntryStep::follow, {}};
}

}  // namespace

Result<std::optional<EntryFacts::Genesis>> read_beginning(StreamSeq seq, std::string_view bytes) {
  const std::optional<EntryFacts::Genesis> none;
  const auto envelope = codec::open(bytes);
  if (!envelope && seq > 1 && envelope.error().code == Errc::corrupt) return none;
  TRY(envelope);
  if (envelope->kind != codec::Kind::genesis) {
    if (seq > 1) return none;
    return std::optional(EntryFacts::Genesis{bytes_hash(bytes) | 1, envelope->origin, HashKey{bytes_hash(bytes, 1) | 1, bytes_hash(bytes, 2)}});
  }
  const auto genesis = codec::decode_genesis(envelope->slice);
  if (!genesis && seq > 1) return none;  // a clock probe
  TRY(genesis);
  return std::optional(EntryFacts::Genesis{genesis->stream_id, envelope->origin, genesis->hash_key});
}

StreamSeq before_beginning(const EntryFacts& facts) {
  return facts.beginning == EntryFacts::Beginning::there && facts.first > 0 ? facts.first - 1 : 0;
}

EntryDecision decide_entry(const EntryFacts& facts) {
  if (facts.last == 0) return {facts.may_found ? EntryStep::publish_genesis : EntryStep::wait_for_founder, {}};
  if (facts.first < facts.anew && facts.anew <= facts.last) return {EntryStep::drop_before, {}};
  if (facts.beginning == EntryFacts::Beginning::not_read && facts.first <= facts.last) return {EntryStep::read_genesis, {}};
  if (facts.membership == replica::Membership::none) return without_position(facts);
  // A stream that was made anew may have come just as far as this file's position.
  if (facts.beginning != EntryFacts::Beginning::there && !facts.genesis && !facts.asked_name) return {EntryStep::learn_stream, {}};
  return with_position(facts);
}

}  // namespace marmot::node
