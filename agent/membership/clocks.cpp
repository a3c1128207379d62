#include "agent/membership/clocks.hpp"

#include <cstdlib>
#include <utility>

#include "agent/loop/clock.hpp"
#include "common/codec/control.hpp"

namespace marmot::agent {

namespace control = codec::control;

Clocks::Clocks(uv::Loop& loop, std::string subject_prefix, Events events)
    : subject_(std::move(subject_prefix) + "clock"), events_(std::move(events)), timer_(loop, [this] { tick(); }) {}

Clocks::~Clocks() = default;

void Clocks::listen(nats::Connection& connection) {
  connection_ = &connection;
  if (!subscription_) subscription_ = connection.subscribe(subject_, [this](const nats::Message& message) { on_clock(message); });
  timer_.start(uv::Milliseconds(kEveryMs), uv::Milliseconds(kEveryMs));
}

void Clocks::say() {
  const int64_t off_ms = events_.own();
  if (off_ms == 0 || connection_ == nullptr || !connection_->connected()) return;
  (void)connection_->publish(subject_, control::encode(control::ClockState{events_.self(), off_ms > 0, std::llabs(off_ms)}));  // the next one says it again
}

void Clocks::on_clock(const nats::Message& message) {
  const Result<control::ClockState> state = control::decode<control::ClockState>(message.data);
  if (!state) return events_.not_understood(message.data, state.error());
  if (state->node == events_.self() || (heard_.size() >= kMaxNodes && heard_.count(state->node.value) == 0)) return;
  heard_[state->node.value] = Heard{state->ahead ? state->off_ms : -state->off_ms, monotonic_ms()};
  events_.changed();
}

void Clocks::tick() {
  say();
  const int64_t now = monotonic_ms();
  if (std::erase_if(heard_, [now](const auto& one) { return now - one.second.at_ms > kKeepMs; }) != 0) events_.changed();
}

std::map<uint64_t, int64_t> Clocks::off() const {
  std::map<uint64_t, int64_t> out;
  for (const auto& [node, heard] : heard_) out[node] = heard.off_ms;
  return out;
}

}  // namespace marmot::agent
