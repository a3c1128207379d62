// A transaction that changes the schema and rows is several units: one of the schema, others of rows. Two marks, units without rows, stand around
// them: the first one says `more`, the last one does not. What stands between waits for the last one and is applied with it, in one transaction.
// An agent that knows no marks applies each unit as it comes, as all did before.
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using codec::Envelope;
using codec::Kind;
using sqlite::Statement;

namespace {

constexpr size_t kMostOfMark = 64;  // bytes of its payload

}  // namespace

bool Replica::Impl::is_mark(const Envelope& envelope, Mark which) {
  if (envelope.kind != Kind::rows || envelope.part != 0 || !envelope.last || envelope.slice.size() > kMostOfMark) return false;
  const auto decoded = codec::decode_unit(envelope, envelope.slice);
  return decoded && decoded->unit.rows.empty() && decoded->unit.more == (which == Mark::begin);
}

bool Replica::Impl::is_mark(const StagedUnit& unit, Mark which) {
  return !unit.dead && is_mark(Envelope{unit.kind, {}, 1, 0, true, unit.payload}, which);
}

// Are all units from mark `begin` to the mark that ends it here? They stay in `__marmot_part` until they are.
Result<bool> Replica::Impl::together_is_whole(const Origin& origin, uint64_t begin) {
  TRY_ASSIGN(Statement* const small, store.statement(sql::kSmallUnits));
  small->bind(1, static_cast<int64_t>(origin.node.value)).bind(2, static_cast<int64_t>(origin.incarnation.value));
  small->bind(3, static_cast<int64_t>(begin)).bind(4, static_cast<int64_t>(kMostOfMark));
  uint64_t end = 0;
  while (end == 0) {
    TRY_ASSIGN(const bool found, small->step());
    if (!found) break;
    const Envelope unit{static_cast<Kind>(small->integer(1)), origin, 1, 0, true, small->blob(2)};
    if (is_mark(unit, Mark::end)) end = static_cast<uint64_t>(small->integer(0));
  }
  small->reset();
  for (uint64_t number = begin + 1; number < end; ++number) {
    TRY_ASSIGN(const bool suffices, parts_suffice(origin, number));
    if (!suffices) return false;
  }
  return end != 0;
}

}  // namespace marmot::replica
