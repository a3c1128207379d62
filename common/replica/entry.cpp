#include "common/replica/entry.hpp"

#include "common/base/mutation.hpp"
#include "common/codec/message.hpp"
#include "common/core/row_hash.hpp"

namespace marmot::replica {

namespace {

EntryDecision without_position(const EntryFacts& facts) {
  if (facts.first > 1) return {EntryStep::snapshot, "its beginning (its first message is " + std::to_string(facts.first) + ")"};
  // Our own genesis, just written; or its acknowledgement, or what was to follow it, was cut off.
  if (facts.genesis->founder.node == facts.node && facts.last == 1) return {EntryStep::found, {}};
  return {EntryStep::join, {}};
}

// Is this the stream, and does it still hold what this file has seen?
EntryDecision with_position(const EntryFacts& facts) {
  const Position& position = facts.position;
  if (facts.genesis && facts.genesis->stream_id != position.stream_id && !mutated(Mutation::cursor_without_stream)) {
    return {EntryStep::history_lost, "it is another stream"};
  }
  if (position.seq > facts.last && !mutated(Mutation::stream_back_unnoticed)) {
    return {EntryStep::history_lost,
            "it ends at " + std::to_string(facts.last) + ", this file has seen " + std::to_string(position.seq)};
  }
  if (facts.first > position.seq + 1 && !mutated(Mutation::gap_skipped)) {
    return {EntryStep::snapshot, "messages " + std::to_string(position.seq + 1) + " to " + std::to_string(facts.first - 1)};
  }
  // Nothing seen yet, or what was seen last has aged out and the next message is the stream's first.
  if (position.seq == 0 || position.seq < facts.first) return {EntryStep::follow, {}};
  switch (facts.looked) {
    case EntryFacts::Look::not_yet: return {EntryStep::read_position, {}};
    case EntryFacts::Look::deleted: return {EntryStep::follow_unchecked, {}};
    case EntryFacts::Look::found: break;
  }
  if (facts.msg_id != position.msg_id && !mutated(Mutation::stream_back_unnoticed) && !mutated(Mutation::cursor_without_stream)) {
    return {EntryStep::history_lost, "message " + std::to_string(position.seq) + " is another one than this file has seen"};
  }
  return {EntryStep::follow, {}};
}

}  // namespace

Result<EntryFacts::Genesis> read_genesis(std::string_view bytes) {
  TRY_ASSIGN(const codec::Envelope envelope, codec::open(bytes));
  if (envelope.kind != codec::Kind::genesis) return EntryFacts::Genesis{bytes_hash(bytes) | 1, envelope.origin};
  TRY_ASSIGN(const uint64_t id, codec::decode_genesis(envelope.slice));
  return EntryFacts::Genesis{id, envelope.origin};
}

EntryDecision decide_entry(const EntryFacts& facts) {
  if (facts.last == 0) return {facts.may_found ? EntryStep::publish_genesis : EntryStep::wait_for_founder, {}};
  if (facts.first == 1 && !facts.genesis) return {EntryStep::read_genesis, {}};
  return facts.membership == Membership::none ? without_position(facts) : with_position(facts);
}

}  // namespace marmot::replica
