// The application of one machine: plain SQL on a connection of its own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/sqlite/database.hpp"
#include "tests/sim/ddl.hpp"
#include "tests/sim/moving.hpp"
#include "tests/sim/replaced.hpp"
#include "tests/sim/rows.hpp"
#include "tests/sim/workload.hpp"

namespace marmot::sim {

class World;
struct Node;

class App {
 public:
  App(World& world, Node& node) : world_(world), node_(node) {}

  void start();  // ticks from now on
  void tick();
  void kill();
  void stop() { stopping_ = true; }  // ends what it has open, then is silent
  bool idle() const { return !holding_ && !reading_; }
  bool started() const { return started_; }

  // One transaction with these statements. False: it could not begin or was taken back.
  // `strict`: a statement that is refused ends it.
  std::vector<std::string> name_a_table();
  bool transaction(const std::vector<std::string>& statements, bool hold, bool strict = false);
  bool open();
  bool is_open() const { return db_ != nullptr; }
  Texts texts() const { return texts_; }  // what it may write, while it is open

  // The same in three calls, as scenarios do it: what is refused is taken back, and `refusal` says why.
  bool begin();
  bool run(const std::string& sql);
  bool finish();
  void roll_back();
  void holds(bool on) { holding_ = on; }
  void drops_a_table() { drops_ = true; }
  const std::string& refusal() const { return refusal_; }
  // One on the moving tables.
  void migrate(const Migration& migration);
  // Drops one object that is no table and has a moving table's name. False: there is none.
  bool make_room();

 private:
  Result<bool> met_a_stream();
  void refused(const std::string& sql, int rc);

  World& world_;
  Node& node_;
  std::unique_ptr<sqlite::Database> db_;
  bool started_ = false, stopping_ = false;
  bool holding_ = false, reading_ = false;
  bool suspect_ = false;  // an I/O error came while a full-text index may have been written: open anew
  Rows before_;
  Keyless keyless_before_;
  int64_t number_ = 0;
  std::string refusal_;
  Texts texts_ = Texts::plain;
  std::optional<Writes> writes_before_;  // of a transaction on the moving tables
  bool drops_ = false, migrated_ = false;
  bool replaces_ = false;  // a statement of the transaction may take rows away unseen
};

}  // namespace marmot::sim
