#include "agent/repair.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

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
constexpr int64_t kPauseMs = 100;          // between two ranges: 20,000 registers a second
constexpr int64_t kLookAgainMs = 1500;     // what differs is looked at again after so long
constexpr int64_t kLookAgainUrgentMs = 300;
constexpr int kUnsureTimes = 20;           // an urgent round waits so many times for a range to stand still
constexpr int kMaxAttempts = 3;            // to repair a range, in rounds that follow one another; then
constexpr uint64_t kSeldom = 10;           // every so many rounds
constexpr int kMaxRested = 20;
constexpr size_t kMaxSuspects = 200;       // more are found in the next round
constexpr size_t kMaxKeyBytes = 200 * 1024;

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

std::string range_text(const KeyRange& range) {
  return range.table + (range.after.empty() && range.upto.empty() ? "" : ", one range of it");
}

}  // namespace

template <class F>
auto Repair::guarded(F callback) {
  return [this, alive = std::weak_ptr<int>(alive_), round = round_, callback = std::move(callback)](auto&&... values) {
    if (!alive.expired() && busy_ && round == round_) callback(std::forward<decltype(values)>(values)...);
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
      }) {}

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
  if (busy_) fail(make_error(Errc::unavailable, "the stream was left meanwhile"));
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
          [range = range_of(json.at("digest"))](replica::Replica& engine) { return engine.range_digest(range, 4 * kRangeRegisters); },
          living([this, reply](Result<RangeDigest> digest) {
            send(reply, digest ? digest_json(*digest) : Json{{"error", digest.error().message}});
          }));
      return;
    }
    if (json.contains("keys")) {
      (void)host_.thread.ask<RangeKeys>(
          [range = range_of(json.at("keys"))](replica::Replica& engine) { return engine.range_keys(range, kMaxKeys, kMaxKeyBytes); },
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
        status_.repaired += static_cast<uint64_t>(*done);
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
    status_.divergent_ranges = static_cast<int64_t>(std::min<uint64_t>(divergent->get<uint64_t>(), 1U << 30));
    if (!busy_) divergent_.clear();  // somebody else looks after them now
  }
}

// -- a round ----------------------------------------------------------------------------------------------------------

bool Repair::leads() const {
  const Peers::Self self = host_.self();
  if (!self.able) return false;
  bool anybody = false;
  for (const Peer& peer : host_.peers.alive()) {
    if (peer.able && peer.node < self.origin.node) return false;
    anybody = anybody || peer.able;
  }
  return anybody;
}

// Nobody has applied anything since all was found equal, and nobody is new.
bool Repair::at_rest() {
  const Peers::Self self = host_.self();
  std::map<uint64_t, std::pair<uint64_t, StreamSeq>> now{{self.origin.node.value, {self.origin.incarnation.value, self.applied}}};
  for (const Peer& peer : host_.peers.alive()) {
    if (peer.able) now[peer.node.value] = {peer.incarnation, peer.applied};
  }
  const bool same = now == rest_ && ++rested_ < kMaxRested;
  if (!same) {
    rest_ = std::move(now);
    rested_ = 0;
  }
  return same;
}

void Repair::tick() {
  if (busy_ || !started_ || connection_ == nullptr || !connection_->connected() || !leads()) return;
  if (divergent_.empty() && at_rest()) return;
  begin(false);
}

void Repair::begin(bool urgent) {
  ++round_;
  busy_ = true;
  urgent_ = urgent;
  clean_ = true;
  table_ = 0;
  after_.clear();
  suspects_.clear();
  suspect_ = 0;
  const marmot::Status asked = host_.thread.ask<std::vector<std::string>>(
      [](replica::Replica& engine) -> Result<std::vector<std::string>> { return engine.watched(); },
      guarded([this](Result<std::vector<std::string>> watched) {
        tables_ = *std::move(watched);
        walk();
      }));
  if (!asked) fail(asked.error());
}

void Repair::fail(Error error) {
  busy_ = false;
  pause_.stop();
  after_pause_ = nullptr;
  rest_.clear();
  if (done_) std::exchange(done_, nullptr)(std::move(error));
}

void Repair::walk() {
  if (table_ >= tables_.size()) {
    if (suspects_.empty() && divergent_.empty()) return finish();
    after_pause_ = [this] { look_again(); };
    pause_.start(uv::Milliseconds(urgent_ ? kLookAgainUrgentMs : kLookAgainMs));
    return;
  }
  if (urgent_ && progress_) progress_("compare " + tables_[table_], static_cast<int64_t>(table_), static_cast<int64_t>(tables_.size()));
  look(KeyRange{tables_[table_], after_, ""}, true, [this](KeyRange range, bool differs, bool unsure) {
    ++status_.ranges;
    after_ = range.upto;
    if (range.upto.empty()) ++table_;
    if (differs || unsure) {
      clean_ = false;
      if (suspects_.size() < kMaxSuspects) suspects_.push_back(Suspect{std::move(range), 1, differs});
    }
    if (urgent_) return walk();
    after_pause_ = [this] { walk(); };
    pause_.start(uv::Milliseconds(kPauseMs));
  });
}

// Compares one range with everybody. `walking`: it ends where kRangeRegisters are reached. `then` is told which it was.
void Repair::look(const KeyRange& range, bool walking, std::function<void(KeyRange, bool, bool)> then) {
  if (urgent_ && Peers::now_ms() > deadline_ms_) return fail(make_error(Errc::timeout, "repair: not done in time"));
  const int64_t limit = walking ? kRangeRegisters : 4 * kRangeRegisters;
  const marmot::Status asked = host_.thread.ask<RangeDigest>(
      [range, limit](replica::Replica& engine) { return engine.range_digest(range, limit); },
      guarded([this, range, walking, then](Result<RangeDigest> here) {
        if (!here) return then(range, false, false);  // gone or stopped: nothing is compared
        KeyRange exact = range;
        if (walking && here->cut) {
          exact.upto = here->reach;
          here->cut = false;
        }
        ask_peers(exact, [exact, here = *here, then](const Digests& theirs) {
          bool differs = false, unsure = false;
          for (const auto& [node, digest] : theirs) {
            if (equal(here, digest)) continue;
            (comparable(here, digest) ? differs : unsure) = true;
          }
          then(exact, differs, unsure);
        });
      }));
  if (!asked) fail(asked.error());
}

void Repair::ask_peers(const KeyRange& range, std::function<void(const Digests&)> then) {
  struct Asking {
    Digests digests;
    size_t missing = 0;
  };
  const auto asking = std::make_shared<Asking>();
  std::vector<uint64_t> nodes;
  for (const Peer& peer : host_.peers.alive()) {
    if (peer.able) nodes.push_back(peer.node.value);
  }
  if (nodes.empty()) return fail(make_error(Errc::unavailable, "repair: no other node is there"));
  asking->missing = nodes.size();
  const std::string request = text_of(Json{{"digest", range_json(range)}});
  for (const uint64_t node : nodes) {
    const marmot::Status sent = connection_->request(
        host_.prefix + "repair." + std::to_string(node), request, kAnswerMs,
        guarded([this, node, asking, then](const Result<std::string>& answer) {
          try {
            if (!answer) clean_ = false;  // asked again in the next round
            else if (const Json json = Json::parse(*answer); !json.contains("error")) asking->digests[node] = digest_of(json);
          } catch (const Json::exception&) {
            clean_ = false;
          }
          if (--asking->missing == 0) then(asking->digests);
        }));
    if (!sent) return fail(sent.error());
  }
}

// What differed or could not be compared, and what is known to differ, one after the other.
void Repair::look_again() {
  if (suspect_ >= suspects_.size()) {
    for (size_t i = 0; i < divergent_.size(); ++i) {
      if (divergent_[i].next_round <= round_) return exchange(i);
    }
    return finish();
  }
  const KeyRange range = suspects_[suspect_].range;
  look(range, false, [this](KeyRange exact, bool differs, bool unsure) {
    Suspect& suspect = suspects_[suspect_];
    if (!differs && unsure && urgent_ && suspect.times < kUnsureTimes) {
      ++suspect.times;
      after_pause_ = [this] { look_again(); };
      pause_.start(uv::Milliseconds(kLookAgainUrgentMs));
      return;
    }
    if (differs && !suspect.differs) {  // could not be compared before: this is the first time
      suspect.differs = true;
      after_pause_ = [this] { look_again(); };
      pause_.start(uv::Milliseconds(urgent_ ? kLookAgainUrgentMs : kLookAgainMs));
      return;
    }
    if (differs) {
      const bool known = std::any_of(divergent_.begin(), divergent_.end(), [&](const Divergent& other) {
        return other.range.table == exact.table && other.range.after == exact.after && other.range.upto == exact.upto;
      });
      if (!known) divergent_.push_back(Divergent{std::move(exact), 0, 0});
      status_.divergent_ranges = static_cast<int64_t>(divergent_.size());
    }
    ++suspect_;
    look_again();
  });
}

void Repair::exchange(size_t index) {
  Divergent& divergent = divergent_[index];
  ++divergent.attempts;
  divergent.next_round = round_ + (divergent.attempts >= kMaxAttempts ? kSeldom : 1);
  struct Gathering {
    std::map<uint64_t, RangeKeys> held;
    size_t missing = 1;
  };
  const auto gathering = std::make_shared<Gathering>();
  const auto gathered = guarded([this, index, gathering] {
    if (--gathering->missing == 0) carry_out(index, gathering->held);
  });
  const KeyRange range = divergent.range;
  const marmot::Status asked = host_.thread.ask<RangeKeys>(
      [range](replica::Replica& engine) { return engine.range_keys(range, kMaxKeys, kMaxKeyBytes); },
      guarded([self = host_.self().origin.node.value, gathering, gathered](Result<RangeKeys> held) {
        if (held) gathering->held[self] = *std::move(held);
        gathered();
      }));
  if (!asked) return fail(asked.error());
  const std::string request = text_of(Json{{"keys", range_json(range)}});
  for (const Peer& peer : host_.peers.alive()) {
    if (!peer.able) continue;
    ++gathering->missing;
    const marmot::Status sent = connection_->request(
        host_.prefix + "repair." + std::to_string(peer.node.value), request, kAnswerMs,
        guarded([node = peer.node.value, gathering, gathered](Result<std::string> answer) {
          try {
            if (answer) gathering->held[node] = keys_of(Json::parse(*answer));
          } catch (const Json::exception&) {
            // Does not have the table, or is of another version: it has no say.
          }
          gathered();
        }));
    if (!sent) return fail(sent.error());
  }
}

void Repair::carry_out(size_t index, const std::map<uint64_t, RangeKeys>& held) {
  const std::string table = divergent_[index].range.table;
  // What stands behind the end of a list that was cut is another range, and its turn comes after this one.
  std::optional<std::string> reach;
  for (const auto& [node, list] : held) {
    if (list.cut && !list.keys.empty() && (!reach || list.keys.back().key < *reach)) reach = list.keys.back().key;
  }
  if (reach && *reach != divergent_[index].range.upto) {
    divergent_.push_back(Divergent{KeyRange{table, *reach, divergent_[index].range.upto}, 0, 0});
    divergent_[index].range.upto = *reach;
  }
  const uint64_t self = host_.self().origin.node.value;
  auto plan = held.size() > 1 && held.count(self) != 0 ? plan_repair(held) : std::map<uint64_t, std::vector<RepairAction>>{};
  waiting_for_ = plan.size() + 1;
  for (auto& [node, actions] : plan) {
    if (node == self) {
      act(table, std::move(actions), guarded([this, index, table](int64_t done) { acted(index, table, done); }));
      continue;
    }
    Json list = Json::array();
    for (const RepairAction& action : actions) {
      list.push_back(Json::array({hex_bytes(action.key), static_cast<int>(action.op), action.version.hlc.value,
                                  action.version.origin.node.value, action.version.origin.incarnation.value}));
    }
    const marmot::Status sent = connection_->request(
        host_.prefix + "repair." + std::to_string(node), text_of(Json{{"table", table}, {"do", list}}), kAnswerMs,
        guarded([this, index, table](const Result<std::string>& answer) {
          const Json json = answer ? Json::parse(*answer, nullptr, false) : Json();
          const auto done = json.is_object() ? json.find("done") : json.end();
          acted(index, table, done != json.end() && done->is_number_integer() ? done->get<int64_t>() : 0);
        }));
    if (!sent) return fail(sent.error());
  }
  acted(index, table, 0);
}

void Repair::acted(size_t index, const std::string& table, int64_t done) {
  report_[table].repaired += done;
  if (done > 0) {
    host_.log(LogLevel::warn, host_.name + ": " + range_text(divergent_[index].range) + ", differed between nodes: " + std::to_string(done) +
                                  (done == 1 ? " row is" : " rows are") + " published again");
  }
  if (--waiting_for_ > 0) return;
  after_pause_ = [this, index] { look_whether_equal(index); };
  pause_.start(uv::Milliseconds(urgent_ ? kLookAgainUrgentMs : kLookAgainMs));
}

void Repair::look_whether_equal(size_t index) {
  look(divergent_[index].range, false, [this, index](const KeyRange& range, bool differs, bool unsure) {
    Divergent& divergent = divergent_[index];
    if (unsure && !differs && urgent_ && Peers::now_ms() < deadline_ms_) {
      after_pause_ = [this, index] { look_whether_equal(index); };
      pause_.start(uv::Milliseconds(kLookAgainUrgentMs));
      return;
    }
    if (!differs && !unsure) {
      divergent_.erase(divergent_.begin() + static_cast<std::ptrdiff_t>(index));
    } else if (differs && divergent.attempts < kMaxAttempts) {
      return exchange(index);  // a list was cut, or a row moved meanwhile
    } else if (differs && divergent.attempts == kMaxAttempts) {
      host_.log(LogLevel::error, host_.name + ": " + range_text(range) + ", still differs between nodes after " +
                                     std::to_string(kMaxAttempts) + " repairs: compare them with `marmot verify`");
    }
    status_.divergent_ranges = static_cast<int64_t>(divergent_.size());
    look_again();
  });
}

void Repair::finish() {
  busy_ = false;
  ++status_.rounds;
  status_.divergent_ranges = static_cast<int64_t>(divergent_.size());
  if (!clean_) rest_.clear();
  (void)connection_->publish(host_.prefix + "repaired",
                             text_of(Json{{"node", host_.self().origin.node.value}, {"divergent", divergent_.size()}}));
  if (done_) std::exchange(done_, nullptr)(std::move(report_));
}

// -- on demand --------------------------------------------------------------------------------------------------------

void Repair::run(int64_t timeout_ms, Progress progress, Done done) {
  if (done_) return done(make_error(Errc::busy, "another repair runs: try again when it is done"));
  if (!started_ || connection_ == nullptr || !host_.self().able) {
    return done(make_error(Errc::unavailable, "not connected to the cluster, or still joining it"));
  }
  if (busy_) fail(make_error(Errc::busy, "asked for on demand"));
  ++round_;
  busy_ = urgent_ = true;
  deadline_ms_ = Peers::now_ms() + timeout_ms;
  progress_ = std::move(progress);
  done_ = std::move(done);
  report_.clear();
  for (Divergent& divergent : divergent_) divergent = Divergent{divergent.range, 0, 0};
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
    if (alone) return finish();
    // What was found travels, and is applied, while the first ranges are compared.
    begin(true);
  });
  host_.thread.scrub(living([heard, self](const ScrubReport& found) { heard(self, found); }));
  if (alone) return;
  const int64_t left = std::clamp<int64_t>(deadline_ms_ - Peers::now_ms(), 100, kScrubMs);
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
