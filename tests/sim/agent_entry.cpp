// How a simulated agent enters the stream: the steps that common/node/stream_entry.hpp decides, each a request over the network.
#include <algorithm>

#include "common/codec/message.hpp"
#include "tests/sim/agent.hpp"
#include "tests/sim/world.hpp"

namespace marmot::sim {

using node::EntryFacts;
using node::EntryStep;
using replica::Membership;

// Nothing happens once the agent has died or left.
template <class F>
auto Agent::guarded(F callback) {
  return [this, life = life_, generation = generation_, callback = std::move(callback)](auto&&... values) {
    if (alive_ && life == life_ && generation == generation_) callback(std::forward<decltype(values)>(values)...);
  };
}

void Agent::leave(State state, int64_t retry_ms) {
  if (!alive_) return;  // what was tried last has ended it
  ++generation_;
  if (round_ && round_->busy()) round_->stop(make_error(Errc::unavailable, "the stream was left meanwhile"));
  publisher_->pause();
  schedule_->clear();
  schedule_->merge(false);
  state_ = state;
  retry_at_ = world_.now() + retry_ms;
}

void Agent::reenter(const std::string& why) {
  if (state_ != State::running && state_ != State::entering) return;
  world_.say(node_.id, "checks the stream again: " + why);
  leave(State::waiting, 0);
}

void Agent::on_connected() {
  if (alive_) twins_.connected();
  if (alive_ && state_ == State::waiting) retry_at_ = world_.now();
}

void Agent::on_disconnected() {
  twins_.disconnected();
  if (alive_ && (state_ == State::running || state_ == State::entering)) leave(State::waiting, 0);
}

void Agent::change(std::function<Status()> change, std::function<void()> then) {
  std::optional<Status> result;
  if (!inside([&] { result = change(); })) return;
  if (*result) {
    succeeded(0);
    return then();
  }
  done("change", result->error());
  if (result->error().code != Errc::busy) return leave(State::waiting, 50);
  world_.after(5, guarded([this, change, then] { this->change(change, then); }));
}

void Agent::enter() {
  ++generation_;
  state_ = State::entering;
  facts_ = {};
  facts_.node = engine_->origin().node;
  facts_.membership = engine_->membership();
  facts_.position = engine_->position();
  facts_.hash_key = engine_->hash_key();
  facts_.may_found = may_found;
  facts_.anew = anew_;
  struct Seen {
    bool exists = false;
    StreamSeq first = 0, last = 0;
    uint64_t created = 0;
  };
  const auto seen = std::make_shared<Seen>();
  World& world = world_;
  const bool may_create = may_found;
  world_.request(
      node_,
      [&world, seen, may_create] {
        if (!world.stream.exists() && may_create) world.stream.create(world.random.next() | 1);
        *seen = {world.stream.exists(), world.stream.first(), world.stream.last(), world.stream.created()};
      },
      guarded([this, seen](bool came) {
        if (!came || !seen->exists) return leave(State::waiting, 200);
        facts_.first = seen->first;
        facts_.last = seen->last;
        created_ = seen->created;
        proceed();
      }));
}

void Agent::proceed() {
  const node::EntryDecision decision = node::decide_entry(facts_);
  switch (decision.step) {
    case EntryStep::wait_for_founder: return leave(State::waiting, 200);
    case EntryStep::publish_genesis: return publish_genesis();
    case EntryStep::read_genesis: return read_genesis();
    case EntryStep::learn_stream: return learn_stream();
    case EntryStep::found: return found();
    case EntryStep::join: return compare_and_join();
    case EntryStep::read_position: return read_position();
    case EntryStep::follow: case EntryStep::follow_unchecked:
      return change([this] { return engine_->stream_ends(facts_.last); }, [this] { go_live(facts_.last, false, false); });
    case EntryStep::history_lost: return lose_history(decision.why);
    case EntryStep::snapshot: return need_snapshot(decision.why);
    case EntryStep::ask_for_snapshot:
      world_.say(node_.id, "the stream no longer holds " + decision.why + ": waits for a snapshot");
      world_.snapshot_wanted_at = world_.now();
      if (node_.waits_since < 0) node_.waits_since = world_.now();
      return leave(State::waiting, 1000);
    case EntryStep::begin_anew:
      world_.say(node_.id, "nobody can tell " + decision.why + ": begins the stream anew");
      world_.count("begun anew");
      return publish_genesis();
    case EntryStep::drop_before: return drop_before();
  }
}

void Agent::publish_genesis() {
  const uint64_t id = world_.random.next() | 1;
  const Origin origin{facts_.node, Incarnation{(world_.random.next() >> 1) | 1}};
  const codec::Genesis genesis{id, facts_.hash_key, world_.clock_bound()};
  const auto messages = codec::seal(codec::Kind::genesis, origin, 0, codec::encode_genesis(genesis), 64 * 1024, codec::genesis_format(genesis));
  const auto stored = std::make_shared<bool>(false);
  World& world = world_;
  world_.request(
      node_,
      [&world, stored, origin, last = facts_.last, bytes = messages.front()] {
        *stored = world.stream.exists() && world.stream.publish(world.server_time(), codec::message_id(origin, 0, 0), bytes, last).has_value();
      },
      guarded([this, stored, id, origin](bool came) {
        if (!came || !*stored) return leave(State::waiting, 50);
        const StreamSeq seq = facts_.last + 1;
        if (seq > 1) {
          anew_ = facts_.anew = facts_.last = seq;
          return drop_before();
        }
        facts_.first = facts_.last = seq;
        facts_.genesis = EntryFacts::Genesis{id, origin, facts_.hash_key};
        facts_.beginning = EntryFacts::Beginning::there;
        proceed();
      }));
}

void Agent::drop_before() {
  World& world = world_;
  world_.request(
      node_,
      [&world, anew = facts_.anew] {
        if (world.stream.get(anew) != nullptr) world.stream.trim(anew);
      },
      guarded([this](bool) { leave(State::waiting, 10); }));
}

void Agent::read_genesis() {
  const auto message = std::make_shared<std::optional<Stored>>();
  World& world = world_;
  world_.request(
      node_,
      [&world, message, first = facts_.first] {
        if (const Stored* const stored = world.stream.get(first)) *message = *stored;
      },
      guarded([this, message](bool came) {
        if (!came || !*message) return leave(State::waiting, 1000);
        const auto genesis = node::read_beginning(facts_.first, (*message)->bytes);
        if (!genesis) {
          world_.fail(node_.id, "refused: the stream does not begin with Marmot's first message");
          return leave(State::behind, 0);
        }
        facts_.genesis = *genesis;
        facts_.beginning = *genesis ? EntryFacts::Beginning::there : EntryFacts::Beginning::gone;
        proceed();
      }));
}

void Agent::read_position() {
  const auto message = std::make_shared<std::optional<Stored>>();
  World& world = world_;
  world_.request(
      node_,
      [&world, message, seq = facts_.position.seq] {
        if (const Stored* const stored = world.stream.get(seq)) *message = *stored;
      },
      guarded([this, message](bool came) {
        if (!came) return leave(State::waiting, 500);
        facts_.looked = *message ? EntryFacts::Look::found : EntryFacts::Look::deleted;
        facts_.msg_id = *message ? (*message)->msg_id : "";
        facts_.msg_at = *message ? (*message)->at : 0;
        proceed();
      }));
}

// `--adopt merge`: the cluster's rows win, what only stands here is published.
void Agent::compare_and_join() {
  if (engine_->empty_file()) return join();
  node_.merged = true;
  const auto messages = std::make_shared<std::vector<replica::Incoming>>();
  World& world = world_;
  world_.request(
      node_,
      [&world, messages, last = facts_.last] {
        for (StreamSeq seq = 1; seq <= last; ++seq) {
          if (const Stored* const stored = world.stream.get(seq)) messages->push_back({seq, stored->at, stored->msg_id, stored->bytes});
        }
      },
      guarded([this, messages](bool came) {
        if (!came) return leave(State::waiting, 500);
        std::optional<Error> error;
        const bool lives = inside([&] {
          for (const auto& message : *messages) {
            if (Status done = engine_->compare(message); !done) error = std::move(done).error();
          }
          if (auto comparison = engine_->comparison(); !comparison) error = std::move(comparison).error();
        });
        if (!lives) return;
        note_versions();  // of a table that was rebuilt meanwhile
        if (error) {
          done("compare", *error);
          return leave(State::waiting, 200);
        }
        join();
      }));
}

void Agent::join() {
  change([this] { return engine_->join(facts_.genesis->stream_id, facts_.last, before_beginning(facts_), facts_.genesis->hash_key); },
         [this] {
           note_versions();  // it drains where the stream has another key than the file
           world_.say(node_.id, "joins, up to " + std::to_string(facts_.last));
           go_live(facts_.last, false, false);
         });
}

void Agent::found() {
  change([this] { return engine_->found(facts_.genesis->stream_id, before_beginning(facts_), facts_.genesis->hash_key); },
         [this] {
           world_.say(node_.id, "founds the stream");
           go_live(facts_.last, true, false);
         });
}

void Agent::lose_history(const std::string& why) {
  world_.say(node_.id, "history was lost: " + why);
  world_.count("history lost");
  const uint64_t id = facts_.genesis ? facts_.genesis->stream_id : facts_.position.stream_id;
  uint64_t incarnation = (world_.random.next() >> 1) | 1;
  if (mutated(Mutation::incarnation_reused)) incarnation = node_.former_incarnation;
  const std::optional<HashKey> key = facts_.genesis ? facts_.genesis->hash_key : std::nullopt;
  change([this, id, key, incarnation] { return engine_->history_lost(id, facts_.last, Incarnation{incarnation}, before_beginning(facts_), key); },
         [this] {
           world_.ledger.history_lost(node_.id);
           note_versions();
           go_live(facts_.last, false, true);
         });
}

void Agent::go_live(StreamSeq end, bool founded, bool history_lost) {
  ++generation_;
  state_ = State::running;
  anew_ = 0;
  node_.waits_since = -1;
  next_ = engine_->position().seq + 1;
  schedule_->clear();
  if (history_lost) publisher_->clear();
  catch_up_.entered(end, founded, history_lost);
  engine_->follows_to(end);
  drift_.connected();
  stamps_right_ = false;
  probe_at_ = live_at_ = world_.now();
  publisher_->hold(!may_publish_by_clock());
  const auto units = engine_->own_units();
  publisher_->start(engine_->position().seq, units ? *units : 0);
  scrub_again();
  check_at_ = world_.now() + world_.random.between(0, 500);
  world_.say(node_.id, "in the stream, from " + std::to_string(next_) + " of " + std::to_string(end));
}

}  // namespace marmot::sim
