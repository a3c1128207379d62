// How the ids of an AUTOINCREMENT table are dealt to nodes, so that no two give out the same (docs/decisions/0037-ids-that-never-collide.md).
//
// From an id `from` on the numbers are cut into blocks of `block` ids. As many blocks as there are slots are a round: in each
// round block 0 is slot 0's, block 1 is slot 1's, and so on. A node owns a slot, and gives out ids of its slot's blocks only. What
// the deal is can change: the next geometry begins above all ids that were given out under the one before it.
#pragma once

#include <cstdint>
#include <optional>

#include "common/core/version.hpp"

namespace marmot {

inline constexpr int kMaxSlots = 1023;            // numbers 0 to 1022: there is room for one more in every round
inline constexpr int64_t kMinBlock = 8;           // ids
inline constexpr int64_t kUnsaidBlock = 256;      // of tables of which nobody has said anything: room for what a migration puts into them at once
inline constexpr int64_t kUnsaidSlots = 32;       // likewise
inline constexpr int64_t kFirstBlock = 256;       // the first that is said, at most: nobody knows yet how the table is used
inline constexpr int64_t kFirstRound = 2048;      // its round, where that leaves blocks of kQuietBlock
inline constexpr int64_t kQuietBlock = 16;        // of tables that get single rows for weeks
inline constexpr int64_t kMaxBlock = 65'536;      // that grows by itself
inline constexpr int64_t kExtendedBlock = 1 << 20;
inline constexpr int64_t kMaxCompactId = (int64_t{1} << 53) - 1;  // exact in JSON and JavaScript

// A place in a stream. Of two that contend for one thing, the lower one has it; of two streams, which have no order, the one of lower id.
struct StreamPlace {
  uint64_t stream = 0;
  StreamSeq seq = 0;
  auto operator<=>(const StreamPlace&) const = default;
};

// A slot is granted, or retired. Retired, it can be granted again, in its next generation.
struct SlotFact {
  int slot = 0;               // 0 to kMaxSlots - 1
  int64_t generation = 1;
  bool retired = false;
  NodeId owner;
  StreamPlace place;          // of the claim; zero: it is being claimed by the message that says so
  bool operator==(const SlotFact&) const = default;
};
// Which of two that are said of one slot stands, whatever came first.
bool stands_before(const SlotFact& a, const SlotFact& b);

struct IdGeometry {
  int64_t number = 0;         // of this table's: the higher one stands; 0: nobody has said anything of it yet
  int64_t from = 1;           // the first id that it deals
  int64_t block = kUnsaidBlock;  // ids; a power of two
  int64_t slots = kUnsaidSlots;  // in a round; a power of two
  bool narrow = false;        // whoever said it wants ids to stay low: it does not grow by itself
  WallMs at = 0;              // when it was said
  bool operator==(const IdGeometry&) const = default;

  int64_t round() const { return block * slots; }  // ids; at most 2^30
};
struct GeometryFact {
  Version table;              // a permanent id of it
  IdGeometry geometry;
  StreamPlace place;          // zero: it is being said
  bool operator==(const GeometryFact&) const = default;
};
bool stands_before(const GeometryFact& a, const GeometryFact& b);

// What somebody sent can be one: numbers in range, sizes powers of two.
bool is_valid(const SlotFact& fact);
bool is_valid(const GeometryFact& fact);

// Whose block an id is in; none: below `from`.
std::optional<int> slot_of(const IdGeometry& geometry, int64_t id);

// How many ids are left, from `id` on, in its block, where that is `slot`'s; else 0.
int64_t left_in_block(const IdGeometry& geometry, int slot, int64_t id);

// The first id of the first block of `slot` that lies above `above`, and in this geometry. None: the numbers up to `limit` are used up.
std::optional<int64_t> next_block(const IdGeometry& geometry, int slot, int64_t above, int64_t limit);

// The slots of a round where `highest` is the highest one that is granted: the next power of two that leaves one free.
int64_t slots_for(int highest);

// What a node knows of a table when it asks whether ids should be dealt otherwise.
struct IdDemand {
  int slot = 0;               // its own, or the one that it claims
  int highest_slot = 0;       // that is granted
  int64_t highest_id = 0;     // in the table
  int64_t used = 0;           // ids that one drain found given out here, or those of a quarter of a second: a block is to last for two
  WallMs now = 0;
  WallMs busy_at = 0;         // when one drain last found more ids given out than an eighth of a block
  bool parts_from_one = false;  // it claims its slot with this, and one other node at most has one
  bool narrow = false;        // settings
  bool extended = false;
};
// The geometry that this node should tell the others; none: the present one does.
std::optional<IdGeometry> better_geometry(const IdGeometry& now, const IdDemand& demand);

}  // namespace marmot
