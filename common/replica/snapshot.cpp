// Taking a copy of a live file, and making a copy the file of a node that had none. Merging one is merge.cpp.
#include "common/replica/snapshot.hpp"

#include <cstdio>

#include "common/replica/engine.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

Result<SnapshotInfo> info_of(sqlite::Database& db) {
  Store store(db);
  SnapshotInfo info;
  TRY_ASSIGN(const auto stream, store.meta_integer(meta::kStreamId));
  TRY_ASSIGN(const auto seq, store.meta_integer(meta::kCursorSeq));
  TRY_ASSIGN(info.msg_id, store.meta_text(meta::kCursorMsgId));
  TRY_ASSIGN(const auto msg_at, store.meta_integer(meta::kCursorAt));
  info.msg_at = msg_at.value_or(0);
  info.stream_id = static_cast<uint64_t>(stream.value_or(0));
  info.seq = static_cast<StreamSeq>(seq.value_or(0));
  TRY_ASSIGN(const auto node, store.meta_integer(meta::kSnapshotNode));
  TRY_ASSIGN(const auto at, store.meta_integer(meta::kSnapshotAt));
  info.node.value = static_cast<uint64_t>(node.value_or(0));
  info.at = at.value_or(0);
  TRY_ASSIGN(const auto rows, store.meta_integer(meta::kSnapshotRows));
  info.rows = rows.value_or(0);
  return info;
}

// What the stream does not hold, and would refuse.
Result<bool> holds_misdated(sqlite::Database& source, const Replica::Impl::State& state) {
  if (state.stream.time == 0 || state.clock.last().wall() <= state.stream.limit()) return false;
  TRY_ASSIGN(Statement select, source.prepare("SELECT hlc FROM __marmot_version WHERE seq IS NULL UNION ALL"
                                              " SELECT hlc FROM __marmot_buried WHERE seq IS NULL OR seq <= 0"));
  for (;;) {
    TRY_ASSIGN(const bool more, select.step());
    if (!more) return false;
    if (Hlc::from_stored(select.integer(0)).wall() > state.stream.limit()) return true;
  }
}

}  // namespace

struct SnapshotCopy::State {
  State(std::string p, std::shared_ptr<int> t, sqlite::Database s, sqlite::Database c)
      : path(std::move(p)), taken(std::move(t)), source(std::move(s)), copy(std::move(c)) {}
  ~State() {
    if (backup != nullptr) sqlite3_backup_finish(backup);
    copy.reset();
    if (!done) std::remove(path.c_str());
  }

  std::string path;
  std::shared_ptr<int> taken;            // Replica::being_copied(), until `source` is closed
  sqlite::Database source;               // in its read transaction until the end
  std::optional<sqlite::Database> copy;
  sqlite3_backup* backup = nullptr;
  SnapshotInfo info;
  int64_t pages_done = 0, pages_total = 0;
  bool done = false;
};

SnapshotCopy::SnapshotCopy(std::unique_ptr<State> state) : state_(std::move(state)) {}
SnapshotCopy::~SnapshotCopy() = default;

Result<std::unique_ptr<SnapshotCopy>> SnapshotCopy::begin(Replica& replica, const std::string& path) {
  if (replica.membership() != Membership::member) {
    return make_error(Errc::unavailable, "this node does not hold everything yet: take the snapshot when it has joined, or on another node");
  }
  for (const StoppedTable& table : replica.stopped()) {
    return make_error(Errc::unavailable, "table " + table.name + " is stopped here (" + table.reason + "): take the snapshot on another node");
  }
  const char* const live = sqlite3_db_filename(replica.database().get(), "main");
  TRY_ASSIGN(sqlite::Database source, sqlite::Database::open(live, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX));
  TRY(source.exec("PRAGMA query_only = ON; BEGIN"));
  TRY_ASSIGN(const int64_t undrained, source.query_integer("SELECT EXISTS(SELECT 1 FROM __marmot_log)"));
  if (undrained != 0) return make_error(Errc::busy, "something was written since the last drain");
  TRY_ASSIGN(const bool misdated, holds_misdated(source, replica.impl_->state));
  if (misdated) return make_error(Errc::busy, "changes wait here that are stamped ahead of the stream's time, and would come to others with it");
  // A table that was renamed since would be in the copy under a name that what is told of it does not have: its rows would be left out where it is merged.
  TRY_ASSIGN(const int64_t schema, source.query_integer("PRAGMA schema_version"));
  if (schema != replica.impl_->schema_version) return make_error(Errc::busy, "the schema was changed since the last drain");
  TRY_ASSIGN(SnapshotInfo info, info_of(source));
  TRY_ASSIGN(sqlite::Database copy,
             sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX));
  auto state = std::make_unique<State>(path, replica.impl_->copies, std::move(source), std::move(copy));
  TRY(state->copy->exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF"));
  state->backup = sqlite3_backup_init(state->copy->get(), "main", state->source.get(), "main");
  if (state->backup == nullptr) return state->copy->error(sqlite3_errcode(state->copy->get())).in("begin the copy");
  info.node = replica.origin().node;
  info.at = replica.now();
  state->info = info;
  return std::unique_ptr<SnapshotCopy>(new SnapshotCopy(std::move(state)));
}

Result<bool> SnapshotCopy::step(int pages) {
  State& state = *state_;
  if (state.done) return true;
  const int rc = sqlite3_backup_step(state.backup, pages);
  state.pages_total = sqlite3_backup_pagecount(state.backup);
  state.pages_done = state.pages_total - sqlite3_backup_remaining(state.backup);
  if (rc == SQLITE_OK) return false;
  if (rc != SQLITE_DONE) return state.copy->error(rc).in("copy " + state.path);
  sqlite3_backup_finish(std::exchange(state.backup, nullptr));
  TRY(state.source.exec("COMMIT"));
  // One file, complete without a WAL.
  TRY(state.copy->exec("PRAGMA journal_mode = DELETE"));
  {
    Store store(*state.copy);
    TRY_ASSIGN(state.info.rows, store.integer("SELECT count(*) FROM __marmot_version"));
    TRY(store.set_meta(meta::kSnapshotRows, state.info.rows));
    TRY(store.set_meta(meta::kSnapshotNode, static_cast<int64_t>(state.info.node.value)));
    TRY(store.set_meta(meta::kSnapshotAt, state.info.at));
    TRY(state.copy->exec("DELETE FROM __marmot_passed; DELETE FROM __marmot_misdated; DELETE FROM __marmot_overruled; DELETE FROM __marmot_touched"));
  }
  state.copy.reset();
  state.done = true;
  return true;
}

const SnapshotInfo& SnapshotCopy::info() const { return state_->info; }
int64_t SnapshotCopy::pages_done() const { return state_->pages_done; }
int64_t SnapshotCopy::pages_total() const { return state_->pages_total; }

Result<SnapshotInfo> read_snapshot_info(const std::string& path) {
  TRY_ASSIGN(sqlite::Database db, sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX));
  const auto format = db.query_integer("SELECT value FROM __marmot_meta WHERE key = 'format'");
  if (!format) return make_error(Errc::schema, path + " is no snapshot of Marmot's: " + format.error().message);
  if (*format > meta::kFormatVersion) {
    return make_error(Errc::newer_format, path + " was written by a later Marmot (internal tables of format " + std::to_string(*format) +
                                              ", this one knows " + std::to_string(meta::kFormatVersion) + "): install that version");
  }
  if (*format < meta::kOldestFormat) {
    return make_error(Errc::schema, path + " was written by an earlier Marmot (internal tables of format " + std::to_string(*format) +
                                        ", this one knows " + std::to_string(meta::kFormatVersion) + "): take another snapshot");
  }
  return info_of(db);
}

Status adopt_copy(const std::string& path) {
  TRY(read_snapshot_info(path));
  TRY_ASSIGN(sqlite::Database db, sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX));
  return db.exec("DELETE FROM __marmot_meta WHERE key IN ('node_id', 'file_place', 'row_life', 'dated_life', 'snapshot_at', 'snapshot_node', 'snapshot_rows')");
}

}  // namespace marmot::replica
