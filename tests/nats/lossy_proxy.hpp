// Between a client and a nats-server: loses messages of a JetStream consumer on the way, which TCP and nats.c never do on
// purpose, but a bug, an overrun buffer or a server in a cluster may. One connection.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>

namespace marmot::testing {

class LossyProxy {
 public:
  explicit LossyProxy(int server_port) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = local(0);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 1) != 0) std::abort();
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, server_port] { run(server_port); });
  }
  ~LossyProxy() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }
  LossyProxy(const LossyProxy&) = delete;
  LossyProxy& operator=(const LossyProxy&) = delete;

  std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }
  void lose(int messages) { to_lose_ = messages; }
  int still_to_lose() const { return to_lose_; }

 private:
  static sockaddr_in local(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    return address;
  }

  static bool write_all(int fd, const std::string& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t n = ::send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (n <= 0) return false;
      at += static_cast<size_t>(n);
    }
    return true;
  }

  // Takes whole protocol messages off the front of `in`, without those to be lost.
  std::string pass(std::string& in) {
    std::string out;
    while (true) {
      const size_t line_end = in.find("\r\n");
      if (line_end == std::string::npos) return out;
      const std::string line = in.substr(0, line_end);
      size_t size = line_end + 2;
      if (line.rfind("MSG ", 0) == 0 || line.rfind("HMSG ", 0) == 0) {
        size += static_cast<size_t>(std::atoi(line.c_str() + line.rfind(' ') + 1)) + 2;
        if (in.size() < size) return out;
      }
      const bool delivery = line.find(" $JS.ACK.") != std::string::npos;
      if (delivery && to_lose_ > 0) {
        --to_lose_;
      } else {
        out += in.substr(0, size);
      }
      in.erase(0, size);
    }
  }

  void run(int server_port) {
    pollfd waiting{listener_, POLLIN, 0};
    while (!stopping_ && ::poll(&waiting, 1, 20) == 0) {
    }
    if (stopping_) return;
    const int client = ::accept(listener_, nullptr, nullptr);
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = local(server_port);
    std::string from_server;
    bool open = ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    while (open && !stopping_) {
      pollfd both[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
      ::poll(both, 2, 20);
      char buffer[65536];
      for (int i = 0; i < 2 && open; ++i) {
        if (both[i].revents == 0) continue;
        const ssize_t n = ::read(both[i].fd, buffer, sizeof buffer);
        if (n <= 0) {
          open = false;
        } else if (i == 0) {
          open = write_all(server, std::string(buffer, static_cast<size_t>(n)));
        } else {
          from_server.append(buffer, static_cast<size_t>(n));
          open = write_all(client, pass(from_server));
        }
      }
    }
    ::close(client);
    ::close(server);
  }

  const int listener_;
  int port_ = 0;
  std::atomic<int> to_lose_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace marmot::testing
