#include <algorithm>

#include "agent/nats/api.hpp"
#include "agent/nats/core.hpp"
#include "agent/nats/log_subscription.hpp"
#include "agent/nats/streams.hpp"
#include "agent/nats/transport.hpp"

namespace marmot::agent::nats {
namespace {

Result<Ack> ack_of(Result<Incoming> answer) {
  if (!answer) {
    if (answer.error().detail == 503) answer.error().message = "no stream takes that subject (or it has no leader)";
    return std::move(answer).error();
  }
  TRY_ASSIGN(const api::Json json, api::parse(answer->data));
  const auto duplicate = json.find("duplicate");
  return Ack{api::number(json, "seq"), duplicate != json.end() && duplicate->is_boolean() && duplicate->get<bool>()};
}

class CoreSubscription : public Subscription {
 public:
  CoreSubscription(const std::shared_ptr<Core>& core, uint64_t id) : core_(core), id_(id) {}
  ~CoreSubscription() override {
    if (const auto core = core_.lock()) core->unsubscribe(id_);
  }

 private:
  const std::weak_ptr<Core> core_;
  const uint64_t id_;
};

Message message_of(Incoming&& in) { return Message{std::move(in.subject), std::move(in.reply), std::move(in.data)}; }

class ConnectionImpl : public Connection {
 public:
  ConnectionImpl(const Options& options, Post post, ConnectionEvents events)
      : core_(std::make_shared<Core>(options, std::move(post), std::move(events))), flight_(std::make_shared<Flight>()) {
    core_->start();
  }
  ~ConnectionImpl() override { core_->stop(); }

  bool connected() const override { return core_->connected(); }
  const std::string& url() const override { return core_->url(); }
  size_t max_payload() const override { return core_->max_payload(); }
  const std::string& down_reason() const override { return core_->down_reason(); }

  Status publish(std::string_view subject, std::string_view data, std::string_view reply) override {
    TRY(admit(data.size()));
    Outgoing message;
    message.subject = subject;
    message.reply = reply;
    message.data = data;
    return core_->send(message);
  }

  std::unique_ptr<Subscription> subscribe(std::string_view subject, std::function<void(const Message&)> on_message) override {
    const auto handler = [on_message = std::move(on_message)](Incoming& in) { on_message(message_of(std::move(in))); };
    return std::make_unique<CoreSubscription>(core_, core_->subscribe(std::string(subject), handler, true));
  }

  Status request(std::string_view subject, std::string_view data, int64_t timeout_ms, Reply done) override {
    TRY(admit(data.size()));
    Outgoing message;
    message.subject = subject;
    message.data = data;
    return core_->ask(message, timeout_ms, false, [done = std::move(done)](Result<Incoming> answer) {
      if (answer) return done(std::move(answer->data));
      done(std::move(answer).error());
    });
  }

  Status request_many(std::string_view subject, std::string_view data, int64_t deadline_ms,
                      std::function<void(const Message&)> on_reply, std::function<void(size_t)> done) override {
    TRY(admit(data.size()));
    Outgoing message;
    message.subject = subject;
    message.data = data;
    const auto count = std::make_shared<size_t>(0);
    return core_->ask(message, deadline_ms, true,
                      [count, on_reply = std::move(on_reply), done = std::move(done)](Result<Incoming> answer) {
                        if (!answer) return done(*count);
                        ++*count;
                        on_reply(message_of(*std::move(answer)));
                      });
  }

  void ensure_stream(const StreamConfig& config, StateReply done) override {
    nats::ensure_stream(core_, config, std::move(done));
  }
  void stream_state(std::string_view stream, StateReply done) override {
    nats::stream_state(core_, stream, std::move(done));
  }

  void get_message(std::string_view stream, uint64_t seq, std::function<void(Result<StoredMessage>)> done) override {
    nats::get_message(core_, stream, seq, std::move(done));
  }

  void drop_before(std::string_view stream, uint64_t seq, std::function<void(Status)> done) override {
    nats::drop_before(core_, stream, seq, std::move(done));
  }

  // A plain publish with a reply subject of our own, not js_PublishMsgAsync: that one has one completion handler for
  // the connection, waits (blocking the caller) when too many are in flight, and has no deadline for a message.
  Status publish_log(const LogMessage& log, std::function<void(Result<Ack>)> done) override {
    if (!core_->connected()) return not_connected(*core_);
    const size_t size = log.data.size();
    const size_t limit = core_->max_payload() - std::min(core_->max_payload(), kLogHeaderRoom);
    if (size > limit) {
      return make_error(Errc::bad_input, "a log message of " + std::to_string(size) + " bytes is above the server's limit of " +
                                             std::to_string(limit) + " (max_payload less room for headers)");
    }
    if (flight_->messages >= kMaxInFlightMessages || (flight_->messages > 0 && flight_->bytes + size > kMaxInFlightBytes)) {
      return make_error(Errc::busy, std::to_string(flight_->messages) + " messages are waiting for their acknowledgement");
    }
    Outgoing message;
    message.subject = log.subject;
    message.data = log.data;
    message.headers = {{"Nats-Msg-Id", std::string(log.msg_id)}, {"Nats-Expected-Stream", std::string(log.stream)}};
    if (log.expected_last_seq) message.headers.emplace_back("Nats-Expected-Last-Sequence", std::to_string(*log.expected_last_seq));
    TRY(core_->ask(message, kPublishTimeoutMs, false,
                   [core = core_.get(), flight = flight_, size, done = std::move(done)](Result<Incoming> answer) {
      --flight->messages;
      flight->bytes -= size;
      auto ack = ack_of(std::move(answer));
      // The stream's leader may be out of reach, or stand alone and get no majority for what it takes.
      core->served(Core::publishing, ack || (ack.error().code != Errc::timeout && ack.error().code != Errc::unavailable));
      done(std::move(ack));
    }));
    ++flight_->messages;
    flight_->bytes += size;
    return ok();
  }

  size_t in_flight() const override { return flight_->messages; }

  std::unique_ptr<LogSubscription> subscribe_log(std::string_view stream, uint64_t start_seq, LogHandlers handlers) override {
    return nats::subscribe_log(core_, stream, start_seq, std::move(handlers));
  }

  std::unique_ptr<ObjectStore> object_store(Bucket bucket) override {
    return std::make_unique<ObjectStore>(core_, std::move(bucket));
  }

 private:
  struct Flight {
    size_t messages = 0, bytes = 0;
  };

  Status admit(size_t size) const {
    if (core_->connected() && size > core_->max_payload()) {
      return make_error(Errc::bad_input, "a message of " + std::to_string(size) + " bytes is above the server's max_payload of " +
                                             std::to_string(core_->max_payload()));
    }
    if (core_->queued_bytes() + size > kMaxControlBytes + kMaxInFlightBytes) {
      return make_error(Errc::busy, "the connection does not keep up: " + std::to_string(core_->queued_bytes()) + " bytes are waiting");
    }
    return ok();
  }

  const std::shared_ptr<Core> core_;
  const std::shared_ptr<Flight> flight_;  // outlives this in callbacks
};

}  // namespace

Result<std::unique_ptr<Connection>> Connection::connect(const Options& options, Post post, ConnectionEvents events) {
  TRY(check(options));
  return std::unique_ptr<Connection>(std::make_unique<ConnectionImpl>(options, std::move(post), std::move(events)));
}

}  // namespace marmot::agent::nats
