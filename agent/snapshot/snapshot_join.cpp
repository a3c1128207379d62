#include "agent/snapshot/snapshot_join.hpp"

#include <sys/stat.h>

#include <utility>

#include "common/base/long_work.hpp"
#include "common/node/stream_entry.hpp"
#include "common/replica/snapshot.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::agent {

namespace {

// Into a file that another process may have open.
Status fill(const std::string& from, const std::string& to) {
  TRY_ASSIGN(sqlite::Database source, sqlite::Database::open(from, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX));
  TRY_ASSIGN(sqlite::Database target, sqlite::Database::open(to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX));
  sqlite3_busy_timeout(target.get(), 5000);
  sqlite3_backup* const backup = sqlite3_backup_init(target.get(), "main", source.get(), "main");
  if (backup == nullptr) return target.error(sqlite3_errcode(target.get())).in("fill " + to);
  // Locked before it is looked at: the application may be in the middle of its first transaction.
  int stepped = sqlite3_backup_step(backup, 0);
  struct stat facts {};
  const bool empty = ::stat(to.c_str(), &facts) == 0 && facts.st_size == 0;
  if (stepped == SQLITE_OK && empty) stepped = sqlite3_backup_step(backup, -1);
  sqlite3_backup_finish(backup);
  if (!empty) return make_error(Errc::refused, "the application wrote into it meanwhile");
  if (stepped != SQLITE_DONE) return target.error(stepped).in("fill " + to);
  return ok();
}

}  // namespace

template <class F>
auto SnapshotJoin::guarded(F callback) {
  return [this, alive = std::weak_ptr<int>(alive_), callback = std::move(callback)](auto&&... values) {
    if (!alive.expired() && done_) callback(std::forward<decltype(values)>(values)...);
  };
}

SnapshotJoin::SnapshotJoin(uv::Loop& loop, nats::Connection& connection, SnapshotStore& store, std::string stream,
                           std::string path, std::string name, LogSink log, std::function<void(Result<bool>)> done)
    : loop_(loop),
      connection_(connection),
      store_(store),
      stream_(std::move(stream)),
      path_(std::move(path)),
      name_(std::move(name)),
      log_(std::move(log)),
      done_(std::move(done)) {
  connection_.stream_state(stream_, guarded([this](Result<nats::StreamState> state) {
    if (!state && state.error().code == Errc::not_found) return finish(false);  // whatever comes, the entry deals with it
    if (!state) return finish(std::move(state).error());
    if (state->last_seq == 0) return finish(false);
    if (state->first_seq > state->last_seq) return choose(*state, 0);
    connection_.get_message(stream_, state->first_seq, guarded([this, known = *state](Result<nats::StoredMessage> message) {
      if (!message) return finish(std::move(message).error());
      const auto genesis = node::read_beginning(message->seq, message->data);
      if (!genesis) return finish(false);
      choose(known, *genesis ? (*genesis)->stream_id : 0);
    }));
  }));
}

SnapshotJoin::~SnapshotJoin() = default;

void SnapshotJoin::choose(const nats::StreamState& state, uint64_t stream_id) {
  store_.choose(stream_, state, stream_id, guarded([this](Result<std::optional<SnapshotRecord>> record) {
    if (!record) return finish(std::move(record).error());
    if (!*record) return finish(false);
    fetch(**record);
  }));
}

void SnapshotJoin::fetch(const SnapshotRecord& record) {
  log_(LogLevel::info, name_ + ": building " + path_ + " from snapshot " + record.object.name + " (" + std::to_string(record.object.size) +
                           " bytes to download)");
  store_.fetch(record, store_.scratch("join"),
               guarded([this](const char* what, uint64_t done, uint64_t total) { work_ = LongWork{what + (" " + name_), done, total}; }),
               guarded([this, record](Status fetched) {
                 if (!fetched) return finish(fetched.error());
                 adopt(record);
               }));
}

void SnapshotJoin::adopt(const SnapshotRecord& record) {
  const auto outcome = std::make_shared<Status>(ok());
  adopting_ = std::make_unique<uv::PoolJob>(
      loop_,
      [outcome, from = store_.scratch("join"), to = path_](const uv::PoolJob::Cancelled&) {
        *outcome = replica::adopt_copy(from);
        if (*outcome) *outcome = place_file(from, to);
        if (!*outcome && outcome->error().code == Errc::refused) *outcome = fill(from, to);
        remove_database(from);
      },
      guarded([this, outcome, record] {
        if (!*outcome && outcome->error().code == Errc::refused) {
          log_(LogLevel::info, name_ + ": " + path_ + " is not empty any more: joining with what it holds");
          return finish(false);
        }
        if (!*outcome) return finish(outcome->error());
        log_(LogLevel::info, name_ + ": " + path_ + " was built from the snapshot of message " + std::to_string(record.info.seq));
        finish(true);
      }));
}

void SnapshotJoin::finish(Result<bool> outcome) {
  // The owner destroys this object in there.
  std::exchange(done_, nullptr)(std::move(outcome));
}

}  // namespace marmot::agent
