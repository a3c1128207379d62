// What a former life left in the log, and of which nobody was told here: it may have been told by that life (docs/decisions/0021-what-a-former-life-left.md).
#include <algorithm>

#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {
constexpr int64_t kForgottenAtOnce = 500;
}

// Of a life that died before the file had caught up.
Status Replica::Impl::load_passed_over() {
  TRY_ASSIGN(Statement* const rows, store.statement(sql::kPassedOver));
  for (;;) {
    TRY_ASSIGN(const bool more, rows->step());
    if (!more) return ok();
    state.keeps_passed = true;
    const Origin origin{NodeId{static_cast<uint64_t>(rows->integer(4))}, Incarnation{static_cast<uint64_t>(rows->integer(5))}};
    passed_over[touched_id(rows->integer(0), rows->blob(1))] = {rows->integer(2), Version{Hlc{static_cast<uint64_t>(rows->integer(3))}, origin}};
  }
}

Status Replica::Impl::pass_over(const Touched& item, const std::optional<Register>& found) {
  if (passed_over.size() >= PassedOver::kMost) return ok();
  const Version version = found ? found->version : Version{};
  passed_over[item.id] = {item.at, version};
  state.keeps_passed = true;
  TRY_ASSIGN(Statement* const keep, store.statement(sql::kPassOver));
  keep->bind(1, item.table->id).bind_blob(2, item.key()).bind(3, item.at).bind(4, static_cast<int64_t>(version.hlc.value));
  keep->bind(5, static_cast<int64_t>(version.origin.node.value)).bind(6, static_cast<int64_t>(version.origin.incarnation.value));
  return keep->run();
}

Status Replica::Impl::forget_passed() {
  if (!state.keeps_passed || state.membership != Membership::member || state.position.seq < follows_to) return ok();
  TRY_ASSIGN(Statement* const forget, store.statement(sql::kForgetPassed));
  forget->bind(1, kForgottenAtOnce);
  TRY(forget->run());
  state.keeps_passed = sqlite3_changes(db.get()) == kForgottenAtOnce;
  return ok();
}

bool Replica::Impl::touched_since(const Table& table, std::string_view key, const std::optional<Register>& found, const Version& version) const {
  if (passed_over.empty() || version.origin == self) return false;
  const bool own = was_here(version.origin.node) || std::find(former_lives.begin(), former_lives.end(), life_of(version.origin)) != former_lives.end();
  if (!own) return false;
  const auto passed = passed_over.find(touched_id(table.id, key));
  if (passed == passed_over.end() || passed->second.at < version.hlc.wall()) return false;
  return !found || (found->version == passed->second.version && found->version < version);
}

}  // namespace marmot::replica
