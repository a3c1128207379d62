#include <nlohmann/json.hpp>
#include <utility>

#include "agent/control/control.hpp"
#include "agent/loop/pipe.hpp"

namespace marmot::agent {

namespace {

constexpr std::pair<Errc, std::string_view> kNames[] = {
    {Errc::bad_input, "bad_input"}, {Errc::not_found, "not_found"},   {Errc::busy, "busy"},
    {Errc::full, "full"},           {Errc::io, "io"},                 {Errc::corrupt, "corrupt"},
    {Errc::unreadable, "unreadable"},
    {Errc::newer_format, "newer_format"}, {Errc::constraint, "constraint"}, {Errc::schema, "schema"},
    {Errc::unavailable, "unavailable"},   {Errc::timeout, "timeout"},       {Errc::stale, "stale"},
    {Errc::refused, "refused"},
    {Errc::internal, "internal"}};

// Table names and keys may hold invalid UTF-8: it is replaced, never an exception.
std::string line_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json failure(const Error& error) {
  return {{"ok", false}, {"error", error.message}, {"code", std::string(errc_name(error.code))}};
}

}  // namespace

std::string_view errc_name(Errc code) {
  for (const auto& [known, name] : kNames) {
    if (known == code) return name;
  }
  return "internal";
}

Errc errc_of(std::string_view name) {
  for (const auto& [known, text] : kNames) {
    if (text == name) return known;
  }
  return Errc::internal;
}

// A client. The server owns it by its number; replies know it weakly.
struct Reply::Session {
  std::unique_ptr<uv::PipeConnection> connection;
  std::weak_ptr<Reply::State> current;
};

struct Reply::State {
  std::weak_ptr<Session> session;
  bool finished = false;
  std::function<void()> gone_callback;

  ~State() {
    if (!finished) send(failure(make_error(Errc::internal, "the agent dropped the request")));
  }
  bool send(const Json& line) const {
    const auto client = session.lock();
    return client && !finished && client->connection->write_line(line_of(line));
  }
  void finish(const Json& line) {
    send(line);
    finished = true;
    gone_callback = nullptr;
  }
};

void Reply::finish(Json fields) const {
  fields["ok"] = true;
  state_->finish(fields);
}

void Reply::fail(const Error& error) const { state_->finish(failure(error)); }

bool Reply::progress(std::string_view what, int64_t done, int64_t total) const {
  return state_->send({{"progress", {{"what", std::string(what)}, {"done", done}, {"total", total}}}});
}

bool Reply::event(Json fields) const { return state_->send({{"event", std::move(fields)}}); }

bool Reply::gone() const { return state_->session.expired(); }

void Reply::on_gone(std::function<void()> callback) const {
  if (!state_->finished) state_->gone_callback = std::move(callback);
}

struct ControlServer::Impl {
  std::unique_ptr<uv::PipeServer> server;
  std::map<std::string, Handler> handlers;
  std::map<uint64_t, std::shared_ptr<Reply::Session>> sessions;
  uint64_t next = 1;

  void accept(std::unique_ptr<uv::PipeConnection> connection, const std::weak_ptr<Impl>& self) {
    const uint64_t id = next++;
    auto session = std::make_shared<Reply::Session>();
    session->connection = std::move(connection);
    sessions[id] = session;
    session->connection->start({
        .line = [self, id](std::string_view line) {
          if (const auto impl = self.lock()) impl->take(id, line);
        },
        .closed = [self, id](std::string_view) {
          if (const auto impl = self.lock()) impl->drop(id);
        }});
  }

  void drop(uint64_t id) {
    const auto it = sessions.find(id);
    if (it == sessions.end()) return;
    const auto session = std::move(it->second);
    sessions.erase(it);
    const auto reply = session->current.lock();
    if (!reply || reply->finished) return;
    reply->session.reset();
    if (const auto callback = std::exchange(reply->gone_callback, nullptr)) callback();
  }

  void take(uint64_t id, std::string_view line) {
    const auto session = sessions.at(id);
    const auto refuse = [&](Errc code, std::string text) {
      session->connection->write_line(line_of(failure(make_error(code, std::move(text)))));
    };
    const Json request = Json::parse(line, nullptr, false);
    if (!request.is_object() || !request.contains("cmd") || !request["cmd"].is_string()) {
      return refuse(Errc::bad_input, "expected one JSON object a line, with a string \"cmd\"");
    }
    const auto command = request["cmd"].get<std::string>();
    const auto handler = handlers.find(command);
    if (handler == handlers.end()) return refuse(Errc::bad_input, "unknown command \"" + command + "\"");
    if (const auto before = session->current.lock(); before && !before->finished) {
      return refuse(Errc::busy, "the request before this one is not answered yet");
    }
    const auto state = std::make_shared<Reply::State>();
    state->session = session;
    session->current = state;
    const Reply reply(state);
    try {
      handler->second(request, reply);
    } catch (const Json::exception& error) {
      reply.fail(make_error(Errc::bad_input, command + ": " + error.what()));
    }
  }
};

ControlServer::ControlServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

ControlServer::~ControlServer() {
  impl_->server.reset();
  for (const auto& [id, session] : impl_->sessions) {
    // A callback may hold the reply that holds it.
    if (const auto reply = session->current.lock()) reply->gone_callback = nullptr;
  }
  impl_->sessions.clear();
}

Result<std::unique_ptr<ControlServer>> ControlServer::listen(uv::Loop& loop, const std::string& directory) {
  auto impl = std::make_shared<Impl>();
  const std::weak_ptr<Impl> self = impl;
  TRY_ASSIGN(impl->server, uv::PipeServer::listen(loop, directory, "control.sock",
                                                  [self](std::unique_ptr<uv::PipeConnection> connection) {
                                                    if (const auto i = self.lock()) i->accept(std::move(connection), self);
                                                  }));
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

void ControlServer::handle(const std::string& command, Handler handler) {
  impl_->handlers[command] = std::move(handler);
}

}  // namespace marmot::agent
