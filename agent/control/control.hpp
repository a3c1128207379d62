// The control socket: how the other commands talk to a running agent.
//
// data_dir/control.sock, a Unix socket for the agent's own user. One JSON object a line, each way. A client sends one
// request and reads until the final reply; a connection serves one request at a time.
//
//   request   {"cmd":"status", ...}
//   final     {"ok":true, ...}  or  {"ok":false,"error":"text for a person","code":"not_found"}     (code: errc_name)
//   before it, any number of  {"progress":{"what":"verify users","done":3,"total":11}}  and  {"event":{...}}
//
// "db" is the canonical path of a database file (lock.hpp). Where it is optional and absent, all databases are meant.
//
//   status   {"cmd":"status"[,"db":P]}
//     -> {"ok":true,"node":N,"pid":N,"version":"0.1.0","cluster":"main","uptime_ms":N,
//         "nats":{"url":S,"connected":B,"embedded":B,"last_error":S},
//         "databases":[{"name":S,"path":P,"stream":S,"node":N,"state":S,"last_error":S,
//           "state_text":S,     why it waits, is behind or stopped; absent: it does not
//           "pending":N,        rows changed here that the stream has not acknowledged
//           "published":N,      rows acknowledged since the agent started
//           "applied":N,        rows of other nodes written here since the agent started
//           "waiting":N,        units that wait for a stopped table
//           "lag_messages":N,   messages of the stream that are not applied here yet; the agents' own are not counted
//           "lag_ms":N,         age of the oldest of them that was delivered
//           "position":N,       the last message of the stream that is applied here
//           "peers":[{"node":N,"lag_messages":N,"seen_ms_ago":N,"clock_off_ms":N}],
//           "tables":[{"name":S,"stopped":S}],     "stopped" is why; "" or absent: it runs
//           "objects":[{"name":S,"stopped":S}],    other tables, views, indexes and triggers that could not be made or filled here, and why
//           "snapshots":{"count":N,"taking":B,"last_error":S,"newest":{"id":S,"seq":N,"age_ms":N}},
//           "repair":{"rounds":N,"ranges":N,"repaired":N,"scrub_passes":N,"scrub_found":N},"divergent_ranges":N,
//           "gave_way":N,"forced":N,"read_percent":N,"wal_bytes":N,"alarm":S,"members":N,"to_know":S,"clock_off_ms":N,
//           "failed_effects":N,"last_failed_effect":S,"staged_parts":N,"gone_units":N,"split_units":N,
//           "quarantined":N,"conflicts":N,"conflicts_dropped":N,"shelved":N}]}
//     Numbers may be absent while they are not known; clients show "-". Empty last_error: none. What each means:
//     agent/replication/status.hpp.
//   wait     {"cmd":"wait","db":P,"level":"published"|"all","timeout_ms":N}
//     -> {"ok":true,"done":B,"pending":N}          done false: not in time
//   verify   {"cmd":"verify","db":P,"timeout_ms":N[,"repair":B]}
//     -> {"ok":true,"nodes":3,"identical":B,"tables":[{"name":S,"rows":N,"identical":B,
//           "differs":[{"node":N,"keys":["17","'a'"],"more":N}]}],    keys as describe_key prints them; more: not listed
//         "full_text":[{"node":N,"name":S,"out_of_step":B,"reason":S}]}         indexes that their own check finds wrong
//         "unreachable":[{"node":N,"seen_ms_ago":N}]       members that did not answer
//     with repair also "repair":true, and of each table "found":N (rows written without the triggers) and "repaired":N
//   members  {"cmd":"members","db":P}
//     -> {"ok":true,"members":[{"node":N,"incarnation":S,"seen_ms_ago":N,"applied":N,"behind":N,"self":B,"alive":B}]}
//     behind: messages, as lag_messages; incarnation in hexadecimal
//   clock    {"cmd":"clock","db":P[,"reset":B][,"bound_ms":N]}
//     -> {"ok":true,"known":B,"off_ms":N,"others":[{"node":N,"off_ms":N}],"bound_ms":N,"ahead_ms":N,"versions":N,"poisoned":B}     before what it changes
//   snapshot {"cmd":"snapshot","db":P,"action":"save"|"list"|"restore"[,"id":S][,"to":P][,"keep":B]}
//     save    -> {"progress":...} ... {"ok":true,"snapshot":{"id":S,"seq":N,"at_ms":N,"node":N,"rows":N,"bytes":N,
//                "stored_bytes":N,"digest":S,"version":S}}
//     list    -> {"ok":true,"snapshots":[{as above}]}     newest first
//     restore -> as save. "to": an absolute path where nothing is; "id": default the newest; "keep": with our tables
//   tail     {"cmd":"tail","db":P[,"table":GLOB][,"direction":"in"|"out"]}
//     -> {"event":{"direction":"in"|"out","table":S,"op":"insert"|"update"|"delete","key":S,"node":N,"hlc":S,"seq":N}} ...
//     until the client closes. hlc as to_string(Hlc) prints it; seq absent while the stream has not given one.
//   stop     {"cmd":"stop"}
//     -> {"ok":true}, and the agent ends as after SIGTERM
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "agent/loop/uv.hpp"
#include "common/base/result.hpp"

namespace marmot::agent {

using Json = nlohmann::json;

// "bad_input", "not_found", ... and back (unknown names are Errc::internal).
std::string_view errc_name(Errc code);
Errc errc_of(std::string_view name);

// The answer to one request. Copies share one answer; it may be kept and given in a later turn. Loop thread only (post to
// the Mailbox from others). Once it is finished, or the client is gone, the calls below do nothing. If the last copy goes
// without a final reply, the client is told that the agent dropped the request.
class Reply {
 public:
  // A final reply. `fields` is an object, "ok":true is added; then nothing more can be sent.
  void finish(Json fields) const;
  void fail(const Error& error) const;
  // Something before the final reply. False when the client is gone: stop the work.
  bool progress(std::string_view what, int64_t done, int64_t total) const;
  bool event(Json fields) const;
  // The client went away, or does not read (pipe.hpp: kMaxUnsent).
  bool gone() const;
  // Called on the loop when the client goes away before the final reply. Set it once.
  void on_gone(std::function<void()> callback) const;

 private:
  friend class ControlServer;
  struct Session;
  struct State;
  explicit Reply(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

// Loop thread only.
class ControlServer {
 public:
  using Handler = std::function<void(const Json& request, Reply reply)>;

  // Listens on `directory`/control.sock. Hold the directory's AgentLock.
  static Result<std::unique_ptr<ControlServer>> listen(uv::Loop& loop, const std::string& directory);
  // Removes the socket and closes every connection; replies that are still held do nothing from then on.
  ~ControlServer();

  // Commands without a handler, and lines that are not a JSON object with "cmd", are answered with an error. A request
  // field of an unexpected type: handlers read with request.value(), whose exception becomes an error reply.
  void handle(const std::string& command, Handler handler);

 private:
  struct Impl;
  explicit ControlServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

// The other side, blocking, for the command line.
class ControlClient {
 public:
  // Errc::unavailable: nobody listens. Long paths work.
  static Result<ControlClient> connect(const std::string& socket_path);
  ~ControlClient();
  ControlClient(ControlClient&& other) noexcept;
  ControlClient& operator=(ControlClient&&) = delete;

  Status send(const Json& request);
  // The next line as it came. Errc::timeout; Errc::unavailable when the agent closed the connection; Errc::corrupt when it
  // is not JSON. A timeout below 0: for ever.
  Result<Json> receive(std::chrono::milliseconds timeout);
  // Sends, passes progress lines on, and returns the final reply; {"ok":false} becomes an Error with the agent's code and
  // text. `timeout` is for silence: every line that comes starts it anew.
  Result<Json> call(const Json& request, std::chrono::milliseconds timeout,
                    const std::function<void(const Json& progress)>& progress = {});

 private:
  explicit ControlClient(int fd) : fd_(fd) {}
  int fd_ = -1;
  std::string input_;
};

}  // namespace marmot::agent
