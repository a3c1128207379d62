#include "agent/snapshot/snapshot_restore.hpp"

#include <algorithm>
#include <utility>

#include "common/replica/capture.hpp"
#include "common/replica/snapshot.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::agent {

namespace {

// Turns a fetched snapshot into a database of its own.
Status make_plain(const std::string& path, bool keep) {
  if (keep) return replica::adopt_copy(path);  // another node's identity stays behind
  TRY_ASSIGN(sqlite::Database db, sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX));
  TRY(replica::cleanup(db));
  // Fails where an index needs a function that only the application has; the file is only larger then.
  (void)db.exec("VACUUM");
  return ok();
}

}  // namespace

template <class F>
auto SnapshotRestore::guarded(F callback) {
  return [this, alive = std::weak_ptr<int>(alive_), callback = std::move(callback)](auto&&... values) {
    if (!alive.expired() && done_) callback(std::forward<decltype(values)>(values)...);
  };
}

SnapshotRestore::SnapshotRestore(uv::Loop& loop, SnapshotStore& store, RestoreOrder order, SnapshotStore::Progress progress, Done done)
    : loop_(loop), store_(store), order_(std::move(order)), progress_(std::move(progress)), done_(std::move(done)) {
  store_.list(guarded([this](const Result<std::vector<SnapshotRecord>>& records) {
    if (!records) return finish(records.error());
    choose(*records);
  }));
}

SnapshotRestore::~SnapshotRestore() = default;

void SnapshotRestore::choose(const std::vector<SnapshotRecord>& records) {
  const std::string& id = order_.id;
  const auto chosen = std::find_if(records.begin(), records.end(), [&](const SnapshotRecord& record) {
    return id.empty() || record.object.name == id || std::to_string(record.info.seq) == id;
  });
  if (chosen == records.end()) {
    return finish(make_error(Errc::not_found, id.empty() ? "there is no snapshot yet: take one with `marmot snapshot save`"
                                                         : "there is no snapshot " + id + ": see `marmot snapshot list`"));
  }
  store_.fetch(*chosen, store_.scratch("restore"), progress_, guarded([this, record = *chosen](Status fetched) {
    if (!fetched) return finish(fetched.error());
    place(record);
  }));
}

void SnapshotRestore::place(const SnapshotRecord& record) {
  const auto outcome = std::make_shared<Status>(ok());
  placing_ = std::make_unique<uv::PoolJob>(
      loop_,
      [outcome, from = store_.scratch("restore"), order = order_](const uv::PoolJob::Cancelled&) {
        *outcome = make_plain(from, order.keep);
        if (*outcome) *outcome = place_file(from, order.to);
        remove_database(from);
      },
      guarded([this, outcome, record] {
        if (!*outcome) return finish(outcome->error());
        finish(record);
      }));
}

void SnapshotRestore::finish(Result<SnapshotRecord> outcome) { std::exchange(done_, nullptr)(std::move(outcome)); }

}  // namespace marmot::agent
