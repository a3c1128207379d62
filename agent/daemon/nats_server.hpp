// The embedded NATS: Debian's `nats-server` as a supervised child of the agent, with JetStream.
//
//   data_dir/nats/server.conf    written at every start
//   data_dir/nats/server.json    {"port":4250,"name":"marmot-..."}: what was picked once and is kept
//   data_dir/nats/server.pid     while it runs, and after a kill -9
//   data_dir/nats/server.log     its log; set aside as server.log.1 at a start that finds it beyond 4 MiB
//   data_dir/nats/jetstream/     the streams
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/config/config.hpp"
#include "agent/loop/process.hpp"
#include "agent/loop/uv.hpp"
#include "common/base/log.hpp"
#include "common/base/result.hpp"

namespace marmot::agent {

struct NatsServerOptions {
  std::string data_dir;  // absolute; locked by the caller (lock.hpp)
  std::string listen;    // HOST:PORT; empty: 127.0.0.1 and 4250, or the next free port, kept from then on
  std::string user;      // asked of clients, with the password; or the token; all empty: anyone who can connect
  std::string password;
  std::string token;
  uv::Milliseconds ready_within{30'000};  // it reads its streams before it accepts
};

// Loop thread only; that thread must be the one that lives as long as the process (main): its end ends the child.
class NatsServer {
 public:
  // Blocks until the server accepts with JetStream on. A server that a former life of this agent left behind is ended first
  // (its pid file, checked against /proc/<pid>/cmdline). From then on it is restarted whenever it dies, on the same port,
  // with a pause that grows from 100 ms to 5 s.
  // Errc::not_found: nats-server is not installed. Errc::refused: the address of `listen` is taken. Errc::timeout: not
  // ready in time. Errc::io: it ended at once; the message has the last line of its log.
  static Result<std::unique_ptr<NatsServer>> start(uv::Loop& loop, NatsServerOptions options, LogSink log);
  // As stop(), but blocks (3 s at most, then SIGKILL).
  ~NatsServer();
  NatsServer(const NatsServer&) = delete;
  NatsServer& operator=(const NatsServer&) = delete;

  // SIGTERM, after 3 s SIGKILL; `stopped` comes on the loop once it is gone, at once when it was not running. Not restarted.
  void stop(std::function<void()> stopped);

  // How this agent reaches it, without secrets: "nats://127.0.0.1:4250".
  std::string url() const;
  // "HOST:PORT" as it listens; another machine may know the host by another name.
  std::string address() const;
  uint16_t port() const { return port_; }
  // 0 while it is not running.
  int pid() const { return process_ && process_->running() ? process_->pid() : 0; }
  int64_t restarts() const { return restarts_; }

 private:
  NatsServer(uv::Loop& loop, NatsServerOptions options, LogSink log);

  Status prepare();
  Status first_start();
  Status start_on(uint16_t port);
  Status write_config() const;
  Status spawn();
  Status wait_ready();
  bool answers() const;
  void on_ended(const uv::ProcessEnd& end);
  void restart();
  std::string last_log_line() const;
  std::string file(const char* name) const { return directory_ + "/" + name; }

  uv::Loop& loop_;
  NatsServerOptions options_;
  LogSink log_;
  std::string program_;
  std::string directory_;  // data_dir/nats
  std::string name_;
  std::string host_ = "127.0.0.1";
  uint16_t port_ = 0;
  std::unique_ptr<uv::Process> process_;
  uv::Timer restart_timer_;
  uv::Timer kill_timer_;
  uv::Milliseconds pause_;
  std::chrono::steady_clock::time_point started_{};
  int64_t restarts_ = 0;
  bool stopping_ = false;
  std::function<void()> stopped_;
};

}  // namespace marmot::agent
