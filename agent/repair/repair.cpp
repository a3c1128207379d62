#include "agent/repair/repair.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "agent/loop/clock.hpp"

namespace marmot::agent {

using Json = nlohmann::json;
using replica::KeyRange;
using replica::RangeDigest;
using replica::RangeKeys;
using replica::RepairAction;
using replica::RepairOp;

namespace {

constexpr int64_t kAnswerMs = 3000;        // for one range
constexpr int64_t kScrubMs = 3'600'000;    // a whole file
const replica::RepairRound::Limits kLimits;

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json range_json(const KeyRange& range) {
  return Json{{"table", range.table}, {"after", hex_bytes(range.after)}, {"upto", hex_bytes(range.upto)}};
}

// Throws Json::exception.
KeyRange range_of(const Json& json) {
  return KeyRange{json.at("table").get<std::string>(), bytes_of_hex(json.at("after").get<std::string>()),
                  bytes_of_hex(json.at("upto").get<std::string>())};
}

Version version_of(const Json& json, size_t at) {
  return Version{Hlc{json.at(at).get<uint64_t>()},
                 Origin{NodeId{json.at(at + 1).get<uint64_t>()}, Incarnation{json.at(at + 2).get<uint64_t>()}}};
}

uint64_t hex_number(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 16); }

Json digest_json(const RangeDigest& digest) {
  return Json{{"position", digest.position}, {"newest", digest.newest}, {"floor", digest.floor}, {"pending", digest.pending},
              {"cut", digest.cut}, {"n", digest.registers}, {"sum", to_hex(digest.sum)}};
}

RangeDigest digest_of(const Json& json) {
  RangeDigest digest;
  digest.position = json.at("position").get<uint64_t>();
  digest.newest = json.at("newest").get<uint64_t>();
  digest.floor = json.at("floor").get<uint64_t>();
  digest.pending = json.at("pending").get<bool>();
  digest.cut = json.at("cut").get<bool>();
  digest.registers = json.at("n").get<int64_t>();
  digest.sum = hex_number(json.at("sum").get<std::string>());
  return digest;
}

Json keys_json(const RangeKeys& held) {
  Json keys = Json::array();
  for (const replica::RangeKey& key : held.keys) {
    keys.push_back(Json::array({hex_bytes(key.key), key.version.hlc.value, key.version.origin.node.value,
                                key.version.origin.incarnation.value, to_hex(key.hash), key.seq, key.live}));
  }
  return Json{{"position", held.position}, {"floor", held.floor}, {"floor_hlc", held.floor_hlc.value}, {"cut", held.cut}, {"keys", keys}};
}

RangeKeys keys_of(const Json& json) {
  RangeKeys held;
  held.position = json.at("position").get<uint64_t>();
  held.floor = json.at("floor").get<uint64_t>();
  held.floor_hlc = Hlc{json.at("floor_hlc").get<uint64_t>()};
  held.cut = json.at("cut").get<bool>();
  for (const Json& key : json.at("keys")) {
    held.keys.push_back(replica::RangeKey{bytes_of_hex(key.at(0).get<std::string>()), version_of(key, 1),
                                          hex_number(key.at(4).get<std::string>()), key.at(5).get<uint64_t>(), key.at(6).get<bool>()});
  }
  return held;
}

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

Repair::Repair(Host host, int64_t interval_ms)
    : host_(std::move(host)),
      interval_ms_(interval_ms),
      timer_(host_.loop, [this] { tick(); }),
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
}

void Repair::stop() {
  started_ = false;
  timer_.stop();
  if (busy()) fail(make_error(Errc::unavailable, "the stream was left meanwhile"));
}

void Repair::send(const std::string& reply, const Json& json) {
  if (connection_ == nullptr || reply.empty()) return;
  const marmot::Status sent = connection_->publish(reply, text_of(json));
  if (!sent && sent.error().code == Errc::bad_input) (void)connection_->publish(reply, text_of(Json{{"error", sent.error().message}}));
}

// -- answering --------------------------------------------------------------------------------------------------------

void Repair::on_repair(const nats::Message& message) {
  const Json json = Json::parse(message.data, nullptr, false);
  if (!json.is_object() || !host_.self().able) return;
  const std::string reply = message.reply;
  try {
    if (json.contains("digest")) {
      (void)host_.thread.ask<RangeDigest>(
          // The other node's range may hold more here; four times as many say that it differs.
          [range = range_of(json.at("digest"))](replica::Replica& engine) { return engine.range_digest(range, 4 * kLimits.range_registers); },
          living([this, reply](Result<RangeDigest> digest) {
            send(reply, digest ? digest_json(*digest) : Json{{"error", digest.error().message}});
          }));
      return;
    }
    if (json.contains("keys")) {
      (void)host_.thread.ask<RangeKeys>(
          [range = range_of(json.at("keys"))](replica::Replica& engine) { return engine.range_keys(range, kLimits.max_keys, kLimits.max_key_bytes); },
          living([this, reply](Result<RangeKeys> held) {
            send(reply, held ? keys_json(*held) : Json{{"error", held.error().message}});
          }));
      return;
    }
    std::vector<RepairAction> actions;
    for (const Json& one : json.at("do")) {
      const int op = one.at(1).get<int>();
      if (op < 0 || op > static_cast<int>(RepairOp::remove)) return;
      actions.push_back(RepairAction{static_cast<RepairOp>(op), bytes_of_hex(one.at(0).get<std::string>()), version_of(one, 2)});
    }
    act(json.at("table").get<std::string>(), std::move(actions), [this, reply](int64_t done) { send(reply, Json{{"done", done}}); });
  } catch (const Json::exception&) {
    send(reply, Json{{"error", "of another version"}});
  }
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
  const Json json = Json::parse(message.data, nullptr, false);
  const uint64_t self = host_.self().origin.node.value;
  if (!json.is_object() || json.value("node", Json()) == Json(self) || !host_.self().able) return;
  host_.thread.scrub(living([this, reply = message.reply, self](const ScrubReport& found) {
    send(reply, Json{{"node", self}, {"found", found}});
  }));
}

void Repair::on_repaired(const nats::Message& message) {
  const Json json = Json::parse(message.data, nullptr, false);
  if (!json.is_object() || json.value("node", Json()) == Json(host_.self().origin.node.value)) return;
  const auto divergent = json.find("divergent");
  if (divergent != json.end() && divergent->is_number_unsigned()) {
    told_divergent_ = static_cast<int64_t>(std::min<uint64_t>(divergent->get<uint64_t>(), 1U << 30));
    round_.yield();
  }
}

// -- leading a round --------------------------------------------------------------------------------------------------

replica::RepairRound::Host Repair::round_host() {
  using replica::RepairRound;
  RepairRound::Host host;
  host.self = [this] {
    const Peers::Self self = host_.self();
    return RepairRound::Present{self.origin.node.value, self.origin.incarnation.value, self.applied};
  };
  host.others = [this] {
    std::vector<RepairRound::Present> out;
    for (const Peer& peer : host_.peers.alive()) {
      if (peer.able) out.push_back({peer.node.value, peer.incarnation, peer.applied});
    }
    return out;
  };
  host.tables = [this](std::function<void(std::vector<std::string>)> then) {
    const marmot::Status asked = host_.thread.ask<std::vector<std::string>>(
        [](replica::Replica& engine) -> Result<std::vector<std::string>> { return engine.watched(); },
        living([then](Result<std::vector<std::string>> watched) { then(*std::move(watched)); }));
    if (!asked) later([this, error = asked.error()] { fail(error); });
  };
  host.digest = [this](uint64_t node, const KeyRange& range, int64_t limit, std::function<void(Result<RangeDigest>)> then) {
    ask<RangeDigest>(node, Json{{"digest", range_json(range)}}, digest_of,
                     [range, limit](replica::Replica& engine) { return engine.range_digest(range, limit); }, std::move(then));
  };
  host.keys = [this](uint64_t node, const KeyRange& range, std::function<void(Result<RangeKeys>)> then) {
    ask<RangeKeys>(node, Json{{"keys", range_json(range)}}, keys_of,
                   [range](replica::Replica& engine) { return engine.range_keys(range, kLimits.max_keys, kLimits.max_key_bytes); }, std::move(then));
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

// A question to this node's engine, or to another one's.
template <class T>
void Repair::ask(uint64_t node, const Json& request, T (*parse)(const Json&), std::function<Result<T>(replica::Replica&)> here,
                 std::function<void(Result<T>)> then) {
  const auto heard = living(std::move(then));
  const marmot::Status asked =
      node == host_.self().origin.node.value
          ? host_.thread.ask<T>(std::move(here), heard)
          : connection_->request(host_.prefix + "repair." + std::to_string(node), text_of(request), kAnswerMs,
                                 [parse, heard](const Result<std::string>& answer) {
                                   if (!answer) return heard(Result<T>(answer.error()));
                                   try {
                                     const Json json = Json::parse(*answer);
                                     // It does not have the table, or is of another version: it has no say.
                                     if (json.contains("error")) return heard(Result<T>(make_error(Errc::not_found, "not there")));
                                     heard(Result<T>(parse(json)));
                                   } catch (const Json::exception& error) {
                                     heard(Result<T>(make_error(Errc::corrupt, error.what())));
                                   }
                                 });
  if (!asked) later([this, error = asked.error()] { fail(error); });
}

void Repair::order(uint64_t node, const std::string& table, std::vector<RepairAction> actions, std::function<void(int64_t)> then) {
  if (node == host_.self().origin.node.value) return act(table, std::move(actions), std::move(then));
  Json list = Json::array();
  for (const RepairAction& action : actions) {
    list.push_back(Json::array({hex_bytes(action.key), static_cast<int>(action.op), action.version.hlc.value,
                                action.version.origin.node.value, action.version.origin.incarnation.value}));
  }
  const marmot::Status sent = connection_->request(
      host_.prefix + "repair." + std::to_string(node), text_of(Json{{"table", table}, {"do", list}}), kAnswerMs,
      living([then](const Result<std::string>& answer) {
        const Json json = answer ? Json::parse(*answer, nullptr, false) : Json();
        const auto done = json.is_object() ? json.find("done") : json.end();
        then(done != json.end() && done->is_number_integer() ? done->get<int64_t>() : 0);
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
    (void)connection_->publish(host_.prefix + "repaired",
                               text_of(Json{{"node", host_.self().origin.node.value}, {"divergent", round_.divergent()}}));
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
      host_.prefix + "scrub", text_of(Json{{"node", self}}), left,
      guarded([heard](const nats::Message& message) {
        try {
          const Json json = Json::parse(message.data);
          heard(json.at("node").get<uint64_t>(), json.at("found").get<ScrubReport>());
        } catch (const Json::exception&) {
          return;
        }
      }),
      guarded([this, scrubbing](size_t) {
        if (scrubbing->over) return;
        scrubbing->over = true;
        fail(make_error(Errc::timeout, "repair: not every node compared its rows in time"));
      }));
  if (!sent) fail(sent.error());
}

}  // namespace marmot::agent
