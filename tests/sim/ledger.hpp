// What every application committed, and every register that was ever published: what the checkers judge by. Knows the
// wire format, and nothing of how the engine works.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/core/clock_reset.hpp"
#include "common/core/version.hpp"
#include "common/replica/replica.hpp"
#include "tests/sim/moving.hpp"
#include "tests/sim/schema_spec.hpp"

namespace marmot::sim {

using Content = std::optional<std::string>;  // print_row(); nullopt: no row

struct Change {
  RowId id;
  Content before, after;
  std::optional<Version> unseen;  // a row that REPLACE took away unseen: the version that its deletion gets once it is found (decision 0034)
  std::optional<RowId> was;       // of a row without a key: it is that one, whose tag was changed
};

enum class Fate : uint8_t {
  committed,
  early,        // before every row there had a version: joining may overwrite it
  unknown,      // COMMIT failed, or the process died in it: it may be there or not
  rolled_back,  // by a power cut, or an old copy put back
};

struct Commit {
  int64_t number = 0;  // of the node, as the file itself counts them
  Fate fate = Fate::committed;
  std::vector<Change> changes;
  WallMs at = 0;            // true time
};

// A register is named by its table and canonical key, as the stream names it; a row by what a reader sees (RowId).
struct Place {
  std::string table, key;
  auto operator<=>(const Place&) const = default;
};

struct Register {
  Row row;          // empty: a tombstone
  Content content;
  RowId id;
};

class Ledger {
 public:
  explicit Ledger(const SchemaSpec& schema) : schema_(schema) {}

  // What differs between a file before and after a transaction.
  static std::vector<Change> difference(const Rows& before, const Rows& after);
  void commit(int node, int64_t number, Fate fate, std::vector<Change> changes, WallMs at);
  // The file of the node counts `number` commits: those beyond are gone, the last unknown one is there or not.
  void recovered(int node, int64_t number);

  // A unit that a node handed over for publishing. The text of what is wrong with it; empty: nothing.
  std::string published(int node, const replica::OutUnit& unit);
  // The stream holds that message: with a unit's last one, its registers count. What never got there may go with its file.
  // At that time of the server's, under a bound for clocks: what is stamped further ahead counts for nothing.
  void stored(const std::string& msg_id, StreamSeq seq, WallMs at, int64_t clock_bound);
  // A reset of clocks is in the stream: all versions of before count with the stamps that it makes of theirs.
  bool was_reset() const { return !resets_.empty(); }
  // A write after the reset has lost against one that was made before it, in truth, by more than `apart`. Empty: none.
  std::string earlier_winner(int64_t apart) const;
  // The node gives its changes that no stream holds other stamps, none above `clock`: the former ones count for nothing.
  void redated(int node, NodeId named, Hlc clock);
  bool print = false;  // each row of it on stdout
  Moving moving;       // the tables that SchemaSpec does not know

  // The version that a node's drain gave to its own change, published or not.
  // `key` as describe_key() prints it.
  void drained(int node, const std::string& table, const std::string& key, const Version& version);
  // A node's file has that version of the row now, by apply. Empty, or what is wrong: it had a higher one before.
  std::string applied(int node, const std::string& table, const std::string& key, const Version& version);
  // The file's register is not what it was. An older one may come to it from the stream, and a version that damage made up,
  // once all nodes' registers of the row were damaged, is the best that is left: neither is the engine's doing.
  void damaged(int node, const Place& place);
  // Tables of the node's file run again: what it wrote to them was drained, and perhaps beaten by what had waited, in one transaction of
  // which nobody is told. Its word so far is not asked for.
  void resumed(int node);
  // The node's file is a clone, and holds these rows (by describe_key()) without a version: whoever sends one first gives it that. So a
  // version of what the file held then is none that its node has seen, until it applies it.
  void cloned(int node, std::set<Place> unversioned) { unversioned_[node] = std::move(unversioned); }
  void history_lost(int node);  // it reads the stream again, and what it had pruned comes by
  std::optional<Version> drained_version(int node, const Place& place) const;
  std::set<Place> places(const RowId& id) const;  // under which names the stream knew, or would know, a row

  // What the rule of the last writer makes of everything published.
  struct Winner {
    Version version;
    const Register* value = nullptr;
  };
  std::map<Place, Winner> winners() const;
  // Where, and under which versions, the row was published with that content.
  std::vector<std::pair<Place, Version>> versions_of(const RowId& id, const Content& content) const;
  // ... and some stream had it: what was lost with its file before that says nothing.
  std::vector<std::pair<Place, Version>> stored_versions_of(const RowId& id, const Content& content) const;
  // What the node's change grew out of: the last content before it that was ever published, or none.
  Content published_before(int node, const RowId& id, const Content& after) const;
  bool written(const RowId& id, const Content& content) const;  // by any application, at any time

  const std::map<int, std::vector<Commit>>& commits() const { return commits_; }
  size_t size() const;
  // Rows of the table `bare` of which the stream has had two under one name. Empty: none.
  std::string name_of_two() const;

 private:
  Version lowered(Version version, StreamSeq base = 0) const;
  void reset(const ClockReset& announced, StreamSeq seq);
  bool refused(const Origin& sender, const std::vector<std::pair<Place, Version>>& rows, WallMs at, int64_t clock_bound);
  bool wrote_last(int node, int64_t number, const RowId& id, const Content& content) const;
  std::string judge(int node, const Place& place, const RowId& id, const Version& version, const Content& content) const;
  bool unversioned(int node, const Place& place) const;
  const TableSpec* table(const std::string& name) const;

  const SchemaSpec& schema_;
  std::map<int, std::vector<Commit>> commits_;
  std::set<std::pair<RowId, std::string>> contents_;
  std::map<Place, std::map<Version, Register>> registers_;
  std::map<std::string, std::vector<std::pair<Place, Version>>> units_;  // by the id of its last message
  std::set<std::pair<Place, Version>> stored_;
  std::set<std::pair<Place, Version>> void_;  // refused for their stamps, or given others before they were sent
  WallMs stream_time_ = 0;                    // the highest
  Hlc stream_seen_;                           // the highest stamp that counts
  std::map<std::string, ClockReset> announced_;  // by the id of the message
  std::vector<std::pair<StreamSeq, ClockReset>> resets_;
  WallMs reset_at_ = 0;
  std::map<RowId, std::set<Place>> places_;  // under which names the stream knew a row
  std::map<RowId, RowId> was_;               // rows whose tag was changed
  std::map<std::pair<int, Place>, Version> drained_;
  std::map<int, std::map<Place, Version>> held_;  // by describe_key(); what each file has had, while it is not rolled back
  std::map<int, std::set<Place>> unversioned_;
  std::set<Place> damaged_;
  std::map<std::pair<RowId, std::string>, std::vector<std::pair<Place, Version>>> by_content_;
};

}  // namespace marmot::sim
