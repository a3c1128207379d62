// What a run does to its cluster: drawn from the seed, many of the rates zero.
#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/random.hpp"

namespace marmot::sim {

struct Profile {
  int nodes = 3;
  int transactions = 150;          // committed, in all, before the faults stop
  int64_t tick_ms = 20;            // mean time between two pieces of work of an agent
  int64_t write_ms = 60;           // and between two of an application
  int64_t delay_ms = 5;            // of the network, at most
  int64_t atomic_rows = 0;         // 0: no limit, and transactions are checked to be whole
  uint64_t max_message = 900 * 1024;
  int64_t slice_us = 5000;
  int64_t checkpoint_pages = 1000;
  bool app_full_sync = true;       // synchronous=FULL
  bool recursive_triggers = false;

  // Per mille of ticks.
  uint64_t agent_crash = 0, app_crash = 0, power = 0;
  uint64_t io_errors = 0;          // while a bad spell lasts, of operations
  uint64_t spell = 0;              // a bad spell of a disk: errors, or no room
  uint64_t hold = 0;               // an application keeps its transaction open
  uint64_t read_hold = 0;          // or a snapshot
  uint64_t vacuum = 0;
  uint64_t rebuild = 0;            // of a table
  uint64_t moving = 0;             // a transaction on the tables whose schema changes (ddl.hpp)
  uint64_t ddl = 0;                // per mille of those that change it
  bool watch_drops = false;        // no table is told as dropped which no application dropped: tables that were swapped confuse it
  uint64_t kinds = 0;              // per mille of those that make a virtual table or a view of a name that tables have
  uint64_t shapes = 0;             // per mille of moving tables that are WITHOUT ROWID or have a generated column; if any, all may be STRICT
  uint64_t nulls = 0;              // per mille of redefined columns of moving tables that had no default and become NOT NULL
  uint64_t rekeys = 0;             // per mille of rebuilds of moving tables that give them another primary key
  bool migrate_at_start = false;   // every machine's application makes the same tables as it starts

  // Mean milliseconds between two, in the whole cluster; 0: never.
  int64_t partition_ms = 0, leader_ms = 0, clock_ms = 0, restore_ms = 0, stream_tail_ms = 0, stream_new_ms = 0, trim_ms = 0,
          join_ms = 0, away_ms = 0, floor_ms = 0, snapshot_ms = 0;
  uint64_t lost_acks = 0;          // per mille of answers
  uint64_t redelivered = 0;        // per mille of deliveries
  int64_t drift_ppm = 0;
  uint64_t pairs = 300;            // per mille of transactions that write to two tables
  uint64_t between = 0;            // statements between the two, at least
  bool unique = false;             // unique indexes in the schema
  uint64_t wide = 0;               // per mille of machines whose file is in UTF-16; if any, text is written that SQLite cannot convert
  bool failing_effects = false;    // triggers write to a table of each file's own that refuses some of it
  int64_t clock_grain_ms = 1;      // of all clocks
  bool drain_each = false;         // an agent that runs drains after each commit
  bool scrub = true;               // rows are compared with their versions
  bool keep_losers = false;        // unique_losers = "keep"
  bool restore_plain = false;      // a file is put back in place, and to a copy from when it was a member
  bool trim_beyond = false;        // retention takes messages that some node has not seen
  bool trim_all = false;           // and where nothing is in its way, all there are: the next message comes into an empty stream
  int64_t repair_ms = 0;           // between two rounds of anti-entropy; 0: never
  int64_t repair_registers = 2000; // in a range
  int64_t repair_keys = 4000;      // in an answer
  int64_t echo_ms = 0;             // an agent marks its own messages so long after the last one came, where no drain takes them along
  size_t publisher_bytes = size_t{64} << 20;  // beyond so many nothing is drained
  int64_t foreign_ms = 0;          // mean time between two messages of somebody who is no agent
  uint64_t damaged_messages = 0;   // per mille of those that agents send
  int64_t lose_ms = 0;             // mean time between two messages that the stream loses in its middle
  int64_t copied_ms = 0;           // mean time between two files that a tool makes anew without their rowids
  int64_t clone_ms = 0;            // mean time between two machines that are cloned while they run
  uint64_t lost_alive = 0;         // per mille of what agents say to find twins
  int64_t pruned_rows = 1'000'000; // replica::Settings::pruned_rows
  bool ids = false;                // nodes deal the ids of AUTOINCREMENT tables
  bool reuse = false;              // a table without a key in which the highest row goes and the next one comes, under its rowid
  bool watch_ids = false;          // no two machines may be about to give out one id, at any commit (docs/testing.md, "Open")
  bool watch_names = false;        // no two rows without a key may have one name, in the whole stream (the same)
  int64_t adopt_ms = 0;            // mean time between two tables that `marmot ids adopt` or `release` is said of
  int64_t untrigger_ms = 0;        // mean time between two tools that take a table's triggers away, and SQLite is not told
  int64_t discard_ms = 0;          // mean time between two conflicts that `marmot conflicts discard` is said of
  int64_t retire_ms = 0;           // mean time between two slots of ids that are retired, of nodes that are away
  int64_t reset_ms = 0;            // no stamp is refused, however far ahead clocks jump, until an operator has them reset
  bool clocks = false;             // agents compare their clocks with the server's, and the stream judges stamps; else whatever they say is taken
  uint64_t halves = 0;             // per mille of transactions that make a table, drop the one before, and write a row that names the one there is
  int64_t damage_ms = 0;           // mean time between two things that only anti-entropy can see

  static Profile draw(Random& random);
  std::string print() const;
};

// Without what this build of the engine does not do yet.
Profile sensible(Profile profile);

}  // namespace marmot::sim
