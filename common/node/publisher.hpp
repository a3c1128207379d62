// Gets what the drains found into the stream, in order, whatever happens on the way.
//
// Every message is kept until its own echo was applied to the file: an acknowledgement is not durable for ever (docs/design.md,
// "The stream"). While it is kept it is sent again, the same bytes under the same message id, after each failure and each
// reconnect. After a failure nothing new is sent until everything in flight is answered for; then all that is not stored
// goes again from the oldest on, so that a later unit overtakes an earlier one only on the wire, never for good.
//
// No I/O, no clock: the Host sends and waits; the agent over NATS, the simulator over its own network. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/log.hpp"
#include "common/base/result.hpp"
#include "common/replica/types.hpp"

namespace marmot::node {

// What the stream says of a message that was sent to it.
struct PublishAck {
  StreamSeq seq = 0;
  bool duplicate = false;  // it holds this message id already, at `seq`: the bytes just sent were dropped
};

class Publisher {
 public:
  static constexpr size_t kMaxBytes = size_t{64} << 20;

  // `send` and `pause` never call back before they return; what they call back after pause(), clear() or the Publisher's end is not
  // listened to.
  struct Host {
    // To the stream, in this order; exactly one answer. An error here: it was not sent. Errc::busy while others are in flight: an
    // answer makes room.
    std::function<Status(std::string_view msg_id, std::string_view bytes, std::function<void(Result<PublishAck>)> then)> send;
    std::function<void(int64_t ms, std::function<void()> then)> pause;  // one at a time
    std::function<WallMs()> now;
    std::function<void()> changed;     // bytes(), pending_rows() or last_error() changed
    std::function<void()> lost;        // the stream took a message and does not hold it: Replica::unit_lost; does not call back
    std::function<void()> suspicious;  // the answer does not fit what this file has seen: look at the stream again
    LogSink log;
  };

  explicit Publisher(Host host, size_t max_bytes = kMaxBytes) : host_(std::move(host)), max_bytes_(max_bytes) {}
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  void add(std::vector<replica::OutUnit> units);

  // The stream can be reached, and is the one: sends every unit behind `own_units`, the last one of this incarnation that this file knows to be
  // in the stream. Its `position` does not tell: a file that merged a snapshot has one beyond a unit that the stream lost meanwhile.
  void start(StreamSeq position, uint64_t own_units);
  // It cannot be reached, or is in doubt. What is kept stays kept.
  void pause();
  // The file holds the stream up to here: echoes up to it have been applied. `own_units` as for start(), at the same moment.
  void applied(StreamSeq position, uint64_t own_units);
  // History was lost: the engine publishes anew under another incarnation.
  void clear();
  // While held nothing is sent; what is in flight stays so.
  void hold(bool on);
  // A message of the stream, as it came: when was it first sent, if it is one of those kept here?
  std::optional<WallMs> came(std::string_view msg_id, std::string_view bytes);

  size_t bytes() const { return bytes_; }
  // Beyond the bound nothing is drained; beyond four times that nothing is applied either (an apply drains first), but echoes are
  // once all is stored: nothing else makes room. One drain may go beyond both.
  bool takes_units() const { return bytes_ < max_bytes_; }
  bool lets_apply() const { return bytes_ < 4 * max_bytes_ || all_stored(); }
  size_t pending_rows() const { return pending_rows_; }    // in units that are not stored whole
  uint64_t published_rows() const { return published_rows_; }
  bool all_stored() const { return unstored_ == 0; }
  bool empty() const { return messages_.empty(); }          // all stored, and their echoes applied
  StreamSeq last_stored() const { return last_stored_; }
  const std::string& last_error() const { return last_error_; }

  // A mark behind everything added so far; stored_through(mark): all of that is in the stream.
  uint64_t mark() const { return first_ + messages_.size(); }
  bool stored_through(uint64_t mark) const;

 private:
  struct Message {
    std::shared_ptr<replica::OutUnit> unit;
    size_t index = 0;        // into unit->messages
    enum class State : uint8_t { unsent, in_flight, stored } state = State::unsent;
    int sends = 0;
    bool told_lost = false;  // Host::lost was called for it
    WallMs sent_at = 0;      // the first time
    StreamSeq position = 0;  // of the file, when it was sent last
    StreamSeq seq = 0;
  };

  void pump();
  void answered(uint64_t id, const Result<PublishAck>& answer);
  void failed(const Error& error);
  void retry_when_idle();
  void settle(Message& message);
  void release();
  void lose(Message& message);
  void drop_front();

  template <class F>
  auto guarded(F callback);

  const Host host_;
  const size_t max_bytes_;
  std::shared_ptr<int> run_ = std::make_shared<int>(0);  // made anew by pause(): what was asked for before is not listened to
  bool started_ = false;

  std::deque<Message> messages_;
  uint64_t first_ = 1;   // id of messages_.front()
  uint64_t cursor_ = 1;  // id of the next one to send
  size_t in_flight_ = 0;
  size_t unstored_ = 0;
  size_t bytes_ = 0;
  size_t pending_rows_ = 0;
  uint64_t published_rows_ = 0;
  StreamSeq position_ = 0;
  uint64_t own_units_ = 0;
  StreamSeq last_stored_ = 0;
  uint64_t echo_ = 1;      // id behind the last one that came() found
  bool held_ = false;
  bool failing_ = false;
  bool waiting_ = false;   // for Host::pause
  int64_t backoff_ms_ = 0;
  std::string last_error_;
};

}  // namespace marmot::node
