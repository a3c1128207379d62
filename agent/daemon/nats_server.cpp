#include "agent/daemon/nats_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "agent/daemon/join_line.hpp"
#include "common/base/ids.hpp"

namespace marmot::agent {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr uint16_t kFirstPort = kDefaultPort;
constexpr uint16_t kLastPort = 4449;
constexpr uv::Milliseconds kFirstPause{100};
constexpr uv::Milliseconds kLongestPause{5000};
constexpr uv::Milliseconds kHealthy{10'000};  // ran this long: the next restart is quick again
constexpr uv::Milliseconds kTermPatience{3000};
constexpr uv::Milliseconds kPollEvery{5};
constexpr uintmax_t kLogLimit = 4 << 20;

// A resolved socket address.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Result<Address> resolve(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int rc = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (rc != 0) return make_error(Errc::bad_input, "cannot resolve " + host + ": " + ::gai_strerror(rc), rc);
  Address address;
  address.size = found->ai_addrlen;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  return address;
}

// Whether a server could listen there now. Errc::refused: somebody does.
Status try_bind(const std::string& host, uint16_t port) {
  TRY_ASSIGN(const Address address, resolve(host, port));
  const int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return uv::uv_error(-errno).in("socket");
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);  // as nats-server does
  const int rc = ::bind(fd, address.get(), address.size);
  const int error = errno;
  ::close(fd);
  if (rc == 0) return ok();
  const std::string where = host + ":" + std::to_string(port);
  if (error == EADDRINUSE) return make_error(Errc::refused, where + " is taken by another program", error);
  return make_error(Errc::bad_input, "cannot listen on " + where + ": " + std::strerror(error), error);
}

Result<std::string> find_program() {
  std::string places = "/usr/sbin:/usr/bin:/usr/local/bin";
  if (const char* path = std::getenv("PATH")) places = std::string(path) + ":" + places;
  std::istringstream folders(places);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = folder + "/nats-server";
    if (folder.rfind('/', 0) == 0 && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return make_error(Errc::not_found,
                    "nats-server is not installed: apt-get install nats-server, or name servers of your own with --nats URL");
}

// Double quotes: the server knows \" \\ \n \t there, and expands no $VARIABLE.
std::string in_quotes(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

Status write_file(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return uv::uv_error(-errno).in("write " + fresh);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (!written) return uv::uv_error(-error).in("write " + fresh);
  if (::rename(fresh.c_str(), path.c_str()) != 0) return uv::uv_error(-errno).in("write " + path);
  return ok();
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// What the store may grow to: what it has, and three quarters of what is free (the database files need room as well).
uint64_t store_limit(const std::string& directory) {
  struct statvfs disk {};
  uint64_t free = uint64_t{1} << 30;
  if (::statvfs(directory.c_str(), &disk) == 0) free = uint64_t{disk.f_bavail} * disk.f_frsize;
  uint64_t used = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    if (it->is_regular_file(gone) && !gone) {
      const uintmax_t size = it->file_size(gone);
      if (!gone) used += size;
    }
  }
  return used + free / 4 * 3;
}

// Whether `pid` is a nats-server that runs with our configuration file (and not whoever got the number since).
bool runs_with(pid_t pid, const std::string& config) {
  const std::string command = read_file("/proc/" + std::to_string(pid) + "/cmdline");
  return command.find(std::string(1, '\0') + config + std::string(1, '\0')) != std::string::npos;
}

// Ends what a former life left. Its port and its store are needed now.
Status end_former(const std::string& pid_file, const std::string& config, const LogSink& log) {
  const auto pid = static_cast<pid_t>(std::strtol(read_file(pid_file).c_str(), nullptr, 10));
  if (pid <= 1 || !runs_with(pid, config)) return ok();
  log(LogLevel::warn, "ending the nats-server (pid " + std::to_string(pid) + ") that an agent which was killed left behind");
  for (const auto& [signum, patience] : {std::pair{SIGTERM, kTermPatience}, std::pair{SIGKILL, uv::Milliseconds{2000}}}) {
    ::kill(pid, signum);
    for (const auto deadline = Clock::now() + patience; Clock::now() < deadline;) {
      if (!runs_with(pid, config)) return ok();
      std::this_thread::sleep_for(kPollEvery);
    }
  }
  return make_error(Errc::timeout, "a nats-server of a former life (pid " + std::to_string(pid) + ") does not end");
}

std::string new_name() {
  std::random_device random;
  const uint64_t high = random();
  return "marmot-" + to_hex((high << 32) | random());
}

}  // namespace

NatsServer::NatsServer(uv::Loop& loop, NatsServerOptions options, LogSink log)
    : loop_(loop),
      options_(std::move(options)),
      log_(std::move(log)),
      directory_(options_.data_dir + "/nats"),
      restart_timer_(loop, [this] { restart(); }),
      kill_timer_(loop, [this] { if (process_) process_->signal(SIGKILL); }),
      pause_(kFirstPause) {}

Result<std::unique_ptr<NatsServer>> NatsServer::start(uv::Loop& loop, NatsServerOptions options, LogSink log) {
  std::unique_ptr<NatsServer> server(new NatsServer(loop, std::move(options), std::move(log)));
  TRY_IN("embedded NATS", server->prepare());
  TRY_IN("embedded NATS", server->first_start());
  return server;
}

NatsServer::~NatsServer() {
  stopping_ = true;
  if (pid() == 0) return;
  process_->signal(SIGTERM);
  uv::ProcessEnd end;
  for (const auto deadline = Clock::now() + kTermPatience; Clock::now() < deadline;) {
    if (process_->poll_ended(end)) break;
    std::this_thread::sleep_for(kPollEvery);
  }
  process_.reset();  // SIGKILL, if it must be
  ::unlink(file("server.pid").c_str());
}

Status NatsServer::prepare() {
  TRY_ASSIGN(program_, find_program());
  std::error_code error;
  fs::create_directories(options_.data_dir, error);
  if (error) return make_error(Errc::io, "make " + options_.data_dir + ": " + error.message(), error.value());
  if (::mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST) return uv::uv_error(-errno).in("make " + directory_);
  TRY(end_former(file("server.pid"), file("server.conf"), log_));
  if (const auto size = fs::file_size(file("server.log"), error); !error && size > kLogLimit) {
    fs::rename(file("server.log"), file("server.log.1"), error);
  }
  const auto kept = nlohmann::json::parse(read_file(file("server.json")), nullptr, false);
  if (kept.is_object()) {
    if (const auto it = kept.find("port"); it != kept.end() && it->is_number_unsigned() && *it <= 65535U) {
      port_ = it->get<uint16_t>();
    }
    if (const auto it = kept.find("name"); it != kept.end() && it->is_string()) name_ = it->get<std::string>();
  }
  if (name_.empty()) name_ = new_name();
  return ok();
}

Status NatsServer::first_start() {
  if (!options_.listen.empty()) {
    const auto listen = parse_host_port(options_.listen);
    if (!listen) return make_error(Errc::bad_input, "listen address " + options_.listen + ": expected HOST:PORT");
    host_ = listen->host;
    const Status free = try_bind(host_, listen->port);
    if (!free) return make_error(free.error().code, free.error().message + ": choose another with --listen HOST:PORT");
    if (!is_loopback(host_) && options_.token.empty() && options_.user.empty()) {
      log_(LogLevel::warn, "embedded NATS: anybody who can reach " + options_.listen +
                               " can read and write the data: set nats.token, or nats.user and nats.password");
    }
    return start_on(listen->port);
  }
  const uint16_t kept = port_;
  std::vector<uint16_t> ports;
  if (kept != 0) ports.push_back(kept);
  for (uint16_t port = kFirstPort; port <= kLastPort; ++port) ports.push_back(port);
  for (const uint16_t port : ports) {
    if (!try_bind(host_, port)) continue;
    const Status started = start_on(port);
    if (!started) {
      // Somebody may have taken it in between: that is why it ended.
      if (!try_bind(host_, port)) continue;
      return started;
    }
    if (kept != 0 && port != kept) {
      log_(LogLevel::warn, "embedded NATS: port " + std::to_string(kept) + " is taken by another program, listening on " +
                               std::to_string(port) + " from now on: agents that joined at the old one must be told");
    }
    return ok();
  }
  return make_error(Errc::refused, "no free port between " + std::to_string(kFirstPort) + " and " +
                                       std::to_string(kLastPort) + ": choose one with --listen HOST:PORT");
}

Status NatsServer::start_on(uint16_t port) {
  port_ = port;
  TRY(write_config());
  TRY(spawn());
  TRY(wait_ready());
  return write_file(file("server.json"), nlohmann::json{{"port", port_}, {"name", name_}}.dump() + "\n");
}

Status NatsServer::write_config() const {
  std::ostringstream out;
  out << "# Written by marmot at every start: changes here are lost.\n"
      << "server_name: " << in_quotes(name_) << "\n"
      << "listen: " << in_quotes(address()) << "\n"
      << "max_payload: 8MB\n"
      << "log_file: " << in_quotes(file("server.log")) << "\n"
      << "logtime: true\n"
      << "jetstream {\n"
      << "  store_dir: " << in_quotes(directory_) << "\n"
      << "  max_memory_store: 64MB\n"
      << "  max_file_store: " << store_limit(directory_) << "\n"
      << "}\n";
  if (!options_.token.empty()) {
    out << "authorization {\n  token: " << in_quotes(options_.token) << "\n}\n";
  } else if (!options_.user.empty()) {
    out << "authorization {\n  user: " << in_quotes(options_.user) << "\n  password: " << in_quotes(options_.password)
        << "\n}\n";
  }
  return write_file(file("server.conf"), out.str());
}

Status NatsServer::spawn() {
  uv::ProcessOptions options;
  options.file = program_;
  options.args = {"-c", file("server.conf")};
  options.output = file("server.log");
  options.death_signal = SIGTERM;
  TRY_ASSIGN(process_, uv::Process::spawn(loop_, options, [this](const uv::ProcessEnd& end) { on_ended(end); }));
  started_ = Clock::now();
  const Status noted = write_file(file("server.pid"), std::to_string(process_->pid()) + "\n");
  if (!noted) log_(LogLevel::warn, "embedded NATS: " + noted.error().message);  // a full disk: it runs all the same
  return ok();
}

Status NatsServer::wait_ready() {
  const auto deadline = Clock::now() + options_.ready_within;
  for (;;) {
    if (answers()) return ok();
    uv::ProcessEnd end;
    if (process_->poll_ended(end)) {
      return make_error(Errc::io, "nats-server ended at once (" + end.text() + "): " + last_log_line());
    }
    if (Clock::now() > deadline) {
      process_.reset();
      return make_error(Errc::timeout, "nats-server was not ready within " + std::to_string(options_.ready_within.count()) +
                                           " ms; its log is " + file("server.log"));
    }
    std::this_thread::sleep_for(kPollEvery);
  }
}

// The first line a NATS server sends tells its name and whether it has JetStream: another program that holds the port, or
// another server, is not taken for ours.
bool NatsServer::answers() const {
  const auto host = host_ == "0.0.0.0" ? "127.0.0.1" : host_ == "::" ? "::1" : host_;
  const auto address = resolve(host, port_);
  if (!address) return false;
  const int fd = ::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const timeval patience{.tv_sec = 0, .tv_usec = 200'000};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);  // of connect() too
  std::string info;
  if (::connect(fd, address->get(), address->size) == 0) {
    char bytes[4096];
    ssize_t got = 0;
    while (info.find('\n') == std::string::npos && info.size() < 65536 && (got = ::recv(fd, bytes, sizeof bytes, 0)) > 0) {
      info.append(bytes, static_cast<size_t>(got));
    }
  }
  ::close(fd);
  if (info.rfind("INFO ", 0) != 0) return false;
  const auto json = nlohmann::json::parse(info.substr(5, info.find('\n') - 5), nullptr, false);
  return json.is_object() && json.value("server_name", nlohmann::json()) == name_ &&
         json.value("jetstream", nlohmann::json()) == true;
}

void NatsServer::on_ended(const uv::ProcessEnd& end) {
  kill_timer_.stop();
  if (stopping_) {
    ::unlink(file("server.pid").c_str());
    if (const auto stopped = std::exchange(stopped_, nullptr)) stopped();
    return;
  }
  if (Clock::now() - started_ > kHealthy) pause_ = kFirstPause;
  log_(LogLevel::error, "embedded NATS: nats-server ended (" + end.text() + "), restarting in " +
                            std::to_string(pause_.count()) + " ms; the last line of its log: " + last_log_line());
  restart_timer_.start(pause_);
  pause_ = std::min(pause_ * 2, kLongestPause);
}

void NatsServer::restart() {
  if (stopping_) return;
  ++restarts_;
  const Status written = write_config();
  if (!written) log_(LogLevel::warn, "embedded NATS: restarting with the configuration before: " + written.error().message);
  const Status started = spawn();
  if (started) {
    log_(LogLevel::info, "embedded NATS: nats-server runs again (pid " + std::to_string(pid()) + ")");
    return;
  }
  log_(LogLevel::error, "embedded NATS: restart: " + started.error().message);
  restart_timer_.start(pause_);
  pause_ = std::min(pause_ * 2, kLongestPause);
}

void NatsServer::stop(std::function<void()> stopped) {
  stopping_ = true;
  restart_timer_.stop();
  if (pid() == 0) {
    if (stopped) stopped();
    return;
  }
  stopped_ = std::move(stopped);
  process_->signal(SIGTERM);
  kill_timer_.start(kTermPatience);
}

std::string NatsServer::url() const {
  const std::string host = host_ == "0.0.0.0" ? "127.0.0.1" : host_ == "::" ? "::1" : host_;
  return "nats://" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port_);
}

std::string NatsServer::address() const {
  return (host_.find(':') == std::string::npos ? host_ : "[" + host_ + "]") + ":" + std::to_string(port_);
}

std::string NatsServer::last_log_line() const {
  std::ifstream in(file("server.log"), std::ios::binary);
  constexpr std::streamoff kTail = 4096;
  in.seekg(0, std::ios::end);
  in.seekg(std::max<std::streamoff>(0, static_cast<std::streamoff>(in.tellg()) - kTail));
  std::string last;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) last = line;
  }
  return last.empty() ? "(empty)" : last;
}

}  // namespace marmot::agent
