// A file that never met the stream is compared with a snapshot where the stream has lost its beginning.
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

Status Replica::compare_snapshot(const std::string& path) {
  Impl& impl = *impl_;
  TRY_ASSIGN(sqlite::Database snapshot, sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX));
  impl.forget_compared();
  Store store(snapshot);
  TRY(store.load_hash_key());
  impl.compared_key = store.hash_key;
  TRY_ASSIGN(const auto time, store.meta_integer(meta::kStreamTime));
  TRY_ASSIGN(const auto bound, store.meta_integer(meta::kClockBound));
  TRY_ASSIGN(const auto seen, store.meta_integer(meta::kSeenHlc));
  TRY(snapshot.exec(std::string(sql::kCreateInternalTables)));  // of an earlier format: those that it lacks
  TRY_ASSIGN(const Impl::Resets resets, Impl::read_resets(store));
  impl.compared_resets = *resets;
  impl.compared_clock = {time.value_or(0), Hlc{static_cast<uint64_t>(seen.value_or(0))}, bound.value_or(0), !resets->empty()};
  TRY_ASSIGN(Statement select, snapshot.prepare("SELECT t.name, v.key, v.hlc, coalesce(o.node, 0), coalesce(o.incarnation, 0), v.hash, v.state"
                                                " FROM __marmot_version v JOIN __marmot_table t ON t.id = v.tbl"
                                                " LEFT JOIN __marmot_origin o ON o.id = v.origin"));
  std::string name;
  std::unordered_map<std::string, Impl::Remote>* rows = nullptr;
  for (;;) {
    TRY_ASSIGN(const bool more, select.step());
    if (!more) return ok();
    if (rows == nullptr || select.text(0) != name) {
      name = std::string(select.text(0));
      rows = &impl.compared[fold_name(name)];
    }
    const Origin origin{NodeId{static_cast<uint64_t>(select.integer(3))}, Incarnation{static_cast<uint64_t>(select.integer(4))}};
    Impl::Remote& remote = (*rows)[std::string(select.blob(1))];
    remote.version = Version{Hlc::from_stored(select.integer(2)), origin};
    remote.live = static_cast<RowState>(select.integer(6)) != RowState::dead;
    remote.hash = remote.live ? static_cast<uint64_t>(select.integer(5)) : 0;
  }
}

}  // namespace marmot::replica
