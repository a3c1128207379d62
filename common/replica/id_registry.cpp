#include "common/replica/id_registry.hpp"

#include <algorithm>

#include "common/replica/registers.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

constexpr StreamSeq kInFlight = Registers::kInFlight;

std::optional<StreamSeq> seq_at(const Statement& row, int column) {
  return row.is_null(column) ? std::optional<StreamSeq>{} : static_cast<StreamSeq>(row.integer(column));
}

StreamPlace place_at(const Statement& row, int column) {
  return {static_cast<uint64_t>(row.integer(column)), static_cast<StreamSeq>(row.integer(column + 1))};
}

template <class Map>
bool any_unsent(const Map& map) {
  return std::any_of(map.begin(), map.end(), [](const auto& one) { return !one.second.seq; });
}

bool is_granted(const IdRegistry::Entry<SlotFact>& entry) { return !entry.fact.retired; }

}  // namespace

Status IdRegistry::load() {
  slots_.clear();
  geometries_.clear();
  ++changes_;
  TRY_ASSIGN(Statement slots, db_->prepare(sql::kSelectSlots));
  for (;;) {
    TRY_ASSIGN(const bool more, slots.step());
    if (!more) break;
    const SlotFact fact{static_cast<int>(slots.integer(0)), slots.integer(1), slots.integer(2) != 0,
                        NodeId{static_cast<uint64_t>(slots.integer(3))}, place_at(slots, 4)};
    slots_[fact.slot] = {fact, seq_at(slots, 6)};
  }
  TRY_ASSIGN(Statement rows, db_->prepare(sql::kSelectGeometries));
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return ok();
    const IdGeometry geometry{rows.integer(1), rows.integer(2), rows.integer(3), rows.integer(4), rows.integer(5) != 0, rows.integer(6)};
    const Version table = unspell_version(rows.text(0));
    geometries_[table] = {{table, geometry, place_at(rows, 7)}, seq_at(rows, 9)};
  }
}

Status IdRegistry::write(const Entry<SlotFact>& entry) {
  const SlotFact& fact = entry.fact;
  TRY_ASSIGN(Statement put, db_->prepare(sql::kPutSlot));
  put.bind(1, int64_t{fact.slot}).bind(2, fact.generation).bind(3, int64_t{fact.retired ? 1 : 0});
  put.bind(4, static_cast<int64_t>(fact.owner.value)).bind(5, static_cast<int64_t>(fact.place.stream)).bind(6, static_cast<int64_t>(fact.place.seq));
  if (entry.seq) put.bind(7, static_cast<int64_t>(*entry.seq));
  return put.run();
}

Status IdRegistry::write(const Entry<GeometryFact>& entry) {
  const IdGeometry& geometry = entry.fact.geometry;
  const std::string table = spell_version(entry.fact.table);
  TRY_ASSIGN(Statement put, db_->prepare(sql::kPutGeometry));
  put.bind(1, table).bind(2, geometry.number).bind(3, geometry.from).bind(4, geometry.block).bind(5, geometry.slots);
  put.bind(6, int64_t{geometry.narrow ? 1 : 0}).bind(7, geometry.at);
  put.bind(8, static_cast<int64_t>(entry.fact.place.stream)).bind(9, static_cast<int64_t>(entry.fact.place.seq));
  if (entry.seq) put.bind(10, static_cast<int64_t>(*entry.seq));
  return put.run();
}

template <class Map, class Key, class Fact>
Result<bool> IdRegistry::take_into(Map& map, const Key& key, const Fact& fact, StreamSeq seq, bool object) {
  const auto known = map.find(key);
  if (known == map.end() || stands_before(fact, known->second.fact)) {
    map[key] = {fact, seq};
    ++changes_;
    TRY(write(map[key]));
    return true;
  }
  const bool same = known->second.fact == fact;
  if (same && known->second.seq && *known->second.seq >= seq) return false;
  if (!same && !object) return false;
  known->second.seq = same ? std::optional(seq) : std::nullopt;
  TRY(write(known->second));
  return false;
}

Result<bool> IdRegistry::take(const SlotFact& fact, StreamSeq seq, bool object) { return take_into(slots_, fact.slot, fact, seq, object); }
Result<bool> IdRegistry::take(const GeometryFact& fact, StreamSeq seq, bool object) { return take_into(geometries_, fact.table, fact, seq, object); }

std::optional<int> IdRegistry::slot_of(NodeId node) const {
  const auto its = std::find_if(slots_.begin(), slots_.end(), [&](const auto& one) { return is_granted(one.second) && one.second.fact.owner == node; });
  return its == slots_.end() ? std::optional<int>{} : its->first;
}

int IdRegistry::highest_granted() const {
  const auto last = std::find_if(slots_.rbegin(), slots_.rend(), [](const auto& one) { return is_granted(one.second); });
  return last == slots_.rend() ? -1 : last->first;
}

std::optional<NodeId> IdRegistry::first_owner() const {
  const auto first = std::find_if(slots_.begin(), slots_.end(), [](const auto& one) { return is_granted(one.second); });
  return first == slots_.end() ? std::optional<NodeId>{} : first->second.fact.owner;
}

bool IdRegistry::has_unsent() const { return any_unsent(slots_) || any_unsent(geometries_); }

codec::IdFacts IdRegistry::unsent() const {
  codec::IdFacts out;
  for (const auto& one : slots_) {
    if (!one.second.seq) out.slots.push_back(one.second.fact);
  }
  for (const auto& one : geometries_) {
    if (!one.second.seq) out.geometries.push_back(one.second.fact);
  }
  return out;
}

Status IdRegistry::all_sent() {
  const auto mark = [&](auto& map) -> Status {
    for (auto& one : map) {
      if (one.second.seq) continue;
      one.second.seq = kInFlight;
      TRY(write(one.second));
    }
    return ok();
  };
  TRY(mark(slots_));
  return mark(geometries_);
}

}  // namespace marmot::replica
