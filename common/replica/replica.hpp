// The replication engine over one database file: drain what the triggers logged into units, apply units from the stream,
// keep a version for every row. docs/design.md says why it is as it is.
//
// Deterministic: time, randomness and the question "is another process reading?" come in through Environment; messages
// come in through apply() and go out as OutUnits. No thread, no clock, no socket. One thread owns a Replica and its
// connection. Every function that writes runs one short write transaction; when it returns an error nothing was changed,
// in the file or in memory, and it may be called again - but after Errc::stale: the file was rolled back or replaced, or an I/O
// error left its virtual tables in doubt, which every later one says too. Then it must be opened again, under a new incarnation.
//
//   open -> baseline until done -> [found | compare*, join] -> then, in any order: drain, publish_outbox, apply
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.hpp"
#include "common/base/log.hpp"
#include "common/base/result.hpp"
#include "common/core/clock_reset.hpp"
#include "common/core/comparison.hpp"
#include "common/core/hlc.hpp"
#include "common/core/siphash.hpp"
#include "common/replica/types.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

enum class IdMode : uint8_t { off, compact, extended };

// Ids of AUTOINCREMENT tables (docs/decisions/0037-ids-that-never-collide.md).
struct IdSettings {
  IdMode mode = IdMode::off;
  std::vector<std::string> narrow;  // names of tables whose ids are to stay as low as they can
  bool held = false;                // nothing new is said of ids, nor of handled conflicts, before Replica::hold_ids(false)
  bool adopt = false;               // tables with a plain INTEGER PRIMARY KEY become AUTOINCREMENT by themselves
};

struct Settings {
  std::vector<std::string> include = {"*"};  // globs of tables to watch
  std::vector<std::string> exclude;
  int64_t atomic_rows = 100000;              // a unit's largest number of log rows; 0: no limit
  size_t unit_cells = size_t{1} << 25;       // a unit's largest number of values: its reader holds 32 bytes of each
  size_t max_message = 900 * 1024;           // bytes of one sealed message: the server's max_payload less headers
  int64_t slice_us = 5000;                   // apply holds the write lock this long, or for one unit
  bool retire_losers = true;                 // a node deletes rows of its own that lost a UNIQUE collision, keeping them in the
                                             // conflicts; false: they stay on the shelf, to return when the winner goes
  int64_t conflict_log_rows = 10000;         // how many conflicts are kept; the oldest go
  int64_t pruned_rows = 1'000'000;           // how many pruned tombstones are remembered; the oldest go
  IdSettings ids;
};

struct Environment {
  std::function<WallMs()> now;               // wall clock
  std::function<int64_t()> monotonic_us;
  // Does another process hold a snapshot that it may still write from? Asked inside a polite transaction: between pieces of work
  // and just before COMMIT, where the answer "no" should hold until the transaction is over.
  enum class Moment : uint8_t { between, before_commit };
  std::function<bool(Moment)> others_reading;
  std::function<void()> transaction_over;    // a write transaction was committed or rolled back; may be empty
  LogSink log;
};

// Who writes. The node id is kept in the file's meta; the incarnation is new at every start.
struct Identity {
  NodeId node;
  Incarnation incarnation;
  Hlc high_water;  // from data_dir: no smaller HLC was ever given out for this file (it may have been rolled back)
  HashKey hash_key;  // random: for a file that has none yet
  bool copied = false;  // the file is not the one that it was: another may hold the same, and go on
  std::vector<NodeId> former;  // that this file's former lives had, and nobody has now (node/former_ids.hpp)
  bool older = false;  // the file may be older than it was, whatever `high_water` says of that: its machine went down
  std::vector<NodeId> lives;  // that agents had on the file at its path (node/former_ids.hpp)
};

class Replica {
 public:
  // Takes a connection in WAL mode with a busy timeout, and prepares it (application triggers off, foreign keys and CHECK
  // not enforced: docs/design.md, "Apply"). Creates the internal tables, watches what the settings choose, and logs what it does
  // not watch and why. Errc::newer_format when a later Marmot made the internal tables.
  static Result<Replica> open(sqlite::Database db, Settings settings, Environment environment, Identity identity);
  ~Replica();
  Replica(Replica&&) noexcept;
  Replica& operator=(Replica&&) noexcept;

  // Gives rows that stood here before their table was watched a version, a slice at a time. True: all have one.
  Result<bool> baseline();

  Membership membership() const;
  Position position() const;
  Hlc last_hlc() const;       // keep it in data_dir before publishing what a drain returned
  Origin origin() const;
  WallMs now() const;         // the environment's

  // Under what the file's rows are hashed: what a stream that this node founds is to say (codec::Genesis).
  HashKey hash_key() const;

  // Each way into a stream takes its key. Where that is not the file's, every row is hashed anew, in the same transaction. None: the
  // snapshot that is merged next brings it.
  // First on a new stream, whose first message is the one behind `before`: what stands here is published (by publish_outbox).
  Status found(uint64_t stream_id, StreamSeq before = 0, const std::optional<HashKey>& key = {});

  // Joining a stream with a file that holds rows. Feed the stream's messages from its first to its present end to
  // compare(), then ask comparison(); nothing is written. Empty files need no comparison.
  bool empty_file() const;    // no watched table holds a row
  Status compare(const Incoming& message);
  // As if every message up to the position of the snapshot at `path` had been given to compare(): go on with the next one.
  // Reads the snapshot's registers, not its rows.
  Status compare_snapshot(const std::string& path);
  Result<Comparison> comparison();
  // Removes the local rows of every watched table, unlogged (`--adopt=replace`; the caller made the backup).
  Status discard_rows();
  // Accepts the stream: apply() follows from its first message, the one behind `before`; publishing starts once `end` was
  // applied. What the cluster has under an equal key wins; what only stands here is published.
  Status join(uint64_t stream_id, StreamSeq end, StreamSeq before = 0, const std::optional<HashKey>& key = {});

  // The stream ends at `end` now. Where it lost what this file was still to read before it becomes a member, that wait is
  // over.
  Status stream_ends(StreamSeq end);

  // The stream is not the one, or no longer holds what, this file has seen (docs/decisions/0004-lost-history.md): take a new incarnation,
  // read the stream from its first message, the one behind `before`, and once `end` was applied publish what it then still
  // lacks.
  Status history_lost(uint64_t stream_id, StreamSeq end, Incarnation incarnation, StreamSeq before = 0,
                      const std::optional<HashKey>& key = {});

  // The stream's end, when it is entered. A row of ours that is on the shelf loses for good only by what stands there: it is
  // not retired before that has been applied.
  void follows_to(StreamSeq end);

  // Takes the whole log (at most atomic_rows). `polite`: when another process holds a snapshot just before COMMIT, roll
  // back and return Errc::busy.
  Result<DrainResult> drain(bool polite);

  // Everything unacknowledged from before this incarnation, with the versions it has: call it after the first drain until
  // it returns nothing (again after join has reached its end, found() or history_lost()).
  Result<DrainResult> publish_outbox(bool polite);
  // A unit of ours is not in the stream though the stream took it: publish_outbox() has work again.
  Status unit_lost();
  // It had nothing left to do, and has again: whatever drains, applies, compares or repairs can be what finds it.
  bool outbox_again() const;

  // Applies messages from the front of `queue` while the slice lasts, in one transaction with the cursor; erases the
  // consumed ones. Errc::newer_format: the front message is of a later Marmot; it stays in the queue.
  Result<ApplyResult> apply(std::deque<Incoming>& queue, bool polite);

  // Merges the snapshot at `path` (snapshot.hpp) into this file: begin, then slices until `done`. Each slice is a short
  // write transaction that drains first. The position moves to the snapshot's with the last slice, so an interrupted
  // merge is begun again. A row that is absent from the snapshot is deleted where the snapshot remembers its deletion, or has
  // forgotten ones that are younger than it and some stream had the row (a pending change is kept among the conflicts); else it
  // is kept and published again. Also how a file that never met the stream joins when the stream lost its beginning. Errc::stale: the snapshot
  // lacks units of this incarnation that had come round; what follows them has to come from another one.
  Status merge_begin(const std::string& path);
  Result<MergeResult> merge_slice(bool polite);
  void merge_abandon();          // closes the snapshot; what was merged stays

  // Clocks (docs/decisions/0032-a-clock-that-was-wrong.md). By how much changes of this file that the stream does not hold are stamped ahead of
  // `now`, JetStream's time, where the stream would refuse them, or has; 0: none are.
  Result<int64_t> misdated(WallMs now);
  // Gives them the time of the message that was refused or, where none was sent, `now`, under a new incarnation, and applies what had lost against
  // them. What was drained before is void: whoever publishes forgets it, and publish_outbox() has work again.
  Status redate(WallMs now, Incarnation incarnation);

  // How far stamps that this file holds are ahead of `now`, and what lowers them to it. Reads all versions, without the write lock.
  Result<ClockReport> clock_report(WallMs now);
  // A message that changes the stream's bound (in ms; 0: does not), or lowers stamps, to be published like any unit. Errc::busy: the file is no
  // member yet. Whoever applies one that lowers stamps is to redate() then.
  Result<DrainResult> change_clocks(int64_t bound, const ClockReset& reset, bool polite);

  // The floor (docs/how-it-works.md): up to which stream sequence tombstones are pruned everywhere.
  StreamSeq floor() const;
  // A floor message for the stream, to be published like any unit. Every member must have applied `seq`. No unit: there is
  // nothing to prune up to it.
  Result<DrainResult> announce_floor(StreamSeq seq, bool polite);

  // What is missing in what this file has read of the stream, until a floor has passed it. Whoever runs the engine has the nodes compared
  // for it, and no floor announced from its first message on before they were found equal.
  Gap gap() const;
  // Something waits here that only a floor ends.
  Result<bool> wants_floor();

  // Units that wait for a table or column that no schema message has told of. Cheap but for the first call.
  Result<int64_t> untold_units();

  // Cheap: did another connection commit since the last call, or is the log not empty?
  Result<bool> has_work();

  // How many rows the log holds, about: what the next drain takes in one piece.
  Result<int64_t> undrained();

  // Changes whenever another connection has committed.
  Result<int64_t> data_version();

  // The last unit of this incarnation that has come round in the stream, by itself or in a snapshot; 0: none.
  Result<uint64_t> own_units();

  // A copy of the file is being taken (SnapshotCopy): another connection of this process reads it.
  bool being_copied() const;

  // Our own messages, coming round, let something go on here: rows wait on the shelf to be retired, a slot is claimed, or the file is still to become
  // a member, or to send again what a stream lost. Else they only mark what they acknowledge, which may wait.
  bool wants_echoes() const;

  // Tries stopped tables again, and fills full-text indexes whose content has come. True: at least one table runs again.
  Result<bool> resume_stopped();
  bool resumes() const;  // there may be something to try again, now or in time

  // Names of the application's tables, indexes, views and triggers whose SQL this engine changed in the file, because of other
  // nodes, since the last call; of a renamed one both names. Only what was committed is among them.
  std::set<std::string> take_schema_changes();

  Result<Counters> counters();
  std::vector<StoppedTable> stopped() const;
  std::vector<StoppedTable> unfilled() const;  // full-text indexes whose content cannot be read here; they hold nothing up
  const FailedEffects& failed_effects() const;
  std::vector<std::string> watched() const;  // names of the tables that are replicated, stopped ones too

  // Reads rows, not versions: what is really there. `seed`: random, drawn by whoever compares, the same on all nodes that are compared.
  Result<std::vector<TableDigest>> digests(const HashKey& seed);
  Result<std::vector<KeyHash>> bucket_keys(const HashKey& seed, const std::string& table, int bucket);

  // Full-text indexes of this file that are out of step with their content, or take longer than `limit_us` each to check.
  // Holds the write lock while it checks one, and commits nothing. Errc::busy: it did not get the lock.
  Result<std::vector<FullTextFault>> check_full_text(int64_t limit_us);

  // Compares the next rows with their versions, at most 5 ms and some; writes only when something is found, which is then
  // drained like any change.
  Result<ScrubResult> scrub(bool polite);
  void scrub_again();  // the next call begins a new pass

  // Anti-entropy (common/node/repair_plan.hpp): at most `limit` registers. Errc::not_found: the table is not replicated here, or stopped.
  Result<RangeDigest> range_digest(const CompareBy& by, const KeyRange& range, int64_t limit);
  Result<RangeKeys> range_keys(const CompareBy& by, const KeyRange& range, int64_t limit, size_t max_bytes);
  // Does the actions whose register is still what the plan saw (`done` counts them); publish_outbox sends the rest.
  // `table` empty: the whole schema is to be told again.
  Result<DrainResult> repair(const std::string& table, const std::vector<RepairAction>& actions, bool polite, int64_t* done);

  // Who belongs to the cluster, as kept in the file. `members` are added or renewed; whoever was last seen before
  // `forget_before` goes.
  Result<std::vector<Member>> members();
  Status keep_members(const std::vector<Member>& members, WallMs forget_before);

  // Has this node a slot, so that no other gives out its ids? True where the settings deal none.
  bool ids_ready() const;
  bool deals_ids() const;  // the settings deal ids at all
  // Of every AUTOINCREMENT table that is replicated.
  Result<IdReport> ids();
  // While held, nothing new is said of ids: a node with an earlier Marmot would follow the stream no further.
  void hold_ids(bool on);
  // The slot's owner is gone for good: it is told with the next drain. Errc::not_found: it is not granted to anybody. Errc::refused: it is this
  // node's own.
  Status retire_slot(int slot);

  void trace(bool on);  // fill `changes` in results
  void set_max_message(size_t bytes);  // Settings::max_message, once the server has told its limit; units made from now on

  sqlite::Database& database();

  struct Impl;  // engine.hpp

 private:
  friend class SnapshotCopy;
  explicit Replica(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace marmot::replica
