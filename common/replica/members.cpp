// Who belongs to the cluster, as the agent hears it.
#include <charconv>

#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

Result<std::vector<Member>> Replica::members() {
  std::vector<Member> out;
  TRY_ASSIGN(Statement* const rows, impl_->store.statement(sql::kSelectMembers));
  for (;;) {
    TRY_ASSIGN(const bool more, rows->step());
    if (!more) return out;
    Incarnation incarnation;
    const std::string_view hex = rows->text(1);
    (void)std::from_chars(hex.data(), hex.data() + hex.size(), incarnation.value, 16);  // what is none stays 0
    out.push_back(Member{NodeId{static_cast<uint64_t>(rows->integer(0))}, incarnation, rows->integer(2), static_cast<StreamSeq>(rows->integer(3))});
  }
}

Status Replica::keep_members(const std::vector<Member>& members, WallMs forget_before) {
  Impl& impl = *impl_;
  return impl.write(false, nullptr, [&]() -> Status {
    for (const Member& member : members) {
      TRY_ASSIGN(Statement* const put, impl.store.statement(sql::kPutMember));
      const std::string incarnation = to_hex(member.incarnation.value);
      put->bind(1, static_cast<int64_t>(member.node.value)).bind(2, incarnation);
      put->bind(3, member.seen).bind(4, static_cast<int64_t>(member.applied));
      TRY(put->run());
    }
    TRY_ASSIGN(Statement* const forget, impl.store.statement(sql::kForgetMembers));
    forget->bind(1, forget_before);
    return forget->run();
  });
}

}  // namespace marmot::replica
