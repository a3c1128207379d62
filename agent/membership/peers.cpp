#include "agent/membership/peers.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "agent/loop/clock.hpp"
#include "common/core/row_hash.hpp"

namespace marmot::agent {

using Json = nlohmann::json;

namespace {

constexpr int64_t kDigestWaitMs = 5000;
constexpr size_t kMaxWaiting = 64;
constexpr size_t kMaxPeers = 4096;
constexpr size_t kMaxKeyBytes = 300 * 1024;  // of one bucket, before hexadecimal doubles it

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

uint64_t number(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_number_unsigned() ? it->get<uint64_t>() : 0;
}

std::string text(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
}

}  // namespace

uint64_t digest_hash(const replica::TableDigest& digest) {
  uint64_t hash = 0;
  for (const auto& bucket : digest.buckets) {
    const uint64_t pair[2] = {bucket.sum, static_cast<uint64_t>(bucket.rows)};
    hash = bytes_hash(std::string_view(reinterpret_cast<const char*>(pair), sizeof pair), hash);
  }
  return hash;
}

std::string hex_bytes(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string bytes_of_hex(std::string_view hex) {
  std::string out;
  int high = -1;
  for (const char c : hex) {
    int digit = -1;
    if (c >= '0' && c <= '9') digit = c - '0';
    else if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
    if (digit < 0) continue;
    if (high < 0) high = digit;
    else {
      out += static_cast<char>(high * 16 + digit);
      high = -1;
    }
  }
  return out;
}

Peers::Peers(uv::Loop& loop, std::string subject_prefix, std::string name, DatabaseThread& thread, LogSink log, Events events)
    : prefix_(std::move(subject_prefix)),
      name_(std::move(name)),
      thread_(thread),
      log_(std::move(log)),
      events_(std::move(events)),
      timer_(loop, [this] { beat(); }) {}

Peers::~Peers() = default;

void Peers::listen(nats::Connection& connection) {
  connection_ = &connection;
  if (!beats_) beats_ = connection.subscribe(prefix_ + "beat", [this](const nats::Message& message) { on_beat(message); });
}

void Peers::start(nats::Connection& connection) {
  listen(connection);
  if (subscriptions_.empty()) {  // kept across reconnects
    subscriptions_.push_back(connection.subscribe(prefix_ + "digest", [this](const nats::Message& message) { on_digest(message); }));
    subscriptions_.push_back(connection.subscribe(prefix_ + "node." + std::to_string(events_.self().origin.node.value),
                                                  [this](const nats::Message& message) { on_node(message); }));
  }
  timer_.start(uv::Milliseconds(10), uv::Milliseconds(kBeatMs));
}

void Peers::stop() {
  timer_.stop();
  waiting_.clear();
}

void Peers::beat() {
  if (connection_ == nullptr || !connection_->connected()) return;
  const Self self = events_.self();
  const Json beat{{"node", self.origin.node.value}, {"incarnation", to_hex(self.origin.incarnation.value)},
                  {"applied", self.applied}, {"pending", self.pending}, {"able", self.able}};
  (void)connection_->publish(prefix_ + "beat", text_of(beat));  // the next one says it again
}

void Peers::on_beat(const nats::Message& message) {
  const Json json = Json::parse(message.data, nullptr, false);
  const uint64_t node = json.is_object() ? number(json, "node") : 0;
  if (node == 0) return;
  const Self self = events_.self();
  const std::string incarnation = text(json, "incarnation");
  if (node == self.origin.node.value) {
    const uint64_t other = bytes_hash(incarnation);
    if (incarnation == to_hex(self.origin.incarnation.value) || told_twin_ == other) return;
    // Our own last beat of a former life may come late: a second beat of the same stranger is no echo.
    if (std::exchange(stranger_, other) != other) return;
    told_twin_ = other;
    log_(LogLevel::error, name_ + ": another agent calls itself node " + std::to_string(node) +
                              " too: give one of them another --node-id, or their changes will be taken for one another's");
    return;
  }
  if (peers_.size() >= kMaxPeers && peers_.count(node) == 0) return;
  Peer& peer = peers_[node];
  peer = Peer{NodeId{node}, bytes_hash(incarnation), number(json, "applied"), number(json, "pending"), monotonic_ms(),
              json.value("able", Json()) == Json(true), incarnation.substr(0, 16)};
  events_.changed();
}

std::vector<Peer> Peers::all() const {
  std::vector<Peer> out;
  const int64_t now = monotonic_ms();
  for (const auto& [node, peer] : peers_) {
    if (now - peer.seen_ms < kForgetMs) out.push_back(peer);
  }
  return out;
}

std::vector<Peer> Peers::alive() const {
  std::vector<Peer> out = all();
  const int64_t now = monotonic_ms();
  out.erase(std::remove_if(out.begin(), out.end(), [now](const Peer& peer) { return now - peer.seen_ms >= kAliveMs; }), out.end());
  return out;
}

void Peers::send(const std::string& reply, const Json& json) {
  if (connection_ == nullptr) return;
  const Status sent = connection_->publish(reply, text_of(json));
  if (!sent && sent.error().code == Errc::bad_input) {
    (void)connection_->publish(reply, text_of(Json{{"error", sent.error().message}}));
  }
}

void Peers::on_digest(const nats::Message& message) {
  const Json json = Json::parse(message.data, nullptr, false);
  const Self self = events_.self();
  if (!json.is_object() || message.reply.empty() || number(json, "node") == self.origin.node.value) return;
  const StreamSeq seq = number(json, "seq");
  if (self.applied >= seq) return answer_digest(message.reply);
  if (waiting_.size() >= kMaxWaiting) return;
  waiting_.push_back(Waiting{seq, monotonic_ms() + kDigestWaitMs, message.reply});
  events_.hasten(seq);
}

void Peers::on_applied() {
  if (waiting_.empty()) return;
  const StreamSeq applied = events_.self().applied;
  const int64_t now = monotonic_ms();
  std::vector<Waiting> still;
  for (Waiting& wait : std::exchange(waiting_, {})) {
    if (applied >= wait.seq) answer_digest(wait.reply);
    else if (now < wait.until_ms) still.push_back(std::move(wait));
  }
  waiting_ = std::move(still);
}

void Peers::answer_digest(const std::string& reply) {
  // The position is read together with the tables: nothing is applied in between.
  using Digests = std::pair<StreamSeq, std::vector<replica::TableDigest>>;
  (void)thread_.ask<Digests>(
      [](replica::Replica& replica) -> Result<Digests> {
        TRY_ASSIGN(auto tables, replica.digests());
        return Digests{replica.position().seq, std::move(tables)};
      },
      [this, reply, token = std::weak_ptr<int>(alive_token_)](Result<Digests> digests) {
        if (token.expired() || !digests) return;
        const Self self = events_.self();
        Json tables = Json::array();
        for (const auto& digest : digests->second) {
          tables.push_back(Json::array({digest.table, digest.rows, to_hex(digest_hash(digest))}));
        }
        send(reply, Json{{"node", self.origin.node.value}, {"applied", digests->first}, {"pending", self.pending}, {"tables", tables}});
      });
}

void Peers::answer_full_text(const std::string& reply) {
  using Faults = std::vector<replica::FullTextFault>;
  constexpr int64_t kPatienceMs = 5000;
  thread_.ask_drained<Faults>([](replica::Replica& replica) { return replica.check_full_text(kFullTextLimitUs); }, kPatienceMs,
                              [this, reply, token = std::weak_ptr<int>(alive_token_)](Result<Faults> faults) {
    if (token.expired()) return;
    Json list = Json::array();
    if (!faults) list.push_back(Json::array({"", "not checked: " + faults.error().message, false}));
    else for (const replica::FullTextFault& fault : *faults) list.push_back(Json::array({fault.index, fault.reason, fault.out_of_step}));
    send(reply, Json{{"full_text", list}});
  });
}

void Peers::on_node(const nats::Message& message) {
  const Json json = Json::parse(message.data, nullptr, false);
  if (!json.is_object() || message.reply.empty()) return;
  const std::string table = text(json, "table");
  const std::weak_ptr<int> token = alive_token_;
  const std::string reply = message.reply;
  if (json.contains("full_text")) return answer_full_text(reply);
  if (!json.contains("bucket")) {
    (void)thread_.ask<std::vector<replica::TableDigest>>(
        [](replica::Replica& replica) { return replica.digests(); },
        [this, token, reply, table](Result<std::vector<replica::TableDigest>> digests) {
          if (token.expired() || !digests) return;
          Json buckets = Json::array();
          for (const auto& digest : *digests) {
            if (digest.table != table) continue;
            for (const auto& bucket : digest.buckets) buckets.push_back(Json::array({to_hex(bucket.sum), bucket.rows}));
          }
          send(reply, Json{{"buckets", buckets}});
        });
    return;
  }
  const int bucket = static_cast<int>(number(json, "bucket"));
  (void)thread_.ask<std::vector<replica::KeyHash>>(
      [table, bucket](replica::Replica& replica) { return replica.bucket_keys(table, bucket); },
      [this, token, reply](Result<std::vector<replica::KeyHash>> keys) {
        if (token.expired()) return;
        if (!keys) return send(reply, Json{{"keys", Json::array()}, {"all", true}});
        std::sort(keys->begin(), keys->end(), [](const auto& a, const auto& b) { return a.key < b.key; });
        Json list = Json::array();
        size_t bytes = 0;
        bool all = true;
        for (const replica::KeyHash& key : *keys) {
          bytes += key.key.size() + 16;
          if (bytes > kMaxKeyBytes) {
            all = false;
            break;
          }
          list.push_back(Json::array({hex_bytes(key.key), to_hex(key.hash)}));
        }
        send(reply, Json{{"keys", list}, {"all", all}});
      });
}

}  // namespace marmot::agent
