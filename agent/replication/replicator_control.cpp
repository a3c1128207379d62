// What other commands ask of a running database: status, wait, verify, tail; and its orderly end.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/loop/clock.hpp"
#include "agent/replication/replicator.hpp"

namespace marmot::agent {

namespace {
constexpr int64_t kPokeMs = 50;        // what waits looks at its deadline
constexpr int64_t kCountersMs = 1000;  // a status without counters is better than none
constexpr int64_t kRunningMs = 5000;   // for an agent that has just started, or lost its server a moment ago
constexpr int64_t kEchoMs = 1000;      // at the end: for our own messages to come round
}  // namespace

// -- waiting for something ---------------------------------------------------------------------------------------------

void Replicator::add_pending(Pending pending) {
  pending_.push_back(std::move(pending));
  if (!poke_.active()) poke_.start(uv::Milliseconds(0), uv::Milliseconds(kPokeMs));
}

// Something changed: who waited for it?
void Replicator::poke() {
  if (poking_) return;
  poking_ = true;
  const int64_t now = monotonic_ms();
  std::vector<Pending> still;
  // A callback may add another, which may be done already.
  for (std::vector<Pending> look = std::exchange(pending_, {}); !look.empty(); look = std::exchange(pending_, {})) {
    for (Pending& pending : look) {
      if (pending.poke()) continue;
      if (now >= pending.deadline_ms) pending.timed_out();
      else still.push_back(std::move(pending));
    }
  }
  pending_ = std::move(still);
  if (pending_.empty()) poke_.stop();
  poking_ = false;
}

// Everything committed before this call is in the stream.
void Replicator::settle(int64_t deadline_ms, std::function<void(bool)> done) {
  struct Settling {
    enum class Stage : uint8_t { wait, drain, publish } stage = Stage::wait;
    uint64_t generation = 0;
    uint64_t mark = 0;
  };
  const auto settling = std::make_shared<Settling>();
  Pending pending;
  pending.deadline_ms = deadline_ms;
  pending.poke = [this, settling, done] {
    // The stream was left meanwhile: what was drained may have to be published under other numbers.
    if (settling->generation != generation_) settling->stage = Settling::Stage::wait;
    if (settling->stage == Settling::Stage::wait) {
      if (state_ != State::running || progress_.membership != replica::Membership::member || !publishing_ || !outbox_complete()) {
        return false;
      }
      settling->stage = Settling::Stage::drain;
      settling->generation = generation_;
      thread_->after_drain([this, settling, generation = generation_] {
        if (settling->generation != generation || settling->stage != Settling::Stage::drain) return;
        settling->stage = publishing_ ? Settling::Stage::publish : Settling::Stage::wait;
        settling->mark = publisher_.mark();
        poke();
      });
      return false;
    }
    if (settling->stage != Settling::Stage::publish || !publisher_.stored_through(settling->mark)) return false;
    done(true);
    return true;
  };
  pending.timed_out = [done] { done(false); };
  add_pending(std::move(pending));
}

void Replicator::until_applied(StreamSeq seq, int64_t deadline_ms, std::function<void(bool)> done) {
  Pending pending;
  pending.deadline_ms = deadline_ms;
  pending.poke = [this, seq, done] {
    if (state_ != State::running || applied() < seq) {
      // Our own messages would wait for a drain to ride along with.
      if (state_ == State::running && delivered_ >= seq) thread_->hasten();
      return false;
    }
    done(true);
    return true;
  };
  pending.timed_out = [done] { done(false); };
  add_pending(std::move(pending));
}

// The file is open and the stream is followed. False: not in time, or nothing is done for this database any more.
void Replicator::until_running(int64_t deadline_ms, std::function<void(bool)> done) {
  Pending pending;
  pending.deadline_ms = deadline_ms;
  pending.poke = [this, done] {
    const bool running = connection_ != nullptr && state_ == State::running;
    if (!running && state_ != State::stopped) return false;
    done(running);
    return true;
  };
  pending.timed_out = [done] { done(false); };
  add_pending(std::move(pending));
}

void Replicator::stop(int64_t timeout_ms, std::function<void()> done) {
  const int64_t deadline = monotonic_ms() + timeout_ms;
  if (state_ != State::running) return done();
  settle(deadline, [this, deadline, done = std::move(done)](bool settled) {
    if (!settled) {
      log_(LogLevel::warn, name() + ": not everything could be published in time: it is kept in the file");
      return done();
    }
    // Seen in the stream, nothing of it is published again at the next start.
    const int64_t until = std::min(deadline, monotonic_ms() + kEchoMs);
    until_applied(publisher_.last_stored(), until, [done](bool) { done(); });
  });
}

// -- the commands -----------------------------------------------------------------------------------------------------

Peers::Self Replicator::self() const {
  const bool able = state_ == State::running && progress_.membership == replica::Membership::member && !in_gap_ && applied() >= end_;
  return Peers::Self{progress_.origin, applied(), publisher_.pending_rows(), able};
}

StreamSeq Replicator::stream_end() const {
  StreamSeq end = std::max({known_end_, delivered_, publisher_.last_stored()});
  for (const Peer& peer : peers_->alive()) end = std::max(end, peer.applied);
  return end;
}

std::string Replicator::state_name() const {
  switch (state_) {
    case State::opening: return "opening";
    case State::preparing: return "preparing";
    case State::waiting: return "waiting";
    case State::entering: return "entering";
    case State::running: return progress_.membership == replica::Membership::joining ? "joining" : "running";
    case State::behind: return "behind";
    case State::stopped: return "stopped";
  }
  return "?";
}

void Replicator::status(std::function<void(Json)> done) {
  if (!opened_) return done(status_json(std::nullopt));
  const auto answer = std::make_shared<std::optional<replica::Counters>>();
  const auto answered = std::make_shared<bool>(false);
  using Facts = std::pair<replica::Counters, std::vector<std::string>>;
  const Status asked = thread_->ask<Facts>(
      [](replica::Replica& replica) -> Result<Facts> {
        TRY_ASSIGN(const replica::Counters counters, replica.counters());
        return Facts{counters, replica.watched()};
      },
      [this, answer, answered](Result<Facts> facts) {
        *answered = true;
        if (facts) {
          *answer = facts->first;
          watched_ = std::move(facts->second);
        }
        poke();
      });
  if (!asked) return done(status_json(std::nullopt));
  Pending pending;
  pending.deadline_ms = monotonic_ms() + kCountersMs;
  pending.poke = [this, answer, answered, done] {
    if (!*answered) return false;
    done(status_json(*answer));
    return true;
  };
  pending.timed_out = [this, done] { done(status_json(std::nullopt)); };
  add_pending(std::move(pending));
}

// What is wrong, the worst first.
std::string Replicator::trouble() const {
  std::string error = !progress_.halted.empty() ? progress_.halted : progress_.trouble;
  if (error.empty()) error = clock_.text();
  if (error.empty()) error = publisher_.last_error();
  if (error.empty()) error = last_error_;
  if (error.empty() && state_ != State::running) error = state_text_;
  return error;
}

Json Replicator::status_json(const std::optional<replica::Counters>& counters) const {
  const std::string error = trouble();
  Json json{{"name", name()}, {"path", path()}, {"stream", stream()}, {"state", state_name()}, {"last_error", error}};
  if (!state_text_.empty()) json["state_text"] = state_text_;
  json["node"] = progress_.origin.node.value;
  json["published"] = publisher_.published_rows();
  json["applied"] = progress_.rows_changed;
  if (counters) {
    // Rows of units in flight are counted by the publisher; those that no unit holds yet, by the file.
    const bool complete = state_ == State::running && outbox_complete();
    json["pending"] = counters->log_rows + (complete ? static_cast<int64_t>(publisher_.pending_rows()) : counters->outbox_rows);
    json["waiting"] = counters->waiting_units;
    json["quarantined"] = counters->quarantined;
    json["conflicts"] = counters->conflicts;
    json["staged_parts"] = counters->staged_parts;
    json["split_units"] = counters->split_units;
    json["conflicts_dropped"] = counters->conflicts_dropped;
    json["shelved"] = counters->shelved;
  }
  const StreamSeq end = stream_end();
  const StreamSeq position = applied();
  if (state_ == State::running || state_ == State::behind) {
    json["lag_messages"] = changes_.between(followed(), end);
    json["lag_ms"] = arrivals_.empty() ? int64_t{0} : std::max<int64_t>(0, wall_now() - arrivals_.front().second);
  }
  json["position"] = position;
  json["gave_way"] = progress_.giving_way.gave_way;
  json["forced"] = progress_.giving_way.forced;
  json["read_percent"] = progress_.giving_way.read_percent;
  json["failed_effects"] = progress_.failed_effects.different;
  json["last_failed_effect"] = progress_.failed_effects.last;
  json["to_know"] = to_know_;
  json["alarm"] = alarm_.text();
  json["wal_bytes"] = alarm_.wal_bytes();
  const Repair::Status& repair = repair_->status();
  json["divergent_ranges"] = repair.divergent_ranges;
  json["repair"] = Json{{"rounds", repair.rounds}, {"ranges", repair.ranges}, {"repaired", repair.repaired},
                        {"scrub_passes", progress_.scrub_passes}, {"scrub_found", progress_.scrub_found}};
  json["members"] = members_->all().size();
  Json peers = Json::array();
  for (const Peer& peer : peers_->all()) {
    peers.push_back(Json{{"node", peer.node.value}, {"lag_messages", changes_.between(peer.applied, end)},
                         {"seen_ms_ago", monotonic_ms() - peer.seen_ms}});
  }
  json["peers"] = std::move(peers);
  json["snapshots"] = snapshots_->status();
  Json tables = Json::array();
  for (const std::string& table : watched_) {
    const auto stopped = std::find_if(progress_.stopped.begin(), progress_.stopped.end(),
                                      [&](const replica::StoppedTable& candidate) { return candidate.name == table; });
    tables.push_back(Json{{"name", table}, {"stopped", stopped == progress_.stopped.end() ? std::string() : stopped->reason}});
  }
  json["tables"] = std::move(tables);
  return json;
}

void Replicator::wait(const std::string& level, int64_t timeout_ms, const Reply& reply) {
  if (level != "published" && level != "all") {
    return reply.fail(make_error(Errc::bad_input, "level = " + level + ": it is `published` or `all`"));
  }
  const int64_t deadline = monotonic_ms() + timeout_ms;
  const auto finish = [this, reply](bool done) { reply.finish(Json{{"done", done}, {"pending", publisher_.pending_rows()}}); };
  settle(deadline, [this, level, deadline, finish](bool settled) {
    if (!settled) return finish(false);
    // Seen in the stream, not only acknowledged.
    const StreamSeq target = std::max(publisher_.last_stored(), applied());
    until_applied(target, deadline, [this, level, target, deadline, finish](bool seen) {
      if (!seen || level == "published") return finish(seen);
      Pending pending;
      pending.deadline_ms = deadline;
      pending.poke = [this, target, finish] {
        for (const Peer& peer : peers_->alive()) {
          if (peer.applied < target) return false;
        }
        finish(true);
        return true;
      };
      pending.timed_out = [finish] { finish(false); };
      add_pending(std::move(pending));
    });
  });
}

void Replicator::compare(int64_t timeout_ms, const Reply& reply, std::function<void(Json)> done) {
  Verify::Host host{loop_, *connection_, *thread_, *peers_, stream(), prefix_,
                    [this](int64_t deadline, std::function<void(bool)> then) { settle(deadline, std::move(then)); },
                    [this](StreamSeq seq, int64_t deadline, std::function<void(bool)> then) { until_applied(seq, deadline, std::move(then)); },
                    [this] { return self(); }};
  verify_ = std::make_unique<Verify>(
      std::move(host), timeout_ms,
      [reply](std::string_view what, int64_t at, int64_t total) { (void)reply.progress(what, at, total); },
      [this, reply, done](Result<VerifyReport> report) {
        verify_running_ = false;
        if (!report) return reply.fail(report.error());
        Json tables = Json::array();
        for (const TableVerdict& table : report->tables) {
          Json differs = Json::array();
          for (const auto& difference : table.differs) {
            differs.push_back(Json{{"node", difference.node}, {"keys", difference.keys}, {"more", difference.more}});
          }
          tables.push_back(Json{{"name", table.name}, {"rows", table.rows}, {"identical", table.differs.empty()}, {"differs", differs}});
        }
        Json full_text = Json::array();
        for (const auto& [node, fault] : report->full_text) {
          full_text.push_back(Json{{"node", node}, {"name", fault.index}, {"out_of_step", fault.out_of_step}, {"reason", fault.reason}});
        }
        done(Json{{"nodes", report->nodes}, {"identical", report->identical()}, {"tables", tables}, {"full_text", full_text}});
      });
}

void Replicator::verify(int64_t timeout_ms, bool repair, const Reply& reply) {
  if (verify_running_) return reply.fail(make_error(Errc::busy, "another verify runs: try again when it is done"));
  verify_running_ = true;
  const int64_t deadline = monotonic_ms() + timeout_ms;
  until_running(monotonic_ms() + std::min(timeout_ms, kRunningMs), [this, deadline, repair, reply](bool running) {
    if (running) return verify_now(std::max<int64_t>(1000, deadline - monotonic_ms()), repair, reply);
    verify_running_ = false;
    reply.fail(make_error(Errc::unavailable, "not connected to the cluster: " + (state_text_.empty() ? state_name() : state_text_)));
  });
}

void Replicator::verify_now(int64_t timeout_ms, bool repair, const Reply& reply) {
  if (!repair) return compare(timeout_ms, reply, [reply](Json report) { reply.finish(std::move(report)); });
  const int64_t deadline = monotonic_ms() + timeout_ms;
  repair_->run(
      timeout_ms, [reply](std::string_view what, int64_t at, int64_t total) { (void)reply.progress(what, at, total); },
      [this, deadline, reply](Result<RepairReport> repaired) {
        if (!repaired || state_ != State::running) {
          verify_running_ = false;
          return reply.fail(repaired ? make_error(Errc::unavailable, "the stream was left meanwhile") : repaired.error());
        }
        compare(std::max<int64_t>(1000, deadline - monotonic_ms()), reply, [reply, repaired = *std::move(repaired)](Json report) {
          for (Json& table : report["tables"]) {
            const auto found = repaired.find(table["name"].get<std::string>());
            table["found"] = found == repaired.end() ? 0 : found->second.found;
            table["repaired"] = found == repaired.end() ? 0 : found->second.repaired;
          }
          report["repair"] = true;
          reply.finish(std::move(report));
        });
      });
}

void Replicator::members(const Reply& reply) {
  const uint64_t self = progress_.origin.node.value;
  const WallMs wall = wall_now();
  const StreamSeq end = stream_end();
  Json list = Json::array();
  for (const replica::Member& member : members_->all()) {
    const int64_t age = member.node.value == self ? 0 : std::max<int64_t>(0, wall - member.seen);
    const StreamSeq there = member.node.value == self ? std::max(applied(), member.applied) : member.applied;
    list.push_back(Json{{"node", member.node.value}, {"incarnation", to_hex(member.incarnation.value)}, {"seen_ms_ago", age}, {"applied", there},
                        {"behind", changes_.between(there, end)}, {"self", member.node.value == self},
                        {"alive", member.node.value == self || age < Peers::kAliveMs}});
  }
  reply.finish(Json{{"members", list}});
}

void Replicator::tail(const std::string& table_glob, const std::string& direction, const Reply& reply) {
  if (!direction.empty() && direction != "in" && direction != "out") {
    return reply.fail(make_error(Errc::bad_input, "direction = " + direction + ": it is `in` or `out`"));
  }
  thread_->set_tracing(true);
  tails_.push_back(Tail{reply, table_glob, direction});
  reply.on_gone([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired()) return;
    tails_.erase(std::remove_if(tails_.begin(), tails_.end(), [](const Tail& tail) { return tail.reply.gone(); }), tails_.end());
    if (tails_.empty()) thread_->set_tracing(false);
  });
}

}  // namespace marmot::agent
