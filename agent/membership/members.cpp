#include "agent/membership/members.hpp"

#include <algorithm>

#include "agent/loop/clock.hpp"
#include "common/codec/control.hpp"

namespace marmot::agent {

namespace control = codec::control;

namespace {
constexpr int64_t kTickMs = 2000;
constexpr int64_t kKeepMs = 60'000;      // the file is written so often when somebody has moved
constexpr int64_t kTellMs = 60'000;
constexpr int64_t kAnnounceMs = 60'000;
constexpr int64_t kSettledMs = 10'000;   // the floor lies where all were so long ago
constexpr size_t kMaxMembers = 4096;
}  // namespace

Members::Members(PeersHost host, int64_t retention_ms)
    : host_(std::move(host)), retention_ms_(retention_ms), timer_(host_.loop, [this] { tick(); }) {}

Members::~Members() = default;

void Members::load() {
  if (loaded_) return;
  (void)host_.thread.ask<std::vector<replica::Member>>(
      [](replica::Replica& engine) { return engine.members(); },
      [this, alive = std::weak_ptr<int>(alive_)](Result<std::vector<replica::Member>> kept) {
        if (alive.expired() || !kept) return;  // asked again at the next start
        loaded_ = true;
        for (const replica::Member& member : *kept) heard(member);
      });
}

void Members::start(nats::Connection& connection) {
  connection_ = &connection;
  if (subscriptions_.empty()) {
    subscriptions_.push_back(connection.subscribe(host_.prefix + "members", [this](const nats::Message& message) { on_members(message); }));
  }
  started_ms_ = monotonic_ms();
  told_ms_ = 0;
  samples_.clear();
  load();
  timer_.start(uv::Milliseconds(kTickMs), uv::Milliseconds(kTickMs));
}

void Members::stop() { timer_.stop(); }

void Members::heard(const replica::Member& member) {
  if (member.node.value == 0 || (members_.size() >= kMaxMembers && members_.count(member.node.value) == 0)) return;
  const auto [found, added] = members_.try_emplace(member.node.value, member);
  if (added) {
    news_ = true;
    return;
  }
  if (member.seen <= found->second.seen) return;
  news_ = news_ || member.incarnation != found->second.incarnation;
  found->second = member;
}

void Members::tick() {
  if (!loaded_) return;
  const int64_t now = monotonic_ms();
  const WallMs wall = wall_now();
  const Peers::Self self = host_.self();
  heard(replica::Member{self.origin.node, self.origin.incarnation, wall, self.whole});
  for (const Peer& peer : host_.peers.alive()) {
    heard(replica::Member{peer.node, peer.incarnation, wall - (now - peer.seen_ms), peer.applied});
  }
  for (auto it = members_.begin(); it != members_.end();) {
    if (wall - it->second.seen <= retention_ms_) {
      ++it;
      continue;
    }
    host_.log(LogLevel::warn, host_.name + ": node " + std::to_string(it->first) + " was not heard for longer than retention: it is no member any more");
    it = members_.erase(it);
    news_ = true;
  }
  samples_.emplace_back(now, applied_by_all());
  while (samples_.size() > 1 && now - samples_[1].first >= kSettledMs) samples_.pop_front();
  if (news_ || kept_ms_ == 0 || now - kept_ms_ >= kKeepMs) keep();
  if (told_ms_ == 0 || now - told_ms_ >= kTellMs) tell();
  consider_floor();
}

void Members::keep() {
  if (keeping_) return;
  keeping_ = true;
  news_ = false;
  kept_ms_ = monotonic_ms();
  const marmot::Status asked = host_.thread.change(
      [members = all(), before = wall_now() - retention_ms_](replica::Replica& engine) { return engine.keep_members(members, before); },
      [this, alive = std::weak_ptr<int>(alive_)](const marmot::Status& kept) {
        if (alive.expired()) return;
        keeping_ = false;
        if (!kept) host_.log(LogLevel::error, host_.name + ": keep the members: " + kept.error().message);
      });
  if (!asked) keeping_ = false;  // too many questions wait: a minute later
}

void Members::tell() {
  told_ms_ = monotonic_ms();
  control::MemberList list{host_.self().origin.node, {}};
  for (const auto& [node, member] : members_) {
    list.members.push_back({member.node, member.incarnation, std::max<int64_t>(0, wall_now() - member.seen), member.applied});
  }
  (void)connection_->publish(host_.prefix + "members", control::encode(list));
}

void Members::on_members(const nats::Message& message) {
  const Result<control::MemberList> list = control::decode<control::MemberList>(message.data);
  if (!list) return host_.peers.not_understood(message.data, list.error());
  const NodeId self = host_.self().origin.node;
  if (!loaded_ || list->node == self) return;
  const WallMs wall = wall_now();
  for (const control::MemberList::Member& one : list->members) {
    if (one.age_ms > retention_ms_ || one.node == self) continue;
    heard(replica::Member{one.node, one.incarnation, wall - one.age_ms, one.applied});
  }
}

void Members::consider_floor() {
  const int64_t now = monotonic_ms();
  const Peers::Self self = host_.self();
  // Somebody else's list is heard first, and all were there for a while.
  if (!self.able || now - started_ms_ < kTellMs + kSettledMs || now - samples_.front().first < kSettledMs) return;
  if (announced_ms_ != 0 && now - announced_ms_ < kAnnounceMs) return;
  // What waits here no other node may have a reason to end.
  for (const Peer& peer : host_.peers.alive()) {
    if (peer.able && peer.node < self.origin.node && !self.wants_floor) return;
  }
  const StreamSeq floor = samples_.front().second;
  if (floor == 0 || floor == announced_) return;
  announced_ms_ = now;
  announced_ = floor;
  (void)host_.thread.write(
      [floor](replica::Replica& engine, bool polite) { return engine.announce_floor(floor, polite); },
      [this, alive = std::weak_ptr<int>(alive_)](const Result<size_t>& announced) {
        if (announced || alive.expired()) return;
        host_.log(LogLevel::error, host_.name + ": announce the floor: " + announced.error().message + " (trying again in a minute)");
        announced_ = 0;
      });
}

std::vector<replica::Member> Members::all() const {
  std::vector<replica::Member> out;
  for (const auto& [node, member] : members_) out.push_back(member);
  return out;
}

StreamSeq Members::applied_by_all() const {
  StreamSeq least = UINT64_MAX;
  for (const auto& [node, member] : members_) least = std::min(least, member.applied);
  return members_.empty() ? 0 : least;
}

}  // namespace marmot::agent
