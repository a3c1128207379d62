// What goes into the engine (replica.hpp) and what comes out of it: for those who decide what a node does next without
// touching a file (common/node), and for those who carry it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.hpp"
#include "common/core/clock_reset.hpp"
#include "common/core/hlc.hpp"
#include "common/core/unit.hpp"

namespace marmot::replica {

// Where this file stands in the stream.
struct Position {
  uint64_t stream_id = 0;  // 0: never been in a stream
  StreamSeq seq = 0;       // the last message applied
  std::string msg_id;      // its Nats-Msg-Id
  WallMs at = 0;           // JetStream's timestamp of it; 0: not known (an earlier Marmot kept none); kGone: it was gone
  static constexpr WallMs kGone = -1;

  // Is this message, which the stream holds under that number, the one that was applied? Messages of others have no id, and a
  // unit can be sent again under its id into a stream that has lost it.
  bool is(const std::string& id, WallMs time) const { return id == msg_id && (at == 0 || time == 0 || at == time); }
};

// Something to publish: all parts, in order. The same bytes again on every retry.
struct OutUnit {
  uint64_t number = 0;
  size_t rows = 0;
  std::vector<std::string> messages;
  std::vector<std::string> msg_ids;  // one a message
};

// A message of the stream.
struct Incoming {
  StreamSeq seq = 0;
  WallMs at = 0;  // JetStream's timestamp
  std::string msg_id;
  std::string bytes;
  bool gone = false;  // in place of all messages up to `seq` that did not come: the stream does not hold them any more
};

// Messages that were gone from the middle of the stream before a file had read them (gone.cpp). 0, 0: none, or it is over.
struct Gap {
  StreamSeq first = 0, last = 0;  // the first one, and the last
};

// One row that changed, for `marmot tail`.
struct Change {
  bool in = false;  // from the stream; else ours
  std::string table;
  Op op = Op::insert;
  std::string key;  // core describe_key
  Version version;
  StreamSeq seq = 0;
};

struct DrainResult {
  std::vector<OutUnit> units;   // to be published in this order
  std::vector<Change> changes;  // when tracing
  bool more = false;            // the log holds more than atomic_rows: call again
  int64_t held_us = 0;          // how long the write lock was held
};

struct ApplyResult {
  std::vector<OutUnit> units;   // what the drain before the apply found
  std::vector<Change> changes;
  size_t messages = 0;          // consumed from the front of the queue
  size_t rows = 0;              // rows in them
  size_t rows_changed = 0;      // rows that won
  bool refused = false;         // a unit of ours is lost, or came too late (floor.cpp): publish_outbox() has work again
  bool misdated = false;        // a unit of ours was refused for its stamps: Replica::redate() is due
  StreamSeq begins_anew = 0;    // the front message is the genesis of another stream: what was before it is void (common/node/stream_entry.hpp)
  int64_t held_us = 0;
};

// How ids are dealt, and what that means for this file (docs/decisions/0037-ids-that-never-collide.md).
struct IdReport {
  struct Slot {
    int slot = 0;
    NodeId owner;
    bool retired = false;
  };
  struct Table {
    std::string name;
    int64_t next = 0;       // the id that SQLite gives out next
    int64_t left = 0;       // how many more lie in this node's block; where the node is alone, 0
    int64_t highest = 0;    // id of a row here
    int64_t from = 1, block = 0, slots = 0;
    int64_t largest = 0;    // number of ids that one look at the file found given out, since it was opened
    std::optional<int64_t> to_31_bits_ms, to_53_bits_ms;  // IdForecast
  };
  std::optional<int> own;   // this node's slot
  bool alone = true;        // no other node has one
  int64_t given = 0;        // ids that this node gave out since the file was opened
  int64_t outside = 0;      // of them outside of its blocks: another node may give out the same
  std::vector<Slot> slots;
  std::vector<Table> tables;
  // Tables with a plain INTEGER PRIMARY KEY: every node counts their ids up by itself, and `marmot ids adopt` ends that.
  struct Plain {
    std::string name;
    std::string why_not;      // it cannot be adopted; empty: it can
  };
  std::vector<Plain> plain;
  struct Collisions {
    std::string table;
    int64_t rows = 0;         // that lost their id to another node's row, and are in the conflicts
    WallMs since = 0;         // the oldest of them
  };
  std::vector<Collisions> collisions;
};

// Replica::clock_report.
struct ClockReport {
  int64_t versions = 0;  // that are ahead
  int64_t ahead_ms = 0;  // by how much the highest stamp is; 0: none is
  int64_t bound_ms = 0;  // the stream's
  ClockReset reset;      // lowers them
};

// What joining would do to a file that holds data.
struct Comparison {
  int64_t equal = 0;
  int64_t differing = 0;    // the same key, another row
  int64_t only_here = 0;
  int64_t only_there = 0;   // will simply arrive
  std::vector<std::string> examples;  // "users 17: differs", at most ten
  bool accepted() const { return differing == 0 && only_here == 0; }
};

enum class Membership : uint8_t {
  none,     // has not met a stream: publishes nothing
  joining,  // applies the stream up to where it ended when it joined: publishes nothing yet
  member,
};

struct StoppedTable {
  std::string name;
  std::string reason;  // with the cure
};

struct Counters {
  int64_t log_rows = 0;     // touched, not yet drained
  int64_t outbox_rows = 0;  // drained, not yet seen in the stream
  int64_t waiting_units = 0;
  int64_t staged_parts = 0;  // of units that are not whole, or not next
  int64_t quarantined = 0;
  int64_t conflicts = 0;
  int64_t shelved = 0;           // live rows that are not visible: a newer row has a unique value of theirs, or refused
  int64_t conflicts_dropped = 0; // pushed out by conflict_log_rows
  int64_t split_units = 0;  // units since the start that went out or came in as part of a larger one (beyond atomic_rows)
  int64_t gone_units = 0;   // that were passed over because the stream does not hold them (gone.cpp), until a floor
};

// What triggers should have written here, to tables that are not replicated, and what failed (docs/decisions/0018-effects-that-fail.md).
// Counted since the file was opened.
struct FailedEffects {
  static constexpr size_t kMost = 100;  // different ones that are told and counted; later ones are neither
  size_t different = 0;                 // in trigger, table or reason
  std::string last;                     // the last that was new, as the log has it; empty: none failed
};

// What a slice of a merge did (Replica::merge_slice).
struct MergeResult {
  std::vector<OutUnit> units;  // what the drain before the slice found
  std::vector<Change> changes;
  bool done = false;
  int64_t rows = 0;            // registers looked at, of `total`
  int64_t total = 0;
  int64_t held_us = 0;
};

// Somebody who belongs to the cluster.
struct Member {
  NodeId node;
  Incarnation incarnation;
  WallMs seen = 0;          // here
  StreamSeq applied = 0;    // by it, then
};

// A slice of the comparison of rows with their versions (scrub.cpp).
struct ScrubResult {
  std::vector<OutUnit> units;
  std::vector<Change> changes;  // when tracing
  std::vector<Change> found;    // what capture had not seen
  int64_t rows = 0;             // rows and versions looked at
  bool done = false;            // a whole pass ends here; the next call begins another
  bool not_now = false;         // something waits to be drained, or the file is no member: nothing was looked at
  int64_t held_us = 0;
};

}  // namespace marmot::replica
