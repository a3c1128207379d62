// What a database tells of itself: to people (status.hpp), to the other nodes, and to the parts that decide by it.
#include <algorithm>
#include <utility>

#include "agent/loop/clock.hpp"
#include "agent/replication/replicator.hpp"

namespace marmot::agent {

namespace {
constexpr int64_t kCountersMs = 1000;  // a status without counters is better than none
}  // namespace

Peers::Self Replicator::self() const {
  const bool able = state_ == State::running && !in_gap_ && catch_up_.caught_up(progress_.membership, applied());
  // No floor passes a gap before the nodes were found equal: a row that only some have would be taken for one that was deleted.
  const bool lacks = repair_ && repair_->lacking();
  const StreamSeq whole = lacks ? std::min(applied(), missing_from_ - 1) : applied();
  return Peers::Self{progress_.origin, applied(), publisher_.pending_rows(), able, whole, progress_.wants_floor};
}

// Every member follows the stream, and is heard.
bool Replicator::all_there() const {
  const std::vector<Peer> alive = peers_->alive();
  const std::vector<replica::Member> members = members_->all();
  return std::all_of(members.begin(), members.end(), [&](const replica::Member& member) {
    if (member.node == progress_.origin.node) return true;
    return std::any_of(alive.begin(), alive.end(), [&](const Peer& peer) { return peer.node == member.node && peer.able; });
  });
}

// Only a node that holds everything may take snapshots; of those the one with the lowest id is first. One that lacks messages does it for
// nodes that wait for a snapshot, where nobody else is there: they would wait for ever. Whoever takes it over knows of the gap.
std::optional<size_t> Replicator::snapshot_rank() const {
  if (!self().able || (repair_->lacking() && !(repair_->alone() && !snapshots_->waiting_nodes().empty()))) return std::nullopt;
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

StreamSeq Replicator::stream_end() const {
  StreamSeq end = std::max({known_end_, delivered_.seq, publisher_.last_stored()});
  for (const Peer& peer : peers_->alive()) end = std::max(end, peer.applied);
  return end;
}

DatabaseState Replicator::shown_state() const {
  const bool joining = state_ == State::running && progress_.membership == replica::Membership::joining;
  return joining ? DatabaseState::joining : state_;
}

// What is wrong, the worst first.
std::string Replicator::trouble() const {
  std::string error = !progress_.halted.empty() ? progress_.halted : progress_.trouble;
  if (error.empty()) error = clock_trouble();
  if (error.empty()) error = publisher_.last_error();
  if (error.empty()) error = last_error_;
  if (error.empty() && state_ != State::running) error = state_text_;
  return error;
}

void Replicator::status(std::function<void(DatabaseStatus)> done) {
  if (!opened_) return done(status_now(std::nullopt));
  const auto answer = std::make_shared<std::optional<FileFacts>>();
  const auto answered = std::make_shared<bool>(false);
  const Status asked = thread_->ask<FileFacts>(
      [](replica::Replica& replica) -> Result<FileFacts> {
        TRY_ASSIGN(const replica::Counters counters, replica.counters());
        TRY_ASSIGN(replica::IdReport ids, replica.ids());
        return FileFacts{counters, replica.watched(), std::move(ids)};
      },
      [this, answer, answered](Result<FileFacts> facts) {
        *answered = true;
        if (facts) {
          watched_ = facts->watched;
          *answer = std::move(*facts);
        }
        poke();
      });
  if (!asked) return done(status_now(std::nullopt));
  waiters_.add(monotonic_ms() + kCountersMs, [answered] { return *answered; },
               [this, answer, done = std::move(done)](bool) { done(status_now(*answer)); });
}

bool Replicator::ready() const {
  return state_ == State::running && catch_up_.caught_up(progress_.membership, applied()) && (progress_.ids_ready || earlier_peer_);
}

void Replicator::retire_slot(int slot, std::function<void(Status)> done) {
  const auto told = [this, done](Status retired) {
    thread_->wake();
    done(std::move(retired));
  };
  if (auto asked = thread_->change([slot](replica::Replica& replica) { return replica.retire_slot(slot); }, told); !asked) done(std::move(asked));
}

DatabaseStatus Replicator::status_now(const std::optional<FileFacts>& facts) const {
  const StreamSeq end = stream_end();
  DatabaseStatus status;
  status.name = name();
  status.path = path();
  status.stream = stream();
  status.node = progress_.origin.node;
  status.state = shown_state();
  status.state_text = state_text_;
  status.last_error = trouble();
  status.alarm = alarm_.text();
  status.to_know = to_know_;
  status.published_rows = publisher_.published_rows();
  status.applied_rows = progress_.rows_changed;
  status.ready = ready();
  if (facts) {
    status.ids = facts->ids;
    const replica::Counters& counters = facts->counters;
    FileCounts& file = status.file.emplace();
    // Rows of units in flight are counted by the publisher; those that no unit holds yet, by the file.
    const bool complete = state_ == State::running && outbox_complete();
    file.pending_rows = counters.log_rows + (complete ? static_cast<int64_t>(publisher_.pending_rows()) : counters.outbox_rows);
    file.waiting_units = counters.waiting_units;
    file.quarantined_messages = counters.quarantined;
    file.conflicts = counters.conflicts;
    file.conflicts_dropped = counters.conflicts_dropped;
    file.staged_parts = counters.staged_parts;
    file.gone_units = counters.gone_units;
    file.split_units = counters.split_units;
    file.shelved_rows = counters.shelved;
  }
  if (state_ == State::running || state_ == State::behind) {
    status.lag = Lag{changes_.between(followed(), end), arrivals_.empty() ? int64_t{0} : std::max<int64_t>(0, wall_now() - arrivals_.front().second)};
  }
  status.position = applied();
  status.writes_gave_way = progress_.giving_way.gave_way;
  status.writes_forced = progress_.giving_way.forced;
  status.read_percent = progress_.giving_way.read_percent;
  status.failed_effects = progress_.failed_effects.different;
  status.last_failed_effect = progress_.failed_effects.last;
  status.wal_bytes = alarm_.wal_bytes();
  status.repair = repair_->status();
  status.scrub_passes = progress_.scrub_passes;
  status.scrub_found_rows = progress_.scrub_found;
  status.members = members_->all().size();
  status.clock_off_ms = clock_.off_ms();
  const std::map<uint64_t, int64_t> off = clocks_->off();
  for (const Peer& peer : peers_->all()) {
    const auto clock = off.find(peer.node.value);
    status.peers.push_back(PeerStatus{peer.node, changes_.between(peer.applied, end), monotonic_ms() - peer.seen_ms, clock == off.end() ? 0 : clock->second});
  }
  status.snapshots = snapshots_->status();
  for (const std::string& table : watched_) {
    const auto stopped = std::find_if(progress_.stopped.begin(), progress_.stopped.end(),
                                      [&](const replica::StoppedTable& candidate) { return candidate.name == table; });
    status.tables.push_back(TableStatus{table, stopped == progress_.stopped.end() ? std::string() : stopped->reason});
  }
  for (const replica::StoppedTable& one : progress_.stopped) {
    if (std::find(watched_.begin(), watched_.end(), one.name) == watched_.end()) status.objects.push_back(TableStatus{one.name, one.reason});
  }
  for (const replica::StoppedTable& index : progress_.unfilled) status.objects.push_back(TableStatus{"full-text index " + index.name, index.reason});
  return status;
}

std::vector<MemberStatus> Replicator::members() const {
  const WallMs wall = wall_now();
  const StreamSeq end = stream_end();
  std::vector<MemberStatus> list;
  for (const replica::Member& member : members_->all()) {
    MemberStatus& one = list.emplace_back();
    one.node = member.node;
    one.incarnation = member.incarnation;
    one.self = member.node == progress_.origin.node;
    one.seen_ms_ago = one.self ? 0 : std::max<int64_t>(0, wall - member.seen);
    one.applied = one.self ? std::max(applied(), member.applied) : member.applied;
    one.behind_messages = changes_.between(one.applied, end);
    one.alive = one.self || one.seen_ms_ago < Peers::kAliveMs;
  }
  return list;
}

std::vector<MemberStatus> Replicator::members_but(const std::set<uint64_t>& answered) const {
  std::vector<MemberStatus> list = members();
  const auto is_in = [&](const MemberStatus& member) { return member.self || answered.count(member.node.value) != 0; };
  list.erase(std::remove_if(list.begin(), list.end(), is_in), list.end());
  return list;
}

}  // namespace marmot::agent
