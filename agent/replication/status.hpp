// What one database tells of itself: plain facts, as they were at one moment, for whoever shows them (`marmot status`, its
// metrics, `marmot members`). Rows are rows of tables that are replicated; messages are messages of the stream, where those that
// the agents send for themselves (floors) are not counted; times are of this node's clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/repair/repair.hpp"
#include "agent/repair/verify.hpp"
#include "agent/snapshot/snapshots.hpp"
#include "common/base/ids.hpp"
#include "common/replica/types.hpp"

namespace marmot::agent {

enum class DatabaseState : uint8_t {
  opening,    // the file is opened
  preparing,  // rows that were there before get their first versions
  waiting,    // for NATS
  entering,   // it is found out where in the stream this file stands
  joining,    // the stream is followed, and what was in it before is not all here yet
  running,    // the stream is followed
  behind,     // the stream no longer holds what comes next, and no snapshot helps so far
  stopped,    // nothing is done for this database any more
};

// "opening", "preparing", ...
const char* name_of(DatabaseState state);

// What the file itself counts.
struct FileCounts {
  int64_t pending_rows = 0;          // changed here, and not acknowledged by the stream
  int64_t waiting_units = 0;         // for a stopped table
  int64_t quarantined_messages = 0;  // that do not decode
  int64_t conflicts = 0;             // rows kept because another one won
  int64_t conflicts_dropped = 0;     // ever; pushed out by conflict_log_rows
  int64_t staged_parts = 0;          // of units that are not whole yet
  int64_t gone_units = 0;            // passed over, for the stream does not hold them any more; until a floor
  int64_t split_units = 0;           // since the agent started; larger than atomic_rows
  int64_t shelved_rows = 0;          // not visible: a newer row has their unique value, or the table refuses them
};

struct Lag {
  uint64_t messages = 0;      // in the stream, and not applied here yet
  int64_t oldest_age_ms = 0;  // of the oldest that was delivered; 0: all that was delivered is applied
};

struct PeerStatus {
  NodeId node;
  uint64_t lag_messages = 0;  // in the stream, and not applied there yet
  int64_t seen_ms_ago = 0;
  int64_t clock_off_ms = 0;   // its clock differs from the NATS server's by more than it allows itself; above 0: it is ahead
};

struct TableStatus {
  std::string name;
  std::string stopped;  // why, with the cure; empty: it runs
};

struct DatabaseStatus {
  std::string name, path, stream;
  NodeId node;                    // this one; 0: the file is not open yet
  DatabaseState state = DatabaseState::opening;
  bool ready = false;             // all that the stream held when it was entered is here, and ids that are given out here are this node's own
  std::string state_text;         // why it waits, is behind or stopped; may be empty
  std::string last_error;         // the worst of what is wrong now; empty: nothing
  std::string alarm;              // replication stands still while the WAL grows; empty: it does not
  std::string to_know;            // what `marmot check` says of the file, in short; empty: nothing
  uint64_t published_rows = 0;    // acknowledged since the agent started
  uint64_t applied_rows = 0;      // of other nodes, written here since the agent started
  std::optional<FileCounts> file;  // nullopt: not open yet, or its thread did not answer in time
  std::optional<replica::IdReport> ids;  // likewise
  std::optional<Lag> lag;         // nullopt: the stream is not followed, and its end is not known
  StreamSeq position = 0;         // the last message of the stream that is applied here
  uint64_t writes_gave_way = 0;   // since the agent started; to an application that was inside a transaction
  uint64_t writes_forced = 0;     // since the agent started; beside such an application
  int64_t read_percent = 0;       // of the last minute, in which an application was inside a transaction
  size_t failed_effects = 0;      // different failures of what triggers write to tables that are not replicated
  std::string last_failed_effect;  // the last new one of these
  int64_t wal_bytes = 0;
  Repair::Status repair;
  uint64_t scrub_passes = 0;      // since the agent started; all rows compared with their versions
  uint64_t scrub_found_rows = 0;  // in them, that had been written without the triggers
  size_t members = 0;             // of the cluster, this node too
  int64_t clock_off_ms = 0;       // as PeerStatus's
  std::vector<PeerStatus> peers;
  SnapshotsStatus snapshots;
  std::vector<TableStatus> tables;
  std::vector<TableStatus> objects;  // what else of the schema could not be made here, or filled
};

// What waiting came to.
struct WaitOutcome {
  bool done = false;           // in time
  uint64_t pending_rows = 0;   // in units that the stream has not acknowledged
};

// `marmot clock`.
struct ClockStatus {
  bool known = false;         // this machine's clock was compared with the NATS server's on this connection
  int64_t off_ms = 0;         // as DatabaseStatus::clock_off_ms
  std::vector<std::pair<NodeId, int64_t>> others;  // of nodes whose clocks are off
  int64_t bound_ms = 0;       // how far ahead of its time the stream takes stamps
  int64_t ahead_ms = 0;       // the highest stamp of this file is ahead of now
  int64_t versions = 0;       // that are
  bool poisoned = false;      // by more than the bound: later writes lose
};

// What `marmot clock` is to change; nothing: it only asks.
struct ClockOrder {
  bool reset = false;
  int64_t bound_ms = 0;
};

struct MemberStatus {
  NodeId node;
  Incarnation incarnation;
  int64_t seen_ms_ago = 0;       // 0: this node
  StreamSeq applied = 0;         // the last message that it had applied, when it was last heard
  uint64_t behind_messages = 0;  // in the stream, and not applied there
  bool self = false;
  bool alive = false;            // heard a moment ago, or this node
};

// What `marmot verify` found, and with --repair what was repaired before it looked.
struct VerifyOutcome {
  VerifyReport report;
  std::optional<RepairReport> repaired;   // nullopt: not asked for
  std::vector<MemberStatus> unreachable;  // members that did not answer: what they hold nobody knows
};

}  // namespace marmot::agent
