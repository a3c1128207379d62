#include "agent/nats/wire.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <random>
#include <unordered_map>

#include "agent/nats/handles.hpp"

namespace marmot::agent::nats {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstWait{50};
constexpr milliseconds kLongestWait{2'000};
constexpr int64_t kLastFlushMs = 1'000;

struct Command {
  enum class Kind { send, subscribe, unsubscribe } kind = Kind::send;
  uint64_t number = 0;  // send: the epoch; else the subscription's id
  MsgHandle message;
  size_t bytes = 0;
  std::string subject;
  bool control = false;
};

}  // namespace

struct Wire::State {
  State(Options given, std::shared_ptr<Mailbox> box) : options(std::move(given)), mailbox(std::move(box)) {}

  const Options options;
  const std::shared_ptr<Mailbox> mailbox;

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Command> queue;
  bool stopping = false;
  uint64_t closed_epoch = 0;  // the latest connection that nats.c closed, and why
  std::string close_reason;
  uint64_t unserving_epoch = 0;  // the connection that Wire::leave() was called for
  std::atomic<size_t> queued_bytes{0};
};

namespace {

// nats.c may call back after a destroy, so what it gets as closure is no pointer but a number to look up here; numbers
// are never used again. The table is never destroyed, since nats.c's threads live to the end of the process.
struct Target {
  std::shared_ptr<Wire::State> state;
  uint64_t number = 0;  // a subscription's id, or a connection's epoch
  bool control = false;
};

class Targets {
 public:
  uintptr_t add(Target target) {
    std::lock_guard lock(mutex_);
    targets_.emplace(++last_, std::move(target));
    return last_;
  }
  void remove(uintptr_t id) {
    std::lock_guard lock(mutex_);
    targets_.erase(id);
  }
  std::optional<Target> find(const void* closure) {
    std::lock_guard lock(mutex_);
    const auto at = targets_.find(reinterpret_cast<uintptr_t>(closure));
    if (at == targets_.end()) return std::nullopt;
    return at->second;
  }

 private:
  std::mutex mutex_;
  uintptr_t last_ = 0;
  std::unordered_map<uintptr_t, Target> targets_;
};

Targets& targets() {
  static Targets* const table = new Targets;
  return *table;
}

// One registration, removed with its owner.
class Registration {
 public:
  Registration() = default;
  explicit Registration(Target target) : id_(targets().add(std::move(target))) {}
  Registration(Registration&& other) noexcept : id_(std::exchange(other.id_, 0)) {}
  Registration& operator=(Registration&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Registration() {
    if (id_ != 0) targets().remove(id_);
  }
  void* closure() const { return reinterpret_cast<void*>(id_); }

 private:
  uintptr_t id_ = 0;
};

std::string text_of(const char* text) { return text == nullptr ? std::string() : std::string(text); }

std::string header(natsMsg* message, const char* key) {
  const char* value = nullptr;
  return natsMsgHeader_Get(message, key, &value) == NATS_OK ? text_of(value) : std::string();
}

Incoming copy_of(natsMsg* message) {
  Incoming in;
  in.subject = text_of(natsMsg_GetSubject(message));
  in.reply = text_of(natsMsg_GetReply(message));
  if (const int size = natsMsg_GetDataLength(message); size > 0) {
    in.data.assign(natsMsg_GetData(message), static_cast<size_t>(size));
  }
  if (const std::string status = header(message, "Status"); !status.empty() && in.data.empty()) {
    in.status = std::atoi(status.c_str());
    in.description = header(message, "Description");
    in.last_consumer = std::strtoull(header(message, "Nats-Last-Consumer").c_str(), nullptr, 10);
    in.last_stream = std::strtoull(header(message, "Nats-Last-Stream").c_str(), nullptr, 10);
    in.stalled = header(message, "Nats-Consumer-Stalled");
  } else {
    in.msg_id = header(message, "Nats-Msg-Id");
  }
  return in;
}

void on_message(natsConnection*, natsSubscription*, natsMsg* raw, void* closure) {
  const MsgHandle message(raw);
  const auto target = targets().find(closure);
  if (!target) return;
  Mailbox& mailbox = *target->state->mailbox;
  if (target->control) {
    const size_t size = static_cast<size_t>(natsMsg_GetDataLength(raw)) + sizeof(Incoming);
    if (mailbox.control_bytes.load() + size > kMaxControlBytes) {
      mailbox.push(Trouble{make_error(Errc::busy, "a control message on " + text_of(natsMsg_GetSubject(raw)) +
                                                      " was dropped: 16 MB of them are waiting for the loop")});
      return;
    }
    mailbox.control_bytes += size;
  }
  Incoming in = copy_of(raw);
  in.subscription = target->number;
  in.control = target->control;
  mailbox.push(std::move(in));
}

void on_closed(natsConnection* connection, void* closure) {
  const auto target = targets().find(closure);
  if (!target) return;
  const char* text = nullptr;
  const natsStatus status = natsConnection_GetLastError(connection, &text);
  Wire::State& state = *target->state;
  std::lock_guard lock(state.mutex);
  state.closed_epoch = std::max(state.closed_epoch, target->number);
  state.close_reason = text != nullptr && *text != '\0' ? text : natsStatus_GetText(status);
  state.changed.notify_all();
}

void on_async_error(natsConnection* connection, natsSubscription*, natsStatus status, void* closure) {
  const auto target = targets().find(closure);
  if (!target) return;
  const char* text = nullptr;
  natsConnection_GetLastError(connection, &text);
  Error error = nats_error(status);
  if (text != nullptr && *text != '\0') error.message = text;
  target->state->mailbox->push(Trouble{std::move(error)});
}

// One connection: the epoch.
struct Link {
  struct Live {
    Registration registration;
    SubscriptionHandle handle;
  };
  Registration registration;
  ConnectionHandle connection;
  std::map<uint64_t, Live> live;

  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() {
    // First, so that no subscription tries to write a farewell to a peer that may not read any more.
    if (connection) natsConnection_Close(connection.get());
  }
};

// What the wire thread does, from connecting to closing.
class Runner {
 public:
  explicit Runner(std::shared_ptr<Wire::State> state) : state_(std::move(state)), urls_(state_->options.urls) {}

  void run() {
    milliseconds wait = kFirstWait;
    while (!stopping()) {
      if (connect_to_one()) {
        wait = kFirstWait;
        const std::string reason = serve();
        remember_discovered();
        link_.reset();
        if (stopping()) return;
        state_->mailbox->push(Down{true, url_without_user(urls_[at_]) + ": " + reason});
        if (unserving(epoch_)) at_ = (at_ + 1) % urls_.size();
      }
      pause(wait);
      wait = std::min(wait * 2, kLongestWait);
    }
  }

 private:
  struct Wanted {
    std::string subject;
    bool control = false;
  };

  bool stopping() {
    std::lock_guard lock(state_->mutex);
    return state_->stopping;
  }

  bool unserving(uint64_t epoch) {
    std::lock_guard lock(state_->mutex);
    return state_->unserving_epoch == epoch;
  }

  // The list from where the last connection was, so that a server that is well stays in use.
  bool connect_to_one() {
    for (size_t i = 0; i < urls_.size() && !stopping(); ++i) {
      const std::string& url = urls_[(at_ + i) % urls_.size()];
      const Status status = connect(url);
      if (status) {
        at_ = (at_ + i) % urls_.size();
        return true;
      }
      link_.reset();
      state_->mailbox->push(Down{false, url_without_user(url) + ": " + status.error().message});
    }
    return false;
  }

  Status connect(const std::string& url) {
    TRY_ASSIGN(const OptionsHandle options, build_options(state_->options, url));
    link_ = std::make_unique<Link>();
    link_->registration = Registration(Target{state_, ++epoch_, false});
    void* const closure = link_->registration.closure();
    natsStatus status = natsOptions_SetClosedCB(options.get(), on_closed, closure);
    if (status == NATS_OK) status = natsOptions_SetErrorHandler(options.get(), on_async_error, closure);
    natsConnection* raw = nullptr;
    if (status == NATS_OK) status = natsConnection_Connect(&raw, options.get());
    link_->connection.reset(raw);
    if (status != NATS_OK) return nats_error(status);
    take_queue();
    for (const auto& [id, wanted] : wanted_) TRY(subscribe(id, wanted));
    char text[256] = "";
    natsConnection_GetConnectedUrl(raw, text, sizeof text);
    const int64_t limit = natsConnection_GetMaxPayload(raw);
    state_->mailbox->push(Up{epoch_, url_without_user(text), static_cast<size_t>(std::max<int64_t>(limit, 0))});
    return ok();
  }

  Status subscribe(uint64_t id, const Wanted& wanted) {
    Registration registration(Target{state_, id, wanted.control});
    natsSubscription* raw = nullptr;
    natsStatus status = natsConnection_Subscribe(&raw, link_->connection.get(), wanted.subject.c_str(), on_message,
                                                 registration.closure());
    SubscriptionHandle handle(raw);
    // Bounded by what we ask for: flow control, requests in flight, and the bound on control messages.
    if (status == NATS_OK) status = natsSubscription_SetPendingLimits(raw, -1, -1);
    if (status != NATS_OK) return nats_error(status).in("subscribe to " + wanted.subject);
    link_->live.insert_or_assign(id, Link::Live{std::move(registration), std::move(handle)});
    return ok();
  }

  // Executes what is queued until the connection ends. Returns why it did.
  std::string serve() {
    while (true) {
      std::vector<Command> commands;
      bool stop = false;
      {
        std::unique_lock lock(state_->mutex);
        state_->changed.wait(lock, [&] {
          return !state_->queue.empty() || state_->stopping || state_->closed_epoch == epoch_ || state_->unserving_epoch == epoch_;
        });
        if (state_->closed_epoch == epoch_) return state_->close_reason;
        if (state_->unserving_epoch == epoch_ && !state_->stopping) {
          remember_discovered();
          if (urls_.size() > 1) return "its JetStream does not answer; trying another server";
          state_->unserving_epoch = 0;
        }
        commands.swap(state_->queue);
        stop = state_->stopping;
      }
      for (Command& command : commands) {
        const Status status = execute(command);
        // After a failed write the stream of bytes may be cut anywhere: that connection is of no more use.
        if (!status) return close_reason(status.error().message);
      }
      if (stop) {
        natsConnection_FlushTimeout(link_->connection.get(), kLastFlushMs);
        natsConnection_Close(link_->connection.get());
        return "closed";
      }
    }
  }

  std::string close_reason(const std::string& otherwise) {
    std::lock_guard lock(state_->mutex);
    return state_->closed_epoch == epoch_ ? state_->close_reason : otherwise;
  }

  Status execute(Command& command) {
    if (command.kind == Command::Kind::send) {
      state_->queued_bytes -= command.bytes;
      if (command.number != epoch_) return ok();
      const natsStatus status = natsConnection_PublishMsg(link_->connection.get(), command.message.get());
      if (status == NATS_OK) return ok();
      // Those are about the one message; its sender sees no answer.
      if (status == NATS_MAX_PAYLOAD || status == NATS_INVALID_SUBJECT || status == NATS_INVALID_ARG) {
        state_->mailbox->push(Trouble{nats_error(status).in("publish")});
        return ok();
      }
      return nats_error(status);
    }
    note(command);
    if (command.kind == Command::Kind::unsubscribe) {
      link_->live.erase(command.number);
      return ok();
    }
    return subscribe(command.number, wanted_.at(command.number));
  }

  // The part of a subscribe or unsubscribe that outlives the connection.
  void note(const Command& command) {
    if (command.kind == Command::Kind::subscribe) wanted_[command.number] = Wanted{command.subject, command.control};
    if (command.kind == Command::Kind::unsubscribe) wanted_.erase(command.number);
  }

  // While there is no connection: what was to be sent is for a former one.
  void take_queue() {
    std::vector<Command> commands;
    {
      std::lock_guard lock(state_->mutex);
      commands.swap(state_->queue);
    }
    for (const Command& command : commands) {
      if (command.kind == Command::Kind::send) state_->queued_bytes -= command.bytes;
      note(command);
    }
  }

  void pause(milliseconds wait) {
    take_queue();
    const int64_t jitter = std::uniform_int_distribution<int64_t>(wait.count() * 3 / 4, wait.count() * 5 / 4)(random_);
    std::unique_lock lock(state_->mutex);
    state_->changed.wait_for(lock, milliseconds(jitter), [&] { return state_->stopping; });
  }

  void remember_discovered() {
    char** servers = nullptr;
    int count = 0;
    if (natsConnection_GetDiscoveredServers(link_->connection.get(), &servers, &count) != NATS_OK) return;
    for (int i = 0; i < count; ++i) {
      if (std::find(urls_.begin(), urls_.end(), servers[i]) == urls_.end() && urls_.size() < 64) urls_.emplace_back(servers[i]);
      std::free(servers[i]);
    }
    std::free(servers);
  }

  static std::string url_without_user(std::string_view url) {
    const size_t scheme = url.find("://");
    const size_t at = url.rfind('@');
    if (at == std::string_view::npos) return std::string(url);
    const std::string head = scheme == std::string_view::npos ? std::string() : std::string(url.substr(0, scheme + 3));
    return head + std::string(url.substr(at + 1));
  }

  const std::shared_ptr<Wire::State> state_;
  std::vector<std::string> urls_;  // as configured, then as discovered
  size_t at_ = 0;
  uint64_t epoch_ = 0;
  std::unique_ptr<Link> link_;
  std::map<uint64_t, Wanted> wanted_;
  std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace

Wire::Wire(Options options, std::shared_ptr<Mailbox> mailbox)
    : state_(std::make_shared<State>(std::move(options), std::move(mailbox))),
      thread_([state = state_] { Runner(state).run(); }) {}

Wire::~Wire() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->changed.notify_all();
  }
  thread_.join();
}

Status Wire::send(uint64_t epoch, const Outgoing& message) {
  natsMsg* raw = nullptr;
  const std::string subject(message.subject), reply(message.reply);
  natsStatus status = natsMsg_Create(&raw, subject.c_str(), reply.empty() ? nullptr : reply.c_str(), message.data.data(),
                                     static_cast<int>(message.data.size()));
  MsgHandle handle(raw);
  for (const auto& [key, value] : message.headers) {
    if (status == NATS_OK) status = natsMsgHeader_Set(raw, key, value.c_str());
  }
  if (status != NATS_OK) return nats_error(status).in("make a message");
  Command command;
  command.number = epoch;
  command.message = std::move(handle);
  command.bytes = message.data.size();
  state_->queued_bytes += command.bytes;
  std::lock_guard lock(state_->mutex);
  state_->queue.push_back(std::move(command));
  state_->changed.notify_all();
  return ok();
}

size_t Wire::queued_bytes() const { return state_->queued_bytes.load(); }

void Wire::subscribe(uint64_t id, std::string subject, bool control) {
  Command command;
  command.kind = Command::Kind::subscribe;
  command.number = id;
  command.subject = std::move(subject);
  command.control = control;
  std::lock_guard lock(state_->mutex);
  state_->queue.push_back(std::move(command));
  state_->changed.notify_all();
}

void Wire::unsubscribe(uint64_t id) {
  Command command;
  command.kind = Command::Kind::unsubscribe;
  command.number = id;
  std::lock_guard lock(state_->mutex);
  state_->queue.push_back(std::move(command));
  state_->changed.notify_all();
}

void Wire::leave(uint64_t epoch) {
  std::lock_guard lock(state_->mutex);
  state_->unserving_epoch = epoch;
  state_->changed.notify_all();
}

}  // namespace marmot::agent::nats
