#include <doctest/doctest.h>

#include <set>

#include "common/codec/ids.hpp"
#include "common/core/id_blocks.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;

namespace {

constexpr WallMs kNow = 1'700'000'000'000;
constexpr WallMs kHour = 3'600'000;

IdGeometry geometry(int64_t from, int64_t block, int64_t slots) { return {1, from, block, slots, false, kNow}; }

}  // namespace

TEST_CASE("id blocks: of 10,000 ids each belongs to one slot, and next_block() finds a slot's own only") {
  const IdGeometry deal = geometry(101, 16, 4);
  CHECK_FALSE(slot_of(deal, 100));
  for (int64_t id = 101; id < 10'000; ++id) {
    const auto slot = slot_of(deal, id);
    REQUIRE(slot);
    CHECK(*slot == (id - 101) / 16 % 4);
    for (int one = 0; one < 4; ++one) CHECK((left_in_block(deal, one, id) > 0) == (one == *slot));
    const auto next = next_block(deal, *slot, id, kMaxCompactId);
    REQUIRE(next);
    CHECK(*next > id);
    CHECK(*next <= id + deal.round());
    CHECK(slot_of(deal, *next) == slot);
    CHECK(left_in_block(deal, *slot, *next) == 16);
  }
}

TEST_CASE("id blocks: three nodes that take ids in turn, each above the highest one it knows, never take the same") {
  // Each hears of the others' ids up to 30 steps late.
  const IdGeometry deal = geometry(1, 16, 4);
  test::Random random(7);
  std::set<int64_t> given;
  std::vector<int64_t> highest_at;
  int64_t last[3] = {0, 0, 0}, highest = 0;
  for (int step = 0; step < 20'000; ++step) {
    const int slot = static_cast<int>(random.below(3));
    const size_t known = highest_at.size() - std::min<size_t>(highest_at.size(), random.below(30));
    const int64_t heard = std::max(last[slot], known == 0 ? 0 : highest_at[known - 1]);
    int64_t id = heard + 1;
    if (left_in_block(deal, slot, id) == 0) id = next_block(deal, slot, heard, kMaxCompactId).value();
    CHECK(given.insert(id).second);
    last[slot] = id;
    highest_at.push_back(highest = std::max(highest, id));
  }
}

TEST_CASE("id blocks: where the numbers end there is no next block, and nothing overflows") {
  const IdGeometry deal = geometry(1, kExtendedBlock, 1024);
  CHECK_FALSE(next_block(deal, 0, INT64_MAX, INT64_MAX));
  CHECK_FALSE(next_block(deal, 1023, INT64_MAX - 1, INT64_MAX));
  CHECK_FALSE(next_block(deal, 3, kMaxCompactId - 5, kMaxCompactId));
  CHECK(next_block(deal, 3, kMaxCompactId - 5, INT64_MAX));
  CHECK(next_block(deal, 3, -5, kMaxCompactId) == 3 * kExtendedBlock + 1);
  CHECK_FALSE(next_block(geometry(1, 16, 4), 4, 0, kMaxCompactId));  // no such slot
  IdDemand demand;
  demand.highest_id = INT64_MAX - 10;
  CHECK_FALSE(better_geometry(IdGeometry{}, demand));
}

TEST_CASE("id blocks: a round leaves one slot free") {
  CHECK(slots_for(-1) == 1);
  CHECK(slots_for(0) == 2);
  CHECK(slots_for(2) == 4);
  CHECK(slots_for(3) == 8);
  CHECK(slots_for(62) == 64);
  CHECK(slots_for(kMaxSlots - 1) == 1024);
}

TEST_CASE("id blocks: what nobody has said deals each slot one block near the table's beginning, and is then replaced by a tighter round") {
  const IdGeometry unsaid;
  IdDemand demand;
  demand.now = kNow;
  demand.slot = 1;
  demand.highest_slot = 2;
  CHECK(next_block(unsaid, 1, 0, kMaxCompactId) == 257);
  demand.highest_id = 257 + 126;
  CHECK_FALSE(better_geometry(unsaid, demand));
  demand.highest_id = 257 + 127;  // half of it is used
  const auto first = better_geometry(unsaid, demand);
  REQUIRE(first);
  CHECK(first->number == 1);
  CHECK(first->block == kFirstBlock);
  CHECK(first->slots == 4);
  CHECK(first->from == 384 + 4 * 32 * 256 + 1);
  // Where many nodes share a round, it stays small.
  const auto block_of_first = [&](int highest_slot) {
    demand.highest_slot = highest_slot;
    return better_geometry(unsaid, demand)->block;
  };
  CHECK(block_of_first(6) == 256);
  CHECK(block_of_first(7) == 128);
  CHECK(block_of_first(62) == 32);
  CHECK(block_of_first(500) == 16);
}

TEST_CASE("id blocks: a second node does not rely on what the first one gives out without having heard of it") {
  IdDemand demand;
  demand.now = kNow;
  demand.slot = 1;
  demand.highest_slot = 0;
  demand.highest_id = 3;
  CHECK_FALSE(better_geometry(IdGeometry{}, demand));
  demand.parts_from_one = true;
  const auto parted = better_geometry(IdGeometry{}, demand);
  REQUIRE(parted);
  CHECK(parted->from > 3 + 64);
  demand.highest_id = 0;
  CHECK_FALSE(better_geometry(IdGeometry{}, demand));  // an empty table
}

TEST_CASE("id blocks: blocks grow at once with what a drain finds, and shrink after a week of single rows") {
  IdGeometry now = geometry(1, 16, 4);
  IdDemand demand;
  demand.slot = 1;
  demand.highest_slot = 2;
  demand.highest_id = 1000;
  demand.now = kNow + kHour;
  demand.busy_at = demand.now;
  demand.used = 4;
  CHECK_FALSE(better_geometry(now, demand));
  demand.used = 5;
  CHECK(better_geometry(now, demand)->block == 64);
  CHECK(better_geometry(now, demand)->from == 1000 + 4 * 256 + 1);
  demand.used = 1'000'000'000;
  CHECK(better_geometry(now, demand)->block == kMaxBlock);
  demand.now = kNow + kHour - 1;
  CHECK(better_geometry(now, demand));
  now.block = 64;
  demand.used = 1;
  demand.busy_at = kNow;
  demand.now = kNow + 7 * 24 * kHour;
  CHECK_FALSE(better_geometry(now, demand));
  ++demand.now;
  CHECK(better_geometry(now, demand)->block == 32);
  now.block = 16;
  CHECK_FALSE(better_geometry(now, demand));
}

TEST_CASE("id blocks: of a table that gets single rows the first blocks are a quarter of what they were after two days, and 16 ids after two weeks more") {
  IdDemand demand;
  demand.slot = 1;
  demand.highest_slot = 2;
  demand.highest_id = 1000;
  demand.used = 1;
  IdGeometry now = geometry(1, kFirstBlock, 4);
  std::vector<int64_t> days;
  for (int64_t day = 0; day < 60; ++day) {
    demand.now = kNow + day * 24 * kHour + 1;
    const auto next = better_geometry(now, demand);
    if (!next) continue;
    CHECK(next->block == now.block / 2);
    now = *next;
    days.push_back(day);
  }
  CHECK(now.block == kQuietBlock);
  CHECK(days == std::vector<int64_t>{1, 3, 11, 19});
  now = geometry(1, 2 * kFirstBlock, 4);  // what use asked for
  demand.now = kNow + 6 * 24 * kHour;
  CHECK_FALSE(better_geometry(now, demand));
}

TEST_CASE("id blocks: a slot beyond the round, narrow tables and the extended mode") {
  IdGeometry now = geometry(1, 16, 4);
  IdDemand demand;
  demand.slot = 4;
  demand.highest_slot = 3;
  demand.now = kNow + 1;  // at once, whoever sees it
  CHECK(better_geometry(now, demand)->slots == 8);
  demand.slot = 1;
  demand.highest_slot = 4;
  CHECK(better_geometry(now, demand)->slots == 8);
  demand.highest_slot = 3;
  demand.slot = 1;
  demand.now = kNow + kHour;
  demand.narrow = true;
  const auto narrow = better_geometry(now, demand);
  REQUIRE(narrow);
  CHECK(narrow->block == 8);
  CHECK(narrow->slots == 8);
  CHECK(narrow->narrow);
  demand.narrow = false;  // another node, whose settings do not say so, leaves it
  now = *narrow;
  demand.now += kHour;
  demand.used = 1000;
  CHECK_FALSE(better_geometry(now, demand));
  now = geometry(1, 16, 4);
  demand.extended = true;
  CHECK(better_geometry(now, demand)->block == kExtendedBlock);
}

TEST_CASE("id blocks: of two that are said of one slot or one table the same one stands in whatever order they come") {
  const auto slot = [](int64_t generation, bool retired, uint64_t stream, StreamSeq seq) { return SlotFact{3, generation, retired, NodeId{1}, {stream, seq}}; };
  CHECK(stands_before(slot(1, false, 9, 4), slot(1, false, 9, 5)));
  CHECK(stands_before(slot(1, false, 8, 50), slot(1, false, 9, 5)));
  CHECK(stands_before(slot(1, true, 9, 50), slot(1, false, 9, 5)));
  CHECK(stands_before(slot(2, false, 9, 60), slot(1, true, 9, 50)));
  const auto deal = [](int64_t number, StreamSeq seq) { return GeometryFact{{}, {number, 1, 16, 4, false, 0}, {9, seq}}; };
  CHECK(stands_before(deal(2, 70), deal(1, 3)));
  CHECK(stands_before(deal(1, 3), deal(1, 70)));
  CHECK_FALSE(stands_before(deal(1, 3), deal(1, 3)));
}

TEST_CASE("ids message: facts come back as they were, and whatever bytes come, they are read or refused") {
  test::Random random(11);
  for (int round = 0; round < 300; ++round) {
    codec::IdFacts facts;
    for (uint64_t i = random.below(4); i > 0; --i) {
      facts.slots.push_back({static_cast<int>(random.below(kMaxSlots)), static_cast<int64_t>(random.below(5)) + 1, random.below(2) == 0,
                             NodeId{random.below(kMaxNodeId) + 1}, {random.next(), random.below(1000)}});
    }
    for (uint64_t i = random.below(4); i > 0; --i) {
      const Version table{Hlc{random.below(Hlc::from_wall(Hlc::kEnd).value)}, {NodeId{random.below(kMaxNodeId)}, Incarnation{random.below(INT64_MAX)}}};
      const IdGeometry one{static_cast<int64_t>(random.below(9)) + 1, static_cast<int64_t>(random.below(1 << 30)) + 1, int64_t{8} << random.below(17),
                           int64_t{1} << random.below(11), random.below(2) == 0, static_cast<WallMs>(random.below(1 << 30))};
      facts.geometries.push_back({table, one, {random.next(), random.below(1000)}});
    }
    const std::string payload = codec::encode_ids(facts);
    const auto back = codec::decode_ids(payload);
    REQUIRE(back);
    CHECK(*back == facts);
    std::string broken = payload;
    broken[random.below(broken.size())] ^= static_cast<char>(1 << random.below(8));
    (void)codec::decode_ids(broken);
    CHECK_FALSE(codec::decode_ids(std::string_view(payload).substr(0, random.below(payload.size()))));
  }
}

TEST_CASE("ids message: a fact that cannot be one is refused") {
  const auto refused = [](const codec::IdFacts& facts) {
    const auto read = codec::decode_ids(codec::encode_ids(facts));
    return !read && read.error().code == Errc::corrupt;
  };
  const SlotFact slot{3, 1, false, NodeId{7}, {}};
  const GeometryFact table{Version{Hlc{5}, {}}, {1, 1, 16, 4, false, 0}, {}};
  CHECK_FALSE(refused({{slot}, {table}}));
  const auto with = [](auto fact, auto&& change) { change(fact); return fact; };
  CHECK(refused({{with(slot, [](auto& f) { f.slot = kMaxSlots; })}, {}}));
  CHECK(refused({{with(slot, [](auto& f) { f.generation = 0; })}, {}}));
  CHECK(refused({{with(slot, [](auto& f) { f.owner.value = 0; })}, {}}));
  CHECK(refused({{}, {with(table, [](auto& f) { f.geometry.block = 24; })}}));
  CHECK(refused({{}, {with(table, [](auto& f) { f.geometry.block = 4; })}}));
  CHECK(refused({{}, {with(table, [](auto& f) { f.geometry.slots = 2048; })}}));
  CHECK(refused({{}, {with(table, [](auto& f) { f.geometry.slots = 0; })}}));
  CHECK(refused({{}, {with(table, [](auto& f) { f.geometry.from = 0; })}}));
  CHECK(refused({{}, {with(table, [](auto& f) { f.table = {}; })}}));
}
