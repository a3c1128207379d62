// Where a database file stands in its stream, decided from facts (DESIGN section 3). Pure: whoever asks (the agent, the
// simulator) brings what it knows, does what the answer says, and asks again once it knows more:
//
//   empty stream -> publish_genesis, or wait_for_founder           the file never met a stream -> found, join or snapshot
//   the file has a position: another stream, a stream that ends before it, another message under its number
//   -> history_lost; what comes next is no longer there -> snapshot; else -> follow
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/ids.hpp"
#include "common/replica/replica.hpp"

namespace marmot::replica {

struct EntryFacts {
  // The file.
  NodeId node;
  Membership membership = Membership::none;
  Position position;
  bool may_found = true;  // false: somebody else makes the stream's first message

  // The stream: its first and last sequence; last 0: it holds nothing.
  StreamSeq first = 0, last = 0;
  struct Genesis {
    uint64_t stream_id = 0;
    Origin founder;
  };
  std::optional<Genesis> genesis;  // the stream's first message; nullopt: not read yet, or no longer there (first > 1)
  enum class Look : uint8_t { not_yet, found, deleted };
  Look looked = Look::not_yet;     // for the message at the file's position
  std::string msg_id;              // found: its Nats-Msg-Id
};

enum class EntryStep : uint8_t {
  wait_for_founder,
  publish_genesis,   // expecting an empty stream; then ask again with first = last = its sequence, and `genesis`
  read_genesis,      // message 1; ask again with `genesis`
  found,             // Replica::found
  join,              // Replica::join; a file that holds rows is compared first
  read_position,     // the message at the file's position; ask again with `looked`
  follow,            // subscribe behind the position
  follow_unchecked,  // the same; the message that the file has seen last was deleted, so nobody can tell that it was that one
  snapshot,          // what comes next for this file (everything, where it never met a stream) is only in snapshots
  history_lost,      // Replica::history_lost
};

struct EntryDecision {
  EntryStep step = EntryStep::follow;
  std::string why;   // snapshot, history_lost
};

// The stream's first message. Where a node that still followed a deleted stream came before the genesis, it is a message
// like any other: its bytes, which are never sent under another id, then name the stream. (Deleting such a stream would race
// with another node that does the same.) Errc::corrupt: not Marmot's.
Result<EntryFacts::Genesis> read_genesis(std::string_view bytes);

EntryDecision decide_entry(const EntryFacts& facts);

}  // namespace marmot::replica
