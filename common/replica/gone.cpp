// Messages that the stream lost in its middle: deleted one by one, or dropped by a server. What a message held cannot be read any more;
// so nothing waits for it, and the nodes compare what they hold (docs/decisions/0026-a-message-that-is-gone.md).
//
// A gap in what was delivered proves that messages are gone, but not whose they were. So where a unit is missing of a sender that
// may have lost one there, its later ones are applied as they come, and it is noted (a part -1). Should it come all the same,
// for it was on its way still, it is applied then. A floor ends that.
#include <algorithm>

#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

constexpr int64_t kNoPart = -1;
constexpr int64_t kNoKind = -1;
constexpr size_t kMostTold = 100;
constexpr uint64_t kMostNoted = 10'000;  // units at once; those before them are not expected any more

}  // namespace

// Once: a transaction that gives way to an application is tried again.
void Replica::Impl::tell_gone(const std::string& text) {
  if (told_gone.size() > kMostTold) told_gone.clear();
  if (told_gone.insert(text).second) log(LogLevel::error, text);
}

// All messages up to `last` that this file has not read are gone.
Status Replica::Impl::note_gap(StreamSeq last, ApplyResult& result) {
  const StreamSeq first = state.position.seq + 1;
  const bool one = first == last;
  tell_gone((one ? "message " + std::to_string(first) + " is" : "messages " + std::to_string(first) + " to " + std::to_string(last) + " are") +
            " not in the stream any more, and this file had not read " + (one ? "it" : "them") +
            ": what it lacks by that comes from the other nodes, which are compared with it now");
  if (!gap_open()) state.gap.first = first;
  state.gap.last = last;
  state.beyond_gap.clear();
  std::vector<Origin> origins;
  TRY_ASSIGN(Statement* const staged, store.statement(sql::kStagedOrigins));
  for (;;) {
    TRY_ASSIGN(const bool more, staged->step());
    if (!more) break;
    origins.push_back(Origin{NodeId{static_cast<uint64_t>(staged->integer(0))}, Incarnation{static_cast<uint64_t>(staged->integer(1))}});
  }
  staged->reset();
  for (const Origin& origin : origins) {
    TRY(overtake(origin, last, result));
    TRY(apply_staged(origin, last, result));
  }
  return ok();
}

// A unit whose sender had applied all of the gap was made behind it, and so were all that it made later: none of them is in it.
void Replica::Impl::note_base(const Origin& origin, StreamSeq base) {
  if (gap_open() && base >= state.gap.last) state.beyond_gap.insert(origin);
}

// Units of `origin` that are whole do not wait for one that may be gone. apply_staged() applies the last of them, whose turn it is then.
Status Replica::Impl::overtake(const Origin& origin, StreamSeq seq, ApplyResult& result) {
  if (!may_be_gone(origin)) return ok();
  TRY_ASSIGN(const auto row, store.origin(origin));
  TRY_ASSIGN(Statement* const select, store.statement(sql::kLastWholeUnit));
  select->bind(1, static_cast<int64_t>(origin.node.value)).bind(2, static_cast<int64_t>(origin.incarnation.value));
  select->bind(3, static_cast<int64_t>(row.unit + 1));
  TRY_ASSIGN(const bool any, select->step());
  const auto last = any ? static_cast<uint64_t>(select->integer(0)) : 0;
  select->reset();
  if (!any) return ok();
  if (row.unit == 0) TRY(end_former_lives(origin, seq, result));
  const uint64_t first = std::max(row.unit + 1, last - std::min(last, kMostNoted));
  if (first > row.unit + 1) TRY(drop_staged(origin, first - 1));
  TRY_ASSIGN(const size_t gone, pass_over(origin, first, last, seq, result));
  TRY(pass_units(origin, last - 1));
  if (gone == 0) return ok();
  tell_gone((gone == 1 ? std::string("a unit") : std::to_string(gone) + " units") + " of node " + std::to_string(origin.node.value) + " before number " +
            std::to_string(last) + " did not come, and may have stood there: going on without it");
  return origin == self ? send_lost_again(result) : ok();
}

// Those in [first, end) that are whole are applied, the others noted. How many that are.
Result<size_t> Replica::Impl::pass_over(const Origin& origin, uint64_t first, uint64_t end, StreamSeq seq, ApplyResult& result) {
  size_t gone = 0;
  for (uint64_t number = first; number < end; ++number) {
    TRY_ASSIGN(const auto unit, staged_unit(origin, number));
    if (!unit) {
      TRY(put_part(codec::Envelope{codec::Kind::rows, origin, number, 0, false, ""}, kNoPart, kNoKind, seq));
      ++gone;
      continue;
    }
    if (unit->dead) ++gone;
    else TRY(apply_payload(codec::Envelope{unit->kind, origin, number, 0, true, {}}, unit->payload, seq, unit->ends_at, result));
    TRY(drop_unit(origin, number));
  }
  return gone;
}

// A unit that was delivered before or, where it was passed over, one that was not gone but late.
Status Replica::Impl::take_late(const codec::Envelope& envelope, StreamSeq seq, ApplyResult& result) {
  const Origin& origin = envelope.origin;
  TRY_ASSIGN(Statement* const select, store.statement(sql::kIsGone));
  select->bind(1, static_cast<int64_t>(origin.node.value)).bind(2, static_cast<int64_t>(origin.incarnation.value));
  select->bind(3, static_cast<int64_t>(envelope.number));
  TRY(select->step());
  const bool expected = select->integer(0) != 0;
  select->reset();
  if (!expected) return ok();
  TRY(put_part(envelope, envelope.part, static_cast<int64_t>(envelope.kind), seq));
  TRY_ASSIGN(const auto unit, staged_unit(origin, envelope.number));
  if (!unit) return ok();
  if (!unit->dead) TRY(apply_payload(codec::Envelope{unit->kind, origin, envelope.number, 0, true, {}}, unit->payload, seq, unit->ends_at, result));
  return drop_unit(origin, envelope.number);
}

Gap Replica::gap() const { return impl_->gap_open() ? impl_->state.gap : Gap{}; }

Result<bool> Replica::wants_floor() {
  if (impl_->gap_open()) return true;
  TRY_ASSIGN(Statement* const staged, impl_->store.statement(sql::kStagesUpTo));
  staged->bind(1, INT64_MAX);
  TRY(staged->step());
  const bool waits = staged->integer(0) != 0;
  staged->reset();
  return waits;
}

}  // namespace marmot::replica
