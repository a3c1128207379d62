// What the transport's tests share: a loop of a queue, and a connection with its events noted.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/nats/transport.hpp"
#include "tests/nats/real_server.hpp"

namespace marmot::testing {

// Stands for the agent's libuv loop: the test's own thread runs what is posted.
class Loop {
 public:
  agent::nats::Post post() {
    return [shared = shared_](std::function<void()> call) {
      std::lock_guard lock(shared->mutex);
      shared->queue.push_back(std::move(call));
      shared->changed.notify_all();
      return true;
    };
  }

  // True when `done` became true in time. It is asked after every post.
  bool run_until(const std::function<bool()>& done, int timeout_ms = 10'000) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    while (!done()) {
      std::function<void()> call;
      {
        std::unique_lock lock(shared_->mutex);
        if (!shared_->changed.wait_until(lock, end, [&] { return !shared_->queue.empty(); })) return done();
        call = std::move(shared_->queue.front());
        shared_->queue.pop_front();
      }
      call();
      if (std::chrono::steady_clock::now() > end) return done();
    }
    return true;
  }

  void run_for(int ms) {
    run_until([] { return false; }, ms);
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> queue;
  };
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

struct Client {
  Loop& loop;
  int ups = 0, downs = 0;
  std::vector<std::string> reasons;
  std::vector<std::string> errors;
  std::unique_ptr<agent::nats::Connection> connection;

  Client(Loop& given, agent::nats::Options options) : loop(given) {
    agent::nats::ConnectionEvents events;
    events.on_up = [this](const std::string&) { ++ups; };
    events.on_down = [this](const std::string& reason) {
      ++downs;
      reasons.push_back(reason);
    };
    events.on_error = [this](const Error& error) { errors.push_back(error.message); };
    auto made = agent::nats::Connection::connect(options, loop.post(), std::move(events));
    if (made) {
      connection = *std::move(made);
    } else {
      errors.push_back(made.error().message);
    }
  }

  static agent::nats::Options to(const std::string& url) {
    agent::nats::Options options;
    options.urls = {url};
    return options;
  }
  Client(Loop& given, const RealServer& server) : Client(given, to(server.url())) {}

  agent::nats::Connection* operator->() { return connection.get(); }
  bool up(int timeout_ms = 10'000) {
    return loop.run_until([this] { return connection->connected(); }, timeout_ms);
  }

  // Runs the loop until the callback came.
  template <class T>
  Result<T> wait(const std::function<void(std::function<void(Result<T>)>)>& start, int timeout_ms = 10'000) {
    const auto got = std::make_shared<std::optional<Result<T>>>();
    start([got](Result<T> value) { got->emplace(std::move(value)); });
    if (!loop.run_until([&] { return got->has_value(); }, timeout_ms)) return make_error(Errc::timeout, "the test waited in vain");
    return *std::move(*got);
  }

  Result<agent::nats::StreamState> ensure(const agent::nats::StreamConfig& config) {
    return wait<agent::nats::StreamState>([&](auto done) { connection->ensure_stream(config, done); });
  }
  Result<agent::nats::StreamState> state(const std::string& stream) {
    return wait<agent::nats::StreamState>([&](auto done) { connection->stream_state(stream, done); });
  }
  Result<agent::nats::StoredMessage> get(const std::string& stream, uint64_t seq) {
    return wait<agent::nats::StoredMessage>([&](auto done) { connection->get_message(stream, seq, done); });
  }
  Result<agent::nats::Ack> publish(const agent::nats::LogMessage& message) {
    return wait<agent::nats::Ack>([&](auto done) {
      if (auto status = connection->publish_log(message, done); !status) done(status.error());
    });
  }
  // Waits until the server knows every subscription made so far.
  void settle() { (void)admin("nobody.is.here"); }

  // Any call of the JetStream API by hand, as an administrator would: purge, delete.
  Result<std::string> admin(const std::string& verb, const std::string& body = "") {
    return wait<std::string>([&](auto done) {
      if (auto status = connection->request("$JS.API." + verb, body, 5'000, done); !status) done(status.error());
    });
  }
};

inline agent::nats::StreamConfig log_stream() {
  agent::nats::StreamConfig config;
  config.name = "MARMOT_test_app";
  config.subject = "marmot.test.app.log";
  return config;
}

inline agent::nats::LogMessage log_message(const std::string& id, const std::string& data) {
  agent::nats::LogMessage message;
  message.subject = "marmot.test.app.log";
  message.stream = "MARMOT_test_app";
  message.msg_id = id;
  message.data = data;
  return message;
}

// Reads a stream and notes all that comes.
struct Reader {
  std::vector<agent::nats::Delivered> messages;
  std::vector<agent::nats::LogProblem> problems;
  std::unique_ptr<agent::nats::LogSubscription> subscription;

  Reader(Client& client, uint64_t start_seq) {
    subscription = client->subscribe_log("MARMOT_test_app", start_seq,
                                         {[this](agent::nats::Delivered message) { messages.push_back(std::move(message)); },
                                          [this](const agent::nats::LogProblem& problem) { problems.push_back(problem); }});
  }
  bool ended() const { return !problems.empty() && problems.back().ended; }
};

}  // namespace marmot::testing
