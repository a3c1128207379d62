#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/control/control.hpp"

namespace marmot::agent {

namespace {

using Clock = std::chrono::steady_clock;

Error lost(const std::string& what) { return make_error(Errc::unavailable, what + ": " + std::strerror(errno), errno); }

}  // namespace

Result<ControlClient> ControlClient::connect(const std::string& socket_path) {
  const std::filesystem::path path(socket_path);
  // sun_path holds 108 bytes; /proc/self/fd/<n>/<name> is short whatever the folder.
  const int dir = ::open(path.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return lost("the agent's socket " + socket_path);
  const std::string reach = "/proc/self/fd/" + std::to_string(dir) + "/" + path.filename().string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (reach.size() >= sizeof address.sun_path) {
    ::close(dir);
    return make_error(Errc::bad_input, "the socket's name is too long: " + socket_path);
  }
  std::memcpy(address.sun_path, reach.c_str(), reach.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int rc = fd < 0 ? -1 : ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::close(dir);
  if (rc != 0) {
    if (fd >= 0) ::close(fd);
    errno = error;
    return lost("the agent's socket " + socket_path);
  }
  return ControlClient(fd);
}

ControlClient::~ControlClient() {
  if (fd_ >= 0) ::close(fd_);
}

ControlClient::ControlClient(ControlClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), input_(std::move(other.input_)) {}

Status ControlClient::send(const Json& request) {
  const std::string line = request.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  size_t sent = 0;
  while (sent < line.size()) {
    const ssize_t n = ::send(fd_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return lost("send to the agent");
    sent += static_cast<size_t>(n);
  }
  return ok();
}

Result<Json> ControlClient::receive(std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  size_t searched = 0;
  for (;;) {
    const size_t end = input_.find('\n', searched);
    if (end != std::string::npos) {
      Json json = Json::parse(std::string_view(input_).substr(0, end), nullptr, false);
      input_.erase(0, end + 1);
      if (json.is_discarded()) return make_error(Errc::corrupt, "the agent's answer is not JSON");
      return json;
    }
    searched = input_.size();
    int wait_ms = -1;
    if (timeout.count() >= 0) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
      wait_ms = static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
    }
    pollfd waiting{fd_, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, wait_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return lost("wait for the agent");
    if (ready == 0) {
      if (Clock::now() < deadline) continue;
      return make_error(Errc::timeout, "the agent did not answer in time");
    }
    char bytes[16384];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return lost("read from the agent");
    if (got == 0) return make_error(Errc::unavailable, "the agent closed the connection");
    input_.append(bytes, static_cast<size_t>(got));
  }
}

Result<Json> ControlClient::call(const Json& request, std::chrono::milliseconds timeout,
                                 const std::function<void(const Json& progress)>& progress) {
  TRY(send(request));
  for (;;) {
    TRY_ASSIGN(Json line, receive(timeout));
    if (line.is_object() && line.contains("progress")) {
      if (progress) progress(line["progress"]);
      continue;
    }
    if (!line.is_object() || !line.contains("ok") || !line["ok"].is_boolean()) {
      return make_error(Errc::corrupt, "the agent's answer has no \"ok\"");
    }
    if (line["ok"].get<bool>()) return line;
    const auto text = [&](const char* key) {
      return line.contains(key) && line[key].is_string() ? line[key].get<std::string>() : std::string("unknown error");
    };
    return make_error(errc_of(text("code")), text("error"));
  }
}

}  // namespace marmot::agent
