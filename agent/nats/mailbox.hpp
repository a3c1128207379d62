// Internal: what other threads tell the loop thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <variant>

#include "agent/nats/transport.hpp"

namespace marmot::agent::nats {

// A message as it came, copied out of nats.c.
struct Incoming {
  uint64_t subscription = 0;  // as given to Wire::subscribe()
  std::string subject, reply, data;
  bool control = false;  // counted in Mailbox::control_bytes
  int status = 0;  // of a message that is no message: 100 heartbeat or flow control, 503 no responders, 4xx; 0 else
  std::string description;  // of that status
  std::string msg_id;       // Nats-Msg-Id
  uint64_t last_consumer = 0, last_stream = 0;  // of a heartbeat: the last sequences that the server sent
  std::string stalled;                          // of a heartbeat: the flow control subject that waits for an answer
};

struct Up {
  uint64_t epoch = 0;  // counts connections, from 1
  std::string url;
  size_t max_payload = 0;
};
struct Down {
  bool was_up = false;  // false: a first or further try failed
  std::string reason;
};
struct Trouble {
  Error error;
};
using Event = std::variant<Up, Down, Incoming, Trouble>;

// Many threads push, the loop takes. One post covers all that is pushed before it runs.
class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  explicit Mailbox(Post post) : post_(std::move(post)) {}

  // On the loop thread, before anybody pushes: what a post runs.
  void open(std::function<void()> drain) { drain_ = std::move(drain); }

  // After this nothing is kept and nothing drained. On the loop thread.
  void close() {
    std::deque<Event> dropped;
    std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(events_);
    drain_ = nullptr;
  }

  void push(Event event) {
    {
      std::lock_guard lock(mutex_);
      if (closed_) return;
      events_.push_back(std::move(event));
    }
    wake();
  }

  // Makes the loop drain even without an event.
  void wake() {
    {
      std::lock_guard lock(mutex_);
      if (closed_ || posted_) return;
      posted_ = true;
    }
    const bool taken = post_([weak = weak_from_this()] {
      if (auto self = weak.lock(); self && self->drain_) {
        auto drain = self->drain_;  // close() within it clears the member
        drain();
      }
    });
    if (taken) return;
    std::lock_guard lock(mutex_);
    posted_ = false;  // a loop that was busy for too long: the next event tries again, at the latest a heartbeat
  }

  // Appends what has come. On the loop thread.
  void take(std::deque<Event>& into) {
    std::lock_guard lock(mutex_);
    posted_ = false;
    if (into.empty()) {
      into.swap(events_);
      return;
    }
    for (Event& event : events_) into.push_back(std::move(event));
    events_.clear();
  }

  // Bytes of control messages on their way; they are dropped beyond a bound, being at most once anyway.
  std::atomic<size_t> control_bytes{0};

 private:
  const Post post_;
  std::function<void()> drain_;
  std::mutex mutex_;
  std::deque<Event> events_;
  bool posted_ = false;
  bool closed_ = false;
};

}  // namespace marmot::agent::nats
