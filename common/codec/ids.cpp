//   ids      := [ [ slot* ], [ geometry* ] ]
//   slot     := [ slot, generation, retired, owner, stream id, seq ]                                          stream id and seq 0: by this message
//   geometry := [ table's id: three numbers, number, from, block, slots, narrow, at, stream id, seq ]
#include "common/codec/ids.hpp"

#include "common/codec/frame.hpp"
#include "common/codec/wire.hpp"

namespace marmot::codec {

namespace {

constexpr size_t kMaxIdsBytes = size_t{64} << 20;
constexpr uint32_t kSlotFields = 6;
constexpr uint32_t kGeometryFields = 11;

struct IdsVisitor : RefusingVisitor {
  IdFacts facts;
  int depth = 0;
  int list = -1;       // 0: slots, 1: geometries
  uint32_t field = 0;  // of the fact that is read
  bool in_fact = false;

  bool start_array(uint32_t count) {
    switch (++depth) {
      case 1: return count == 2;
      case 2: return ++list <= 1;
      case 3: break;
      default: return false;
    }
    in_fact = true;
    field = 0;
    if (list == 0) facts.slots.emplace_back();
    else facts.geometries.emplace_back();
    return count == (list == 0 ? kSlotFields : kGeometryFields);
  }

  bool end_array() {
    if (depth-- != 3) return true;
    in_fact = false;
    return list == 0 ? is_valid(facts.slots.back()) : is_valid(facts.geometries.back());
  }

  bool visit_positive_integer(uint64_t value) {
    if (!in_fact) return false;
    return list == 0 ? of_slot(facts.slots.back(), field++, value) : of_geometry(facts.geometries.back(), field++, value);
  }

  static bool of_slot(SlotFact& into, uint32_t at, uint64_t value) {
    switch (at) {
      case 0: into.slot = static_cast<int>(value); return value < kMaxSlots;
      case 1: into.generation = static_cast<int64_t>(value); return value <= kMaxInt63;
      case 2: into.retired = value != 0; return value <= 1;
      case 3: into.owner.value = value; return value <= kMaxNodeId;
      case 4: into.place.stream = value; return true;
      default: into.place.seq = value; return value <= kMaxInt63;
    }
  }

  static bool of_geometry(GeometryFact& into, uint32_t at, uint64_t value) {
    IdGeometry& geometry = into.geometry;
    const auto number = static_cast<int64_t>(value);
    switch (at) {
      case 0: case 1: case 2: return set_version_field(into.table, at, value);
      case 3: geometry.number = number; return value <= kMaxInt63;
      case 4: geometry.from = number; return value <= kMaxInt63;
      case 5: geometry.block = number; return value <= kMaxInt63;
      case 6: geometry.slots = number; return value <= kMaxInt63;
      case 7: geometry.narrow = value != 0; return value <= 1;
      case 8: geometry.at = number; return value <= kMaxInt63;
      case 9: into.place.stream = value; return true;
      default: into.place.seq = value; return value <= kMaxInt63;
    }
  }
};

}  // namespace

std::string encode_ids(const IdFacts& facts) {
  msgpack::sbuffer raw;
  Packer out(raw);
  const auto pack = [&](auto... numbers) { (out.pack_uint64(static_cast<uint64_t>(numbers)), ...); };
  out.pack_array(2);
  out.pack_array(static_cast<uint32_t>(facts.slots.size()));
  for (const SlotFact& fact : facts.slots) {
    out.pack_array(kSlotFields);
    pack(fact.slot, fact.generation, fact.retired ? 1 : 0, fact.owner.value, fact.place.stream, fact.place.seq);
  }
  out.pack_array(static_cast<uint32_t>(facts.geometries.size()));
  for (const GeometryFact& fact : facts.geometries) {
    const IdGeometry& geometry = fact.geometry;
    out.pack_array(kGeometryFields);
    pack_version(out, fact.table);
    pack(geometry.number, geometry.from, geometry.block, geometry.slots, geometry.narrow ? 1 : 0, geometry.at, fact.place.stream, fact.place.seq);
  }
  return *compress({view(raw)});
}

Result<IdFacts> decode_ids(std::string_view payload) {
  TRY_ASSIGN(const Buffer raw, decompress(payload, kMaxIdsBytes));
  IdsVisitor visitor;
  if (!parse_whole(raw.view(), visitor) || visitor.list != 1) return make_error(Errc::corrupt, "ids message does not decode");
  return std::move(visitor.facts);
}

}  // namespace marmot::codec
