#include "agent/nats/log_subscription.hpp"

#include <algorithm>
#include <deque>

#include "agent/nats/api.hpp"

namespace marmot::agent::nats {
namespace {

using api::Json;

constexpr int64_t kCreateMs = 1'500;
constexpr int64_t kFirstRetryMs = 100;
constexpr int64_t kLongestRetryMs = 2'000;
constexpr std::chrono::milliseconds kTurn{2};  // the loop has others to serve

WallMs wall_clock() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

class Log : public std::enable_shared_from_this<Log> {
 public:
  Log(const std::shared_ptr<Core>& core, std::string_view stream, uint64_t start_seq, LogHandlers handlers)
      : core_(core), stream_(stream), handlers_(std::move(handlers)), last_(start_seq > 0 ? start_seq - 1 : 0) {}

  void open() {
    const auto core = core_.lock();
    watch_ = core->watch([this](bool up) { up ? restart(0) : drop_consumer(); });
    if (core->connected()) restart(0);
  }

  // By the owner. No handler runs after this.
  void close() {
    over_ = closed_ = true;
    if (const auto core = core_.lock()) {
      drop_consumer();
      core->unwatch(watch_);
    }
  }

  void pause() { paused_ = true; }

  void resume() {
    if (!paused_ || over_) return;
    paused_ = false;
    deliver_later();
  }

  uint64_t last_seq() const { return last_; }

 private:
  enum class State {
    none,       // no consumer: disconnected, or waiting to try again
    creating,   // asked for one
    verifying,  // asked whether the stream is still the known one
    running,
  };

  // -- the consumer's life ----------------------------------------------------------------------------------------------

  void drop_consumer() {
    state_ = State::none;
    ++generation_;  // answers that are under way are for a former life
    pending_.clear();
    const auto core = core_.lock();
    if (!core) return;
    if (subscription_ != 0) core->unsubscribe(std::exchange(subscription_, 0));
    core->cancel(timer_);
  }

  void restart(int64_t wait_ms) {
    drop_consumer();
    const auto core = core_.lock();
    if (over_ || !core || !core->connected()) return;  // the watch calls again
    timer_ = core->after(wait_ms, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->create();
    });
  }

  void create() {
    const auto core = core_.lock();
    if (!core) return;
    state_ = State::creating;
    asked_ms_ = wall_clock();
    const uint64_t generation = ++generation_;
    next_consumer_seq_ = 1;
    const std::string inbox = core->new_inbox();
    subscription_ = core->subscribe(inbox, [this, generation](Incoming& in) {
      const auto self = shared_from_this();
      if (generation == generation_) arrived(in);
    }, false);
    // Behind start_seq - 1 nothing is known yet; later the last message is asked for again, to see that it is the same.
    const uint64_t from = last_time_ns_ != 0 ? last_ : last_ + 1;
    const Json config{{"deliver_subject", inbox},   {"deliver_policy", "by_start_sequence"},
                      {"opt_start_seq", from},      {"ack_policy", "none"},
                      {"max_deliver", 1},           {"replay_policy", "instant"},
                      {"flow_control", true},       {"idle_heartbeat", kHeartbeatMs * 1'000'000},
                      {"mem_storage", true},        {"num_replicas", 1}};
    api::call(*core, "CONSUMER.CREATE." + stream_, Json{{"stream_name", stream_}, {"config", config}},
              [weak = weak_from_this(), generation](Result<Json> reply) {
                const auto self = weak.lock();
                if (self && generation == self->generation_) self->created(std::move(reply));
              }, create_ms_);
  }

  void created(Result<Json> reply) {
    if (!reply && reply.error().code == Errc::timeout && create_ms_ < kApiTimeoutMs) {
      // The cluster gives a consumer to any of the stream's servers, to one that just died as well, and that one does not
      // answer: another attempt is given to another one. If the server is only slow, the next one has longer.
      create_ms_ = std::min(create_ms_ * 2, kApiTimeoutMs);
      return restart(0);
    }
    create_ms_ = kCreateMs;
    if (!reply) return failed(std::move(reply).error().in("read stream " + stream_));
    const auto core = core_.lock();
    if (!core) return;
    const WallMs made = api::parse_time(api::text(*reply, "created"));
    const auto alive = shared_from_this();  // the handler may destroy the owner
    if (made != 0 && handlers_.on_made) handlers_.on_made(asked_ms_, made, wall_clock());
    if (closed_ || core_.expired()) return;
    state_ = State::verifying;
    api::read(*core, "STREAM.INFO." + stream_, Json(), [weak = weak_from_this(), generation = generation_](Result<Json> info) {
      const auto self = weak.lock();
      if (self && generation == self->generation_) self->verify(std::move(info));
    });
  }

  void verify(Result<Json> info) {
    if (!info) return failed(std::move(info).error().in("ask for stream " + stream_));
    const std::string created = api::text(*info, "created");
    if (!stream_created_.empty() && created != stream_created_) {
      return end(make_error(Errc::refused, "stream " + stream_ + " was deleted and made again: it was of " + stream_created_ +
                                               " and is now of " + created));
    }
    const uint64_t last = api::number(api::object(*info, "state"), "last_seq");
    if (last < last_) {
      return end(make_error(Errc::corrupt, "stream " + stream_ + " ends at " + std::to_string(last) + " although " +
                                               std::to_string(last_) + " was there before: its end was lost"));
    }
    stream_created_ = created;
    state_ = State::running;
    told_ = 0;
    retry_ms_ = kFirstRetryMs;
    heard_ = std::chrono::steady_clock::now();
    listen();
    deliver();
  }

  // Looks whether anything was heard lately, for as long as this consumer lives.
  void listen() {
    const auto core = core_.lock();
    if (!core) return;
    timer_ = core->after(kHeartbeatMs, [weak = weak_from_this(), generation = generation_] {
      const auto self = weak.lock();
      if (!self || generation != self->generation_) return;
      if (std::chrono::steady_clock::now() - self->heard_ > std::chrono::milliseconds(kSilenceMs)) {
        self->restart(0);
      } else {
        self->listen();
      }
    });
  }

  void failed(Error error) {
    if (error.detail == api::kStreamNotFound) return end(std::move(error));
    // Each kind of trouble is told once until it is over.
    const int kind = 1 + static_cast<int>(error.code);
    const auto self = shared_from_this();
    restart(retry_ms_);
    retry_ms_ = std::min(retry_ms_ * 2, kLongestRetryMs);
    if (std::exchange(told_, kind) != kind) tell(LogProblem{false, 0, 0, std::move(error)});
  }

  void end(Error error) {
    const auto self = shared_from_this();
    over_ = true;
    drop_consumer();
    tell(LogProblem{true, 0, 0, std::move(error)});
  }

  void tell(const LogProblem& problem) {
    if (!closed_ && handlers_.on_problem) handlers_.on_problem(problem);
  }

  // -- what it sends ----------------------------------------------------------------------------------------------------

  void arrived(Incoming& in) {
    heard_ = std::chrono::steady_clock::now();
    if (in.status >= 400) return restart(kFirstRetryMs);  // the server ended the consumer
    // Of heartbeats that wait behind each other the last says everything.
    if (is_heartbeat(in) && !pending_.empty() && is_heartbeat(pending_.back())) pending_.pop_back();
    pending_.push_back(std::move(in));
    if (state_ == State::running) deliver();
  }

  static bool is_heartbeat(const Incoming& in) { return in.status == 100 && in.reply.empty(); }

  void deliver_later() {
    const auto core = core_.lock();
    if (!core) return;
    core->after(0, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->deliver();
    });
  }

  void deliver() {
    const auto self = shared_from_this();  // a handler may destroy the owner, or the connection
    const auto core = core_.lock();
    if (!core) return;
    const SteadyTime end_of_slice = std::chrono::steady_clock::now() + kTurn;
    while (state_ == State::running && !paused_ && !over_ && !core->stopped() && !pending_.empty()) {
      if (std::chrono::steady_clock::now() > end_of_slice) return deliver_later();
      if (pending_.front().status == 0) {
        deliver_message();
      } else {
        const Incoming control = std::move(pending_.front());
        pending_.pop_front();
        deliver_control(control);
      }
    }
  }

  // Answered only here, behind the messages before it: that is what bounds the memory.
  void deliver_control(const Incoming& control) {
    if (!is_heartbeat(control)) return answer_flow_control(control.reply);
    if (control.last_consumer + 1 != next_consumer_seq_) return restart(0);
    // All that was sent has arrived, and the server stands further on: what is between is gone from the stream.
    if (control.last_stream > last_) gap(control.last_stream);
    if (!control.stalled.empty()) answer_flow_control(control.stalled);
  }

  void answer_flow_control(const std::string& subject) {
    const auto core = core_.lock();
    if (!core) return;
    Outgoing message;
    message.subject = subject;
    // Not sent: the connection is gone, and this consumer with it.
    if (!core->send(message)) restart(kFirstRetryMs);
  }

  void deliver_message() {
    const auto position = api::parse_delivery(pending_.front().reply);
    if (!position || position->consumer_seq != next_consumer_seq_) return restart(position ? 0 : kLongestRetryMs);
    if (position->stream_seq > last_ + 1) {
      // The handler may pause or end this; the message itself then waits.
      gap(position->stream_seq - 1);
      return;
    }
    Incoming in = std::move(pending_.front());
    pending_.pop_front();
    ++next_consumer_seq_;
    if (position->stream_seq <= last_) return compare_last(*position, in);
    last_ = position->stream_seq;
    last_time_ns_ = position->time_ns;
    if (const auto core = core_.lock()) core->served(Core::api_call, true);
    last_id_ = in.msg_id;
    if (handlers_.on_message) {
      handlers_.on_message(Delivered{last_, position->time_ns / 1'000'000, std::move(in.msg_id), std::move(in.data)});
    }
  }

  void compare_last(const api::Delivery& position, const Incoming& in) {
    if (position.stream_seq == last_ && position.time_ns == last_time_ns_ && in.msg_id == last_id_) return;
    end(make_error(Errc::corrupt, "stream " + stream_ + " holds another message at " + std::to_string(position.stream_seq) +
                                      " than before: its end was lost and written anew"));
  }

  void gap(uint64_t to) {
    LogProblem problem;
    problem.gap_from = last_ + 1;
    problem.gap_to = to;
    problem.error = make_error(Errc::not_found, "stream " + stream_ + " has a gap: " + std::to_string(problem.gap_from) + " to " +
                                                    std::to_string(to) + " are not in it any more");
    last_ = to;
    last_time_ns_ = 0;  // nothing of it is known that could be compared
    last_id_.clear();
    tell(problem);
  }

  const std::weak_ptr<Core> core_;
  const std::string stream_;
  const LogHandlers handlers_;

  uint64_t last_;
  int64_t last_time_ns_ = 0;  // of the message last_, to know it again; 0: none was delivered
  std::string last_id_;
  std::string stream_created_;

  State state_ = State::none;
  WallMs asked_ms_ = 0;  // when its consumer was asked for
  bool paused_ = false;
  bool over_ = false;    // nothing more is delivered
  bool closed_ = false;  // by the owner: nothing at all is told
  uint64_t generation_ = 0;
  uint64_t subscription_ = 0;
  uint64_t next_consumer_seq_ = 1;
  uint64_t watch_ = 0;
  std::deque<Incoming> pending_;  // at most the flow control window
  Core::Timer timer_;
  SteadyTime heard_;
  int told_ = 0;
  int64_t retry_ms_ = kFirstRetryMs;
  int64_t create_ms_ = kCreateMs;  // for the next answer to a creation
};

class Handle : public LogSubscription {
 public:
  explicit Handle(std::shared_ptr<Log> log) : log_(std::move(log)) { log_->open(); }
  ~Handle() override { log_->close(); }
  void pause() override { log_->pause(); }
  void resume() override { log_->resume(); }
  uint64_t last_seq() const override { return log_->last_seq(); }

 private:
  const std::shared_ptr<Log> log_;
};

}  // namespace

std::unique_ptr<LogSubscription> subscribe_log(const std::shared_ptr<Core>& core, std::string_view stream, uint64_t start_seq,
                                               LogHandlers handlers) {
  return std::make_unique<Handle>(std::make_shared<Log>(core, stream, start_seq, std::move(handlers)));
}

}  // namespace marmot::agent::nats
