// The agent's only way to NATS: core messages for control traffic, and JetStream as the log.
//
// Threads. Every method here is called on the loop thread, and every callback is delivered on the loop thread, through
// the `Post` given to connect(). No method waits for the network; none calls its callback before it returns. nats.c's
// own threads copy what arrives into a bounded mailbox and ask Post for one drain of it. A callback may destroy the
// Connection, a Subscription or a LogSubscription, its own included; after the destructor none of its callbacks runs.
//
// Promises. Every call that takes a callback and returned ok() calls it exactly once, with a value or an error, before
// its deadline and a little (request_many: on_done exactly once) - unless the Connection is destroyed first.
//
// Failure. Errc::unavailable: not connected, the connection broke, or the server has nobody for that call; try again
// after on_up. Errc::timeout: no answer in time. For a publish both mean "may have been stored or not": send the same
// message id again. Errc::busy: a bound of this class is reached; wait for callbacks. Errc::refused with
// `detail == kJetStreamDisabled`: see jetstream_disabled(). `detail` holds the server's err_code where it gave one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/nats/object_store.hpp"
#include "common/base/ids.hpp"
#include "common/base/result.hpp"

namespace marmot::agent::nats {

// Runs the function on the loop thread, later. Called from any thread; may block for a bounded time when its queue is
// full. False: it was not taken; it is tried again with the next event. At most two posts of one Connection are waiting at any time.
using Post = std::function<bool(std::function<void()>)>;

// The [nats] table of the configuration; empty means not set. At most one way to sign in: user with password, token,
// nkey_seed, or credentials.
struct Options {
  std::vector<std::string> urls;  // nats://host[:port] or tls://host[:port]
  std::string user, password;
  std::string token;
  std::string nkey_seed;    // the seed itself ("SU...") or the path of a file that holds it
  std::string credentials;  // path of a .creds file (JWT and seed)
  std::string tls_ca, tls_cert, tls_key;  // paths of PEM files; tls_cert and tls_key together; any of them turns TLS on
  std::string name = "marmot";            // shown in the server's connection list
};

// Errc::bad_input naming the key (`nats.token: ...`), its value where that is no secret, and the fix. Reads the files.
Status check(const Options& options);

struct ConnectionEvents {
  std::function<void(const std::string& url)> on_up;        // connected, the first time and after every on_down
  std::function<void(const std::string& reason)> on_down;   // lost; also, once per new reason, while the first try fails
  std::function<void(const Error& error)> on_error;         // something else: permissions, dropped control messages
};

struct Message {
  std::string subject;
  std::string reply;  // empty when none is wanted
  std::string data;
};

struct StreamConfig {
  std::string name;
  std::string subject;
  int replicas = 1;
  int64_t max_age_ms = 0;  // 0: no limit
  int64_t max_bytes = 0;   // 0: no limit
  int64_t duplicate_window_ms = 120'000;
  bool may_create = true;        // false: a missing stream is Errc::not_found
  bool update_existing = false;  // false: differences are only told
};

struct StreamState {
  uint64_t first_seq = 0, last_seq = 0, messages = 0, bytes = 0;
  std::string created;  // as the server writes it; another value under the same name is another stream
  WallMs created_ms = 0;
  bool was_created = false;              // ensure_stream() made it just now
  std::vector<std::string> differences;  // ensure_stream(): one line each, "max_age is 24h, configured 1h"; empty: none, or updated
};

struct StoredMessage {
  uint64_t seq = 0;
  WallMs time_ms = 0;  // when JetStream stored it
  std::string msg_id;  // Nats-Msg-Id; empty when there is none
  std::string data;
};

struct Ack {
  uint64_t seq = 0;
  bool duplicate = false;  // that message id is in the duplicates window; the bytes just sent were dropped; seq is the old one
};

struct LogMessage {
  std::string_view subject, stream, msg_id, data;  // copied before publish_log() returns
  // Set: stored only if the stream's last sequence is this (0: it is empty), else Errc::refused, detail 10071.
  std::optional<uint64_t> expected_last_seq;
};

// Bounds of publish_log(); beyond them it answers Errc::busy. One larger message is taken when nothing is in flight.
inline constexpr size_t kMaxInFlightMessages = 8192;
inline constexpr size_t kMaxInFlightBytes = size_t{64} << 20;

// What the headers of a log message may take of max_payload().
inline constexpr size_t kLogHeaderRoom = 512;

struct Delivered {
  uint64_t seq = 0;
  WallMs time_ms = 0;
  std::string msg_id;
  std::string data;
};

struct LogProblem {
  // True: this subscription is over and delivers nothing more. error.code says why:
  //   not_found  the stream is not there
  //   refused    the stream is another one than at the start (deleted and made again)
  //   corrupt    the stream ends before what was already delivered, or before start_seq - 1: its end was lost
  // False, it goes on by itself: code not_found with gap_to != 0 is a gap, gap_from..gap_to are not in the stream any
  // more (limits, purge, deletes) and delivery goes on behind them; unavailable and timeout: trying again.
  bool ended = false;
  uint64_t gap_from = 0, gap_to = 0;
  Error error;
};

struct LogHandlers {
  std::function<void(Delivered message)> on_message;
  std::function<void(const LogProblem& problem)> on_problem;
  // The server has made the consumer, at `made` by its clock; by this machine's it was asked for at `asked`, and that was known at `known`.
  std::function<void(WallMs asked, WallMs made, WallMs known)> on_made;
};

// JetStream is off on this server or for this account. The message says the cure.
inline constexpr int kJetStreamDisabled = 10076;
inline bool jetstream_disabled(const Error& error) { return error.detail == kJetStreamDisabled; }

// Receives while it lives.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

// Delivers a stream from a sequence on, each message once, in order, holes only as reported. Survives reconnects,
// restarts of the server and lost messages by starting again behind the last delivered message; checks each time that
// the stream is still the same one. A stream that is deleted or made again is told within 10 s.
//
// Memory: the server sends at most 32 MB (its flow control window) ahead of what on_message has taken.
class LogSubscription {
 public:
  virtual ~LogSubscription() = default;
  virtual void pause() = 0;   // from now on no on_message, also within a callback; on_problem may still come
  virtual void resume() = 0;
  virtual uint64_t last_seq() const = 0;  // the last delivered or skipped as a gap; start_seq - 1 at first
};

class Connection {
 public:
  // Returns at once; connects in the background, for ever, from 50 ms growing to 2 s between tries.
  // Errors: as check().
  static Result<std::unique_ptr<Connection>> connect(const Options& options, Post post, ConnectionEvents events);

  // Sends what is queued if connected (waiting for at most about two seconds), then closes.
  virtual ~Connection() = default;

  virtual bool connected() const = 0;
  virtual const std::string& url() const = 0;         // the server in use without user info; empty when down
  virtual size_t max_payload() const = 0;             // the server's limit for one message; 0 before the first on_up
  virtual const std::string& down_reason() const = 0;  // empty when connected

  // -- core NATS: at most once, nothing is kept while disconnected -------------------------------------------------
  // Errc::unavailable when not connected, bad_input above max_payload, busy when 80 MB (log included) wait to be written.
  virtual Status publish(std::string_view subject, std::string_view data, std::string_view reply = {}) = 0;

  // Wildcards allowed. Kept across reconnects. Beyond 16 MB waiting for the loop messages are dropped, with on_error.
  virtual std::unique_ptr<Subscription> subscribe(std::string_view subject, std::function<void(const Message&)> on_message) = 0;

  using Reply = std::function<void(Result<std::string> data)>;
  virtual Status request(std::string_view subject, std::string_view data, int64_t timeout_ms, Reply done) = 0;

  // Every reply until the deadline; `done` with the number of replies, at once when nobody listens.
  virtual Status request_many(std::string_view subject, std::string_view data, int64_t deadline_ms,
                              std::function<void(const Message&)> on_reply, std::function<void(size_t)> done) = 0;

  // -- the log --------------------------------------------------------------------------------------------------------
  using StateReply = std::function<void(Result<StreamState>)>;

  // Creates the stream where it is missing: file storage, limits retention, discard old. Discard old because max_age
  // and max_bytes are retention (a node that was away for longer takes a snapshot and is told by a gap); "discard new"
  // would stop every writer of the cluster instead. Messages may be deleted and purged by an administrator.
  virtual void ensure_stream(const StreamConfig& config, StateReply done) = 0;
  virtual void stream_state(std::string_view stream, StateReply done) = 0;

  // Errc::not_found: the stream has no message of that sequence (any more, or yet).
  virtual void get_message(std::string_view stream, uint64_t seq, std::function<void(Result<StoredMessage>)> done) = 0;

  // Removes every message before `seq` for good; the ones behind keep their numbers.
  virtual void drop_before(std::string_view stream, uint64_t seq, std::function<void(Status)> done) = 0;

  // Pipelined: returns at once, messages leave in the order of the calls, `done` comes with the acknowledgement or an
  // error within kPublishTimeoutMs. When the connection breaks, all in flight fail at once, in order. Errors of `done`:
  //   unavailable, timeout   unknown whether stored: send again with the same id
  //   full                   the server's or the stream's limits are reached: nothing was stored
  //   refused                expected_last_seq does not match (detail 10071), or JetStream is disabled
  //   unavailable, detail 503  nobody stores that subject: the stream is gone or without a leader; see ensure_stream
  //   not_found              another stream holds that subject
  //   bad_input              larger than the stream takes
  // Returned: busy, unavailable (not connected), bad_input (data above max_payload() - kLogHeaderRoom); `done` is then
  // not called.
  virtual Status publish_log(const LogMessage& message, std::function<void(Result<Ack>)> done) = 0;
  virtual size_t in_flight() const = 0;  // messages

  // start_seq from 1. The stream must exist when the server is there; with no server yet, it waits.
  virtual std::unique_ptr<LogSubscription> subscribe_log(std::string_view stream, uint64_t start_seq, LogHandlers handlers) = 0;

  // -- objects (object_store.hpp) --------------------------------------------------------------------------------------
  virtual std::unique_ptr<ObjectStore> object_store(Bucket bucket) = 0;
};

inline constexpr int64_t kPublishTimeoutMs = 5'000;
inline constexpr int64_t kApiTimeoutMs = 5'000;  // of each stream call

}  // namespace marmot::agent::nats
