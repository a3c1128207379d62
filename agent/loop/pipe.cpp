#include "agent/loop/pipe.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <utility>
#include <vector>

namespace marmot::agent::uv {

struct PipeConnection::State {
  uv_pipe_t handle;
  Events events;
  std::string input;           // what has come without its '\n' yet
  std::vector<char> buffer;    // lent to uv_read
  bool closed = false;         // no event comes any more
  bool failing = false;        // write_line gave up; the read side reports it
  std::string failure;
  std::shared_ptr<State> self; // what the uv handle owns, until its close callback

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&handle); }

  // The state outlives this call: uv's share goes in a later turn.
  void fail(std::string_view why) {
    if (closed) return;
    shut();
    if (events.closed) events.closed(why);
  }

  void shut() {
    closed = true;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle),
             [](uv_handle_t* h) { const auto last = std::move(static_cast<State*>(h->data)->self); });
  }

  void take(std::string_view bytes) {
    while (!closed && !failing) {
      const size_t end = bytes.find('\n');
      if (end == std::string_view::npos) break;
      if (input.size() + end > kMaxLine) return fail("a line longer than 1 MiB");
      if (input.empty()) {
        events.line(bytes.substr(0, end));
      } else {
        input.append(bytes.substr(0, end));
        const std::string line = std::exchange(input, {});
        events.line(line);
      }
      bytes.remove_prefix(end + 1);
    }
    if (closed || failing) return;
    if (input.size() + bytes.size() > kMaxLine) return fail("a line longer than 1 MiB");
    input.append(bytes);
  }
};

PipeConnection::~PipeConnection() { close(); }

void PipeConnection::close() {
  if (!state_->closed) state_->shut();
}

void PipeConnection::start(Events events) {
  State* state = state_.get();
  state->events = std::move(events);
  state->buffer.resize(64 * 1024);
  uv_read_start(
      state->stream(),
      [](uv_handle_t* handle, size_t, uv_buf_t* buf) {
        auto& buffer = static_cast<State*>(handle->data)->buffer;
        *buf = uv_buf_init(buffer.data(), static_cast<unsigned>(buffer.size()));
      },
      [](uv_stream_t* stream, ssize_t got, const uv_buf_t* buf) {
        auto* s = static_cast<State*>(stream->data);
        if (s->closed) return;
        if (got < 0) s->fail(got == UV_EOF ? "the other side closed it" : uv_error(static_cast<int>(got)).message);
        else if (got > 0) s->take({buf->base, static_cast<size_t>(got)});
      });
}

bool PipeConnection::write_line(std::string_view text) {
  State* state = state_.get();
  if (state->closed || state->failing) return false;
  struct Write {
    uv_write_t request;
    std::string bytes;
  };
  // The callback of a write comes in a later turn, so a failure is reported from there and never from inside this call.
  const auto done = [](uv_write_t* request, int rc) {
    auto* write = static_cast<Write*>(request->data);
    auto* s = static_cast<State*>(request->handle->data);
    delete write;
    if (s->closed) return;
    if (s->failing) s->fail(s->failure);
    else if (rc != 0) s->fail(uv_error(rc).message);
  };
  auto* write = new Write{};
  write->request.data = write;
  write->bytes.reserve(text.size() + 1);
  write->bytes.append(text).push_back('\n');
  const uv_buf_t buf = uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
  const int rc = uv_write(&write->request, state->stream(), &buf, 1, done);
  if (rc != 0) delete write;
  if (rc != 0 || uv_stream_get_write_queue_size(state->stream()) > kMaxUnsent) {
    state->failing = true;
    state->failure = rc != 0 ? uv_error(rc).message : "the other side does not read";
    // Ends pending writes and reads with an error in the next turn.
    uv_os_fd_t fd = -1;
    if (uv_fileno(reinterpret_cast<uv_handle_t*>(&state->handle), &fd) == 0) ::shutdown(fd, SHUT_RDWR);
    return false;
  }
  return true;
}

struct PipeServer::State {
  uv_pipe_t handle;
  Loop* loop = nullptr;
  int directory = -1;  // open while the socket lives: its path goes through /proc/self/fd/<directory>
  std::string name;
  Accepted accepted;
  bool closed = false;

  void shut() {
    closed = true;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle), [](uv_handle_t* h) {
      auto* state = static_cast<State*>(h->data);
      ::close(state->directory);
      delete state;
    });
  }
};

// uv_close() unlinks the socket's file.
PipeServer::~PipeServer() { state_->shut(); }

Result<std::unique_ptr<PipeServer>> PipeServer::listen(Loop& loop, const std::string& directory,
                                                       const std::string& name, Accepted accepted) {
  const int dir = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return uv_error(-errno).in("open " + directory);
  ::unlinkat(dir, name.c_str(), 0);

  auto* state = new State{};
  state->loop = &loop;
  state->directory = dir;
  state->name = name;
  state->accepted = std::move(accepted);
  uv_pipe_init(loop.get(), &state->handle, 0);
  state->handle.data = state;

  const std::string path = "/proc/self/fd/" + std::to_string(dir) + "/" + name;
  int rc = uv_pipe_bind(&state->handle, path.c_str());
  // Nobody can connect before listen(), so the mode is right from the first instant (a umask would touch every thread).
  if (rc == 0 && ::fchmodat(dir, name.c_str(), 0600, 0) != 0) rc = -errno;
  if (rc == 0) {
    rc = uv_listen(reinterpret_cast<uv_stream_t*>(&state->handle), 64, [](uv_stream_t* stream, int status) {
      auto* s = static_cast<State*>(stream->data);
      if (status != 0 || s->closed) return;
      auto connection = std::make_shared<PipeConnection::State>();
      connection->self = connection;
      uv_pipe_init(s->loop->get(), &connection->handle, 0);
      connection->handle.data = connection.get();
      std::unique_ptr<PipeConnection> owner(new PipeConnection(connection));
      if (uv_accept(stream, connection->stream()) == 0) s->accepted(std::move(owner));
    });
  }
  if (rc != 0) {
    state->shut();
    return uv_error(rc).in("listen on " + directory + "/" + name);
  }
  return std::unique_ptr<PipeServer>(new PipeServer(state));
}

}  // namespace marmot::agent::uv
