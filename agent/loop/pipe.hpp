// Unix sockets that speak lines: one message a line, '\n' at its end. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent/loop/uv.hpp"
#include "common/base/result.hpp"

namespace marmot::agent::uv {

// One end of a connection.
class PipeConnection {
 public:
  static constexpr size_t kMaxLine = size_t{1} << 20;      // a longer line received ends the connection
  static constexpr size_t kMaxUnsent = size_t{16} << 20;   // a peer that does not read: beyond this it is disconnected

  // Both come on the loop and may destroy the connection. `closed` comes once, unless close() or the destructor was first:
  // the peer went away, sent too long a line, or did not read.
  struct Events {
    std::function<void(std::string_view line)> line;  // without its '\n'
    std::function<void(std::string_view why)> closed;
  };

  ~PipeConnection();
  PipeConnection(const PipeConnection&) = delete;
  PipeConnection& operator=(const PipeConnection&) = delete;

  // Call it once, from the accept callback.
  void start(Events events);
  // Queues `text` and a '\n'. False when the connection is closed, or is closed now because too much is unsent; Events::closed
  // then comes in a later turn of the loop, never from inside this call.
  bool write_line(std::string_view text);
  // At once; what is unsent is dropped.
  void close();

 private:
  friend class PipeServer;
  struct State;
  explicit PipeConnection(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

// Listens on a socket file that only the owner of this process may use (mode 0600).
class PipeServer {
 public:
  using Accepted = std::function<void(std::unique_ptr<PipeConnection>)>;

  // `directory` exists. A file of that name left by a former life is removed first: hold the directory's lock. Paths beyond
  // the 108 bytes of sun_path work (the socket is reached through /proc/self/fd).
  static Result<std::unique_ptr<PipeServer>> listen(Loop& loop, const std::string& directory, const std::string& name,
                                                    Accepted accepted);
  // Stops listening and removes the file. Connections live on.
  ~PipeServer();
  PipeServer(const PipeServer&) = delete;
  PipeServer& operator=(const PipeServer&) = delete;

 private:
  struct State;
  explicit PipeServer(State* state) : state_(state) {}
  State* state_;
};

}  // namespace marmot::agent::uv
