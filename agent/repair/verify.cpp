#include "agent/repair/verify.hpp"

#include <algorithm>

#include "agent/loop/clock.hpp"
#include "agent/loop/random.hpp"
#include "common/codec/control.hpp"
#include "common/core/key.hpp"

namespace marmot::agent {

namespace control = codec::control;

namespace {
constexpr int64_t kAnswerMs = 6000;      // peers wait up to 5 s until they have applied enough
constexpr int64_t kAloneMs = 500;
constexpr int64_t kAgainMs = 200;        // between two rounds while writes go on
constexpr int64_t kFullTextMs = 30'000;  // for all of a peer's indexes
constexpr int64_t kDetailReserveMs = 500; // of the deadline, kept for naming what differs

// What another node answers, or why there is no such answer: the text begins with the node.
template <class M>
Result<M> read_answer(uint64_t node, const Result<std::string>& answer) {
  if (!answer) return Error(answer.error()).in("node " + std::to_string(node));
  return control::decode_answer<M>(*answer);
}
}  // namespace

bool VerifyReport::identical() const {
  return std::all_of(tables.begin(), tables.end(), [](const TableVerdict& table) { return table.differs.empty(); });
}

template <class F>
auto Verify::guarded(F callback) {
  return [this, alive = std::weak_ptr<int>(alive_), callback = std::move(callback)](auto&&... values) {
    if (!alive.expired() && done_) callback(std::forward<decltype(values)>(values)...);
  };
}

Verify::Verify(Host host, int64_t timeout_ms, Progress progress, Done done)
    : host_(std::move(host)),
      deadline_ms_(monotonic_ms() + timeout_ms),
      progress_(std::move(progress)),
      done_(std::move(done)),
      timer_(host_.loop, [this] { round(); }) {
  round();
}

Verify::~Verify() = default;

void Verify::fail(Errc code, std::string text) {
  timer_.stop();
  std::exchange(done_, nullptr)(make_error(code, std::move(text)));
}

void Verify::finish() {
  timer_.stop();
  std::exchange(done_, nullptr)(std::move(report_));
}

void Verify::round() {
  ++round_;
  seed_ = {random_secret(), random_secret()};
  ours_.reset();
  theirs_.clear();
  replies_over_ = false;
  report_ = {};
  details_.clear();
  host_.until_published(deadline_ms_, guarded([this](bool published) {
    if (!published) return fail(Errc::timeout, "verify: not everything written here reached the stream in time");
    host_.connection.stream_state(host_.stream, guarded([this](Result<nats::StreamState> state) {
      if (!state) return fail(state.error().code, "verify: " + state.error().message);
      seq_ = state->last_seq;
      host_.until_applied(seq_, deadline_ms_, guarded([this](bool applied) {
        if (!applied) return fail(Errc::timeout, "verify: the stream's messages were not applied here in time");
        take_digests(seq_);
      }));
    }));
  }));
}

void Verify::take_digests(StreamSeq seq) {
  expected_.clear();
  for (const Peer& peer : host_.peers.alive()) expected_.insert(peer.node.value);
  progress_("rows here and on " + std::to_string(expected_.size()) + " other nodes", 0, 1);
  using Digests = std::pair<StreamSeq, std::vector<TableDigest>>;
  const Status asked = host_.thread.ask<Digests>(
      [seed = seed_](replica::Replica& replica) -> Result<Digests> {
        TRY_ASSIGN(auto tables, replica.digests(seed));
        return Digests{replica.position().seq, std::move(tables)};
      },
      guarded([this, round = round_](Result<Digests> digests) {
        if (round != round_) return;
        if (!digests) return fail(digests.error().code, "verify: " + digests.error().message);
        here_ = digests->first;
        ours_ = std::move(digests->second);
        compare();
      }));
  if (!asked) return fail(asked.error().code, "verify: " + asked.error().message);
  const control::DigestRequest request{host_.self().origin.node, seq, seed_};
  // Nobody was heard: a node that came just now still gets a moment to answer.
  const int64_t longest = expected_.empty() ? kAloneMs : kAnswerMs;
  const int64_t left = std::max<int64_t>(100, std::min(longest, deadline_ms_ - monotonic_ms()));
  const Status sent = host_.connection.request_many(
      host_.prefix + "digest", control::encode(request), left,
      guarded([this, round = round_](const nats::Message& message) { if (round == round_) on_digest(message); }),
      guarded([this, round = round_](size_t) {
        if (round != round_ || replies_over_) return;
        replies_over_ = true;
        compare();
      }));
  if (!sent) fail(sent.error().code, "verify: " + sent.error().message);
}

void Verify::on_digest(const nats::Message& message) {
  Result<control::DigestAnswer> answer = control::decode_answer<control::DigestAnswer>(message.data);
  if (!answer) {
    // Of a node that is waited for: it will give no other answer.
    if (expected_.count(control::sender(message.data).value) != 0) return fail(answer.error().code, "verify: " + answer.error().message);
    return host_.peers.not_understood(message.data, answer.error());
  }
  PeerDigest& digest = theirs_[answer->node.value];
  digest = PeerDigest{answer->applied, answer->pending, {}};
  for (control::DigestAnswer::Table& table : answer->tables) digest.tables[std::move(table.name)] = {table.rows, table.hash};
  const bool all = std::all_of(expected_.begin(), expected_.end(), [this](uint64_t node) { return theirs_.count(node) != 0; });
  if (all && !replies_over_ && !expected_.empty()) {
    replies_over_ = true;
    compare();
  }
}

TableVerdict& Verify::verdict(const std::string& table) {
  for (TableVerdict& known : report_.tables) {
    if (known.name == table) return known;
  }
  report_.tables.push_back(TableVerdict{table, 0, {}});
  return report_.tables.back();
}

void Verify::compare() {
  if (!ours_ || !replies_over_) return;
  for (const uint64_t node : expected_) {
    if (theirs_.count(node) == 0) {
      return fail(Errc::timeout, "verify: node " + std::to_string(node) + " did not answer in time");
    }
  }
  report_ = {};
  details_.clear();
  for (const auto& [node, digest] : theirs_) report_.answered.insert(node);
  bool moved = false;
  for (const auto& table : *ours_) verdict(table.table).rows = table.rows;
  for (const auto& [node, digest] : theirs_) {
    moved = moved || digest.applied != here_ || digest.pending != 0;
    std::set<std::string> seen;
    for (const auto& table : *ours_) {
      seen.insert(table.table);
      const auto other = digest.tables.find(table.table);
      if (other == digest.tables.end()) {
        verdict(table.table).differs.push_back({node, {}, table.rows});
      } else if (other->second.first != table.rows || other->second.second != digest_hash(seed_, table)) {
        details_.push_back(Detail{table.table, node, {}});
      }
    }
    for (const auto& [name, rows_hash] : digest.tables) {
      if (seen.count(name) == 0) verdict(name).differs.push_back({node, {}, rows_hash.first});
    }
  }
  if (details_.empty() && report_.identical()) return check_full_text();
  // Something was written while the digests were taken: they may differ for that.
  moved = moved || host_.self().pending != 0 || host_.self().applied != here_;
  const bool first_rounds = round_ < 3;  // a write of this very moment is not counted anywhere yet
  if ((moved || first_rounds) && monotonic_ms() + kAgainMs + kDetailReserveMs < deadline_ms_) {
    timer_.start(uv::Milliseconds(kAgainMs));
    return;
  }
  next_detail();
}

void Verify::next_detail() {
  if (details_.empty()) return check_full_text();
  const Detail& detail = details_.back();
  progress_("what differs in " + detail.table, 0, static_cast<int64_t>(details_.size()));
  const Status sent = host_.connection.request(host_.prefix + "node." + std::to_string(detail.node),
                                               control::encode(control::BucketsRequest{host_.self().origin.node, detail.table, seed_}), kAnswerMs,
                                               guarded([this](const Result<std::string>& answer) { on_buckets(answer); }));
  if (!sent) fail(sent.error().code, "verify: " + sent.error().message);
}

void Verify::on_buckets(const Result<std::string>& answer) {
  Detail& detail = details_.back();
  const Result<control::BucketsAnswer> theirs = read_answer<control::BucketsAnswer>(detail.node, answer);
  if (!theirs) return fail(theirs.error().code, "verify: " + theirs.error().message);
  for (const TableDigest& table : *ours_) {
    if (table.table != detail.table) continue;
    for (size_t i = 0; i < table.buckets.size() && i < theirs->buckets.size(); ++i) {
      if (theirs->buckets[i] != table.buckets[i]) detail.buckets.push_back(static_cast<int>(i));
    }
  }
  verdict(detail.table).differs.push_back({detail.node, {}, 0});
  next_bucket();
}

void Verify::next_bucket() {
  Detail& detail = details_.back();
  TableVerdict::Difference& found = verdict(detail.table).differs.back();
  if (detail.buckets.empty()) {
    // Differed a moment ago, and does no more.
    if (found.keys.empty()) verdict(detail.table).differs.pop_back();
    details_.pop_back();
    return next_detail();
  }
  if (found.keys.size() >= kMaxKeys) {
    found.more += static_cast<int64_t>(detail.buckets.size());  // at least one key a bucket
    details_.pop_back();
    return next_detail();
  }
  const int bucket = detail.buckets.back();
  const Status asked = host_.thread.ask<std::vector<KeyHash>>(
      [seed = seed_, table = detail.table, bucket](replica::Replica& replica) { return replica.bucket_keys(seed, table, bucket); },
      guarded([this, bucket](Result<std::vector<KeyHash>> ours) {
        if (!ours) return fail(ours.error().code, "verify: " + ours.error().message);
        const Status sent = host_.connection.request(
            host_.prefix + "node." + std::to_string(details_.back().node),
            control::encode(control::KeysRequest{host_.self().origin.node, details_.back().table, static_cast<uint8_t>(bucket), seed_}), kAnswerMs,
            guarded([this, ours = *std::move(ours)](const Result<std::string>& answer) { on_keys(answer, ours); }));
        if (!sent) fail(sent.error().code, "verify: " + sent.error().message);
      }));
  if (!asked) fail(asked.error().code, "verify: " + asked.error().message);
}

void Verify::on_keys(const Result<std::string>& answer, const std::vector<KeyHash>& ours) {
  Detail& detail = details_.back();
  const Result<control::KeysAnswer> theirs = read_answer<control::KeysAnswer>(detail.node, answer);
  if (!theirs) return fail(theirs.error().code, "verify: " + theirs.error().message);
  std::map<std::string, Hash128> here, there;
  for (const KeyHash& key : ours) here[key.key] = key.hash;
  for (const KeyHash& key : theirs->keys) there[key.key] = key.hash;
  const std::string last = there.empty() ? std::string() : there.rbegin()->first;
  for (const auto& [key, hash] : here) {
    if (!theirs->all && key > last) break;  // their list ends there
    const auto other = there.find(key);
    if (other == there.end() || other->second != hash) add_difference(detail.table, key);
  }
  for (const auto& [key, hash] : there) {
    if (here.count(key) == 0) add_difference(detail.table, key);
  }
  detail.buckets.pop_back();
  next_bucket();
}

void Verify::check_full_text() {
  progress_("full-text indexes", 0, 1);
  unchecked_ = expected_;
  using Faults = std::vector<FullTextFault>;
  const int64_t patience = std::max<int64_t>(kDetailReserveMs, deadline_ms_ - monotonic_ms());
  host_.thread.ask_drained<Faults>([](replica::Replica& replica) { return replica.check_full_text(kFullTextLimitUs); }, patience,
                                   guarded([this](Result<Faults> faults) {
    if (!faults) return fail(faults.error().code, "verify: " + faults.error().message);
    for (FullTextFault& fault : *faults) report_.full_text.push_back({host_.self().origin.node.value, std::move(fault)});
    check_full_text_of_next();
  }));
}

void Verify::check_full_text_of_next() {
  if (unchecked_.empty()) return finish();
  const uint64_t node = *unchecked_.begin();
  unchecked_.erase(unchecked_.begin());
  const Status sent = host_.connection.request(host_.prefix + "node." + std::to_string(node), control::encode(control::FullTextRequest{host_.self().origin.node}), kFullTextMs,
                                               guarded([this, node](const Result<std::string>& answer) { on_full_text(node, answer); }));
  if (!sent) fail(sent.error().code, "verify: " + sent.error().message);
}

void Verify::on_full_text(uint64_t node, const Result<std::string>& answer) {
  Result<control::FullTextAnswer> theirs = read_answer<control::FullTextAnswer>(node, answer);
  if (!theirs) return fail(theirs.error().code, "verify: full-text indexes: " + theirs.error().message);
  for (FullTextFault& fault : theirs->faults) report_.full_text.push_back({node, std::move(fault)});
  check_full_text_of_next();
}

void Verify::add_difference(const std::string& table, const std::string& key) {
  TableVerdict::Difference& found = verdict(table).differs.back();
  if (found.keys.size() < kMaxKeys) found.keys.push_back(describe_key(key));
  else ++found.more;
}

}  // namespace marmot::agent
