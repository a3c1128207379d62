// Inside of Replica: shared by drain.cpp, apply.cpp, outbox.cpp, membership.cpp, schema.cpp and digest.cpp. Not for others.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/codec/message.hpp"
#include "common/replica/replica.hpp"
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

// The touched keys of one drain, each once.
class TouchedKeys {
 public:
  void add(Table* table, std::string_view key, WallMs at);
  // In order of last touch, so that versions get their true times.
  void sort();
  size_t size() const { return list_.size(); }
  const Touched& operator[](size_t i) const { return list_[i]; }

 private:
  std::deque<Touched> list_;  // a deque: `index_` points into it, and drain reads while victims are added
  std::unordered_map<std::string_view, size_t> index_;  // Touched::id
};

// Writes units of at most `atomic_rows` rows, numbering them as they are finished.
class UnitStream {
 public:
  UnitStream(Origin origin, uint64_t* next_number, const Settings& settings)
      : origin_(origin), next_number_(next_number), settings_(settings) {}

  Status row(Table& table, const Version& version, Op op, std::string_view key, const std::vector<ValueView>& values);
  // Everything written, in order. `more`: the transaction goes on in a later drain.
  Result<std::vector<OutUnit>> finish(bool more);
  // A schema unit, before the rows that need it.
  Status schema(const std::vector<SchemaObject>& objects);

 private:
  Status close(bool more);
  Status seal(codec::Kind kind, const std::string& payload, size_t rows);

  Origin origin_;
  uint64_t* next_number_;
  const Settings& settings_;
  std::optional<codec::UnitWriter> writer_;
  std::unordered_map<int64_t, uint32_t> tables_;
  std::vector<OutUnit> units_;
};

struct Replica::Impl {
  Impl(sqlite::Database database, Settings s, Environment e, Identity identity)
      : db(std::move(database)), settings(std::move(s)), env(std::move(e)), self{identity.node, identity.incarnation}, store(db) {}

  sqlite::Database db;
  Settings settings;
  Environment env;
  Origin self;
  Store store;
  bool tracing = false;
  int64_t split_units = 0;

  // Memory that must go back when a transaction rolls back.
  struct State {
    HlcClock clock;
    uint64_t next_unit = 1;
    Position position;
    Membership membership = Membership::none;
    StreamSeq join_end = 0;
    bool trimmed = false;
    bool outbox_due = false;  // publish_outbox has something to look at
    Hlc outbox_until;         // own versions above it were published by drains
    int64_t outbox_table = 0; // where publish_outbox stands
    std::string outbox_key;
    // From its beginning: everything unacknowledged up to now.
    void start_outbox() {
      outbox_due = true;
      outbox_until = clock.last();
      outbox_table = 0;
      outbox_key.clear();
    }
  };
  State state;
  std::vector<std::unique_ptr<Table>> tables;
  std::unordered_map<std::string, int64_t> not_ours;  // lower-cased names of tables that are here but not replicated
  int64_t schema_version = -1;
  int64_t data_version = -1;
  Table::Position baseline_at;
  bool announced = false;     // what is not watched was said once
  bool tables_dirty = false;  // changed in a transaction: read again after a rollback
  int log_keys = 1;           // k1 ... kN of __marmot_log
  sqlite::Statement read_log;

  void log(LogLevel level, std::string_view text) const { if (env.log) env.log(level, text); }

  // One write transaction around `body`. `polite` as in drain(). On any error file and memory are as before.
  template <class Body>
  Status write(bool polite, int64_t* held_us, Body&& body) {
    const State saved = state;
    tables_dirty = false;
    auto transaction = sqlite::Transaction::begin(db, sqlite::Transaction::Kind::immediate);
    if (!transaction) return std::move(transaction).error().in("begin");
    const int64_t began = env.monotonic_us();
    yields = polite;
    Status done = give_way();
    if (done) done = body();
    if (done) done = save_state(saved);
    for (const auto& table : tables) table->release();
    if (done && polite && env.others_reading) {
      // The pages go to the WAL before the last look: between it and the commit lies one frame then, not all of them.
      if (!env.others_reading()) (void)sqlite3_db_cacheflush(db.get());  // what it could not write, COMMIT does
      if (env.others_reading()) done = make_error(Errc::busy, "another process holds a snapshot");
    }
    if (done) done = transaction->commit();
    if (!done) {
      transaction->rollback();
      roll_back_memory(saved);
    }
    if (held_us != nullptr) *held_us += env.monotonic_us() - began;
    return done;
  }
  // An application that began to read while we hold the write lock fails when it comes to write: the sooner we let go, the
  // better. Asked between pieces of work.
  bool yields = false;
  Status give_way() const {
    if (yields && env.others_reading && env.others_reading()) return make_error(Errc::busy, "another process holds a snapshot");
    return ok();
  }
  Status save_state(const State& before);
  void roll_back_memory(const State& saved);
  Status load_state(Hlc high_water);

  Table* table_by_id(int64_t id);
  Table* table_by_name(std::string_view name);
  bool replicated(const std::string& name);

  // schema.cpp
  Status load_tables();                                     // from __marmot_table and the catalog
  Status schema_changed(TouchedKeys* touched);              // after PRAGMA schema_version moved: watch, stop, compare
  Status check_schema(TouchedKeys* touched);                // schema_changed when it moved
  Status stop(Table& table, std::string reason);
  Status restart(int64_t id);                               // of a stopped table; fails while its cause stands
  Status publish_schema(UnitStream& out);                   // of tables whose schema is not in the stream
  Status apply_schema(const std::vector<SchemaObject>& objects, StreamSeq seq, const Origin& from);
  Status prepare_log();

  // drain.cpp
  Status drain_log(std::vector<OutUnit>& units, std::vector<Change>* changes, bool* more);
  Status read_log_rows(TouchedKeys& touched, bool* more);
  Status drain_touched(TouchedKeys& touched, UnitStream* out, std::vector<Change>* changes);
  Status find_victims(Table& table, std::string_view key, WallMs at, TouchedKeys& touched);
  Status keep_unique(Table& table, std::string_view key);
  Status drop_unique(Table& table, std::string_view key);

  // apply.cpp
  Status apply_message(const Incoming& message, ApplyResult& result);
  Status apply_envelope(const codec::Envelope& envelope, const Incoming& message, ApplyResult& result);
  Status stage_part(const codec::Envelope& envelope, int64_t kind, StreamSeq seq, ApplyResult& result);
  Status apply_staged(const Origin& origin, StreamSeq seq, ApplyResult& result);
  Status apply_payload(const codec::Envelope& envelope, std::string_view payload, StreamSeq seq, ApplyResult& result);
  struct Retry {  // a stopped table that is tried again: of each waiting row only the newest state
    Table* table = nullptr;
    std::unordered_map<std::string, Version> newest;
  };
  Status apply_unit(const Unit& unit, std::string_view payload, StreamSeq seq, ApplyResult& result, const Retry* retry);
  Status apply_waiting(Table& table);
  Status forget_waiting();
  // The rows of one table, whose columns `map` puts in our order (apply_rows.cpp).
  Status apply_rows(const Unit& unit, const std::vector<const UnitRow*>& rows, Table& table, std::vector<int> map,
                    StreamSeq seq, ApplyResult& result);
  Status quarantine(const Incoming& message, const std::string& reason);

  // membership.cpp
  Status become_member();
  struct Remote {  // the stream's last word on a row, while comparing
    Version version;
    uint64_t hash = 0;
    bool live = false;
  };
  std::unordered_map<std::string, std::unordered_map<std::string, Remote>> compared;  // lower-cased table -> key
  std::unordered_map<std::string, std::string> compared_parts;
};

// "insert", "update", "delete".
std::string_view op_name(Op op);
// Table names compare as SQLite compares them.
std::string fold_name(std::string_view name);

}  // namespace marmot::replica
