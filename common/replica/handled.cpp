// A conflict that somebody has restored or discarded on one node is handled on all (docs/decisions/0040-handled-on-all-nodes.md): a register
// that is set once, kept in __marmot_handled, whatever comes first, it or the conflict.
#include "common/base/mutation.hpp"
#include "common/codec/handled.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/merge.hpp"
#include "sql.hpp"

namespace marmot::replica {

using codec::HandledConflict;
using sqlite::Statement;

namespace {

constexpr int64_t kMostAtOnce = 1000;  // in one message

HandledConflict conflict_at(const Statement& row) {
  HandledConflict out{std::string(row.text(0)), std::string(row.blob(1)), {}, NodeId{static_cast<uint64_t>(row.integer(5))}, row.integer(6)};
  out.loser.hlc.value = static_cast<uint64_t>(row.integer(2));
  out.loser.origin = {NodeId{static_cast<uint64_t>(row.integer(3))}, Incarnation{static_cast<uint64_t>(row.integer(4))}};
  return out;
}

void bind_conflict(Statement& statement, std::string_view table, std::string_view key, const Version& loser) {
  statement.bind(1, table).bind_blob(2, key).bind(3, static_cast<int64_t>(loser.hlc.value));
  statement.bind(4, static_cast<int64_t>(loser.origin.node.value)).bind(5, static_cast<int64_t>(loser.origin.incarnation.value));
}

}  // namespace

bool Replica::Impl::says_handled() const { return state.handled_due && !settings.ids.held; }

Result<bool> Replica::Impl::is_handled(const Conflict& conflict) {
  TRY_ASSIGN(Statement* const select, store.statement(sql::kHandledFind));
  bind_conflict(*select, conflict.table, conflict.key, conflict.loser);
  TRY_ASSIGN(const bool found, select->step());
  select->reset();
  return found;
}

Status Replica::Impl::publish_handled(UnitStream& out) {
  if (settings.ids.held) return ok();
  std::vector<HandledConflict> told;
  TRY_ASSIGN(Statement* const select, store.statement(sql::kHandledUnsent));
  TRY_ASSIGN(Statement* const sent, store.statement(sql::kHandledSent));
  select->bind(1, kMostAtOnce);
  int64_t last = 0;
  for (;;) {
    TRY_ASSIGN(const bool more, select->step());
    if (!more) break;
    told.push_back(conflict_at(*select));
    last = select->integer(7);
  }
  state.handled_due = told.size() == static_cast<size_t>(kMostAtOnce);
  if (told.empty()) return ok();
  sent->bind(1, last);
  TRY(sent->run());
  TRY(drop_oldest_handled());
  return mutated(Mutation::handled_untold) ? ok() : out.handled(told);
}

Status Replica::Impl::drop_oldest_handled() {
  TRY_ASSIGN(Statement* const drop, store.statement(sql::kHandledDropOldest));
  drop->bind(1, settings.conflict_log_rows);
  return drop->run();
}

// `seq`: of the message that said it; none: the stream is still to hear of it.
Result<bool> Replica::Impl::take_handled(const HandledConflict& conflict, std::optional<StreamSeq> seq) {
  TRY_ASSIGN(Statement* const put, store.statement(sql::kHandledPut));
  bind_conflict(*put, conflict.table, conflict.key, conflict.loser);
  put->bind(6, static_cast<int64_t>(conflict.by.value)).bind(7, conflict.at);
  if (seq) put->bind(8, static_cast<int64_t>(*seq));
  else put->bind_null(8);
  TRY(put->run());
  if (!seq) state.handled_due = true;
  TRY_ASSIGN(Statement* const forget, store.statement(sql::kConflictForget));
  bind_conflict(*forget, conflict.table, conflict.key, conflict.loser);
  TRY(forget->run());
  const bool listed = sqlite3_changes(db.get()) != 0;
  if (listed) state.conflicts = -1;
  return listed;
}

Status Replica::Impl::apply_handled(const std::vector<HandledConflict>& conflicts, StreamSeq seq) {
  std::map<NodeId, size_t> by;
  for (const HandledConflict& conflict : conflicts) {
    TRY_ASSIGN(const bool listed, take_handled(conflict, seq));
    if (listed) ++by[conflict.by];
  }
  for (const auto& [node, count] : by) {
    log(LogLevel::info, std::to_string(count) + (count == 1 ? " conflict was" : " conflicts were") + " restored or discarded on node " +
                            std::to_string(node.value) + ", and forgotten here too");
  }
  return drop_oldest_handled();
}

// What the snapshot's taker knew. What its stream may not have heard of is told again.
Status Replica::Impl::merge_handled() {
  TRY_ASSIGN(Statement rows, merging->snapshot.prepare(sql::kHandledAll));
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return drop_oldest_handled();
    const bool sent = rows.integer(7) > 0;
    TRY(take_handled(conflict_at(rows), sent ? std::optional<StreamSeq>(merging->info.seq) : std::nullopt));
  }
}

}  // namespace marmot::replica
