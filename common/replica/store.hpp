// The engine's typed view of the internal tables (sql/schema.sql) on one connection. Statements are prepared once and kept.
// No rule of replication is decided here.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/core/siphash.hpp"
#include "common/core/version.hpp"
#include "common/replica/meta.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

enum class RowState : uint8_t {
  dead = 0,
  live = 1,
  inserted = 2,  // live, by an insert of ours that the stream has not shown yet: sent again, it must still say "insert"
  shelved = 3,            // live, but not in the table: it waits in __marmot_shelf (shelf.hpp)
  shelved_inserted = 4,   // both
};
constexpr bool is_shelved(RowState state) { return state >= RowState::shelved; }
constexpr bool is_inserted(RowState state) { return state == RowState::inserted || state == RowState::shelved_inserted; }
constexpr RowState to_shelf(RowState state) { return is_inserted(state) ? RowState::shelved_inserted : RowState::shelved; }
constexpr RowState from_shelf(RowState state) { return is_inserted(state) ? RowState::inserted : RowState::live; }

// What __marmot_version holds for a key.
struct Register {
  Version version;
  int64_t origin_id = 0;             // 0: a baseline row (it stood here before it was watched)
  std::optional<StreamSeq> seq;      // nullopt: not yet seen in the stream
  uint64_t hash = 0;
  RowState state = RowState::dead;
  bool live() const { return state != RowState::dead; }
  bool shelved() const { return is_shelved(state); }
  bool visible() const { return live() && !shelved(); }  // it has to be in the table
};

class Store {
 public:
  explicit Store(sqlite::Database& db) : db_(&db) {}

  // Under which hashes of rows and of unique values are made (meta::kHashKey). All zero until load_hash_key() or keep_hash_key().
  HashKey hash_key;
  Status load_hash_key();                    // Errc::corrupt: the file has none, or it is none
  Status keep_hash_key(const HashKey& key);  // in the file as well; whoever rolls back sets `hash_key` again

  // Prepared on first use, kept for life; reset before it is returned.
  Result<sqlite::Statement*> statement(std::string_view sql);

  // The first column of the first row of a kept statement; `sql` must be a literal.
  Result<int64_t> integer(std::string_view sql);

  Result<std::optional<int64_t>> meta_integer(std::string_view key);
  Result<std::string> meta_text(std::string_view key);  // empty: absent
  Status set_meta(std::string_view key, int64_t value);
  Status set_meta(std::string_view key, std::string_view value);

  // Origins are few and are cached; forget() after a rollback.
  struct OriginRow {
    int64_t id = 0;
    uint64_t unit = 0;  // the last one applied
  };
  Result<OriginRow> origin(const Origin& origin);  // makes the row when it is missing
  Result<uint64_t> units_of(const Origin& origin);  // OriginRow::unit; 0: there is no row
  Result<Origin> origin_of(int64_t id);
  Result<Version> version(int64_t hlc, int64_t origin);  // as the internal tables hold one
  Result<std::optional<Version>> version_in(sqlite::Statement& select);  // its row, if it has one: hlc and origin; it is bound
  Status set_unit(const Origin& origin, uint64_t unit);
  void forget();

  Result<std::optional<Register>> find(int64_t table, std::string_view key);
  // `exists`: find() found one. The origin's row is made when missing.
  Status put(int64_t table, std::string_view key, bool exists, const Version& version, std::optional<StreamSeq> seq,
             uint64_t hash, RowState state);
  Status remove(int64_t table, std::string_view key);
  Status unmark(int64_t table, std::string_view key);  // not seen in the stream
  Status mark(int64_t table, std::string_view key, StreamSeq seq);
  Status set_state(int64_t table, std::string_view key, RowState state);

 private:
  Status load_origins();

  sqlite::Database* db_;
  std::map<const char*, sqlite::Statement> statements_;  // by the address of the constant
  bool origins_loaded_ = false;
  std::map<Origin, OriginRow> origins_;
  std::map<int64_t, Origin> origins_by_id_;
};

// What the file of `store`, which may be a snapshot, remembers of the row's pruned tombstone. `table`: its id there. (pruned.cpp)
Result<std::optional<Version>> pruned_version(Store& store, int64_t table, std::string_view key);

}  // namespace marmot::replica
