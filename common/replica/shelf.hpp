// Which rows of a table are visible (docs/decisions/0011-the-shelf.md).
//
// A table's visible rows are a function of its registers: live rows from the highest version down (equal versions: the lower
// key bytes first), each visible unless a unique value of it is held by one already visible. The others are live registers
// as well, but wait in __marmot_shelf; so do rows that the table's definition refuses (NOT NULL, STRICT). So every order of
// delivery gives the same tables.
//
// Settle restores this after registers changed. It works down a queue ordered as the rule is: the row in front is put in;
// where unique values stand in its way it goes to the shelf if one of their holders ranks higher, else the holders are taken
// out and join the queue. Taking a row out frees its values: shelved rows that wait for one join the queue. Whatever joins
// ranks below the row that made it join, or was there from the start; so one pass is enough.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/replica/engine.hpp"

namespace marmot::replica {

// The content of a live register's row, in its table or on the shelf, of any file. Views live until the next read of the
// table, and as long as `storage`. False: it is not there.
Result<bool> read_live_row(Store& store, Table& table, std::string_view key, const Register& now, std::vector<ValueView>& values,
                           std::string& storage);

// Who ranks above a shelved row and holds a unique value of it: the highest. nullopt: nobody.
struct Blocker {
  std::string key;
  Register now;
};
Result<std::optional<Blocker>> find_blocker(Store& store, const Table& table, std::string_view key, const Register& now);

class Settle {
 public:
  Settle(Replica::Impl& impl, Table& table) : impl_(impl), table_(table) {}

  // What stands under `key` by its register `before`, in the table or on the shelf, goes. Before the register changes.
  Status take_out(std::string_view key, const Register& before);
  // The row of a live register that has changed; `read` gives its content when its turn comes. Its version must be kept
  // already, with the state that it has when visible.
  using ReadFn = std::function<void(std::vector<ValueView>& values)>;
  void put_in(std::string_view key, const Version& version, RowState state, ReadFn read);
  // A visible row is tried again: it is taken out now.
  Status again(std::string_view key, const Register& now);
  // A shelved row is tried again.
  void shelved(std::string_view key, const Register& now);
  Status all_shelved();

  Status run();

 private:
  struct Rank {  // orders the queue
    Version version;
    std::string key;
    bool operator<(const Rank& other) const {
      return version != other.version ? version > other.version : key < other.key;
    }
  };
  struct Candidate {
    RowState state = RowState::live;     // as it is when visible
    ReadFn read;                         // put_in(); else:
    bool on_shelf = false;
    std::string row;                     // taken out: its content
    std::vector<Table::UniqueValue> unique;
    std::optional<int64_t> rowid;        // where it was
  };

  Status take_out_of_table(std::string_view key);
  Status join_freed();
  Status place(const Rank& rank, Candidate& candidate);
  Result<std::vector<ValueView>> content(const Rank& rank, Candidate& candidate);
  Result<std::optional<int64_t>> rowid_for(const Rank& rank, const Candidate& candidate);
  Status make_visible(const Rank& rank, const Candidate& candidate);
  Status shelve(const Rank& rank, const Candidate& candidate, const std::vector<ValueView>& values,
                const std::vector<Table::UniqueValue>& unique, std::string_view kind, std::string reason);

  Replica::Impl& impl_;
  Table& table_;
  std::map<Rank, Candidate> queue_;
  std::map<std::string, int64_t, std::less<>> rowids_;  // of rows that were taken out
  std::set<int64_t> held_;                              // the same rowids
};

}  // namespace marmot::replica
