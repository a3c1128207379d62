#include "agent/daemon/agent.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "agent/control/control.hpp"
#include "agent/control/database_commands.hpp"
#include "agent/control/lock.hpp"
#include "agent/daemon/join_line.hpp"
#include "agent/daemon/nats_server.hpp"
#include "agent/daemon/schema_hook.hpp"
#include "agent/daemon/start_traces.hpp"
#include "agent/database/open_database.hpp"
#include "agent/loop/clock.hpp"
#include "agent/loop/uv.hpp"
#include "agent/nats/transport.hpp"
#include "agent/replication/replicator.hpp"
#include "agent/report/plain_ids.hpp"
#include "agent/report/progress.hpp"
#include "common/base/long_work.hpp"

namespace marmot::agent {

namespace {

constexpr size_t kMailbox = 4096;
constexpr int64_t kStopMs = 3000;       // of the 5 s that a stop may take; the rest closes files and the server
constexpr int64_t kPostMs = 10'000;     // a nats.c thread waits so long for a loop that lags
constexpr int64_t kOneSignalMs = 1000;  // signals within it are one

// Everything of a running agent. Members die in reverse order: what calls into others is declared after them.
class Agent {
 public:
  explicit Agent(const Config& config)
      : config_(config),
        traces_(config),
        log_(make_log_sink(config.log_level, config.log_format)),
        mailbox_(loop_, kMailbox),
        progress_timer_(loop_, [this] { show_progress(); }),
        stop_timer_(loop_, [this] { stopped(); }),
        reopen_timer_(loop_, [this] { reopen(); }),
        schema_hook_(loop_, {config.on_schema_change, config.data_dir + "/hook.err"}, log_),
        interrupt_(loop_, SIGINT, [this] { on_signal("SIGINT"); }),
        terminate_(loop_, SIGTERM, [this] { on_signal("SIGTERM"); }) {}

  ~Agent() {
    control_.reset();
    replicators_.clear();  // before the connection that they publish and subscribe on
    schema_hook_.stop();
    connection_.reset();
    server_.reset();       // last: the others may still have been sending to it
    if (exit_code_ == 0 || introduced_) return;
    // No file was opened: the start failed before it changed anything that is worth keeping.
    std::vector<std::string> held;
    for (const AgentLock& lock : locks_) held.push_back(lock.directory());
    traces_.take_away(held);
  }

  int run() {
    const Status started = start();
    if (!started) {
      fail(started.error());
      return exit_code_;
    }
    loop_.run();
    return exit_code_;
  }

 private:
  Status start() {
    for (const DatabaseConfig& database : config_.databases) TRY(check_database_file(database.path));
    std::error_code code;
    std::filesystem::create_directories(config_.data_dir, code);
    if (code) return make_error(Errc::io, "data_dir " + config_.data_dir + ": " + code.message() + ": choose another with --data-dir");
    std::vector<std::string> paths;
    for (const DatabaseConfig& database : config_.databases) paths.push_back(database.path);
    TRY(acquire_locks(paths, config_.data_dir, config_.socket_path(), locks_));
    TRY_ASSIGN(control_, ControlServer::listen(loop_, config_.data_dir));
    serve();
    if (config_.nats.embedded()) TRY(start_server());  // before a file is opened: a port that is taken must not change one
    ready_.resize(config_.databases.size());
    replicators_.resize(config_.databases.size());
    for (size_t i = 0; i < replicators_.size(); ++i) replicators_[i] = make_replicator(i);
    progress_timer_.start(uv::Milliseconds(300), uv::Milliseconds(200));
    return connect();
  }

  std::unique_ptr<Replicator> make_replicator(size_t index) {
    Replicator::Events events;
    events.opened = [this](NodeId node) { on_opened(node); };
    events.ready = [this, index](const ReadyFacts& facts) { on_ready(index, facts); };
    events.failed = [this](const Error& error) {
      fail(error);
      stop();
    };
    events.reopen = [this, index] {
      reopen_.push_back(index);
      reopen_timer_.start(uv::Milliseconds(0));  // not from within the object that goes
    };
    events.schema_changed = [this, index](const std::set<std::string>& names) {
      schema_hook_.changed(config_.databases[index].name, config_.databases[index].path, names);
    };
    return std::make_unique<Replicator>(loop_, mailbox_.sender(), config_, config_.databases[index], log_, std::move(events));
  }

  // The file is another one now: nothing that is known of the old one holds.
  void reopen() {
    for (const size_t index : std::exchange(reopen_, {})) {
      if (stopping_) return;
      replicators_[index].reset();
      replicators_[index] = make_replicator(index);
      if (connection_ && connection_->connected()) replicators_[index]->on_up(*connection_);
    }
  }

  Status start_server() {
    NatsServerOptions server;
    server.data_dir = config_.data_dir;
    server.listen = config_.nats.listen;
    server.user = config_.nats.user;
    server.password = config_.nats.password;
    server.token = config_.nats.token;
    TRY_ASSIGN(server_, NatsServer::start(loop_, server, log_));
    return ok();
  }

  Status connect() {
    nats::Options options;
    options.urls = config_.nats.urls;
    options.user = config_.nats.user;
    options.password = config_.nats.password;
    options.token = config_.nats.token;
    options.nkey_seed = config_.nats.nkey_seed;
    options.credentials = config_.nats.credentials;
    options.tls_ca = config_.nats.tls_ca;
    options.tls_cert = config_.nats.tls_cert;
    options.tls_key = config_.nats.tls_key;
    options.name = "marmot " + config_.databases.front().name;
    if (server_) options.urls = {server_->url()};
    nats::ConnectionEvents events;
    events.on_up = [this](const std::string& url) {
      log_(LogLevel::info, "connected to " + url);
      for (const auto& replicator : replicators_) replicator->on_up(*connection_);
    };
    events.on_down = [this](const std::string& reason) {
      log_(LogLevel::warn, "NATS is away: " + reason + ": trying on; changes are kept in the files meanwhile");
      for (const auto& replicator : replicators_) replicator->on_down(reason);
    };
    events.on_error = [this](const Error& error) { log_(LogLevel::error, "NATS: " + error.message); };
    const auto post = [sender = mailbox_.sender()](std::function<void()> work) {
      return bool(sender.post(std::move(work), uv::Milliseconds(kPostMs)));  // a loop that stopped drops it
    };
    TRY_ASSIGN(connection_, nats::Connection::connect(options, post, std::move(events)));
    return ok();
  }

  // -- what stdout says -----------------------------------------------------------------------------------------------

  static void say(const std::string& line) {
    std::puts(line.c_str());
    std::fflush(stdout);
  }

  void on_opened(NodeId node) {
    if (!std::exchange(introduced_, true)) say("marmot " MARMOT_VERSION ", node " + std::to_string(node.value));
  }

  // All databases at once: whoever waits for "ready" finds every one of them so.
  void on_ready(size_t index, const ReadyFacts& facts) {
    if (std::exchange(ready_[index], facts)) return;  // again, after the file was replaced
    for (const auto& ready : ready_) {
      if (!ready) return;
    }
    bar_.clear();
    for (size_t i = 0; i < ready_.size(); ++i) {
      const std::string file = std::filesystem::path(replicators_[i]->path()).filename().string();
      const std::vector<std::string>& tables = ready_[i]->watched;
      std::string line = file + ": watching " + std::to_string(tables.size()) + (tables.size() == 1 ? " table" : " tables");
      for (size_t t = 0; t < tables.size(); ++t) line += (t == 0 ? ": " : ", ") + tables[t];
      say(line);
      if (!ready_[i]->to_know.empty()) say(file + ": " + ready_[i]->to_know + " (`marmot check " + file + "`)");
      for (const std::string& plain : plain_ids_lines(file, ready_[i]->plain_ids)) say(file + ": " + plain);
      say(file + ": ready");
    }
    for (const auto& replicator : replicators_) {
      for (const std::string& line : join_lines(join_facts(*replicator))) say(line);
    }
  }

  JoinFacts join_facts(const Replicator& replicator) const {
    JoinFacts facts;
    facts.via = server_ ? JoinFacts::Via::own : config_.nats.join ? JoinFacts::Via::agent : JoinFacts::Via::nats;
    if (server_) facts.address = server_->address();
    else facts.address = config_.nats.join ? plain(config_.nats.urls.front()) : config_.nats.urls.front();
    facts.file = std::filesystem::path(replicator.path()).filename().string();
    facts.name = replicator.name();
    facts.cluster = config_.cluster;
    facts.machine = addresses_of_machine();
    return facts;
  }

  static std::string plain(const std::string& url) {
    const size_t at = url.find("://");
    return at == std::string::npos ? url : url.substr(at + 3);
  }

  void show_progress() {
    for (const auto& replicator : replicators_) {
      const LongWork work = replicator->work();
      if (work.what.empty()) continue;
      return bar_.update(work.what, static_cast<int64_t>(work.done), static_cast<int64_t>(work.total));
    }
    bar_.clear();
  }

  // -- the control socket ---------------------------------------------------------------------------------------------

  void serve() {
    commands_.serve(*control_);
    control_->handle("stop", [this](const Json&, const Reply& reply) {
      reply.finish(Json::object());
      stop();
    });
  }

  std::vector<Replicator*> databases() const {
    std::vector<Replicator*> all;
    for (const auto& replicator : replicators_) all.push_back(replicator.get());
    return all;
  }

  AgentStatus status() const {
    const bool connected = connection_ && connection_->connected();
    AgentStatus status;
    status.pid = ::getpid();
    status.version = MARMOT_VERSION;
    status.cluster = config_.cluster;
    status.uptime_ms = monotonic_ms() - started_ms_;
    if (connected) status.nats.url = connection_->url();
    status.nats.connected = connected;
    status.nats.embedded = config_.nats.embedded();
    if (connection_ && !connected) status.nats.last_error = connection_->down_reason();
    return status;
  }

  // -- the end ----------------------------------------------------------------------------------------------------------

  // The place that gives up is the place that logs. One entry a line of the message.
  void fail(const Error& error) {
    exit_code_ = 1;
    bar_.clear();
    for (size_t at = 0; at <= error.message.size();) {
      const size_t end = std::min(error.message.find('\n', at), error.message.size());
      log_(LogLevel::error, error.message.substr(at, end - at));
      at = end + 1;
    }
  }

  void on_signal(const char* signal) {
    const int64_t now = monotonic_ms();
    // A service manager and a terminal may both send it, and a script once more: that is one wish.
    if (signalled_ms_ != 0 && now - signalled_ms_ < kOneSignalMs) return;
    if (stopping_) {
      log_(LogLevel::warn, std::string(signal) + " while stopping: stopping at once");
      return stopped();
    }
    signalled_ms_ = now;
    log_(LogLevel::info, std::string(signal) + ": stopping");
    stop();
  }

  void stop() {
    if (std::exchange(stopping_, true)) return;
    stop_timer_.start(uv::Milliseconds(exit_code_ == 0 ? kStopMs + 200 : 500));
    running_ = replicators_.size();
    for (const auto& replicator : replicators_) {
      replicator->stop(kStopMs, [this] {
        if (--running_ == 0) stop_timer_.start(uv::Milliseconds(0));
      });
    }
  }

  void stopped() {
    stop_timer_.stop();
    loop_.stop();
  }

  const Config& config_;
  const StartTraces traces_;
  const LogSink log_;
  uv::Loop loop_;
  uv::Mailbox mailbox_;
  uv::Timer progress_timer_, stop_timer_, reopen_timer_;
  SchemaHook schema_hook_;
  uv::Signal interrupt_, terminate_;
  std::vector<AgentLock> locks_;
  Progress bar_;
  DatabaseCommands commands_{{[this] { return databases(); }, [this] { return status(); }}};
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<NatsServer> server_;
  std::unique_ptr<nats::Connection> connection_;
  std::vector<std::unique_ptr<Replicator>> replicators_;
  std::vector<std::optional<ReadyFacts>> ready_;  // of each; nullopt: not ready yet
  const int64_t started_ms_ = monotonic_ms();
  std::vector<size_t> reopen_;
  bool introduced_ = false;   // a file was opened
  int64_t signalled_ms_ = 0;  // when the first signal came; 0: none
  bool stopping_ = false;
  size_t running_ = 0;
  int exit_code_ = 0;
};

}  // namespace

int run_agent(const Config& config) {
  std::signal(SIGPIPE, SIG_IGN);
  Agent agent(config);
  return agent.run();
}

}  // namespace marmot::agent
