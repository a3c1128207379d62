// How a simulated agent compares its clock with the server's, and what it does with what a wrong one has stamped.
#include "tests/sim/agent.hpp"
#include "tests/sim/world.hpp"

namespace marmot::sim {

namespace {
constexpr int64_t kProbeEvery = 300;
}  // namespace

bool Agent::checks_clock() const { return world_.profile.clocks; }

void Agent::compare_clock() {
  if (!checks_clock()) return;
  if (!drift_.may_publish() && world_.now() >= probe_at_) {
    probe_at_ = world_.now() + kProbeEvery;
    const auto read = std::make_shared<std::optional<WallMs>>();
    World& world = world_;
    world_.request(
        node_, [&world, read] { *read = world.server_time(); },
        [this, read, sent = world_.wall(node_), life = life_, generation = generation_](bool came) {
          if (came && *read && alive_ && life == life_ && generation == generation_) drift_.observe(sent, **read, world_.wall(node_));
        });
  }
  if (drift_.may_publish() && !stamps_right_) look_at_stamps();
  if (state_ == State::running) publisher_->hold(!may_publish_by_clock());
}

void Agent::look_at_stamps() {
  std::optional<Result<int64_t>> ahead;
  if (!inside([&] { ahead = engine_->misdated(world_.wall(node_)); })) return;
  if (!*ahead) return done("look at stamps", ahead->error());
  if (**ahead == 0) {
    stamps_right_ = true;
    return;
  }
  world_.say(node_.id, "its changes are stamped " + std::to_string(**ahead) + " ms ahead: they get other stamps");
  world_.count("redated");
  std::optional<Status> redated;
  const Incarnation incarnation{(world_.random.next() >> 1) | 1};
  if (!inside([&] { redated = engine_->redate(world_.wall(node_), incarnation); })) return;
  if (!*redated) return done("redate", redated->error());
  publisher_->clear();
  (void)schedule_->release();
  node_.high_water = std::min(node_.high_water, engine_->last_hlc().value);
  world_.ledger.redated(node_.id, engine_->origin().node, engine_->last_hlc());
  note_versions();
  reenter("its changes have other stamps");
}

// `marmot clock reset`, and the bound that stamps are judged by from there on. False: not now, or there is nothing to reset.
bool Agent::reset_clocks(WallMs to, int64_t bound) {
  if (state_ != State::running || schedule_->holds() || !member()) return false;
  std::optional<Result<replica::ClockReport>> report;
  if (!inside([&] { report = engine_->clock_report(to); })) return false;
  if (!*report) return done("look at stamps", report->error()), false;
  if ((*report)->reset.segments.empty()) return false;
  std::optional<Result<replica::DrainResult>> result;
  const bool lives = inside([&] { result = engine_->change_clocks(bound, (*report)->reset, true); });
  if (*result) note((*result)->changes);
  if (!lives) return world_.processes_stopped(node_), false;
  if (!*result) return done("reset clocks", result->error()), false;
  world_.say(node_.id, "clock reset: " + std::to_string((*report)->versions) + " versions are up to " + std::to_string((*report)->ahead_ms) + " ms ahead");
  succeeded((*result)->held_us);
  publish(std::move((*result)->units));
  return true;
}

}  // namespace marmot::sim
