#include "agent/repair/repair.hpp"

#include <algorithm>
#include <optional>

#include "agent/loop/clock.hpp"
#include "agent/loop/random.hpp"
#include "common/codec/control.hpp"

namespace marmot::agent {

namespace control = codec::control;

namespace {

constexpr int64_t kRangeMs = 3000;        // for one range
constexpr int64_t kSoonMs = 2000;         // between two looks whether a round that is wanted can begin
constexpr int64_t kScrubMs = 3'600'000;    // a whole file
const node::RepairRound::Limits kLimits;

}  // namespace

template <class F>
auto Repair::guarded(F callback) {
  return [scrubbing = std::weak_ptr<int>(scrubbing_), callback = std::move(callback)](auto&&... values) {
    if (!scrubbing.expired()) callback(std::forward<decltype(values)>(values)...);
  };
}

template <class F>
auto Repair::living(F callback) {
  return [alive = std::weak_ptr<int>(alive_), callback = std::move(callback)](auto&&... values) {
    if (!alive.expired()) callback(std::forward<decltype(values)>(values)...);
  };
}

Repair::Repair(PeersHost host, int64_t interval_ms, std::function<bool()> complete)
    : host_(std::move(host)),
      interval_ms_(interval_ms),
      complete_(std::move(complete)),
      timer_(host_.loop, [this] { tick(); }),
      soon_(host_.loop, [this] {
        if (wanted()) tick();
        else soon_.stop();
      }),
      pause_(host_.loop, [this] {
        pause_.stop();
        if (after_pause_) std::exchange(after_pause_, nullptr)();
      }),
      round_(round_host(), kLimits) {}

Repair::~Repair() = default;

void Repair::start(nats::Connection& connection) {
  connection_ = &connection;
  started_ = true;
  if (subscriptions_.empty()) {  // kept across reconnects
    const auto listen = [&](const std::string& subject, void (Repair::*handler)(const nats::Message&)) {
      subscriptions_.push_back(connection.subscribe(host_.prefix + subject, [this, handler](const nats::Message& message) {
        if (started_) (this->*handler)(message);
      }));
    };
    listen("scrub", &Repair::on_scrub);
    listen("repaired", &Repair::on_repaired);
    listen("repair." + std::to_string(host_.self().origin.node.value), &Repair::on_repair);
  }
  if (interval_ms_ > 0) timer_.start(uv::Milliseconds(interval_ms_), uv::Milliseconds(interval_ms_));
  if (wanted()) soon_.start(uv::Milliseconds(kSoonMs), uv::Milliseconds(kSoonMs));
}

void Repair::want(node::RepairRound::Why why) {
  round_.want(why);
  if (started_) soon_.start(uv::Milliseconds(kSoonMs), uv::Milliseconds(kSoonMs));
}

void Repair::stop() {
  started_ = false;
  timer_.stop();
  soon_.stop();
  if (busy()) fail(make_error(Errc::unavailable, "the stream was left meanwhile"));
}

// -- answering --------------------------------------------------------------------------------------------------------

void Repair::on_repair(const nats::Message& message) {
  if (!host_.self().able) return;
  const std::string reply = message.reply;
  Result<control::Message> request = control::decode_any(message.data);
  if (!request) return host_.peers.reject(message, request.error());
  if (const auto* digest = std::get_if<control::RangeDigestRequest>(&*request)) {
    (void)host_.thread.ask<RangeDigest>(
        // The other node's range may hold more here; four times as many say that it differs.
        [range = digest->range, by = digest->by](replica::Replica& engine) {
          return engine.range_digest(by, range, 4 * kLimits.range_registers);
        },
        living([this, reply](Result<RangeDigest> taken) {
          if (!taken) return host_.peers.refuse(reply, taken.error());
          host_.peers.answer(reply, control::RangeDigestAnswer{{}, *std::move(taken)});
        }));
    return;
  }
  if (const auto* keys = std::get_if<control::RangeKeysRequest>(&*request)) {
    (void)host_.thread.ask<RangeKeys>(
        [range = keys->range, by = keys->by](replica::Replica& engine) { return engine.range_keys(by, range, kLimits.max_keys, kLimits.max_key_bytes); },
        living([this, reply](Result<RangeKeys> held) {
          if (!held) return host_.peers.refuse(reply, held.error());
          host_.peers.answer(reply, control::RangeKeysAnswer{{}, *std::move(held)});
        }));
    return;
  }
  if (auto* repair = std::get_if<control::RepairRequest>(&*request)) {
    return act(repair->table, std::move(repair->actions), [this, reply](int64_t done) { host_.peers.answer(reply, control::RepairAnswer{{}, done}); });
  }
  host_.peers.refuse(reply, make_error(Errc::bad_input, "no such request is answered here"));
}

void Repair::act(const std::string& table, std::vector<RepairAction> actions, std::function<void(int64_t)> then) {
  const auto done = std::make_shared<int64_t>(0);
  const marmot::Status asked = host_.thread.write(
      [table, actions = std::move(actions), done](replica::Replica& engine, bool polite) {
        return engine.repair(table, actions, polite, done.get());
      },
      living([this, table, done, then](Result<size_t> written) {
        if (!written) host_.log(LogLevel::error, host_.name + ": repair " + table + ": " + written.error().message);
        repaired_ += static_cast<uint64_t>(*done);
        if (*done > 0) host_.thread.publish_outbox();
        then(*done);
      }));
  if (!asked) then(0);
}

void Repair::on_scrub(const nats::Message& message) {
  const Result<control::ScrubRequest> request = control::decode<control::ScrubRequest>(message.data);
  if (!request) return host_.peers.reject(message, request.error());
  const Peers::Self self = host_.self();
  if (request->node == self.origin.node || !self.able) return;
  host_.thread.scrub(living([this, reply = message.reply](const ScrubReport& found) {
    control::ScrubAnswer answer;
    for (const auto& [table, rows] : found) answer.found.push_back({table, rows});
    host_.peers.answer(reply, std::move(answer));
  }));
}

void Repair::on_repaired(const nats::Message& message) {
  const Result<control::Repaired> told = control::decode<control::Repaired>(message.data);
  if (!told) return host_.peers.not_understood(message.data, told.error());
  if (told->node == host_.self().origin.node) return;
  told_divergent_ = static_cast<int64_t>(std::min<uint64_t>(told->divergent, 1U << 30));
  round_.yield();
}

// -- leading a round --------------------------------------------------------------------------------------------------

node::RepairRound::Host Repair::round_host() {
  using node::RepairRound;
  RepairRound::Host host;
  host.self = [this] {
    const Peers::Self self = host_.self();
    return RepairRound::Present{self.origin.node.value, self.origin.incarnation.value, self.applied};
  };
  host.others = [this] {
    std::vector<RepairRound::Present> out;
    for (const Peer& peer : host_.peers.alive()) {
      if (peer.able) out.push_back({peer.node.value, peer.incarnation.value, peer.applied});
    }
    return out;
  };
  host.complete = complete_;
  host.tables = [this](std::function<void(std::vector<std::string>)> then) {
    const marmot::Status asked = host_.thread.ask<std::vector<std::string>>(
        [](replica::Replica& engine) -> Result<std::vector<std::string>> { return engine.watched(); },
        living([then](Result<std::vector<std::string>> watched) { then(*std::move(watched)); }));
    if (!asked) later([this, error = asked.error()] { fail(error); });
  };
  host.seed = [] { return HashKey{random_secret(), random_secret()}; };
  host.digest = [this](uint64_t node, const CompareBy& by, const KeyRange& range, int64_t limit, std::function<void(Result<RangeDigest>)> then) {
    const control::RangeDigestRequest request{host_.self().origin.node, range, by};
    ask<control::RangeDigestAnswer, RangeDigest>(node, control::encode(request), &control::RangeDigestAnswer::digest,
                                                 [by, range, limit](replica::Replica& engine) { return engine.range_digest(by, range, limit); },
                                                 std::move(then));
  };
  host.keys = [this](uint64_t node, const CompareBy& by, const KeyRange& range, std::function<void(Result<RangeKeys>)> then) {
    const control::RangeKeysRequest request{host_.self().origin.node, range, by};
    ask<control::RangeKeysAnswer, RangeKeys>(
        node, control::encode(request), &control::RangeKeysAnswer::held,
        [by, range](replica::Replica& engine) { return engine.range_keys(by, range, kLimits.max_keys, kLimits.max_key_bytes); }, std::move(then));
  };
  host.act = [this](uint64_t node, const std::string& table, std::vector<RepairAction> actions, std::function<void(int64_t)> then) {
    order(node, table, std::move(actions), std::move(then));
  };
  host.pause = [this](int64_t ms, std::function<void()> then) {
    after_pause_ = std::move(then);
    pause_.start(uv::Milliseconds(ms));
  };
  host.now_ms = [] { return monotonic_ms(); };
  host.over = [this](marmot::Status how) { over(std::move(how)); };
  host.log = [this](LogLevel level, const std::string& text) { host_.log(level, host_.name + ": " + text); };
  host.walking = [this](const std::string& table, size_t done, size_t of) {
    if (progress_) progress_("compare " + table, static_cast<int64_t>(done), static_cast<int64_t>(of));
  };
  host.repaired = [this](const std::string& table, int64_t rows) { report_[table].repaired += rows; };
  return host;
}

void Repair::later(std::function<void()> what) {
  after_pause_ = std::move(what);
  pause_.start(uv::Milliseconds(0));
}

// A question to this node's engine, or to another one's, whose answer holds what was asked for as `part`.
template <class Answer, class T>
void Repair::ask(uint64_t node, const std::string& request, T Answer::*part, std::function<Result<T>(replica::Replica&)> here,
                 std::function<void(Result<T>)> then) {
  const auto heard = living(std::move(then));
  const marmot::Status asked =
      node == host_.self().origin.node.value
          ? host_.thread.ask<T>(std::move(here), heard)
          : connection_->request(host_.prefix + "repair." + std::to_string(node), request, kRangeMs,
                                 living([this, part, heard](const Result<std::string>& bytes) {
                                   if (!bytes) return heard(Result<T>(bytes.error()));
                                   Result<Answer> answer = control::decode_answer<Answer>(*bytes);
                                   if (answer) return heard(Result<T>(std::move((*answer).*part)));
                                   note_unread(*bytes, answer.error());
                                   heard(Result<T>(std::move(answer).error()));
                                 }));
  if (!asked) later([this, error = asked.error()] { fail(error); });
}

// An answer that does not come, or is a refusal, is asked for again in the next round; one that is not understood will not be
// understood then either, and whoever waits for the end of an urgent round is told.
void Repair::note_unread(std::string_view bytes, const Error& error) {
  if (error.code != Errc::newer_format && error.code != Errc::corrupt) return;
  host_.peers.not_understood(bytes, error);
  if (done_) fail(error);
}

void Repair::order(uint64_t node, const std::string& table, std::vector<RepairAction> actions, std::function<void(int64_t)> then) {
  if (node == host_.self().origin.node.value) return act(table, std::move(actions), std::move(then));
  const control::RepairRequest request{host_.self().origin.node, table, std::move(actions)};
  const marmot::Status sent = connection_->request(
      host_.prefix + "repair." + std::to_string(node), control::encode(request), kRangeMs,
      living([this, then](const Result<std::string>& bytes) {
        if (!bytes) return then(0);
        const Result<control::RepairAnswer> answer = control::decode_answer<control::RepairAnswer>(*bytes);
        if (!answer) note_unread(*bytes, answer.error());
        then(answer ? answer->done : 0);
      }));
  if (!sent) later([this, error = sent.error()] { fail(error); });
}

Repair::Status Repair::status() const {
  const auto own = static_cast<int64_t>(round_.divergent());
  return Status{own > 0 ? own : told_divergent_, rounds_, round_.ranges(), repaired_};
}

bool Repair::busy() const { return scrubbing_ || round_.busy(); }

void Repair::tick() {
  if (busy() || !started_ || connection_ == nullptr || !connection_->connected() || !host_.self().able) return;
  round_.due();
}

void Repair::fail(Error error) {
  if (round_.busy()) return round_.stop(std::move(error));
  over(std::move(error));
}

void Repair::over(marmot::Status how) {
  scrubbing_.reset();
  pause_.stop();
  after_pause_ = nullptr;
  told_divergent_ = 0;
  if (how) {
    ++rounds_;
    (void)connection_->publish(host_.prefix + "repaired", control::encode(control::Repaired{host_.self().origin.node, round_.divergent()}));
  }
  if (!done_) return;
  const Done done = std::exchange(done_, nullptr);
  if (how) done(std::move(report_));
  else done(std::move(how).error());
}

// -- on demand --------------------------------------------------------------------------------------------------------

void Repair::run(int64_t timeout_ms, Progress progress, Done done) {
  if (done_) return done(make_error(Errc::busy, "another repair runs: try again when it is done"));
  if (!started_ || connection_ == nullptr || !host_.self().able) {
    return done(make_error(Errc::unavailable, "not connected to the cluster, or still joining it"));
  }
  if (busy()) fail(make_error(Errc::busy, "asked for on demand"));
  scrubbing_ = std::make_shared<int>(0);
  deadline_ms_ = monotonic_ms() + timeout_ms;
  progress_ = std::move(progress);
  done_ = std::move(done);
  report_.clear();
  scrub_everywhere();
}

void Repair::scrub_everywhere() {
  progress_("compare rows with their versions", 0, 1);
  struct Scrubbing {
    std::set<uint64_t> missing;
    bool over = false;
  };
  const auto scrubbing = std::make_shared<Scrubbing>();
  const uint64_t self = host_.self().origin.node.value;
  scrubbing->missing.insert(self);
  for (const Peer& peer : host_.peers.alive()) {
    if (peer.able) scrubbing->missing.insert(peer.node.value);
  }
  const bool alone = scrubbing->missing.size() == 1;
  const auto heard = guarded([this, scrubbing, alone](uint64_t node, const ScrubReport& found) {
    if (scrubbing->missing.erase(node) == 0 || scrubbing->over) return;
    for (const auto& [table, rows] : found) report_[table].found += rows;
    if (!scrubbing->missing.empty()) return;
    scrubbing->over = true;
    scrubbing_.reset();
    if (alone) return over(ok());
    // What was found travels, and is applied, while the first ranges are compared.
    round_.begin_urgent(deadline_ms_);
  });
  host_.thread.scrub(living([heard, self](const ScrubReport& found) { heard(self, found); }));
  if (alone) return;
  const int64_t left = std::clamp<int64_t>(deadline_ms_ - monotonic_ms(), 100, kScrubMs);
  const marmot::Status sent = connection_->request_many(
      host_.prefix + "scrub", control::encode(control::ScrubRequest{NodeId{self}}), left,
      guarded([this, heard, scrubbing](const nats::Message& message) {
        const Result<control::ScrubAnswer> answer = control::decode_answer<control::ScrubAnswer>(message.data);
        if (answer) {
          ScrubReport found;
          for (const control::ScrubAnswer::Found& one : answer->found) found[one.table] += one.rows;
          return heard(answer->node.value, found);
        }
        // Of a node that is waited for: it will give no other answer.
        if (scrubbing->over || scrubbing->missing.count(control::sender(message.data).value) == 0) {
          return host_.peers.not_understood(message.data, answer.error());
        }
        scrubbing->over = true;
        fail(Error(answer.error()).in("repair"));
      }),
      guarded([this, scrubbing](size_t) {
        if (scrubbing->over) return;
        scrubbing->over = true;
        fail(make_error(Errc::timeout, "repair: not every node compared its rows in time"));
      }));
  if (!sent) fail(sent.error());
}

}  // namespace marmot::agent
