#include "agent/membership/peers.hpp"

#include <algorithm>
#include <utility>

#include "agent/loop/clock.hpp"
#include "common/codec/control.hpp"
#include "common/codec/envelope.hpp"

namespace marmot::agent {

namespace control = codec::control;

namespace {

constexpr int64_t kDigestWaitMs = 5000;
constexpr size_t kMaxWaiting = 64;
constexpr size_t kMaxPeers = 4096;
constexpr size_t kMaxKeyBytes = 300 * 1024;  // of one bucket
constexpr size_t kMaxTold = 64;              // messages that were not understood; what comes then is dropped without a word
constexpr size_t kMaxVersionText = 32;

// Another program's text, for a log.
std::string version_text(std::string_view text) {
  std::string out(text.substr(0, kMaxVersionText));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out;
}

}  // namespace

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

void Peers::not_understood(std::string_view bytes, const Error& error) {
  if (told_.size() >= kMaxTold || !told_.insert(std::to_string(control::sender(bytes).value) + ' ' + error.message).second) return;
  log_(LogLevel::warn, name_ + ": a message of another node is dropped: " + error.message);
}

void Peers::beat() {
  if (connection_ == nullptr || !connection_->connected()) return;
  const Self self = events_.self();
  const control::Beat beat{self.origin.node, self.origin.incarnation, self.whole, self.pending, self.able, MARMOT_VERSION, codec::kFormat};
  (void)connection_->publish(prefix_ + "beat", control::encode(beat));  // the next one says it again
}

void Peers::on_beat(const nats::Message& message) {
  const Result<control::Beat> beat = control::decode<control::Beat>(message.data);
  if (!beat) return not_understood(message.data, beat.error());
  const NodeId node = beat->node;
  const Self self = events_.self();
  if (node == self.origin.node) {
    if (beat->incarnation != self.origin.incarnation) events_.stranger();
    return;
  }
  if (peers_.size() >= kMaxPeers && peers_.count(node.value) == 0) return;
  Peer& peer = peers_[node.value];
  const bool another_life = peer.node != node || peer.incarnation != beat->incarnation;
  peer = Peer{node, beat->incarnation, beat->applied, beat->pending, monotonic_ms(), beat->able, version_text(beat->marmot), beat->data_format};
  if (another_life && peer.data_format > codec::kFormat) {
    log_(LogLevel::warn, name_ + ": node " + std::to_string(node.value) + " runs Marmot " + peer.marmot + " and may write messages of format " +
                             std::to_string(peer.data_format) + ", this Marmot " MARMOT_VERSION " reads up to " +
                             std::to_string(codec::kFormat) + ": upgrade it");
  }
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

void Peers::refuse(const std::string& reply, const Error& error) {
  answer(reply, control::Refusal{{}, error.code == Errc::not_found, error.message});
}

void Peers::reject(const nats::Message& request, const Error& error) {
  not_understood(request.data, error);
  refuse(request.reply, error);
}

void Peers::on_digest(const nats::Message& message) {
  const Result<control::DigestRequest> request = control::decode<control::DigestRequest>(message.data);
  if (!request) return reject(message, request.error());
  const Self self = events_.self();
  if (message.reply.empty() || request->node == self.origin.node) return;
  if (self.applied >= request->seq) return answer_digest(message.reply, request->seed);
  if (waiting_.size() >= kMaxWaiting) return;
  waiting_.push_back(Waiting{request->seq, monotonic_ms() + kDigestWaitMs, message.reply, request->seed});
  events_.hasten(request->seq);
}

void Peers::on_applied() {
  if (waiting_.empty()) return;
  const StreamSeq applied = events_.self().applied;
  const int64_t now = monotonic_ms();
  std::vector<Waiting> still;
  for (Waiting& wait : std::exchange(waiting_, {})) {
    if (applied >= wait.seq) answer_digest(wait.reply, wait.seed);
    else if (now < wait.until_ms) still.push_back(std::move(wait));
  }
  waiting_ = std::move(still);
}

void Peers::answer_digest(const std::string& reply, const HashKey& seed) {
  // The position is read together with the tables: nothing is applied in between.
  using Digests = std::pair<StreamSeq, std::vector<TableDigest>>;
  (void)thread_.ask<Digests>(
      [seed](replica::Replica& replica) -> Result<Digests> {
        TRY_ASSIGN(auto tables, replica.digests(seed));
        return Digests{replica.position().seq, std::move(tables)};
      },
      [this, seed, reply, token = std::weak_ptr<int>(alive_token_)](Result<Digests> digests) {
        if (token.expired() || !digests) return;
        control::DigestAnswer out{{}, digests->first, events_.self().pending, {}};
        for (const TableDigest& digest : digests->second) out.tables.push_back({digest.table, digest.rows, digest_hash(seed, digest)});
        answer(reply, std::move(out));
      });
}

void Peers::answer_full_text(const std::string& reply) {
  using Faults = std::vector<FullTextFault>;
  constexpr int64_t kPatienceMs = 5000;
  thread_.ask_drained<Faults>([](replica::Replica& replica) { return replica.check_full_text(kFullTextLimitUs); }, kPatienceMs,
                              [this, reply, token = std::weak_ptr<int>(alive_token_)](Result<Faults> faults) {
    if (token.expired()) return;
    control::FullTextAnswer out;
    if (faults) out.faults = *std::move(faults);
    else out.faults.push_back({"", "not checked: " + faults.error().message, false});
    answer(reply, std::move(out));
  });
}

void Peers::answer_buckets(const std::string& reply, const control::BucketsRequest& request) {
  (void)thread_.ask<std::vector<TableDigest>>(
      [seed = request.seed](replica::Replica& replica) { return replica.digests(seed); },
      [this, token = std::weak_ptr<int>(alive_token_), reply, table = request.table](Result<std::vector<TableDigest>> digests) {
        if (token.expired()) return;
        if (!digests) return refuse(reply, digests.error());
        control::BucketsAnswer out;
        for (TableDigest& digest : *digests) {
          if (digest.table == table) out.buckets = std::move(digest.buckets);
        }
        answer(reply, std::move(out));
      });
}

void Peers::answer_keys(const std::string& reply, const control::KeysRequest& request) {
  (void)thread_.ask<std::vector<KeyHash>>(
      [request](replica::Replica& replica) { return replica.bucket_keys(request.seed, request.table, request.bucket); },
      [this, token = std::weak_ptr<int>(alive_token_), reply](Result<std::vector<KeyHash>> keys) {
        if (token.expired()) return;
        control::KeysAnswer out;
        if (!keys) return answer(reply, std::move(out));
        std::sort(keys->begin(), keys->end(), [](const KeyHash& a, const KeyHash& b) { return a.key < b.key; });
        size_t bytes = 0;
        for (KeyHash& key : *keys) {
          bytes += key.key.size() + 16;
          if (bytes > kMaxKeyBytes) {
            out.all = false;
            break;
          }
          out.keys.push_back(std::move(key));
        }
        answer(reply, std::move(out));
      });
}

void Peers::on_node(const nats::Message& message) {
  if (message.reply.empty()) return;
  const Result<control::Message> request = control::decode_any(message.data);
  if (!request) return reject(message, request.error());
  if (std::holds_alternative<control::FullTextRequest>(*request)) return answer_full_text(message.reply);
  if (const auto* buckets = std::get_if<control::BucketsRequest>(&*request)) return answer_buckets(message.reply, *buckets);
  if (const auto* keys = std::get_if<control::KeysRequest>(&*request)) return answer_keys(message.reply, *keys);
  refuse(message.reply, make_error(Errc::bad_input, "no such request is answered here"));
}

}  // namespace marmot::agent
