// What the checkers know of the moving tables (ddl.hpp). A row is followed by its write number, wherever its table went; a
// table by its permanent id, which is all that is taken from the wire format. Checked in the end:
//
//   the schema is the same on all nodes, column order and the SQL of indexes, views and triggers included, and so are the rows
//   every row was written by an application, under that id; every text in it came with the winning write
//   in each table that was not dropped each key shows the last writer's row or is deleted, a row that a UNIQUE index or a
//     stricter definition keeps out waits on the shelf
//   every acknowledged write is visible, superseded by a higher version, listed in conflicts, or went with its table: one that
//     came into the stream before the table's drop. One that came after it stands in conflicts
//   no table is told to be dropped that no application dropped
//   no register of the schema is older in a file than one that the stream took
//   user_version is as high as any that stood in a file when its application committed, where no application set it back
//   a row whose deletion an application saw committed is back only under a higher version than the deletion's
//
// Not checked: what numbers and NULLs became under another type or default (only that nodes agree), and which of two concurrent
// definitions won.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "common/core/clock_reset.hpp"
#include "common/codec/message.hpp"
#include "common/sqlite/database.hpp"
#include "tests/sim/ddl.hpp"

namespace marmot::sim {

enum class Fate : uint8_t;

// The moving rows of one file: which writes stand there.
using Writes = std::set<int64_t>;
Result<Writes> read_writes(sqlite::Database& db);

class Moving {
 public:
  void commit(int node, int64_t number, Fate fate, const Writes& before, const Writes& after, bool drops, int64_t user_version);
  void recovered(int node, int64_t number);

  void published_row(const std::string& msg_id, const UnitTable& table, const Unit& unit, const UnitRow& row);
  // What is wrong with it; empty: nothing.
  std::string published_schema(const std::string& msg_id, const std::vector<SchemaRegister>& registers);
  // What is told to be dropped is compared with what applications dropped. Off: docs/testing.md, "Open", seed 447.
  bool watch_drops = false;
  // An application's DROP TABLE is about to be run there.
  void drops(sqlite::Database& db, const std::string& table);
  void stored(const std::string& msg_id);
  void reset(const ClockReset& reset);  // as Ledger::reset: registers of the schema. There are no moving tables where clocks are judged
  void drained(int node, const std::string& table, const std::string& key, const Version& version);
  // Two files of tables with equal names and rows are equal; the text says how else.
  static Result<std::string> print_rows(sqlite::Database& db);
  // Of a cluster that has settled with equal files; `history`: nothing was lost that both the stream and a file held.
  std::string check(const std::vector<sqlite::Database*>& files, const Migrations& migrations, bool history) const;

 private:
  struct Committed {
    int64_t number = 0;
    Fate fate{};
    Writes added, removed;
    bool drops = false;
    int64_t user_version = 0;
  };
  struct Register {
    int64_t write = 0;                         // 0: a tombstone
    std::map<std::string, std::string> texts;  // by column id
    uint64_t stored = 0;                       // when the stream took it; 0: it never did
  };
  struct Winner {
    Version version, table;
    const Register* value = nullptr;
  };
  using Key = std::pair<Version, std::string>;  // a table and a key
  struct End;                                   // what the files say
  Version root_of(Version table) const;
  std::map<Key, Winner> winners() const;
  Result<std::string> check_registers(sqlite::Database& db) const;
  std::string check_number(sqlite::Database& db) const;
  std::string check_winners(const End& end, const std::map<Key, Winner>& winners) const;
  std::string check_nothing_lost(const End& end, const std::map<Key, Winner>& winners) const;
  std::string lost(int node, int64_t write, const End& end, const std::map<Key, Winner>& winners) const;
  std::string back(int node, int64_t write, const std::map<Key, Winner>& winners) const;
  bool superseded(int node, int64_t write, const std::map<Key, Winner>& winners) const;


  std::set<Version> app_dropped_;
  std::map<int, std::vector<Committed>> commits_;
  std::map<Version, std::map<std::string, std::map<Version, Register>>> registers_;  // table, key
  std::map<int64_t, std::set<std::pair<Key, Version>>> by_write_;
  std::map<std::string, std::vector<std::pair<Key, Version>>> units_;                // by the id of their last message
  std::map<std::string, std::vector<SchemaRegister>> schemas_;
  std::map<std::string, std::set<Version>> made_as_;                                 // tables of one SchemaRegister::id are one
  std::map<Version, std::string> id_of_;
  std::map<std::tuple<SchemaKind, Version, std::string>, SchemaRegister> newest_;    // of each register of the schema that the stream took
  struct Drop {
    uint64_t stored = 0;  // when the stream took it
    Version by;
  };
  std::map<Version, Drop> dropped_;
  std::map<std::pair<int, std::string>, std::set<Version>> drained_;                 // node and key: versions of its own changes
  uint64_t order_ = 0;
};

}  // namespace marmot::sim
