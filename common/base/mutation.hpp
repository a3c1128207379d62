// Deliberate faults, to show that the simulator finds them (tests/sim). In every build but the simulator's mutation build
// mutated() is a constant false and costs nothing. One hook each, where the rule that it breaks stands.
#pragma once

#include <cstdint>

namespace marmot {

enum class Mutation : uint8_t {
  none,
  version_check,          // a lower version overwrites a higher one
  node_tie_break,         // equal HLCs: whoever comes last wins
  skipped_drain,          // apply does not drain first
  log_deleted_first,      // the log is deleted before its versions are kept
  cursor_elsewhere,       // the cursor is written in another transaction than the rows
  tombstone_early,        // tombstones are pruned at once, and units of senders that had not applied them still land
  shelf_not_revisited,    // a freed unique value does not bring back a shelved row
  victim_missed,          // REPLACE's victims are not looked for
  old_key_unlogged,       // an UPDATE of a key logs the new one only
  parts_singly,           // a part of a unit is applied before the unit is whole
  rebuild_not_compared,   // a rebuilt table's rows are taken as unchanged
  gap_skipped,            // messages that are missing from the stream are passed over
  stream_back_unnoticed,  // a stream that lost its tail is followed as if nothing had happened
  hlc_not_raised,         // the clock does not observe applied versions
  user_triggers,          // the application's triggers fire on applied rows
  snapshot_overwrites,    // merging a snapshot overwrites newer rows
  ack_before_persist,     // a unit is published before the drain that made it has committed
  incarnation_reused,     // a restart goes on under the former incarnation
  cursor_without_stream,  // the stream's id is not compared
  hlc_per_row,            // every row of a drain gets an HLC of its own
  tombstone_by_clock,     // tombstones are pruned by age
  units_out_of_order,     // units of one origin are applied as they come
  compare_without_positions,  // digests are compared although they speak of different messages
  repair_not_published,   // what repair plans is not done
  schema_version_check,   // a register of the schema of a lower version overwrites a higher one
  default_not_filled,     // a row that was made without a column gets NULL in it
  forgotten_when_stored,  // a unit is not sent again once it was acknowledged
  lost_unit_forgotten,    // what a lost unit held is not sent again
  gone_not_compared,      // nodes are not compared because messages are gone
  effect_blamed,          // the effect of a trigger that fails is blamed on the row
  copied_rows_unmatched,  // rows whose rowids are others now are taken for those that had these
  short_hash,             // six bits stand for a row, and for a unique value
  kind_unchecked,         // a table is dropped for a virtual table of its name
  pruned_forgotten,       // a pruned tombstone that beats what comes is not known again
  refused_forgotten,      // units that a floor refuses are their sender's business alone
  text_by_sqlite,         // SQLite converts the text of a UTF-16 file
  twin_only_logged,       // an agent goes on beside another one of its name
  rekey_untold,           // what a migration that gives a table another key took away is told nobody
  ids_stay,               // the next id of a table is not moved to a block of the node's own
  ids_moved_apart,        // the next id is moved in a transaction of its own
  slot_taken_twice,       // every node takes the first slot
  geometry_unapplied,     // ids are dealt anew before the others have heard of it
  ids_not_ahead,          // a file that was put back counts on from the highest id that it knows
  retired_slot_at_once,   // a retired slot is granted again whatever its owner may have given out
  adopted_word_seen,      // the word AUTOINCREMENT that is ours is taken for the application's
  adoption_once,          // ... and is not put back where a tool rebuilt the table without it
  schema_unasked,         // the scrub does not ask for triggers that a tool took away
  handled_untold,         // a conflict that is handled on one node is handled there only
  names_undated,          // a row without a key is named by its rowid and the life alone
  clock_unprobed,         // an agent publishes before it has compared its clock with the server's
  misdated_applied,       // what is stamped too far ahead is applied
  reset_spares_tombstones,  // `marmot clock reset` lowers the versions of live rows alone
  overruled_forgotten,    // what lost against such stamps of a node's own does not come again when they have others
  merge_in_pieces,        // a snapshot is always merged a slice at a time
  schema_apart,           // what a transaction does to the schema is applied as it comes, before its rows
  tail_forgotten,         // a table is made without what follows its columns: STRICT, WITHOUT ROWID
};

#ifdef MARMOT_MUTATIONS
inline Mutation active_mutation = Mutation::none;  // set once, before any engine runs
inline bool mutated(Mutation which) { return active_mutation == which; }
#else
constexpr bool mutated(Mutation) { return false; }
#endif

}  // namespace marmot
