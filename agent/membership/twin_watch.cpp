#include "agent/membership/twin_watch.hpp"

#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "agent/loop/clock.hpp"

namespace marmot::agent {

namespace control = codec::control;

namespace {

constexpr int64_t kLookMs = 50;
constexpr size_t kMaxHost = 64;

std::string host_name() {
  char name[kMaxHost + 1] = {};
  return ::gethostname(name, kMaxHost) == 0 ? name : "?";
}

// Another program's text, for a log.
std::string printable(std::string text) {
  text.resize(std::min(text.size(), kMaxHost));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

std::string describe(const control::Alive& other) {
  char at[32] = "?";
  const std::time_t seconds = other.started / 1000;
  std::tm parts{};
  if (::gmtime_r(&seconds, &parts) != nullptr) std::strftime(at, sizeof at, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return "process " + std::to_string(other.pid) + " on host " + printable(other.host) + ", started " + at;
}

}  // namespace

TwinWatch::TwinWatch(uv::Loop& loop, std::string subject_prefix, Events events)
    : subject_(std::move(subject_prefix) + "alive"),
      events_(std::move(events)),
      host_(host_name()),
      started_(wall_now()),
      timer_(loop, [this] { look(); }) {}

TwinWatch::~TwinWatch() = default;

Origin TwinWatch::live() {
  const Origin self = events_.self();
  if (self.node.value != 0) twins_.live(self.incarnation);
  return self;
}

void TwinWatch::listen(nats::Connection& connection) {
  connection_ = &connection;
  if (!subscription_) subscription_ = connection.subscribe(subject_, [this](const nats::Message& message) { on_alive(message); });
  twins_.connected();
  timer_.start(uv::Milliseconds(0), uv::Milliseconds(kLookMs));
}

void TwinWatch::on_down() {
  timer_.stop();
  twins_.disconnected();
}

void TwinWatch::suspect() {
  twins_.suspect();
  look();
}

void TwinWatch::sent() {
  live();
  twins_.sent();
}

void TwinWatch::came(StreamSeq seq) {
  live();
  twins_.came(seq);
}

void TwinWatch::look() {
  live();
  const int64_t now = monotonic_ms();
  if (connection_ != nullptr && connection_->connected() && twins_.asks(now)) say(Incarnation{});
  if (!twins_.may_publish(now)) return;
  if (!twins_.due()) timer_.stop();
  if (!std::exchange(alone_, true)) events_.may_publish();
}

void TwinWatch::say(Incarnation asker) {
  const Origin self = events_.self();
  const node::TwinLife& own = twins_.own();
  control::Alive alive{self.node, self.incarnation, asker, own.asking, own.first, host_, static_cast<uint64_t>(::getpid()), started_};
  (void)connection_->publish(subject_, control::encode(alive));  // the next one says it again
}

void TwinWatch::on_alive(const nats::Message& message) {
  const Result<control::Alive> other = control::decode<control::Alive>(message.data);
  if (!other) return events_.not_understood(message.data, other.error());
  const Origin self = live();
  if (self.node.value == 0 || other->node != self.node) return;
  switch (twins_.heard({other->incarnation, other->asking, other->first}, other->asker)) {
    case node::Twins::Then::nothing: break;
    case node::Twins::Then::answer: say(other->incarnation); break;
    case node::Twins::Then::yield:
      alone_ = false;
      timer_.stop();
      return events_.yield(describe(*other));  // nothing after it: this object may be gone soon
  }
  if (twins_.due()) timer_.start(uv::Milliseconds(0), uv::Milliseconds(kLookMs));
}

}  // namespace marmot::agent
