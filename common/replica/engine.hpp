// Inside of Replica: shared by drain.cpp, apply.cpp, outbox.cpp, membership.cpp, schema.cpp and digest.cpp. Not for others.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/codec/clock.hpp"
#include "common/codec/handled.hpp"
#include "common/codec/ids.hpp"
#include "common/codec/message.hpp"
#include "common/core/key.hpp"
#include "common/replica/coerce.hpp"
#include "common/replica/conflict.hpp"
#include "common/replica/effects.hpp"
#include "common/replica/id_registry.hpp"
#include "common/replica/registers.hpp"
#include "common/replica/replica.hpp"
#include "common/replica/sql_text.hpp"
#include "common/replica/store.hpp"
#include "common/replica/table.hpp"

namespace marmot::replica {

// A key touched since the last drain, with the last time it was.
struct Touched {
  Table* table = nullptr;
  std::string id;  // the table's id in eight bytes, then the key
  WallMs at = 0;
  std::string_view key() const { return std::string_view(id).substr(sizeof(int64_t)); }
};

std::string touched_id(int64_t table, std::string_view key);  // Touched::id

// The touched keys of one drain, each once.
class TouchedKeys {
 public:
  void add(Table* table, std::string_view key, WallMs at);
  // In order of last touch, so that versions get their true times.
  void sort();
  size_t size() const { return list_.size(); }
  const Touched& operator[](size_t i) const { return list_[i]; }
  // A former life of this agent has left them. It may have drained them all the same, and published them, if the file was put back since.
  bool left_over = false;
  bool continues = false;  // pieces of the same log have been drained before
  bool unseen = false;     // no log names them: when they were changed, nobody knows

 private:
  std::deque<Touched> list_;  // a deque: `index_` points into it, and drain reads while victims are added
  std::unordered_map<std::string_view, size_t> index_;  // Touched::id
};

// Writes units of at most `atomic_rows` rows, numbering them as they are finished.
class UnitStream {
 public:
  // `base`: what this file had applied when the rows were read.
  UnitStream(Origin origin, StreamSeq base, uint64_t* next_number, const Settings& settings)
      : origin_(origin), base_(base), next_number_(next_number), settings_(settings) {}

  Status row(Table& table, const Version& version, Op op, std::string_view key, const std::vector<ValueView>& values);
  // A deletion under another key than the table has now. `place`, below 0: a number for `table`, which is as it was.
  Status removal(int64_t place, const UnitTable& table, const Version& version, std::string_view key);
  // Everything written, in order. `more`: the transaction goes on in a later drain.
  Result<std::vector<OutUnit>> finish(bool more);
  // A schema unit, before the rows that need it. With `rows_follow` what comes until end_together() or finish() is applied with it, in one transaction.
  Status schema(const std::vector<SchemaRegister>& registers, bool rows_follow);
  Status end_together();
  Status end_unit() { return close(false); }
  Status floor(const Floor& floor);
  Status ids(const codec::IdFacts& facts);
  Status handled(const std::vector<codec::HandledConflict>& conflicts);
  Status clock(const codec::ClockChange& change);

 private:
  Status make_room();  // for one more row
  Status close(bool more);
  Status mark(bool more);  // a unit without rows
  Status seal(codec::Kind kind, const std::string& payload, size_t rows, uint8_t format = codec::kFirstFormat);

  bool together_ = false;
  Origin origin_;
  StreamSeq base_;
  uint64_t* next_number_;
  const Settings& settings_;
  std::optional<codec::UnitWriter> writer_;
  std::unordered_map<int64_t, uint32_t> tables_;  // Table::id, or removal()'s place
  std::vector<OutUnit> units_;
};

class TableMigration;  // schema_migrate.hpp
struct HeaderNumber;  // numbers.hpp
struct LocalTable;  // local_schema.hpp
struct Merge;       // merge.hpp
struct MergePair;

struct Replica::Impl {
  Impl(sqlite::Database database, Settings s, Environment e, Identity identity);
  ~Impl();

  sqlite::Database db;
  Settings settings;
  Environment env;
  Origin self;
  const std::vector<NodeId> former_nodes;  // Identity::former
  std::vector<NodeId> former_lives;        // Identity::lives, where the file names one of them
  const NodeId new_life;       // of `self` as the file was opened (core life_of)
  Store store;
  Registers registers;
  IdRegistry dealt;
  Coercer coercer;
  bool tracing = false;
  int64_t split_units = 0;

  // What the stream has shown of time (clock_rule.cpp).
  struct StreamClock {
    WallMs time = 0;    // the highest of JetStream's times of the messages; 0: not known, and nothing is judged by it
    Hlc seen;           // the highest stamp that they brought, and that was not refused: every clock has followed it
    int64_t bound = 0;  // in milliseconds; 0: the default
    bool was_reset = false;  // nobody who came to the reset holds stamps that are a day ahead
    WallMs limit() const;  // of a stamp
    Hlc behind(WallMs at) const;  // a stamp of that time, behind all that was seen
    // By how much what `sender` sent is too far ahead; 0: it is not, and is among what was seen.
    int64_t judge(const Origin& sender, const std::vector<Version>& versions);
  };

  // `marmot clock reset` (clock_reset.cpp), as __marmot_reset holds it.
  struct KnownReset {
    StreamSeq seq = 0;
    ClockReset reset;
  };
  using Resets = std::shared_ptr<const std::vector<KnownReset>>;

  // Memory that must go back when a transaction rolls back.
  struct State {
    HlcClock clock;
    StreamClock stream;
    Hlc not_lower;            // where the last redate() left the clock
    Resets resets = std::make_shared<const std::vector<KnownReset>>();
    WallMs touched = 0;       // the last one of __marmot_touched
    uint64_t next_unit = 1;
    Position position;
    Membership membership = Membership::none;
    HashKey hash_key;         // Store::hash_key
    RowLife life;             // the former one until the log holds nothing of before (decision 0030)
    StreamSeq join_end = 0;
    bool trimmed = false;
    Hlc file_hlc;             // as __marmot_meta holds it
    Floor floor;              // seq: of this stream; hlc: the highest of the tombstones that were pruned and that somebody does not remember any more
    StreamSeq ending = 0;     // the floor that apply_floor() ends waiting for; 0: it does not
    Hlc pruned_hlc;           // the highest of those that __marmot_pruned ever remembered
    Hlc floor_seen;           // the highest of the stream's floors
    Gap gap;                  // in what was read of this stream; over once a floor has passed it
    std::set<Origin> beyond_gap;  // whose units that are still to come were all made behind it
    StreamSeq fence = 0;      // the last message that told this stream a floor of a former one
    bool reread = false;      // after lost history, until all that this file holds is in the stream
    std::optional<uint64_t> reread_until;  // ... which is when this unit of ours comes round; none: not all of it was sent yet
    bool floor_due = false;   // ours is to be told to a stream that may not know it
    bool prune_due = false;   // tombstones at or below the floor may be left
    bool log_in_pieces = false;  // the last drain took a part of the log
    bool log_left_over = true;  // until the first drain that takes all of the log
    bool keeps_passed = false;  // __marmot_passed holds rows
    int64_t shelved = 0;      // rows on the shelf; a table's own are counted only where this is not 0
    bool retire_due = false;  // retire_losers has something to look at
    // Rows that lost since that was last told: by table, and whether they wait on the shelf.
    struct LostLately {
      int64_t count = 0;
      int64_t first = 0;      // the first one's id in __marmot_conflict
      std::string text;       // of the first one
    };
    std::map<std::pair<std::string, bool>, LostLately> lost_lately;
    int64_t conflicts = -1;   // rows of __marmot_conflict, at least; -1: not counted yet
    bool handled_due = false; // publish_handled() may have something to say
    bool ids_due = false;     // publish_ids() has something to say
    uint64_t ids_unit = 0;    // what it said last is in this unit of ours, which has not come round; 0: it has
    uint64_t claims_lost = 0; // of slots, one behind the other
    uint64_t no_slot_of = 0;  // there was none to claim: IdRegistry::changes() then
    bool ids_lost = false;    // the file is older than it was, and has not read again what it gave out since
    std::set<int> retire;     // slots that an operator retires
    int64_t ids_given = 0, ids_outside = 0;  // IdReport
    std::optional<int64_t> untold;  // Replica::untold_units; none: not counted since the file was opened
    int lost_units = 0;       // of ours, since the file was opened
    std::vector<Change> sent_again;  // when tracing: versions made outside of drains; the next one tells of them
    bool half_told = false;   // a schema change that was on its way may have come without its rows: both are to be sent again, together
    bool outbox_due = false;  // publish_outbox has something to look at
    bool outbox_again = false;  // ... and had not when it was last called, or when the file was opened
    Hlc outbox_until;         // own versions above it were published by drains
    std::set<std::string> schema_changes;  // Replica::take_schema_changes()
    bool outbox_passed = false;  // it passed over rows that had changed: a drain may find that they have changed back
    int64_t outbox_table = 0; // where publish_outbox stands
    std::string outbox_key;
    // From its beginning: everything unacknowledged up to now.
    void start_outbox() {
      outbox_until = clock.last();
      rewind_outbox();
    }
    void rewind_outbox() {
      outbox_again = outbox_again || !outbox_due;
      outbox_due = true;
      outbox_passed = false;
      outbox_table = 0;
      outbox_key.clear();
      reread_until.reset();
    }
  };
  State state;
  std::vector<std::unique_ptr<Table>> tables;
  std::unordered_map<std::string, int64_t> not_ours;  // lower-cased names of tables that are here but not replicated
  int64_t schema_version = -1;
  int64_t data_version = -1;
  StreamSeq follows_to = 0;    // where the stream ended when it was entered
  Table::Position baseline_at;
  std::shared_ptr<int> copies = std::make_shared<int>(0);  // every SnapshotCopy holds it too
  bool loaded = false;        // `state` is the file's
  bool opened = false;        // open() is done
  WallMs opened_at = 0;
  Effects effects;
  std::set<std::string> told_effects, told_numbers;  // what was said of them
  std::set<std::string> told_failures;               // of effects; at most FailedEffects::kMost
  FailedEffects failed_effects;
  bool tables_dirty = false;  // changed in a transaction: read again after a rollback
  int log_keys = 1;           // k1 ... kN of __marmot_log
  sqlite::Statement read_log;

  void log(LogLevel level, std::string_view text) const { if (env.log) env.log(level, text); }

  // One write transaction around `body`. `polite` as in drain(). On any error file and memory are as before.
  template <class Body>
  Status write(bool polite, int64_t* held_us, Body&& body) {
    TRY(trusted());
    const State saved = state;
    tables_dirty = false;
    auto transaction = sqlite::Transaction::begin(db, sqlite::Transaction::Kind::immediate);
    if (!transaction) {
      if (env.transaction_over) env.transaction_over();
      return std::move(transaction).error().in("begin");
    }
    const int64_t began = env.monotonic_us();
    yields = polite;
    effects.leave_out_all(std::exchange(effects_in_doubt, false));
    freed.clear();
    made_empty.clear();
    given_out.clear();
    brought_along_made = false;
    Status done = give_way();
    if (done) done = check_file();
    if (done) done = body();
    if (done) done = settle_ids();
    if (done) done = save_state(saved);
    for (const auto& table : tables) table->release();
    if (done && polite && env.others_reading) {
      // The pages go to the WAL before the last look: between it and the commit lies one frame then, not all of them.
      if (!env.others_reading(Environment::Moment::between)) (void)sqlite3_db_cacheflush(db.get());  // what it could not write, COMMIT does
      if (env.others_reading(Environment::Moment::before_commit)) done = make_error(Errc::busy, "another process holds a snapshot");
    }
    if (done) done = transaction->commit();
    if (done) paces_before.clear();
    if (done && !blamed.empty()) forget_blamed();
    if (!done) {
      transaction->rollback();
      db.reset_statements();  // one that an error left in its middle would hold its snapshot, behind which nothing can be written any more
      roll_back_memory(saved);
      if (is_virtual_table_complaint(done.error()) && !effects.leaves_out_all()) done = again_without_effects(done.error());
      // FTS5 remembers a piece of its index that an I/O error cut short, and what it writes next breaks the index, without a
      // word: only a new connection reads it again. Whoever is told may not be the one who can open it anew: all are.
      if (done.error().code == Errc::io && virtual_tables) {
        in_doubt = done.error().message + ": its virtual tables are in doubt";
        done = trusted();
      }
    }
    if (env.transaction_over) env.transaction_over();
    if (held_us != nullptr) *held_us += env.monotonic_us() - began;
    if (done && !state.lost_lately.empty()) tell_lost();
    return done;
  }
  // An application that began to read while we hold the write lock fails when it comes to write: the sooner we let go, the
  // better. Asked between pieces of work.
  bool yields = false;
  // blame.cpp: tables for whose sake a transaction failed, by folded name, and why. They stop when it is done once more, which goes without them.
  std::map<std::string, std::string> blamed;
  Error blame(const Table& table, const Error& error);
  Status stop_blamed();
  void forget_blamed();                                     // that are stopped, in the file as well
  Status stop_apart(int64_t table, const std::string& reason);  // in a transaction of its own
  Status try_to_read(Table& table);                         // what a drain reads of what it parked, outside of the write lock
  bool may_be_tried(int64_t table) const;
  static constexpr WallMs kLongestRead = 600'000, kLongestWrite = 60'000;  // pauses between tries to read, and those that take the write lock
  static constexpr int64_t kUnmade = 0;                      // among the tables: what cannot be made
  void put_off(int64_t table, WallMs longest = kLongestRead);
  void end_pauses();
  struct Pause {
    WallMs at = 0, pause = 0;
  };
  std::map<int64_t, Pause> retries;                          // of stopped tables and kUnmade, until they are tried again
  bool virtual_tables = false;          // the file has some
  bool effects_in_doubt = false;        // the next transaction goes without them
  Error again_without_effects(const Error& complaint);
  void tell_left_out(const Effects::LeftOut& effect);
  void tell_failed(const std::string& what, std::string text);  // once for each `what`
  std::optional<std::string> in_doubt;  // why this connection must not be written through any more
  Status trusted() const { return in_doubt ? Status(make_error(Errc::stale, *in_doubt)) : ok(); }
  Status give_way() const {
    if (yields && env.others_reading && env.others_reading(Environment::Moment::between)) return make_error(Errc::busy, "another process holds a snapshot");
    return ok();
  }
  Status check_file();
  Status save_state(const State& before);
  Status tell_again(std::string_view where);  // registers of the schema, of ids and of handled conflicts: those `where` holds of their seq, or all
  void roll_back_memory(const State& saved);
  Status load_state(const Identity& identity);
  Status begin_life();

  Table* table_by_id(int64_t id);
  Table* table_by_name(std::string_view name);
  bool replicated(const std::string& name);

  // schema.cpp
  Status load_tables();                                     // from __marmot_table and the catalog
  Result<std::unique_ptr<Table>> load_table(const LocalTable& local);
  Status check_schema(TouchedKeys& touched);                // when PRAGMA schema_version moved: notice_changes and what follows
  Status schema_changed(TouchedKeys& touched);
  Result<bool> catch_up_with_schema();                      // membership.cpp
  Status baseline_slice(Table& table);
  Status touch_all(Table& table, TouchedKeys& touched);     // its rows are changes, and none of them a baseline row
  Status refresh_schema();                                  // memory, effects and schema_version as the file is now
  Status stop(Table& table, std::string reason);
  // Of stopped tables, all or none (resume.cpp). Out of `ids` go those of which a cause stands; `failed`: whose rows cannot be written.
  Status restart(std::vector<int64_t>& ids, std::optional<int64_t>& failed);
  std::vector<int64_t> restartable() const;
  Status drain_parked(const std::vector<Table*>& restarted);
  Status prepare_log();
  // Where the rows of a message go.
  struct Target {
    enum class To : uint8_t { table, nowhere, dropped, wait } to = To::wait;
    Table* table = nullptr;  // of To::table
    bool untold = false;     // To::wait: no schema message has told of the table, or of a column that the rows have
  };
  Target target_of(const UnitTable& wanted);

  // schema_detect.cpp: what the application changed becomes registers.
  struct Rebuilt {  // a table that is to be compared with its versions, row by row
    int64_t id = 0;
    TableInfo before;  // as it was; columns with their ids
    bool unseen = false;  // our triggers were gone: whatever was written since is not in the log
  };
  // `unkept`: tables without the index that keeps VACUUM from giving rows other rowids; it is made again.
  Status notice_changes(std::vector<Rebuilt>& rebuilt, std::vector<int64_t>& found, std::set<int64_t>& unkept);
  // copied_rows.cpp
  // Gives keyless rows the names of those that they are by what they hold, for their rowids are others now. What is left: rows that hold what
  // no version says (rowids, in order), and live versions whose row is not there (the rowid that they had, and key; in order).
  struct Unmatched {
    std::vector<int64_t> rows;
    std::vector<std::pair<int64_t, std::string>> versions;
  };
  using HashOfRow = std::function<std::optional<uint64_t>(const std::vector<ValueView>&)>;
  Result<Unmatched> match_keyless_rows(Table& table, const HashOfRow& former);
  Status match_by_order(Table& table, Unmatched left);
  Result<std::map<std::string, int64_t>> known_rowids(const Table& table);  // by key
  Result<WallMs> forget_logged_rowids(const Table& table);
  Status compare_copied_rows(Table& table, TouchedKeys& touched);
  Status forget_baseline_row(Table& table, const std::string& key);
  // Where a tool copied rows without their rowids: of all tables, or of those whose index that keeps them was gone (`unkept`). `rebuilt`:
  // tables that compare_rows() has done.
  Status compare_copied(bool all, const std::set<int64_t>& unkept, const std::set<int64_t>& rebuilt, TouchedKeys& touched);
  // schema_rows.cpp: what a changed schema means for versions.
  Status compare_rows(const Rebuilt& before, TouchedKeys& touched);
  Result<std::set<std::string>> logged_keys(Table& table);  // that wait to be drained, parked ones too
  Status send_again(Table& table, std::string_view key, bool there, const Register& known, uint64_t hash);
  // Column `ours`, which only this file knew, is the stream's `known`: what came from others meanwhile was made without it.
  struct Refill {
    int64_t table = 0;
    std::string ours, known;
  };
  // `called`: the column's id in the table now. Does nothing where that does not allow NULL, and NULL is due.
  Status refill(const Refill& due, const std::string& called, bool* allows_null);
  // Rows that were sent under another key than their table has now: under their present one. Deletes whose row cannot be
  // told go, with a line in the log.
  struct Rekeyed {
    std::deque<UnitRow> rows;
    std::deque<std::string> bytes;
  };
  Status present_keys(const Unit& unit, const UnitTable& sent, const std::vector<SentColumn>& map, Table& table,
                      StreamSeq seq, std::vector<const UnitRow*>& rows, Rekeyed& made);
  void untold(const UnitTable& sent, const UnitRow& row, std::string_view why) const;
  Status rekey(const TableInfo& before, Table& table, const TableMigration* carried, TouchedKeys* touched);
  // former_key.cpp: tombstones under keys that tables had before (decision 0035). `shape`: spell_shape() of such a key.
  Status take_tombstones(int64_t table, const std::string& shape);   // of a table whose key was of that shape until now
  Status give_tombstones_back(Table& table);                         // to one that has a former key again
  Status delete_formerly(const Table& table, const std::string& shape, const std::vector<std::string>& keys);  // with a version of now
  Status keep_former(int64_t table, std::string_view shape, std::string_view key, const Version& version, std::optional<StreamSeq> seq);
  Result<std::optional<Version>> former_version(int64_t table, std::string_view shape, std::string_view key);
  // Rows that were sent under a former key. Left in `rows`: what is newer than the tombstone of its key, if there is one, or is that.
  Status meet_tombstones(const Unit& unit, const UnitTable& sent, const Table& table, StreamSeq seq, std::vector<const UnitRow*>& rows);
  // The same for rows that were sent under the present key: their sender may not have heard of the deletion when its table was given that.
  Status meet_older_tombstones(const Unit& unit, const std::vector<SentColumn>& map, Table& table, std::vector<const UnitRow*>& rows);
  // Those that are to be sent: before the schema, for others know the rows by the key that they were deleted under; or after it, where the
  // stream has not heard of their tables.
  Status publish_former(UnitStream& out, bool after_schema);
  Status send_former_again();              // what was sent and not seen
  Status prune_former();                   // some of those at or below the floor
  Status merge_deleted_formerly();         // under keys that tables have here, and in the snapshot no more
  Status merge_former();                   // what the snapshot has
  // lost_key.cpp: as rekey(), where it has none now: rows are known by a hash of the key that they had. `carried` knows whose is which;
  // else that is told by what the rows hold.
  Status lose_key(const TableInfo& before, Table& table, const TableMigration* carried, TouchedKeys* touched);
  using NameOfKey = std::function<std::string(std::string_view key)>;
  Status park_logged(int64_t id, const NameOfKey& identity);
  Status name_by_former_keys(const TableInfo& before, const Table& table, const NameOfKey& identity,
                             std::map<std::string, std::string>& converted);
  Status match_former_keys(const TableInfo& before, Table& table, const NameOfKey& identity);
  Result<std::map<std::string, uint64_t>> live_keys(const Table& table);  // and hashes
  static std::string key_shape(const TableInfo& info);      // how the key is made; columns by id
  Status park(int64_t table, std::string_view key, WallMs at);  // what the log says of a table that is stopped
  Status set_hash(Table& table, std::string_view key, uint64_t from, uint64_t to);
  // Of rows that do not hold what their versions say, or have none: changed unseen, or the log says so and is not drained yet.
  Result<std::set<std::string>> unfit_rows(Table& table);
  Status rehash(Table& table, const std::set<std::string>& unfit);  // but for `unfit`, which a drain or the scrub is to find changed
  Status rehash_shelf(Table& table);
  Status rehash_due();
  Status keep_dropped_rows(Table& table, bool all);         // those that nobody has seen yet, or all, go to the conflicts
  Status keep_late_rows(const Unit& unit, const std::vector<const UnitRow*>& rows, const UnitTable& table);
  // schema_migrate.cpp: the file becomes what the registers say.
  Status carry_out_adoption();                              // the word AUTOINCREMENT where the registers want it (adopted.cpp)
  // By the setting: nobody has said anything of it.
  bool adopts_by_itself(const Version& table) const;
  bool adoption_is_due() const;
  Status migrate();
  Result<bool> schema_fits();                                // what is here of them is what the registers say
  // schema_message.cpp
  Status publish_schema(UnitStream& out, bool rows_follow);  // what is not in the stream
  Status apply_schema(const std::vector<SchemaRegister>& incoming, StreamSeq seq);
  Status settle_schema_versions();                          // what stood here before the stream was met and is still ours
  // numbers.cpp: PRAGMA user_version and application_id.
  const SchemaRegister* standing(const HeaderNumber& number) const;  // by the registers; null: nothing was ever said of it
  Result<bool> numbers_moved();                             // the application has set one since note_numbers()
  Status put_back_numbers();                                // that a tool left out which made the file anew
  Status note_numbers();
  Status note_number(const HeaderNumber& number, int64_t now, bool known);
  Status put_number(const HeaderNumber& number, SchemaRegister value);
  Result<bool> keep_former_number(const SchemaRegister& ours, const SchemaRegister& told, StreamSeq seq);
  bool has_former_numbers() const;                          // settle_former_numbers() has something to do
  Status settle_former_numbers();
  Status numbers_are_here(const HeaderNumber& number);
  Status settle_numbers();
  Result<bool> numbers_wait();                              // the file has not got what the registers say
  Status carry_out_numbers();                               // unless something of the schema is unmade
  // ids.cpp
  bool deals_ids() const;
  bool says_ids() const;                                    // publish_ids() has something new to say
  bool was_here(NodeId node) const;                         // is it this file's, or was it in a former life?
  struct SlotsHere {
    uint64_t of = 0;                                        // IdRegistry::changes()
    std::optional<int> slot;                                // this file's, or until it has one, that of a former life
    int others = 0;                                         // that other nodes have
  };
  SlotsHere slots_known;
  const SlotsHere& slots_here();
  int64_t ids_ahead(const IdGeometry& geometry, int64_t highest);
  const IdGeometry& geometry_of(Table& table);
  Result<int64_t> highest_id(Table& table);
  Status move_next_id(Table& table, int64_t first);
  IdDemand id_demand(Table& table, int slot, int64_t highest, int64_t given);
  void note_id(Table& table, std::string_view key);
  void count_second(Table& table);
  std::vector<std::pair<int64_t, Table::IdUse::Pace>> paces_before;  // this transaction, by Table::id: of those that it counted
  void note_applied_id(Table& table, const UnitRow& row, const Version& version);
  void touch_ids();
  Status settle_ids();
  Status settle_ids_of(Table& table);
  std::vector<SlotFact> slots_to_retire() const;
  Result<bool> reach_is_passed(int slot);
  Status note_reach(int slot);
  Result<std::optional<SlotFact>> free_slot();
  Status publish_ids(UnitStream& out);
  Status want_geometries(const std::optional<int>& own, const std::optional<SlotFact>& claim, codec::IdFacts& facts);
  Status apply_ids(const codec::IdFacts& facts, const Origin& origin, uint64_t unit, StreamSeq seq);
  Result<bool> ids_moved_back();

  // unfilled.cpp: full-text indexes over other content
  Result<bool> fill_new_index(const std::string& index);   // that was just made here, with whatever else this transaction does. True: it is filled
  Status fill_made_empty();                                 // ... before its content came, which may be here now: at the end of an apply
  std::set<std::string> made_empty;
  Status fill_indexes();                                    // those that are still to be filled, each in a transaction of its own
  Status look_at_indexes();
  Result<std::optional<std::string>> fill_owed(const std::string& index, bool fts5, bool failed, bool* filled);
  Status tell_unreadable(std::map<std::string, std::string> now);
  Status note_unfilled(const std::string& index, bool failed);
  Status forget_unfilled(const std::string& index);
  Status rename_unfilled(const std::string& former, const std::string& now);
  struct FillAgain {
    WallMs at = 0, pause = 0;
    std::string reason;
  };
  std::map<std::string, FillAgain> fill_again;              // what failed: when it is tried again
  std::map<std::string, std::string> unreadable;            // why the content of an index cannot be read
  int64_t unfilled = 0;                                     // rows of __marmot_unfilled
  bool indexes_due = false;                                 // the schema has changed: they are to be looked at

  // Of an ordinary table: is_chosen() by the settings, and no backing table of one of the cluster's virtual tables, of a foreign module.
  bool chooses(const std::string& table) const;
  std::map<std::string, std::string> unmade;                // what the registers want and the file refuses: name -> reason

  // drain.cpp
  Status drain_log(std::vector<OutUnit>& units, std::vector<Change>* changes, bool* more);
  // Into a stream that may go on.
  Status drain_into(UnitStream& out, bool rows_follow, std::vector<Change>* changes, bool* more);
  Status send_half_told(UnitStream& out);  // outbox.cpp
  Status read_log_rows(TouchedKeys& touched, bool* more);
  static constexpr int kLogKeys = 3;                        // the column of read_log where k1 stands
  // Each log row behind `after`, up to `last`, of a table that is here; read_log is at it.
  Status scan_log(int64_t after, int64_t last, const std::function<Status(Table& table, LogOp op)>& fn);
  using ReusedRowids = std::unordered_map<int64_t, std::unordered_set<int64_t>>;  // by table
  Status find_reused(int64_t last, ReusedRowids& reused);
  Status log_drained(bool more);
  Status drain_to_outbox();  // the whole log
  Status drain_touched(TouchedKeys& touched, UnitStream* out, std::vector<Change>* changes);
  Status find_victims(Table& table, std::string_view key, WallMs at, TouchedKeys& touched);
  // passed_over.cpp
  // Of what was left over: rows that a drain found as they had been before, there or not, so that they got no version. By Touched::id,
  // while the file is open; of more than kMost the others are as if it had never been put back. The file keeps them until it has caught up.
  struct PassedOver {
    static constexpr size_t kMost = 100000;
    WallMs at = 0;
    Version version;  // of the register, if there is one
  };
  std::unordered_map<std::string, PassedOver> passed_over;
  Status load_passed_over();
  Status pass_over(const Touched& item, const std::optional<Register>& found);
  Status forget_passed();  // some of them, in the file
  // Was the row touched here after a former life of this agent gave it `version`, and has no drain told of that?
  bool touched_since(const Table& table, std::string_view key, const std::optional<Register>& found, const Version& version) const;
  Status keep_unique(Table& table, std::string_view key);
  Status drop_unique(Table& table, std::string_view key);

  // scrub.cpp
  struct Scrub {
    int64_t table = 0;      // its id
    bool versions = false;  // its rows were looked at; now its versions
    Table::Position rows;
    std::string key;        // of the last version
    bool done = false;
  };
  Scrub scrub;
  Status scrub_slice(Scrub& at, bool make, TouchedKeys& touched, int64_t* rows);
  Result<bool> triggers_missing();
  Status renew_schema(bool polite, int64_t* held_us);

  // repair.cpp
  Status remove_pruned(Table& table, const std::string& key, const Register& held, const Version& stamp);

  // apply.cpp
  bool begins_anew(const Incoming& message) const;
  Status apply_message(const Incoming& message, ApplyResult& result);
  Status apply_envelope(const codec::Envelope& envelope, const Incoming& message, ApplyResult& result);
  Status lose_unit(const codec::MessageId& id, const Incoming& message, ApplyResult& result);
  Status send_lost_again(ApplyResult& result);
  Status pass_units(const Origin& origin, uint64_t number);
  Status stage_part(const codec::Envelope& envelope, int64_t kind, StreamSeq seq, ApplyResult& result);
  Status apply_ids_where_they_stand(const codec::Envelope& envelope, StreamSeq seq);
  Status put_part(const codec::Envelope& envelope, int64_t part, int64_t kind, StreamSeq seq);
  struct StagedUnit {
    codec::Kind kind = codec::Kind::rows;
    std::string payload;
    StreamSeq ends_at = 0;  // its last message
    bool dead = false;  // a part of it is lost
  };
  Result<bool> parts_suffice(const Origin& origin, uint64_t number);
  Result<std::optional<StagedUnit>> staged_unit(const Origin& origin, uint64_t number);
  Status apply_staged(const Origin& origin, StreamSeq seq, ApplyResult& result);
  // together.cpp
  enum class Mark { begin, end };
  static bool is_mark(const codec::Envelope& envelope, Mark which);
  static bool is_mark(const StagedUnit& unit, Mark which);
  Result<bool> together_is_whole(const Origin& origin, uint64_t begin);
  // apply.cpp
  Status drop_staged(const Origin& origin, uint64_t last);  // all up to `last`
  Status drop_unit(const Origin& origin, uint64_t number);  // one
  Status end_waiting(sqlite::Statement& staged, StreamSeq seq, ApplyResult& result);  // rows of it: node, incarnation, unit
  Status end_former_lives(const Origin& now, StreamSeq seq, ApplyResult& result);
  Status end_waiting_since(StreamSeq last, StreamSeq seq, ApplyResult& result);
  Status apply_payload(const codec::Envelope& envelope, std::string_view payload, StreamSeq seq, StreamSeq ends_at, ApplyResult& result);
  struct Retry {  // a stopped table that is tried again: of each waiting row only the newest state
    Table* table = nullptr;
    std::unordered_map<std::string, Version> newest;
  };
  Status apply_unit(const Unit& unit, std::string_view payload, StreamSeq seq, ApplyResult& result, const Retry* retry);
  Status apply_waiting(Table& table);
  Status forget_waiting();
  bool is_untold(const Unit& unit);                         // it waits for what no schema message has told of
  // The rows of one table, whose columns `map` puts in our order (apply_rows.cpp).
  Status apply_rows(const Unit& unit, const std::vector<const UnitRow*>& rows, Table& table, std::vector<SentColumn> map,
                    StreamSeq seq, ApplyResult& result);
  Status quarantine(const Incoming& message, const std::string& reason);
  // Keyless rows that a joining file brought along and no message has claimed, by content; each is given out once. The key
  // of one with that hash, which may have changed or gone since the table was looked through; empty: there is none. Kept from
  // the first row that asks until the file is a member (some 60 bytes a row), for each message asks for each of its rows.
  using BroughtAlong = std::unordered_multimap<uint64_t, RowidIdentity>;  // by hash
  std::unordered_map<int64_t, BroughtAlong> brought_along;          // by table
  std::vector<std::pair<int64_t, BroughtAlong::value_type>> given_out;  // in this transaction: back with a rollback
  bool brought_along_made = false;                                  // of some table, in this transaction
  void forget_brought_along();
  Result<std::string> take_brought_along(const Table& table, uint64_t hash);

  // gone.cpp
  Status note_gap(StreamSeq last, ApplyResult& result);
  void tell_gone(const std::string& text);
  std::set<std::string> told_gone;
  bool gap_open() const { return state.gap.last > state.floor.seq; }
  bool may_be_gone(const Origin& origin) const { return gap_open() && state.beyond_gap.count(origin) == 0; }
  void note_base(const Origin& origin, StreamSeq base);
  Status overtake(const Origin& origin, StreamSeq seq, ApplyResult& result);
  Result<size_t> pass_over(const Origin& origin, uint64_t first, uint64_t end, StreamSeq seq, ApplyResult& result);
  Status take_late(const codec::Envelope& envelope, StreamSeq seq, ApplyResult& result);

  // floor.cpp
  Status apply_floor(const Floor& floor, StreamSeq seq, ApplyResult& result);
  void raise_floor(const Floor& floor);
  Status drop_pruned_meanwhile(Hlc floor);
  Status end_reread();
  // While the stream is read again: it knows the row, though its register says that it lacks the present version.
  Status note_spoken_of(const Table& table, std::string_view key);
  Status forget_row(Table& table, const std::string& key, const Register& found);
  // Gone for everybody, whether or not this file has deleted it yet.
  bool pruned(const Register& found) const {
    return !retrying && !found.live() && found.seq && *found.seq <= state.floor.seq;
  }
  bool retrying = false;  // a stopped table, whose tombstones are kept until its waiting units are applied

  // pruned.cpp
  Status prune_tombstones();                              // some of those at or below the floor
  Status remember_pruned(int64_t table, int64_t hash, const Version& version);
  // What is forgotten here raises our floor's HLC, which is all that is known of it then.
  Status forget_oldest_pruned();
  Status forget_pruned_of(int64_t table);  // its rows get another key
  Status forget_pruned(sqlite::Statement& deletion);  // one that returns the versions' HLCs
  // `coming` is about to be applied to the row. A pruned tombstone that beats it is one again, in `local` too, and is sent to whoever has
  // forgotten it as well.
  Status recall(const Table& table, std::string_view key, const Version& coming, std::optional<Register>& local);
  Result<bool> merge_pruned(int64_t& after, int64_t& looked_at);

  // refused.cpp
  bool applying_refused = false;
  Status refuse(const Unit& unit, std::string_view payload, StreamSeq seq, ApplyResult& result);
  // All whose time has come. `first`: the first one of them; it is asked again once that one is applied and gone.
  Status apply_refused(sqlite::Statement& first, StreamSeq seq, ApplyResult& result);

  // clock_rule.cpp
  Result<bool> refuse_misdated(const Origin& sender, const std::vector<Version>& versions, StreamSeq seq, ApplyResult& result);
  bool is_ours(NodeId node) const;
  // A change of ours that the stream does not hold, and would refuse now.
  bool waits_misdated(const Version& version, bool seen) const;
  bool overruled = false;  // what is applied has lost against such a change
  bool applying_overruled = false;  // what has lost is applied once more, for such changes have other stamps
  Status keep_overruled(const Origin& sender, uint64_t unit, codec::Kind kind, std::string_view payload, StreamSeq seq);
  Status apply_overruled();
  StreamClock compared_clock;  // while comparing
  std::vector<KnownReset> compared_resets;

  // clock_reset.cpp
  Status note_touched(Hlc stamp, WallMs at, WallMs now);
  Result<WallMs> true_time(Hlc stamp);
  const ClockReset* lowering = nullptr;  // while lower_stamps() runs
  Status make_lowering_functions();
  Status lower_registers(const ClockReset& reset);
  Status lower_stamps(const ClockReset& reset, StreamSeq seq);
  Status lower_all(const ClockReset& reset, StreamSeq seq);
  Status keep_reset(const ClockReset& reset, StreamSeq seq);
  Status load_resets();
  static Result<Resets> read_resets(Store& store);
  Status apply_clock(const codec::ClockChange& change, StreamSeq seq, ApplyResult& result);
  Result<std::optional<std::string>> lowered_payload(const Unit& unit, std::string_view payload) const;
  void compare_clock(const codec::ClockChange& change, StreamSeq seq);
  Status merge_resets();
  Status forget_resets(StreamSeq end);

  // merge.cpp
  std::unique_ptr<Merge> merging;
  Status merge_schema();
  Status merge_tables();
  Result<bool> merge_piece(int64_t& looked_at);
  Result<bool> merge_rows(MergePair& pair, std::string& after, int64_t& looked_at);
  Status merge_keys(MergePair& pair, std::span<const std::string> keys);
  Result<bool> merge_absent(MergePair& pair, std::string& after, int64_t& looked_at);
  Status merge_absent_keys(MergePair& pair, std::span<const std::string> keys);
  // merge_whole.cpp
  Status begin_compare();
  Status compare_piece(int64_t& looked_at);
  Status merge_whole();
  void merge_in_slices(const std::string& why);
  Status merge_finish();
  Status merge_ids();
  // shelf.cpp: what keeps the visible rows a function of the registers (shelf.hpp)
  // The content of a live register's row, in the table or on the shelf. Views live until the next read of the table, and
  // as long as `storage`. False: it is not there.
  Result<bool> read_row(Table& table, std::string_view key, const Register& now, std::vector<ValueView>& values, std::string& storage);
  // All shelved rows of the table are tried again; unique values are made anew where an index is new or has changed. After
  // any change of the table's definition.
  Status settle_table(Table& table);
  // Creates a unique index that comes from another node (`sql` as sqlite_schema holds it): rows in its way go to the shelf.
  // Reads the table's entry in `tables` anew: references to it are void afterwards.
  Status create_unique_index(int64_t table_id, const std::string& sql);
  // Every row on the shelf of a table that goes is kept as a conflict.
  Status clear_shelf(Table& table, std::string_view kind, std::string_view reason);
  // Takes a live row away, from the table or the shelf, with its unique values; its register is the caller's business.
  // Before the end of the transaction: settle_freed().
  Status erase_row(Table& table, std::string_view key, const Register& now);
  // fn gets the key, the register and the values of every shelved row.
  using ShelvedFn = std::function<Status(const std::string& key, const Register& now, const std::vector<ValueView>& values)>;
  Status scan_shelf(Table& table, const ShelvedFn& fn);
  // Shelved rows that wait for a unique value which was given up since; after anything that changed visible rows.
  Status settle_freed();
  std::unordered_map<int64_t, std::unordered_set<std::string>> freed;  // table -> keys of such rows
  // `key`, visible, holds `value` from now on: what it held of that index before is free.
  Status note_given_up(Table& table, const Table::UniqueValue& value, std::string_view key);
  // The application wrote a row under the key of a shelved one, which it could not see.
  Status replace_shelved(Table& table, std::string_view key, const Register& before, const Version& version,
                         const std::vector<ValueView>& values);
  Status rebuild_unique(Table& table, const std::string& known);  // of indexes whose definition is not among `known`
  Status check_unique_indexes();                            // settle_table where definitions changed
  Status retire_losers(UnitStream& out, std::vector<Change>* changes);
  bool may_retire() const {
    return state.retire_due && state.shelved > 0 && state.membership == Membership::member && state.position.seq >= follows_to;
  }

  // conflict.cpp
  Status keep_conflict(const Conflict& conflict);           // the oldest go where there are too many
  // handled.cpp
  bool says_handled() const;
  Result<bool> is_handled(const Conflict& conflict);
  Status publish_handled(UnitStream& out);
  Result<bool> take_handled(const codec::HandledConflict& conflict, std::optional<StreamSeq> seq);  // true: it was listed here
  Status apply_handled(const std::vector<codec::HandledConflict>& conflicts, StreamSeq seq);
  Status merge_handled();
  Status drop_oldest_handled();
  // A live row that is about to go.
  Status keep_row(Table& table, std::string_view key, const Register& held, std::string_view kind, std::string reason);
  // A shelved row is about to go for good: into the conflicts with it, and with who was in its way (or `winner`).
  Status keep_shelved_row(Table& table, std::string_view key, const Register& now, std::string_view kind, const Version* winner,
                          const std::string& winner_row, std::string reason);
  std::string json_of(const Table& table, const std::vector<ValueView>& values) const;
  // lost_lately.cpp: one warning a table and second
  void note_lost(std::string_view table, bool shelved, int64_t id, const std::function<std::string()>& text);
  void tell_lost();
  std::string referrers_of_lost(const std::string& table, const State::LostLately& lost);
  std::map<std::pair<std::string, bool>, WallMs> lost_told;  // when; of the last second

  // hash_key.cpp
  Status take_hash_key(const std::optional<HashKey>& key);  // the file's from now on; no member publishes what this drains
  Status hash_anew(Table& table, const HashKey& former);

  // membership.cpp
  void enter_stream(uint64_t stream_id, StreamSeq before);
  Status become_member();
  struct Remote {  // the stream's last word on a row, while comparing
    Version version;
    uint64_t hash = 0;
    bool live = false;
  };
  std::unordered_map<std::string, std::unordered_map<std::string, Remote>> compared;  // lower-cased table -> key
  std::unordered_map<std::string, std::string> compared_parts;
  void forget_compared();
  std::optional<HashKey> compared_key;  // of Remote::hash, where it is another's than the file's
};

// "insert", "update", "delete".
std::string_view op_name(Op op);

// The table's fault, not the disk's: the table stops, the rest goes on (blame.cpp).
bool stops_table(const Error& error);

}  // namespace marmot::replica
