// `marmot snapshot` on the agent's side.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/loop/clock.hpp"
#include "agent/replication/replicator.hpp"
#include "common/replica/capture.hpp"

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

// Only a node that holds everything may take snapshots; of those the one with the lowest id is first.
std::optional<size_t> Replicator::snapshot_rank() const {
  if (state_ != State::running || progress_.membership != replica::Membership::member || in_gap_ || applied() < end_) return std::nullopt;
  size_t rank = 0;
  for (const Peer& peer : peers_->alive()) rank += peer.node < progress_.origin.node ? size_t{1} : size_t{0};
  return rank;
}

// Who else could take the snapshot that this node waits for.
node::EntryFacts::Company Replicator::company() const {
  node::EntryFacts::Company company;
  if (behind_since_ms_ != 0) company.waited_ms = monotonic_ms() - behind_since_ms_;
  for (const Peer& peer : peers_->alive()) company.able = company.able || peer.able;
  const std::set<uint64_t> waiting = snapshots_->waiting_nodes();
  const uint64_t self = progress_.origin.node.value;
  company.all_wait = true;
  for (const replica::Member& member : members_->all()) {
    company.all_wait = company.all_wait && (member.node.value == self || waiting.count(member.node.value) != 0);
  }
  company.lowest = true;
  for (const uint64_t node : waiting) company.lowest = company.lowest && node >= self;
  return company;
}

void Replicator::snapshot(const Json& request, const Reply& reply) {
  const std::string action = request.value("action", std::string());
  if (snapshots_->store() == nullptr) {
    return reply.fail(make_error(Errc::unavailable, "not connected to NATS yet, where the snapshots are"));
  }
  if (action == "list") return list_snapshots(reply);
  if (action == "save") {
    return snapshots_->save([reply](const char* what, uint64_t done, uint64_t total) {
      (void)reply.progress(what, static_cast<int64_t>(done), static_cast<int64_t>(total));
    }, [reply](Result<SnapshotRecord> record) {
      if (!record) return reply.fail(record.error());
      reply.finish(Json{{"snapshot", to_json(*record)}});
    });
  }
  if (action == "restore") {
    const std::string to = request.value("to", std::string());
    if (to.empty() || to.front() != '/') return reply.fail(make_error(Errc::bad_input, "to = " + to + ": it is an absolute path"));
    return restore_snapshot(request.value("id", std::string()), to, request.value("keep", false), reply);
  }
  reply.fail(make_error(Errc::bad_input, "action = " + action + ": it is `save`, `list` or `restore`"));
}

void Replicator::list_snapshots(const Reply& reply) {
  snapshots_->store()->list([reply](Result<std::vector<SnapshotRecord>> records) {
    if (!records) return reply.fail(records.error());
    Json list = Json::array();
    for (const SnapshotRecord& record : *records) list.push_back(to_json(record));
    reply.finish(Json{{"snapshots", std::move(list)}});
  });
}

void Replicator::restore_snapshot(const std::string& id, const std::string& to, bool keep, const Reply& reply) {
  if (restoring_) return reply.fail(make_error(Errc::busy, "another snapshot is being restored: try again when it is done"));
  restoring_ = true;
  const auto fail = [this, reply](const Error& error) {
    restoring_ = false;
    reply.fail(error);
  };
  const auto place = [this, to, keep, reply, fail](const SnapshotRecord& record) {
    const auto outcome = std::make_shared<Status>(ok());
    restore_work_ = std::make_unique<uv::PoolJob>(
        loop_,
        [outcome, from = snapshots_->store()->scratch("restore"), to, keep](const uv::PoolJob::Cancelled&) {
          *outcome = make_plain(from, keep);
          if (*outcome) *outcome = place_file(from, to);
          remove_database(from);
        },
        [this, outcome, record, reply, fail] {
          if (!*outcome) return fail(outcome->error());
          restoring_ = false;
          reply.finish(Json{{"snapshot", to_json(record)}});
        });
  };
  snapshots_->store()->list([this, id, place, reply, fail](Result<std::vector<SnapshotRecord>> records) {
    if (!records) return fail(records.error());
    const auto chosen = std::find_if(records->begin(), records->end(), [&](const SnapshotRecord& record) {
      return id.empty() || record.object.name == id || std::to_string(record.info.seq) == id;
    });
    if (chosen == records->end()) {
      return fail(make_error(Errc::not_found, id.empty() ? "there is no snapshot yet: take one with `marmot snapshot save`"
                                                         : "there is no snapshot " + id + ": see `marmot snapshot list`"));
    }
    const SnapshotRecord record = *chosen;
    snapshots_->store()->fetch(record, snapshots_->store()->scratch("restore"),
                               [reply](const char* what, uint64_t done, uint64_t total) {
                                 (void)reply.progress(what, static_cast<int64_t>(done), static_cast<int64_t>(total));
                               },
                               [place, fail, record](Status fetched) {
                                 if (!fetched) return fail(fetched.error());
                                 place(record);
                               });
  });
}

}  // namespace marmot::agent
