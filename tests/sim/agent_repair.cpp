// Anti-entropy over the simulated network: common/node/repair_round.hpp leads, the nodes answer:
// late, or not at all. Between nodes travel the bytes of common/codec/control.hpp.
#include <algorithm>

#include "common/codec/control.hpp"
#include "tests/sim/agent.hpp"
#include "tests/sim/world.hpp"

namespace marmot::sim {

namespace control = codec::control;
using node::RepairRound;

namespace {
constexpr int64_t kAnswerWithin = 500;
constexpr int64_t kHaste = 4;  // pauses between ranges are so many times shorter than the agent's
}  // namespace

std::vector<RepairRound::Present> Agent::present() const {
  std::vector<RepairRound::Present> out;
  for (const auto& [id, other] : world_.nodes) {
    const bool heard = other.agent->alive_ && other.link.connected && !other.link.out_blocked && !node_.link.in_blocked;
    if (id == node_.id || !heard || !other.agent->follows()) continue;
    const Origin origin = other.agent->engine_->origin();
    out.push_back({origin.node.value, origin.incarnation.value, other.agent->position()});
  }
  return out;
}

// `question` runs in the process of the node if it follows the stream and the network lets it be asked; never at once.
template <class T>
void Agent::ask_node(uint64_t node, std::function<Result<T>(Agent&)> question, std::function<void(Result<T>)> then) {
  const auto heard = [this, life = life_, then = std::move(then)](const Result<T>& answer) {
    if (alive_ && life == life_ && round_) then(answer);
  };
  World& world = world_;
  Node& from = node_;
  const int64_t there = world.random.between(0, world.profile.delay_ms), back = world.random.between(0, world.profile.delay_ms);
  const bool lost = !world.calm() && world.random.per_mille(world.profile.lost_acks);
  world.after(there, [&world, &from, node, lost, back, question = std::move(question), heard] {
    const auto gone = [&world, heard] {
      world.after(kAnswerWithin, [heard] { heard(Result<T>(make_error(Errc::timeout, "no answer"))); });
    };
    for (auto& [id, other] : world.nodes) {
      Agent& agent = *other.agent;
      if (!agent.alive_ || !agent.follows() || agent.engine_->origin().node.value != node) continue;
      const bool itself = id == from.id;
      if (!itself && (from.link.out_blocked || other.link.in_blocked || !from.link.connected || !other.link.connected)) return gone();
      std::optional<Result<T>> answer;
      const bool lives = agent.inside([&] { answer = question(agent); });
      if (!lives) {
        world.processes_stopped(other);
        return gone();
      }
      if (!itself && (lost || other.link.out_blocked || from.link.in_blocked)) return gone();
      return world.after(itself ? 0 : back, [heard, answer = *std::move(answer)] { heard(answer); });
    }
    gone();
  });
}

// What one node has encoded every other one reads.
template <class T>
T Agent::must_read(Result<T> message) const {
  if (message) return *std::move(message);
  world_.fail(node_.id, "a message between agents: " + message.error().message);
  return T();
}

std::string Agent::refusal(const Error& error) const {
  return control::encode(control::Refusal{engine_->origin().node, error.code == Errc::not_found, error.message});
}

// Inside the process.
std::string Agent::answer(std::string_view bytes) {
  const control::Message request = must_read(control::decode_any(bytes));
  const NodeId self = engine_->origin().node;
  if (const auto* digest = std::get_if<control::RangeDigestRequest>(&request)) {
    auto taken = engine_->range_digest(digest->by, digest->range, 4 * world_.profile.repair_registers);
    return taken ? control::encode(control::RangeDigestAnswer{self, *std::move(taken)}) : refusal(taken.error());
  }
  if (const auto* keys = std::get_if<control::RangeKeysRequest>(&request)) {
    auto held = engine_->range_keys(keys->by, keys->range, world_.profile.repair_keys, 1 << 20);
    return held ? control::encode(control::RangeKeysAnswer{self, *std::move(held)}) : refusal(held.error());
  }
  const auto* repair = std::get_if<control::RepairRequest>(&request);
  if (repair == nullptr) return refusal(make_error(Errc::bad_input, "no such request is answered here"));
  return control::encode(control::RepairAnswer{self, act(repair->table, repair->actions)});
}

// To another node; its answer holds what was asked for as `part`.
template <class Answer, class Request, class T>
void Agent::send_request(uint64_t node, const Request& request, T Answer::*part, std::function<void(Result<T>)> then) {
  ask_node<std::string>(
      node, [bytes = control::encode(request)](Agent& agent) -> Result<std::string> { return agent.answer(bytes); },
      [this, part, then = std::move(then)](const Result<std::string>& bytes) {
        if (!bytes) return then(bytes.error());
        Result<Answer> answer = control::decode_answer<Answer>(*bytes);
        if (answer) return then(std::move((*answer).*part));
        const Errc code = answer.error().code;
        if (code != Errc::not_found && code != Errc::unavailable) must_read(std::move(answer));
        else then(std::move(answer).error());
      });
}

RepairRound::Host Agent::round_host() {
  RepairRound::Host host;
  host.self = [this] { return RepairRound::Present{engine_->origin().node.value, engine_->origin().incarnation.value, position()}; };
  host.others = [this] { return present(); };
  host.complete = [this] { return all_there(); };
  host.tables = [this](std::function<void(std::vector<std::string>)> then) {
    ask_node<std::vector<std::string>>(
        engine_->origin().node.value, [](Agent& agent) -> Result<std::vector<std::string>> { return agent.engine_->watched(); },
        [this, then](const Result<std::vector<std::string>>& tables) {
          if (tables) then(*tables);
          else round_->stop(tables.error());
        });
  };
  host.seed = [this] { return HashKey{static_cast<uint64_t>(world_.now()) + 1, engine_->origin().incarnation.value}; };
  host.digest = [this](uint64_t node, const CompareBy& by, const KeyRange& range, int64_t limit, std::function<void(Result<RangeDigest>)> then) {
    const NodeId self = engine_->origin().node;
    if (node != self.value) return send_request(node, control::RangeDigestRequest{self, range, by}, &control::RangeDigestAnswer::digest, std::move(then));
    ask_node<RangeDigest>(node, [by, range, limit](Agent& agent) { return agent.engine_->range_digest(by, range, limit); }, std::move(then));
  };
  host.keys = [this](uint64_t node, const CompareBy& by, const KeyRange& range, std::function<void(Result<RangeKeys>)> then) {
    world_.divergent(node_, range.table);
    const NodeId self = engine_->origin().node;
    if (node != self.value) return send_request(node, control::RangeKeysRequest{self, range, by}, &control::RangeKeysAnswer::held, std::move(then));
    ask_node<RangeKeys>(node, [by, range, most = world_.profile.repair_keys](Agent& agent) { return agent.engine_->range_keys(by, range, most, 1 << 20); },
                        std::move(then));
  };
  host.act = [this](uint64_t node, const std::string& table, std::vector<RepairAction> actions, std::function<void(int64_t)> then) {
    const auto acted = [then = std::move(then)](const Result<int64_t>& done) { then(done ? *done : 0); };
    const NodeId self = engine_->origin().node;
    if (node != self.value) {
      return send_request<control::RepairAnswer, control::RepairRequest, int64_t>(
          node, control::RepairRequest{self, table, std::move(actions)}, &control::RepairAnswer::done, acted);
    }
    ask_node<int64_t>(node, [table, actions = std::move(actions)](Agent& agent) -> Result<int64_t> { return agent.act(table, actions); }, acted);
  };
  host.pause = [this](int64_t ms, std::function<void()> then) {
    world_.after(ms / kHaste + 1, [this, life = life_, then = std::move(then)] {
      if (alive_ && life == life_ && round_) then();
    });
  };
  host.now_ms = [this] { return world_.now(); };
  host.over = [this](const Status& how) {
    if (how) world_.count("compared");
    if (how && round_->clean()) world_.found_equal(round_began_);
  };
  host.log = [this](LogLevel, const std::string& text) { world_.say(node_.id, text); };
  host.walking = [](const std::string&, size_t, size_t) {};
  host.repaired = [](const std::string&, int64_t) {};
  return host;
}

// Inside the process.
int64_t Agent::act(const std::string& table, const std::vector<RepairAction>& actions) {
  if (schedule_->holds()) return 0;
  int64_t done = 0;
  auto result = engine_->repair(table, actions, polite(), &done);
  if (!result) {
    if (result.error().code == Errc::busy) ++busy_;
    return 0;  // whoever leads plans it again
  }
  note(result->changes);
  note_versions();
  publish(std::move(result->units));
  if (done > 0) schedule_->outbox_again();
  world_.count("repaired");
  return done;
}

bool Agent::repair_now(const std::string& table) {
  if (!follows() || schedule_->holds()) return false;
  return inside([&] { act(table, {}); });
}

// Every member follows the stream, and is heard.
bool Agent::all_there() const {
  const auto there = present();
  return std::all_of(world_.nodes.begin(), world_.nodes.end(), [&](const auto& one) {
    const Node& other = one.second;
    if (other.id == node_.id || !other.agent->was_member() || (other.away && world_.scripted)) return true;
    return std::any_of(there.begin(), there.end(), [&](const auto& present) { return present.node == other.agent->name().value; });
  });
}

void Agent::note_gap() {
  const StreamSeq last = engine_->gap().last;
  if (last == compared_gap_) return;
  compared_gap_ = last;
  if (last == 0) return;
  make_round();
  round_->want();
}

// Rows wait for a table of which nobody has told.
void Agent::look_for_untold() {
  const Enter scope(world_.disks, node_.id, Process::agent);
  const auto units = engine_->untold_units();
  if (!units || !untold_.asks(world_.now(), *units)) return;
  world_.say(node_.id, "asks the others for their schema");
  world_.count("asked for schema");
  make_round();
  round_->want(RepairRound::Why::untold);
}

void Agent::make_round() {
  if (round_) return;
  RepairRound::Limits limits;
  limits.range_registers = world_.profile.repair_registers;
  limits.max_keys = world_.profile.repair_keys;
  round_ = std::make_unique<RepairRound>(round_host(), limits);
}

void Agent::compare_nodes() {
  const bool wanted = round_ && round_->wanted();
  const int64_t usual = world_.profile.repair_ms, soon = 300;
  const int64_t interval = wanted && usual == 0 ? soon : world_.calm() || wanted ? std::min(usual, soon) : usual;
  if (interval == 0 || !follows() || world_.now() < repair_at_) return;
  repair_at_ = world_.now() + interval;
  make_round();
  if (!round_->leads() && !wanted) return round_->yield();
  if (!round_->busy()) round_began_ = world_.now();
  round_->due();
}

}  // namespace marmot::sim
