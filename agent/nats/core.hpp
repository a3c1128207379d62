// Internal: what every part of the transport stands on. Lives on the loop thread: requests with deadlines, timers,
// subscriptions and the connection's state, fed by the mailbox.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>

#include "agent/nats/mailbox.hpp"
#include "agent/nats/wire.hpp"

namespace marmot::agent::nats {

using SteadyTime = std::chrono::steady_clock::time_point;

// Of every ordered push consumer: the server says so often that it is there; without a word for three of these and a little, it is not.
inline constexpr int64_t kHeartbeatMs = 1'000;
inline constexpr int64_t kSilenceMs = 3'200;

// Wakes the mailbox at a time. A thread of its own, since the wire thread may be waiting in a connect.
class Alarm {
 public:
  explicit Alarm(std::shared_ptr<Mailbox> mailbox);
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void at(SteadyTime time);  // only the earliest counts; each rings once

 private:
  void run();

  const std::shared_ptr<Mailbox> mailbox_;
  std::mutex mutex_;
  std::condition_variable changed_;
  SteadyTime next_ = SteadyTime::max();
  bool stopping_ = false;
  std::thread thread_;
};

class Core : public std::enable_shared_from_this<Core> {
 public:
  using Handler = std::function<void(Incoming&)>;
  using Answer = std::function<void(Result<Incoming>)>;
  struct Timer {
    SteadyTime time;
    uint64_t number = 0;  // 0: none
  };

  Core(Options options, Post post, ConnectionEvents events);
  void start();
  // No handler runs after this. Waits for what is queued to be written.
  void stop();

  bool stopped() const { return stopped_; }
  bool connected() const { return connected_; }
  const std::string& url() const { return url_; }
  const std::string& down_reason() const { return down_reason_; }
  size_t max_payload() const { return max_payload_; }
  size_t queued_bytes() const { return wire_ ? wire_->queued_bytes() : 0; }

  // Errc::unavailable when not connected.
  Status send(const Outgoing& message);

  // Until unsubscribe(). Handlers may unsubscribe themselves.
  uint64_t subscribe(std::string subject, Handler handler, bool control);
  void unsubscribe(uint64_t id);

  // Sends with a reply subject of its own. `answer` comes once, or with `many` for every reply and last with an error:
  // timeout at the deadline, unavailable when the connection goes or nobody listens (detail 503).
  Status ask(Outgoing message, int64_t timeout_ms, bool many, Answer answer);

  // How JetStream answered. A server that is cut off from its cluster's majority keeps its connections, tells what it knows
  // and stores nothing: after some seconds of that the connection goes to the next server. A message of the log that comes
  // speaks for the server as an answer of the API does: servers without a metadata leader refuse every call, yet what they
  // have goes on, and whoever leaves them cannot begin anew elsewhere.
  enum Service { api_call, publishing };
  void served(Service service, bool well);

  Timer after(int64_t ms, std::function<void()> call);
  void cancel(Timer& timer);

  // A subject that nobody else uses.
  std::string new_inbox() { return inbox_ + ".d" + std::to_string(++last_id_); }

  // Called with true after on_up, with false before what was asked fails, and before on_down. Must not call the outside.
  uint64_t watch(std::function<void(bool up)> call);
  void unwatch(uint64_t id);

 private:
  struct Waiting {
    Answer answer;
    bool many = false;
    Timer deadline;
  };

  struct Outage {
    std::optional<SteadyTime> began;
    SteadyTime latest;  // bad answer
  };

  void drain();
  void handle(Event& event);
  void handle(Up& up);
  void handle(Down& down);
  void handle(Incoming& incoming);
  void handle(Trouble& trouble);
  void answer(Incoming& incoming);
  void expire(uint64_t token);
  void fail_all(const Error& error);
  void tell_watchers(bool up);
  void run_timers();
  void set_alarm();

  const Options options_;
  const std::shared_ptr<Mailbox> mailbox_;
  const ConnectionEvents events_;
  const std::string inbox_;  // "_INBOX.<random>"; answers arrive under "<inbox>.a.<token>"
  std::unique_ptr<Alarm> alarm_;
  std::unique_ptr<Wire> wire_;

  bool stopped_ = false;
  bool connected_ = false;
  uint64_t epoch_ = 0;
  std::string url_;
  std::string down_reason_ = "connecting";
  size_t max_payload_ = 0;
  std::array<Outage, 2> outages_;  // by Service
  std::string outage_url_;         // whose they are

  uint64_t last_id_ = 0;
  std::deque<Event> backlog_;
  std::unordered_map<uint64_t, std::shared_ptr<Handler>> handlers_;
  std::map<uint64_t, Waiting> waiting_;  // in the order of asking
  std::map<std::pair<SteadyTime, uint64_t>, std::function<void()>> timers_;
  SteadyTime timers_ran_;
  std::map<uint64_t, std::shared_ptr<std::function<void(bool)>>> watchers_;
};

Error not_connected(const Core& core);

}  // namespace marmot::agent::nats
