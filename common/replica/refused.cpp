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

Status Replica::Impl::apply_refused(Statement& first, StreamSeq seq, ApplyResult& result) {
  for (;;) {
    TRY_ASSIGN(const bool found, first.step());
    if (!found) return ok();
    const int64_t id = first.integer(0);
    const Origin origin{NodeId{static_cast<uint64_t>(first.integer(1))}, Incarnation{static_cast<uint64_t>(first.integer(2))}};
    const codec::Envelope envelope{codec::Kind::rows, origin, static_cast<uint64_t>(first.integer(3)), 0, true, {}};
    const std::string payload(first.blob(4));
    sqlite3_reset(first.get());  // it keeps what is bound
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

}  // namespace marmot::replica
