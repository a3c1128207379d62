#include "agent/nats/core.hpp"

#include <charconv>
#include <random>
#include <vector>

#include "common/base/ids.hpp"

namespace marmot::agent::nats {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The loop has others to serve: after this the rest waits for the next post.
constexpr milliseconds kSlice{2};
constexpr milliseconds kTimersLatest{100};
constexpr int kNoResponders = 503;
// An election takes 4 to 9 s, now and then two of them; another server would not shorten it.
constexpr milliseconds kLeaveAfter{12'000};
// A good answer ends an outage only after so long without a bad one: such a server still answers some of the questions.
constexpr milliseconds kCalm{4'000};

std::string random_inbox() {
  std::random_device device;
  std::string out = "_INBOX.";
  for (int i = 0; i < 2; ++i) out += to_hex((uint64_t{device()} << 32) | device());
  return out;
}

}  // namespace

Alarm::Alarm(std::shared_ptr<Mailbox> mailbox) : mailbox_(std::move(mailbox)), thread_([this] { run(); }) {}

Alarm::~Alarm() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void Alarm::at(SteadyTime time) {
  std::lock_guard lock(mutex_);
  if (time >= next_) return;
  next_ = time;
  changed_.notify_all();
}

void Alarm::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (next_ == SteadyTime::max()) {
      changed_.wait(lock);
    } else if (steady_clock::now() < next_) {
      changed_.wait_until(lock, next_);
    } else {
      next_ = SteadyTime::max();
      lock.unlock();
      mailbox_->wake();
      lock.lock();
    }
  }
}

Core::Core(Options options, Post post, ConnectionEvents events)
    : options_(std::move(options)),
      mailbox_(std::make_shared<Mailbox>(std::move(post))),
      events_(std::move(events)),
      inbox_(random_inbox()) {}

void Core::start() {
  mailbox_->open([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->drain();
  });
  alarm_ = std::make_unique<Alarm>(mailbox_);
  wire_ = std::make_unique<Wire>(options_, mailbox_);
  const uint64_t answers = ++last_id_;
  handlers_[answers] = std::make_shared<Handler>([this](Incoming& incoming) { answer(incoming); });
  wire_->subscribe(answers, inbox_ + ".a.*", false);  // not what goes to new_inbox()
}

void Core::stop() {
  if (stopped_) return;
  stopped_ = true;
  connected_ = false;
  mailbox_->close();
  wire_.reset();
  alarm_.reset();
  // Handlers may own what calls back into this object: they die outside of the members.
  const auto handlers = std::exchange(handlers_, {});
  const auto waiting = std::exchange(waiting_, {});
  const auto timers = std::exchange(timers_, {});
  const auto watchers = std::exchange(watchers_, {});
  const auto backlog = std::exchange(backlog_, {});
}

Error not_connected(const Core& core) {
  return make_error(Errc::unavailable, "not connected to NATS: " + core.down_reason());
}

Status Core::send(const Outgoing& message) {
  if (!connected_) return not_connected(*this);
  return wire_->send(epoch_, message);
}

uint64_t Core::subscribe(std::string subject, Handler handler, bool control) {
  const uint64_t id = ++last_id_;
  if (stopped_) return id;
  handlers_[id] = std::make_shared<Handler>(std::move(handler));
  wire_->subscribe(id, std::move(subject), control);
  return id;
}

void Core::unsubscribe(uint64_t id) {
  if (stopped_ || handlers_.erase(id) == 0) return;
  wire_->unsubscribe(id);
}

Status Core::ask(Outgoing message, int64_t timeout_ms, bool many, Answer answer) {
  const uint64_t token = ++last_id_;
  const std::string reply = inbox_ + ".a." + std::to_string(token);
  message.reply = reply;
  TRY(send(message));
  Waiting& waiting = waiting_[token];
  waiting.answer = std::move(answer);
  waiting.many = many;
  waiting.deadline = after(timeout_ms, [this, token] { expire(token); });
  return ok();
}

void Core::answer(Incoming& incoming) {
  const size_t dot = incoming.subject.rfind('.');
  uint64_t token = 0;
  if (dot != std::string::npos) {
    std::from_chars(incoming.subject.data() + dot + 1, incoming.subject.data() + incoming.subject.size(), token);
  }
  const auto at = waiting_.find(token);
  if (at == waiting_.end()) return;  // too late: it was told already
  const bool nobody = incoming.status == kNoResponders;
  if (at->second.many && !nobody) {
    const Answer call = at->second.answer;
    call(std::move(incoming));
    return;
  }
  Waiting waiting = std::move(at->second);
  waiting_.erase(at);
  cancel(waiting.deadline);
  if (nobody) {
    waiting.answer(make_error(Errc::unavailable, "nobody on the server takes it (no responders)", kNoResponders));
  } else {
    waiting.answer(std::move(incoming));
  }
}

void Core::expire(uint64_t token) {
  const auto at = waiting_.find(token);
  if (at == waiting_.end()) return;
  const Waiting waiting = std::move(at->second);
  waiting_.erase(at);
  waiting.answer(make_error(Errc::timeout, "no answer in time from " + url_));
}

void Core::served(Service service, bool well) {
  if (outage_url_ != url_) {  // it outlives a connection: some servers are there and hang, and are connected to again
    outages_ = {};
    outage_url_ = url_;
  }
  Outage& outage = outages_[service];
  const SteadyTime now = steady_clock::now();
  if (well) {
    if (outage.began && now - outage.latest > kCalm) outage.began.reset();
    return;
  }
  outage.latest = now;
  if (!outage.began) outage.began = now;
  if (!connected_ || now - *outage.began < kLeaveAfter) return;
  outages_ = {};
  wire_->leave(epoch_);
}

Core::Timer Core::after(int64_t ms, std::function<void()> call) {
  const Timer timer{steady_clock::now() + milliseconds(ms), ++last_id_};
  if (stopped_) return timer;
  timers_.emplace(std::pair(timer.time, timer.number), std::move(call));
  set_alarm();
  return timer;
}

void Core::cancel(Timer& timer) {
  if (timer.number != 0) timers_.erase({timer.time, timer.number});
  timer.number = 0;
}

uint64_t Core::watch(std::function<void(bool)> call) {
  watchers_[++last_id_] = std::make_shared<std::function<void(bool)>>(std::move(call));
  return last_id_;
}

void Core::unwatch(uint64_t id) { watchers_.erase(id); }

void Core::set_alarm() {
  if (!timers_.empty()) alarm_->at(timers_.begin()->first.first);
}

void Core::drain() {
  const auto self = shared_from_this();
  mailbox_->take(backlog_);
  const SteadyTime end = steady_clock::now() + kSlice;
  while (!stopped_ && !backlog_.empty()) {
    Event event = std::move(backlog_.front());
    backlog_.pop_front();
    handle(event);
    if (steady_clock::now() >= end) break;
  }
  // Behind the messages: what has arrived has arrived in time, even if this loop was late. But not for ever behind.
  if (!stopped_ && (backlog_.empty() || steady_clock::now() - timers_ran_ > kTimersLatest)) run_timers();
  if (!stopped_ && !backlog_.empty()) mailbox_->wake();
}

void Core::run_timers() {
  const SteadyTime now = timers_ran_ = steady_clock::now();
  while (!stopped_ && !timers_.empty() && timers_.begin()->first.first <= now) {
    const auto call = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    call();
  }
  if (!stopped_) set_alarm();
}

void Core::handle(Event& event) {
  std::visit([this](auto& value) { handle(value); }, event);
}

void Core::handle(Up& up) {
  connected_ = true;
  epoch_ = up.epoch;
  url_ = up.url;
  max_payload_ = up.max_payload;
  down_reason_.clear();
  if (events_.on_up) events_.on_up(up.url);
  if (!stopped_) tell_watchers(true);
}

void Core::handle(Down& down) {
  const bool told = !connected_ && down_reason_ == down.reason;
  const bool was_connected = connected_;
  connected_ = false;
  down_reason_ = down.reason;
  url_.clear();
  if (was_connected) {
    tell_watchers(false);  // first, so that they do not take the failing of their requests for trouble of its own
    fail_all(make_error(Errc::unavailable, "the connection broke: " + down.reason));
  }
  if (!stopped_ && !told && events_.on_down) events_.on_down(down.reason);
}

void Core::handle(Incoming& incoming) {
  if (incoming.control) mailbox_->control_bytes -= incoming.data.size() + sizeof(Incoming);
  const auto at = handlers_.find(incoming.subscription);
  if (at == handlers_.end()) return;
  const std::shared_ptr<Handler> handler = at->second;  // it may unsubscribe itself
  (*handler)(incoming);
}

void Core::handle(Trouble& trouble) {
  if (events_.on_error) events_.on_error(trouble.error);
}

void Core::fail_all(const Error& error) {
  const auto failed = std::exchange(waiting_, {});
  for (const auto& [token, waiting] : failed) {
    Timer deadline = waiting.deadline;
    cancel(deadline);
    if (!stopped_) waiting.answer(error);
  }
}

void Core::tell_watchers(bool up) {
  const auto watchers = watchers_;
  for (const auto& [id, call] : watchers) {
    if (stopped_) return;
    if (watchers_.count(id) != 0) (*call)(up);
  }
}

}  // namespace marmot::agent::nats
