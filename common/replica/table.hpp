// One watched table: its catalog entry, its row in __marmot_table, and the statements that read and write its rows by
// canonical key. Decides nothing about versions.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutation.hpp"
#include "common/core/id_blocks.hpp"
#include "common/core/key.hpp"
#include "common/core/unit.hpp"
#include "common/replica/catalog.hpp"
#include "common/replica/coerce.hpp"
#include "common/replica/store.hpp"

namespace marmot::replica {

class Effects;
class Probe;

// Where a stored column of ours stands among the columns of a message; -1: the row was sent before the column was made. And
// the values that stand for that too, for the sender did not know all of the column's fills (column_id.hpp).
struct SentColumn {
  int at = -1;
  std::vector<std::string> given_up;  // fills
};

// __marmot_log.op: what the trigger saw.
enum class LogOp : int64_t { insert = 1, update = 2, remove = 3 };

// What is kept of a hash.
inline uint64_t kept_hash(uint64_t hash) { return mutated(Mutation::short_hash) ? hash & 63 : hash; }

class Table {
 public:
  // `life` outlives it, and may change: names its new rows that have no declared key.
  Table(sqlite::Database& db, Store& store, const RowLife& life, int64_t id, TableInfo info);
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  const int64_t id;  // __marmot_table.id
  const TableInfo info;

  // The rest of its row in __marmot_table; save() writes it.
  std::optional<Version> permanent_id;
  std::string sql;                    // CREATE TABLE as last seen here; empty: never yet
  bool baseline = false;
  bool rehash = false;                // a column went: the hashes of untouched rows are made again once the log is empty
  std::optional<std::string> stopped;
  bool exists = true;                 // false: dropped or renamed by the application

  // Which ids SQLite gives its rows (ids.cpp). In memory only.
  struct IdUse {
    bool touched = true;               // they are to be settled before the transaction ends
    bool listed = false;               // sqlite_sequence has a row of it
    int64_t given = 0;                 // that this transaction's drain found
    struct Pace {
      int64_t largest = 0;             // that one drain found, since the file was opened
      WallMs second_at = 0;            // when the second began that is counted
      int64_t this_second = 0, a_second = 0;  // ids given out since then, and in the one before
      int64_t in_quarter_second(WallMs now) const;  // ids.cpp
    };
    Pace pace;
    int64_t stray = 0;                 // the highest id that this transaction applied of a row that lies in no block of its writer
    int64_t came = 0;                  // the highest id that this transaction applied
    bool of_former_life = false;       // it applied one that a former life of this file gave out, and that the file had not
    WallMs sampled_at = 0;             // sample_pace()
    WallMs busy_at = 0;                // IdDemand::busy_at
    std::optional<IdGeometry> wanted;  // to be told the others
    IdGeometry geometry;
    uint64_t geometry_of = 0;          // IdRegistry::changes(), of that

    // The next id is to lie behind all that a former life of this file can have given out.
    void go_ahead() {
      of_former_life = true;
      came = INT64_MAX;
    }
    void forget_transaction() {
      given = stray = came = 0;
      of_former_life = false;
    }
  };
  IdUse id_use;

  Effects* effects = nullptr;         // of its writes; null: it has none

  Status save();
  // Why this SQLite cannot read its rows, with a cure: a unique index over a function that is not here, too many columns. None: it can.
  std::optional<std::string> unusable() const;

  bool running() const { return exists && !stopped; }
  bool counts_ids() const { return exists && info.auto_increment; }
  bool adoptable = false;             // the settings adopt by themselves, and the word can be put into its text (autoincrement.hpp)
  // SQLite gives out the id behind the highest, as it does on every other node.
  bool plain_ids() const { return exists && info.key_kind == KeyKind::rowid_alias && !info.auto_increment; }

  // Indexes into info.columns of what is captured, sent and written.
  const std::vector<int>& stored() const { return stored_; }
  std::vector<std::string> stored_names() const;
  std::vector<std::string> stored_ids() const;  // as messages spell them
  // The table as messages of this node describe it.
  UnitTable unit_table() const;
  // Are the keys that came with `sent` made as those of this table are?
  bool same_key(const UnitTable& sent) const;
  // For each stored column of ours.
  std::vector<SentColumn> map_columns(const std::vector<std::string>& ids) const;
  // What goes into stored column `at`: of the values that were sent its own, brought to its affinity, or what a row has that was
  // written before the column was there. Bytes live in `storage`, or with what was sent.
  ValueView value_for(size_t at, const SentColumn& from, const ValueView* sent, Coercer& coercer, std::deque<std::string>& storage) const;
  // The same for all stored columns: `out`.
  void values_for(const std::vector<SentColumn>& map, const ValueView* sent, Coercer& coercer, std::deque<std::string>& storage, std::vector<ValueView>& out) const;

  // Key from a row's stored values; false: none is declared, or there is a NULL in it.
  bool key_of_values(const std::vector<ValueView>& values, std::string& key) const;
  // Could a row of this table have that key?
  bool takes_key(std::string_view key) const;

  // The canonical keys that a log row, whose k1... begin at `first`, speaks of. The log is read in its order, and a rowid that
  // is used again is another row: the one that was known under it has gone. So there are two keys where a row was put in
  // place of a keyless one; none where a keyless row is neither known nor there. `reused`: what has its rowid now came to it
  // by a part of the log that is yet to be read. `gone_too`: a keyless row that came and went has a key as well.
  // `at`: when it was written.
  Result<std::vector<std::string>> keys_of_log(sqlite::Statement& log, int first, LogOp op, WallMs at, bool reused, bool gone_too);
  // The rowid of the row that a log row speaks of, where no declared key tells it.
  std::optional<int64_t> keyless_of_log(const sqlite::Statement& log, int first) const;

  // Reads the row of `key` into `values` (stored columns, in order). False: there is none. The views live until the next
  // read of this table.
  Result<bool> read(std::string_view key, std::vector<ValueView>& values);
  // Ends what read() left open: a statement that is not reset keeps the read transaction, and its snapshot, alive.
  void release();
  // Of a row: equal hashes are equal rows (decision 0027). Under the file's key (Store::hash_key), or under another.
  uint64_t hash(const std::vector<ValueView>& values) const;
  uint64_t hash_under(const HashKey& key, const std::vector<ValueView>& values) const;
  // With 128 bits, under the seed of a request.
  Hash128 digest(const HashKey& seed, const std::vector<ValueView>& values) const;
  const HashKey& hash_key() const { return store_.hash_key; }

  // Writes. `values` in the order of stored(). Errc::constraint and Errc::schema are the table's fault, not the disk's, nor that
  // of an effect (effects.hpp).
  Status insert(std::string_view key, const std::vector<ValueView>& values, std::optional<int64_t> rowid);
  // False: there is no such row.
  Result<bool> update(std::string_view key, const std::vector<ValueView>& values);
  Status remove(std::string_view key);
  Result<int64_t> highest_rowid();  // 0: there is no row
  // Where a new row is to go. `held`: rowids of rows that are out for a moment, and come back under them.
  Result<std::optional<int64_t>> choose_rowid(std::string_view key, const std::set<int64_t>& held);
  // The rowid to put a taken-out row back under. nullopt: the key says it, or there is no rowid.
  Result<std::optional<int64_t>> rowid_to_keep(std::string_view key);
  // A removed keyless row is known no more.
  Status forget_rowid(std::string_view key);
  // A keyless row (life, rowid there) of another file is the row `here`.
  Status adopt_rowid(std::string_view key, int64_t here);
  // Under what name a keyless row is known that is, or was, `here`. Empty: it is not.
  Result<std::string> key_at(int64_t here);

  // Scanning all rows, resumable. `fn` gets key and values; `limit` rows at most. True: the end was reached.
  struct Position {
    bool started = false;
    int64_t rowid = 0;
    std::string key;
  };
  using RowFn = std::function<Status(const std::string& key, const std::vector<ValueView>& values)>;
  Result<bool> scan(Position& position, int64_t limit, bool make_identities, const RowFn& fn);

  // The unique values of a present row: index id -> hash (none where the index does not hold the row).
  struct UniqueValue {
    uint64_t index = 0;
    std::optional<uint64_t> hash;
  };
  Result<std::vector<UniqueValue>> unique_values(std::string_view key);
  Result<UniqueValue> unique_value(size_t index, std::string_view key);  // of one: info.unique[index]
  // Of a row whose terms are the columns of `row`. nullopt: a NULL among them.
  std::optional<uint64_t> unique_hash(const UniqueIndex& index, const sqlite::Statement& row) const;
  // Of rows that are not in the table.
  Probe& probe();

 private:
  // One statement in both its forms, prepared on first use.
  struct Slots {
    sqlite::Statement by_key, by_rowid;
  };
  struct UniqueRead {
    std::string head, tail;
    Slots slots;
  };
  // Binds the key at `first`, returns the statement for its kind (declared key, or rowid here). Null: an unknown rowid.
  Result<sqlite::Statement*> bind_key(Slots& slots, const std::string& head, const std::string& tail, int first,
                                      std::string_view key);
  Result<std::optional<int64_t>> rowid_here(const RowidIdentity& identity);
  Result<std::optional<RowidIdentity>> identity_of(int64_t here);
  // Of a row that has none. `came`: when, if the log tells.
  Result<RowidIdentity> make_identity(int64_t here, std::optional<WallMs> came);
  Result<bool> is_given(const RowidIdentity& identity, bool dated);
  Result<bool> rowid_taken(int64_t rowid);
  Result<bool> keyless_row_at(int64_t rowid);
  std::string key_where(int first) const;
  template <class F>
  Status write(F&& statement);
  sqlite::Database& db_;
  Store& store_;
  const RowLife& life_;
  std::string quoted_;       // "table"
  std::string rowid_;        // "rowid" under a name that is not a column; empty: WITHOUT ROWID
  std::vector<int> stored_;
  std::vector<int> key_in_stored_;
  std::string column_list_;
  std::string read_head_, update_head_, remove_head_, rowid_head_;
  Slots read_, update_, remove_, rowid_of_;
  sqlite::Statement insert_, insert_at_, taken_, keyless_, highest_;
  std::vector<UniqueRead> unique_;
  std::unique_ptr<Probe> probe_;
  DecodedKey decoded_;       // storage of what is bound
};

}  // namespace marmot::replica
