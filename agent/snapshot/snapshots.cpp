#include "agent/snapshot/snapshots.hpp"

#include <algorithm>
#include <utility>

#include "agent/loop/clock.hpp"
#include "common/base/long_work.hpp"
#include "common/codec/control.hpp"

namespace marmot::agent {

namespace control = codec::control;

namespace {
constexpr int64_t kBusyLimitMs = 30'000;  // for a moment when the log is empty
constexpr int64_t kFailedWaitMs = 60'000;
constexpr size_t kMaxAskers = 4096;
constexpr int64_t kRankWaitMs = 2'000;    // the node of rank r waits r times so long before it answers

Error not_connected() { return make_error(Errc::unavailable, "not connected to NATS yet, where the snapshots are"); }
}  // namespace

Snapshots::Snapshots(uv::Loop& loop, DatabaseThread& thread, Setup setup, Host host, LogSink log)
    : loop_(loop),
      thread_(thread),
      setup_(std::move(setup)),
      host_(std::move(host)),
      log_(std::move(log)),
      look_(loop, [this] { look(); }),
      answer_(loop, [this] { look(); }) {}

Snapshots::~Snapshots() {
  alive_.reset();
  restore_.reset();
  store_.reset();
}

void Snapshots::start(nats::Connection& connection) {
  connection_ = &connection;
  if (!store_) {
    store_ = std::make_unique<SnapshotStore>(loop_, connection, setup_.cluster, setup_.name, setup_.replicas, setup_.directory, log_);
    asked_ = connection.subscribe(setup_.prefix + "snapshot", [this](const nats::Message& message) { on_asked(message); });
    const int64_t every = node::snapshot_look_ms(setup_.policy);
    look_.start(uv::Milliseconds(every), uv::Milliseconds(every));
  }
}

// Is one due, and is it ours to take?
void Snapshots::look() {
  if (taking_ || connection_ == nullptr || !connection_->connected()) return;
  store_->list([this](Result<std::vector<SnapshotRecord>> records) { on_listed(std::move(records)); });
}

void Snapshots::on_listed(Result<std::vector<SnapshotRecord>> records) {
  if (!records) return;  // the connection says why
  known_ = *std::move(records);
  listed_ = true;
  const auto rank = host_.rank();
  if (taking_ || !rank || monotonic_ms() < not_before_ms_) return;
  connection_->stream_state(setup_.stream, [this, alive = std::weak_ptr(alive_)](Result<nats::StreamState> state) {
    if (alive.expired() || !state || taking_ || answer_.active()) return;
    const auto now_rank = host_.rank();
    if (!now_rank) return;
    std::optional<node::SnapshotMark> newest;
    for (const SnapshotRecord& record : known_) {
      if (newest || record.info.seq > state->last_seq || record.info.at < state->created_ms) continue;
      newest = node::SnapshotMark{record.info.seq, record.info.at};
    }
    const bool asked = wanted_ != 0 && (!newest || newest->seq < wanted_ || unwanted_.count(known_.front().object.nuid) != 0);
    if (!asked) wanted_ = 0;
    if (asked) return take("a node asks for one");
    if (*now_rank != 0) return;
    const node::StreamExtent extent{state->first_seq, state->last_seq, state->messages, state->bytes, state->created_ms};
    const std::string why = node::snapshot_due(setup_.policy, extent, newest, wall_now());
    if (!why.empty()) take(why);
  });
}

void Snapshots::ask(NodeId node, StreamSeq seq) {
  const int64_t now = monotonic_ms();
  if (connection_ == nullptr || (asked_ms_ != 0 && now - asked_ms_ < kAskAgainMs)) return;
  asked_ms_ = now;
  control::SnapshotRequest request{node, seq, {}};
  if (store_) request.damaged.assign(store_->damaged().begin(), store_->damaged().end());
  (void)connection_->publish(setup_.prefix + "snapshot", control::encode(request));  // asked again if nothing comes
}

std::set<uint64_t> Snapshots::waiting_nodes() const {
  std::set<uint64_t> out;
  for (const auto& [node, when] : askers_) {
    if (monotonic_ms() - when < 3 * kAskAgainMs) out.insert(node);
  }
  return out;
}

void Snapshots::on_asked(const nats::Message& message) {
  Result<control::SnapshotRequest> request = control::decode<control::SnapshotRequest>(message.data);
  if (!request) return host_.not_understood(message.data, request.error());
  const uint64_t node = request->node.value;
  if (askers_.size() < kMaxAskers || askers_.count(node) != 0) askers_[node] = monotonic_ms();
  const auto rank = host_.rank();
  if (!rank || taking_ || answer_.active()) return;
  wanted_ = std::max<StreamSeq>(request->seq, 1);
  unwanted_.clear();
  for (std::string& nuid : request->damaged) unwanted_.insert(std::move(nuid));
  answer_.start(uv::Milliseconds(static_cast<int64_t>(*rank) * kRankWaitMs));
}

void Snapshots::save(Progress progress, Saved done) {
  if (!store_) return done(not_connected());
  if (!host_.rank()) {
    return done(make_error(Errc::unavailable, "this node is not in the cluster's stream now (see marmot status): try again when it is running"));
  }
  if (taking_) {
    next_.emplace_back(std::move(progress), std::move(done));
    return;
  }
  waiting_.emplace_back(std::move(progress), std::move(done));
  take("asked for");
}

void Snapshots::list(Listed done) {
  if (!store_) return done(not_connected());
  store_->list(std::move(done));
}

void Snapshots::restore(RestoreOrder order, Progress progress, SnapshotRestore::Done done) {
  if (!store_) return done(not_connected());
  if (restore_ && !restore_->over()) return done(make_error(Errc::busy, "another snapshot is being restored: try again when it is done"));
  restore_ = std::make_unique<SnapshotRestore>(loop_, *store_, std::move(order), std::move(progress), std::move(done));
}

void Snapshots::take(const std::string& why) {
  taking_ = true;
  taking_since_ms_ = monotonic_ms();
  log_(LogLevel::info, setup_.name + ": taking a snapshot: " + why);
  begin();
}

void Snapshots::begin() {
  const std::string path = store_->scratch("take");
  remove_database(path);
  using Copy = std::shared_ptr<std::unique_ptr<replica::SnapshotCopy>>;
  thread_.ask_drained<Copy>(
      [path](replica::Replica& replica) -> Result<Copy> {
        TRY_ASSIGN(auto copy, replica::SnapshotCopy::begin(replica, path));
        return std::make_shared<std::unique_ptr<replica::SnapshotCopy>>(std::move(copy));
      },
      kBusyLimitMs,
      [this](Result<Copy> copy) {
        if (!copy) return taken(std::move(copy).error());
        store_->save(std::move(**copy),
                     [this](const char* what, uint64_t done, uint64_t total) {
                       work_ = LongWork{std::string("snapshot of ") + setup_.name + ": " + what, done, total};
                       for (const auto& [progress, saved] : waiting_) {
                         if (progress) progress(what, done, total);
                       }
                     },
                     [this](Result<SnapshotRecord> record) { taken(std::move(record)); });
      });
}

void Snapshots::taken(Result<SnapshotRecord> record) {
  work_ = LongWork();
  taking_ = false;
  const int64_t took = monotonic_ms() - taking_since_ms_;
  if (record) {
    last_error_.clear();
    wanted_ = 0;
    log_(LogLevel::info, setup_.name + ": snapshot " + record->object.name + " of message " + std::to_string(record->info.seq) + ": " +
                             std::to_string(record->bytes) + " bytes, stored as " + std::to_string(record->object.size) + ", in " +
                             std::to_string(took) + " ms");
    known_.insert(known_.begin(), *record);
    store_->prune(setup_.keep, [this](Result<size_t> removed) {
      if (!removed) log_(LogLevel::warn, setup_.name + ": old snapshots could not be deleted: " + removed.error().message);
      else if (*removed > 0) look();
    });
  } else {
    last_error_ = record.error().message;
    not_before_ms_ = monotonic_ms() + kFailedWaitMs;
    log_(LogLevel::error, setup_.name + ": no snapshot could be taken: " + last_error_);
  }
  for (const auto& [progress, saved] : std::exchange(waiting_, {})) saved(record);
  if (next_.empty()) return;
  waiting_ = std::exchange(next_, {});
  take("asked for");
}

SnapshotsStatus Snapshots::status() const {
  SnapshotsStatus status;
  status.taking = taking_;
  status.last_error = last_error_;
  if (listed_) status.count = known_.size();
  if (known_.empty()) return status;
  const SnapshotRecord& newest = known_.front();
  status.newest = SnapshotsStatus::Newest{newest.object.name, newest.info.seq, std::max<int64_t>(0, wall_now() - newest.info.at)};
  return status;
}

}  // namespace marmot::agent
