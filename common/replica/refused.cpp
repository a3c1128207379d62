// Units that came too late for a floor (floor.cpp). Their sender has the rows and sends them again; but its file may be lost before it
// does, or put back to a copy that lacks them. So every node keeps them, their sender too, until it begins a new life, or a later floor
// passes them: then they are applied, everywhere at the same place. What its sender has repeated meanwhile is known by its version, and what a
// pruned tombstone beats by what is kept of that (pruned.cpp).
#include "common/base/mutation.hpp"
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {
constexpr int64_t kMostRefused = 10'000;  // units; of more the oldest go
}  // namespace

Status Replica::Impl::refuse(const Unit& unit, std::string_view payload, StreamSeq seq, ApplyResult& result) {
  const StreamSeq floor = std::max(state.floor.seq, state.fence);
  log(LogLevel::info, "message " + std::to_string(seq) + ": its sender, node " + std::to_string(unit.origin.node.value) +
                          ", did not know of the deletions up to message " + std::to_string(floor) + ": it sends what is left again");
  if (unit.origin == self) TRY(send_lost_again(result));
  if (mutated(Mutation::refused_forgotten)) return ok();
  TRY_ASSIGN(Statement* const keep, store.statement(sql::kRefuse));
  keep->bind(1, static_cast<int64_t>(seq)).bind(2, static_cast<int64_t>(unit.origin.node.value));
  keep->bind(3, static_cast<int64_t>(unit.origin.incarnation.value)).bind(4, static_cast<int64_t>(unit.number)).bind_blob(5, payload);
  TRY(keep->run());
  TRY_ASSIGN(Statement* const drop, store.statement(sql::kRefusedDropOldest));
  drop->bind(1, kMostRefused);
  return drop->run();
}

// `next`: the first of those whose time has come, one after the other.
Status Replica::Impl::apply_refused(const std::function<Result<Statement*>()>& next, StreamSeq seq, ApplyResult& result) {
  for (;;) {
    TRY_ASSIGN(Statement* const select, next());
    TRY_ASSIGN(const bool found, select->step());
    if (!found) return ok();
    const int64_t id = select->integer(0);
    const Origin origin{NodeId{static_cast<uint64_t>(select->integer(1))}, Incarnation{static_cast<uint64_t>(select->integer(2))}};
    const codec::Envelope envelope{codec::Kind::rows, origin, static_cast<uint64_t>(select->integer(3)), 0, true, {}};
    const std::string payload(select->blob(4));
    select->reset();
    TRY_ASSIGN(const codec::DecodedUnit decoded, codec::decode_unit(envelope, payload));
    applying_refused = true;
    const Status applied = apply_unit(decoded.unit, payload, seq, result, nullptr);
    applying_refused = false;
    TRY(applied);
    TRY_ASSIGN(Statement* const remove, store.statement(sql::kDeleteRefused));
    remove->bind(1, id);
    TRY(remove->run());
  }
}

Status Replica::Impl::apply_refused_of_former_lives(const Origin& now, StreamSeq seq, ApplyResult& result) {
  return apply_refused([&]() -> Result<Statement*> {
    TRY_ASSIGN(Statement* const select, store.statement(sql::kRefusedOfFormerLives));
    select->bind(1, static_cast<int64_t>(now.node.value)).bind(2, static_cast<int64_t>(now.incarnation.value));
    return select;
  }, seq, result);
}

Status Replica::Impl::apply_refused_up_to(StreamSeq last, StreamSeq seq, ApplyResult& result) {
  return apply_refused([&]() -> Result<Statement*> {
    TRY_ASSIGN(Statement* const select, store.statement(sql::kRefusedUpTo));
    select->bind(1, static_cast<int64_t>(last));
    return select;
  }, seq, result);
}

}  // namespace marmot::replica
