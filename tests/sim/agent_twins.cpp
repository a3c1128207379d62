// Two live agents of one identity, on copies of one file: common/node/twins.hpp decides who gives way. In runs without such copies nothing is
// asked and nothing waits.
#include "common/base/mutation.hpp"
#include "common/codec/control.hpp"
#include "tests/sim/agent.hpp"
#include "tests/sim/world.hpp"

namespace marmot::sim {

namespace control = codec::control;

bool Agent::may_publish() {
  return !world_.twins() || mutated(Mutation::twin_only_logged) || twins_.may_publish(world_.now());
}

void Agent::look_for_twins() {
  if (!world_.twins() || !engine_) return;
  twins_.live(engine_->origin().incarnation);
  if (!node_.link.connected) return;
  if (twins_.asks(world_.now())) tell_alive(Incarnation{});
  if (state_ != State::running || world_.now() < beat_at_) return;
  beat_at_ = world_.now() + 1000;
  const Origin self = engine_->origin();
  tell_twins([self](Agent& other) {
    const Origin there = other.engine_->origin();
    if (there.node == self.node && there.incarnation != self.incarnation) other.twins_.suspect();
  });
}

// Over core NATS: to everybody, and what is lost is lost.
void Agent::tell_twins(std::function<void(Agent&)> what) {
  if (node_.link.out_blocked || !node_.link.connected) return;
  for (auto& [id, other] : world_.nodes) {
    const bool lost = world_.profile.lost_alive != 0 && !world_.calm() && world_.random.per_mille(world_.profile.lost_alive);
    if (id == node_.id || lost) continue;
    const int64_t there = world_.random.between(0, world_.profile.delay_ms);
    world_.after(there, [&other = other, what] {
      if (!other.link.in_blocked && other.link.connected && other.agent->alive_ && other.agent->engine_) what(*other.agent);
    });
  }
}

void Agent::tell_alive(Incarnation asker) {
  const Origin self = engine_->origin();
  const node::TwinLife& own = twins_.own();
  tell_twins([bytes = control::encode(control::Alive{self.node, self.incarnation, asker, own.asking, own.first, "", 0, 0})](Agent& other) {
    other.hear_alive(bytes);
  });
}

void Agent::hear_alive(std::string_view bytes) {
  const auto read = control::decode<control::Alive>(bytes);
  if (!read) return world_.fail(node_.id, "a message between agents: " + read.error().message);
  const control::Alive& other = *read;
  const Origin self = engine_->origin();
  if (other.node != self.node || gives_up_) return;
  twins_.live(self.incarnation);
  switch (twins_.heard({other.incarnation, other.asking, other.first}, other.asker)) {
    case node::Twins::Then::nothing: return;
    case node::Twins::Then::answer: return tell_alive(other.incarnation);
    case node::Twins::Then::yield: break;
  }
  world_.say(node_.id, "another agent is node " + std::to_string(self.node.value) + " too");
  if (mutated(Mutation::twin_only_logged)) return;
  world_.count("twin gives way");
  gives_up_ = true;
  leave(State::waiting, 0);
}

// As a file that was copied: its process ends, and the next one finds that it stands elsewhere than it remembers.
void Agent::give_up() {
  std::optional<Status> written;
  if (!inside([&] { written = engine_->database().exec("UPDATE __marmot_meta SET value = " + std::to_string(kGivenUp) + " WHERE key = 'sim_inode'"); })) return;
  if (!*written) return world_.say(node_.id, "give up its node id: " + written->error().message);
  world_.disks.of(node_.id).faults.stops = Process::agent;
  world_.processes_stopped(node_);
}

}  // namespace marmot::sim
