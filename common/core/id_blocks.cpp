#include "common/core/id_blocks.hpp"

#include <algorithm>

namespace marmot {

namespace {

constexpr int64_t kRoundsAhead = 4;                      // how far above the highest known id a geometry begins
constexpr WallMs kHour = 3'600'000;                      // a table's blocks change size at most so often, but they grow at once
constexpr WallMs kDay = 24 * kHour;
constexpr WallMs kWeek = 7 * kDay;

bool is_power_of_two(int64_t value) { return value > 0 && (value & (value - 1)) == 0; }

int64_t power_of_two_from(int64_t value) {
  int64_t out = 1;
  while (out < value) out *= 2;
  return out;
}

// Of single rows, and blocks of this size are halved. Those that a table began with are soon a quarter of that; what its use asked for stays for a week.
WallMs quiet_until_halved(int64_t block) { return block <= kFirstBlock && block > kFirstBlock / 4 ? kDay : kWeek; }

// The size that blocks should have, with so many slots in a round.
int64_t wanted_block(const IdGeometry& now, const IdDemand& demand, int64_t slots) {
  if (demand.extended) return kExtendedBlock;
  if (demand.narrow) return kMinBlock;
  const int64_t block = now.number == 0 ? std::clamp(kFirstRound / slots, kQuietBlock, kFirstBlock) : now.block;
  if (now.narrow || block > kMaxBlock) return block;  // another node's settings
  if (demand.used > block / 4) return std::clamp(power_of_two_from(std::min(demand.used, kMaxBlock) * 8), block, kMaxBlock);
  const bool idle = demand.now - std::max(now.at, demand.busy_at) > quiet_until_halved(block);
  return now.number > 0 && idle && block > kQuietBlock ? block / 2 : block;
}

}  // namespace

bool stands_before(const SlotFact& a, const SlotFact& b) {
  if (a.generation != b.generation) return a.generation > b.generation;
  if (a.retired != b.retired) return a.retired;
  return a.place != b.place ? a.place < b.place : a.owner < b.owner;  // two of one place: nobody says so
}

bool stands_before(const GeometryFact& a, const GeometryFact& b) {
  if (a.geometry.number != b.geometry.number) return a.geometry.number > b.geometry.number;
  return a.place != b.place ? a.place < b.place : a.geometry.from > b.geometry.from;
}

bool is_valid(const GeometryFact& fact) {
  const IdGeometry& geometry = fact.geometry;
  return fact.table != Version{} && geometry.number > 0 && geometry.from > 0 && is_power_of_two(geometry.block) && geometry.block >= kMinBlock &&
         geometry.block <= kExtendedBlock && is_power_of_two(geometry.slots) && geometry.slots <= kMaxSlots + 1;
}

bool is_valid(const SlotFact& fact) {
  return fact.slot >= 0 && fact.slot < kMaxSlots && fact.generation > 0 && fact.owner.value > 0 && fact.owner.value <= kMaxNodeId;
}

std::optional<int> slot_of(const IdGeometry& geometry, int64_t id) {
  if (id < geometry.from) return std::nullopt;
  return static_cast<int>((id - geometry.from) / geometry.block % geometry.slots);
}

int64_t left_in_block(const IdGeometry& geometry, int slot, int64_t id) {
  if (slot_of(geometry, id) != slot) return 0;
  return geometry.block - (id - geometry.from) % geometry.block;
}

std::optional<int64_t> next_block(const IdGeometry& geometry, int slot, int64_t above, int64_t limit) {
  if (slot >= geometry.slots) return std::nullopt;
  // Unsigned: `above` may be the highest id that there is.
  const auto first = static_cast<uint64_t>(geometry.from) + static_cast<uint64_t>(slot) * static_cast<uint64_t>(geometry.block);
  const auto round = static_cast<uint64_t>(geometry.round());
  const auto floor = static_cast<uint64_t>(std::max<int64_t>(above, 0));
  const uint64_t rounds = first > floor ? 0 : (floor - first) / round + 1;
  const uint64_t start = first + rounds * round;
  if (start + static_cast<uint64_t>(geometry.block) - 1 > static_cast<uint64_t>(limit)) return std::nullopt;
  return static_cast<int64_t>(start);
}

int64_t slots_for(int highest) { return power_of_two_from(std::min(highest + 2, kMaxSlots + 1)); }

std::optional<IdGeometry> better_geometry(const IdGeometry& now, const IdDemand& demand) {
  IdGeometry out;
  out.number = now.number + 1;
  out.slots = std::max(slots_for(std::max(demand.highest_slot, demand.slot)), now.number == 0 || demand.narrow ? 1 : now.slots);
  out.block = wanted_block(now, demand, out.slots);
  out.narrow = demand.narrow || now.narrow;
  out.at = demand.now;
  // The geometry that nobody said has one block of every slot near the table's beginning; the next ones lie far apart.
  const int64_t first = now.from + demand.slot * now.block;
  const bool beyond_first = now.number == 0 && demand.highest_id >= first + now.block / 2 - 1;
  // Whoever was alone gives out any id, until it hears of a second node.
  const bool parts_from_one = demand.parts_from_one && demand.highest_id > 0;
  const bool needs_slots = std::max(demand.slot, demand.highest_slot) >= now.slots;
  const bool other = now.number > 0 && (out.block != now.block || out.narrow != now.narrow || (demand.narrow && out.slots != now.slots));
  const bool may_change = out.block > now.block || demand.now - now.at >= kHour || demand.now < now.at;
  if (!needs_slots && !beyond_first && !parts_from_one && !(other && may_change)) return std::nullopt;
  // Above whatever others may give out by the present one before they have heard of it.
  const int64_t ahead = kRoundsAhead * std::max(now.round(), out.round());
  if (demand.highest_id > INT64_MAX - ahead - out.round()) return std::nullopt;
  out.from = std::max(demand.highest_id, now.number == 0 ? 0 : now.from) + ahead + 1;
  return out;
}

}  // namespace marmot
