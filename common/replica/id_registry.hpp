// Who owns which slot, and how tables deal their ids, as __marmot_slot and __marmot_geometry hold it (docs/decisions/0037-ids-that-never-collide.md).
// Kept in memory, written through; load() again after a rollback. What the node does with it is decided in ids.cpp.
#pragma once

#include <map>
#include <optional>

#include "common/base/result.hpp"
#include "common/codec/ids.hpp"
#include "common/core/id_blocks.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

class IdRegistry {
 public:
  template <class Fact>
  struct Entry {
    Fact fact;
    std::optional<StreamSeq> seq;  // as Registers::Entry::seq
  };
  using Slots = std::map<int, Entry<SlotFact>>;
  using Geometries = std::map<Version, Entry<GeometryFact>>;

  explicit IdRegistry(sqlite::Database& db) : db_(&db) {}

  Status load();

  // `fact` was said by message `seq`. The answer: what stands has changed. Of a fact that gives way to the one that stands here its sender
  // may not know that: `object` tells it again.
  Result<bool> take(const SlotFact& fact, StreamSeq seq, bool object);
  Result<bool> take(const GeometryFact& fact, StreamSeq seq, bool object);

  const Slots& slots() const { return slots_; }
  const Geometries& geometries() const { return geometries_; }
  // The lowest slot that is granted to it.
  std::optional<int> slot_of(NodeId node) const;
  int highest_granted() const;  // -1: none
  std::optional<NodeId> first_owner() const;  // of the lowest slot that is granted

  bool has_unsent() const;
  codec::IdFacts unsent() const;
  Status all_sent();             // they are in flight
  uint64_t changes() const { return changes_; }  // moves whenever what stands does

 private:
  Status write(const Entry<SlotFact>& entry);
  Status write(const Entry<GeometryFact>& entry);
  template <class Map, class Key, class Fact>
  Result<bool> take_into(Map& map, const Key& key, const Fact& fact, StreamSeq seq, bool object);

  sqlite::Database* db_;
  Slots slots_;
  Geometries geometries_;
  uint64_t changes_ = 1;
};

}  // namespace marmot::replica
