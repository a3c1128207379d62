#include "tests/nats/real_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace marmot::testing {
namespace {

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "RealServer: %s\n", what.c_str());
  std::abort();
}

sockaddr_in local(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = local(0);
  socklen_t size = sizeof address;
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    give_up("no free port");
  }
  ::close(fd);
  return ntohs(address.sin_port);
}

}  // namespace

RealServer::RealServer(Setup setup) : setup_(std::move(setup)), port_(free_port()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "marmot-nats-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) give_up("no temporary folder");
  dir_ = pattern;
  if (setup_.start) start();
}

RealServer::~RealServer() {
  end(SIGKILL);
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void RealServer::start() {
  {
    std::ofstream config(dir_ + "/server.conf");
    config << "listen: \"127.0.0.1:" << port_ << "\"\n";
    if (setup_.jetstream) config << "jetstream {\n  store_dir: \"" << dir_ << "/store\"\n" << setup_.js_extra << "}\n";
    config << setup_.extra << "\n";
  }
  const std::string config = dir_ + "/server.conf";
  const std::string log = dir_ + "/server.log";
  pid_ = ::fork();
  if (pid_ < 0) give_up("fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed leaves none behind
    const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(fd, 1);
    ::dup2(fd, 2);
    ::execlp("nats-server", "nats-server", "-c", config.c_str(), static_cast<char*>(nullptr));
    ::execl("/usr/sbin/nats-server", "nats-server", "-c", config.c_str(), static_cast<char*>(nullptr));  // not in every PATH
    ::_exit(127);
  }
  const auto end_of_patience = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!accepts()) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) give_up("nats-server ended at once: see " + log + " (is it installed?)");
    if (std::chrono::steady_clock::now() > end_of_patience) give_up("nats-server does not accept connections: see " + log);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

bool RealServer::accepts() const {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = local(port_);
  const bool yes = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return yes;
}

void RealServer::kill9() { end(SIGKILL); }
void RealServer::stop() { end(SIGTERM); }
void RealServer::freeze() {
  ::kill(pid_, SIGSTOP);
  // A signal takes its time: what is sent before it arrives is still answered.
  int status = 0;
  ::waitpid(pid_, &status, WUNTRACED);
}
void RealServer::thaw() { ::kill(pid_, SIGCONT); }

void RealServer::erase_store() { std::filesystem::remove_all(dir_ + "/store"); }

void RealServer::end(int signal) {
  if (pid_ <= 0) return;
  ::kill(pid_, signal);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

}  // namespace marmot::testing
