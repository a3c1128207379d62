// Where a database file stands in its stream, decided from facts (docs/design.md, "Joining"). Pure: whoever asks (the agent, the
// simulator) brings what it knows, does what the answer says, and asks again once it knows more:
//
//   empty stream -> publish_genesis, or wait_for_founder           the file never met a stream -> found, join or snapshot
//   the file has a position: another stream, a stream that ends before it, another message under its number
//   -> history_lost; what comes next is no longer there -> snapshot; else -> follow
//   no snapshot either, and nobody who could take one -> begin_anew (docs/decisions/0014)
//   the message that names the stream has aged out -> learn_stream: a snapshot of it has its name too
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/ids.hpp"
#include "common/core/siphash.hpp"
#include "common/replica/types.hpp"

namespace marmot::node {

struct EntryFacts {
  // The file.
  NodeId node;
  replica::Membership membership = replica::Membership::none;
  replica::Position position;
  HashKey hash_key;       // the file's: a stream that this node founds, or begins anew, gets it
  bool may_found = true;  // false: somebody else makes the stream's first message
  StreamSeq anew = 0;     // ApplyResult::begins_anew: a genesis that stands behind the file's position; 0: none was met

  // The stream: its first and last sequence; last 0: it holds nothing.
  StreamSeq first = 0, last = 0;
  struct Genesis {
    uint64_t stream_id = 0;
    Origin founder;
    std::optional<HashKey> hash_key;  // none: known from a snapshot, which brings it along when it is merged
  };
  std::optional<Genesis> genesis;  // what names the stream: the message it begins with or, where that is gone, a snapshot
  enum class Beginning : uint8_t { not_read, there, gone };
  Beginning beginning = Beginning::not_read;  // is its first message the one that it begins with? (first > last: it holds none)
  bool asked_name = false;         // snapshots were asked for `genesis`
  enum class Look : uint8_t { not_yet, found, deleted };
  Look looked = Look::not_yet;     // for the message at the file's position
  std::string msg_id;              // found: its Nats-Msg-Id
  WallMs msg_at = 0;               // likewise: JetStream's timestamp

  // Where a snapshot was looked for, and none fits.
  struct Company {
    int64_t waited_ms = 0;   // for one, without a pause
    bool able = false;       // another node follows the stream: it takes a snapshot when asked
    bool all_wait = false;   // every other member is there, and waits for a snapshot too
    bool lowest = false;     // this node, of those that wait
  };
  std::optional<Company> company;
};

enum class EntryStep : uint8_t {
  wait_for_founder,
  publish_genesis,   // expecting an empty stream; then ask again with first = last = its sequence, and what read_genesis sets
  read_genesis,      // the stream's first message; ask again with `beginning`, and `genesis` where it is there
  learn_stream,      // the newest snapshot's stream id; ask again with `asked_name`, and `genesis` where there is a snapshot
  found,             // Replica::found
  join,              // Replica::join; a file that holds rows is compared first
  read_position,     // the message at the file's position; ask again with `looked`
  follow,            // subscribe behind the position
  follow_unchecked,  // the same; the message that the file has seen last was deleted, so nobody can tell that it was that one
  snapshot,          // what comes next for this file (everything, where it never met a stream) is only in snapshots: take
                     // the newest that fits; there is none: ask again with `company`
  ask_for_snapshot,  // ask the other nodes for one, and enter again a little later
  begin_anew,        // publish a genesis, expecting the stream to end where it does; then as after drop_before
  drop_before,       // purge what stands before `anew`; enter again
  history_lost,      // Replica::history_lost
};

struct EntryDecision {
  EntryStep step = EntryStep::follow;
  std::string why;   // snapshot, ask_for_snapshot, begin_anew, history_lost
};

// The message `bytes`, the first that the stream holds, as its beginning. nullopt: it is one like any other, what was before
// it has aged out. Under number 1 it is the beginning whatever it is: where a node that still followed a deleted stream came
// before the genesis, its bytes, which are never sent under another id, name the stream and its key: the sender's random incarnation
// is in them. (Deleting such a stream would race
// with another node that does the same.) Errc::corrupt: number 1 is not Marmot's.
Result<std::optional<EntryFacts::Genesis>> read_beginning(StreamSeq seq, std::string_view bytes);

EntryDecision decide_entry(const EntryFacts& facts);

// Where reading begins for a file that has to read all of the stream: behind this message.
StreamSeq before_beginning(const EntryFacts& facts);

}  // namespace marmot::node
