// Internal: the thread that owns the nats.c connection. It connects, connects again, subscribes and writes; so nothing
// of nats.c that may block or hold a lock for long runs on the loop thread.
//
// nats.c's own reconnecting is off, because of what it does in version 3.4: it gives up for ever after two
// authorization errors, and it keeps what is published while away and sends it minutes later, when its callers have long
// been told that it failed. Here every connection is a new one (an epoch), and what was queued for an old one is dropped.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "agent/nats/mailbox.hpp"

namespace marmot::agent::nats {

struct Outgoing {
  std::string_view subject, reply, data;
  std::vector<std::pair<const char*, std::string>> headers;
};

class Wire {
 public:
  // Starts connecting. Pushes Up, Down, Incoming and Trouble into the mailbox.
  Wire(Options options, std::shared_ptr<Mailbox> mailbox);
  // Writes what is queued, then closes.
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  // Errc::unavailable when memory is short; else it is queued, in order with the subscriptions. What is for another
  // epoch than the present connection is dropped: the caller learns from Down.
  Status send(uint64_t epoch, const Outgoing& message);
  size_t queued_bytes() const;

  // Kept over connections until unsubscribe(). `control`: its messages may be dropped when the loop does not keep up.
  void subscribe(uint64_t id, std::string subject, bool control);
  void unsubscribe(uint64_t id);

  // The server of this epoch is there and does not serve: goes on with the next one, where there is another.
  void leave(uint64_t epoch);

  struct State;  // public for nats.c's callbacks in wire.cpp

 private:
  std::shared_ptr<State> state_;
  std::thread thread_;
};

inline constexpr size_t kMaxControlBytes = size_t{16} << 20;

}  // namespace marmot::agent::nats
