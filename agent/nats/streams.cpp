#include "agent/nats/streams.hpp"

#include <algorithm>

#include "agent/nats/api.hpp"

namespace marmot::agent::nats {
namespace {

using api::Json;

constexpr int kSubjectsOverlap = 10065;  // subjects overlap with an existing stream
constexpr int kNoStorage = 10047;  // insufficient storage resources available
constexpr int64_t kNsPerMs = 1'000'000;

StreamState state_of(const Json& info) {
  const Json& state = api::object(info, "state");
  StreamState out;
  out.first_seq = api::number(state, "first_seq");
  out.last_seq = api::number(state, "last_seq");
  out.messages = api::number(state, "messages");
  out.bytes = api::number(state, "bytes");
  out.created = api::text(info, "created");
  out.created_ms = api::parse_time(out.created);
  return out;
}

// What of `config` the server shall hold, by its names for it. Also what is compared.
Json wanted(const StreamConfig& config) {
  // The server refuses a window longer than the age.
  const int64_t window = config.max_age_ms > 0 ? std::min(config.duplicate_window_ms, config.max_age_ms) : config.duplicate_window_ms;
  return Json{
      {"subjects", Json::array({config.subject})},
      {"storage", "file"},
      {"retention", "limits"},
      {"discard", "old"},
      {"num_replicas", config.replicas},
      {"max_age", config.max_age_ms * kNsPerMs},
      {"max_bytes", config.max_bytes > 0 ? config.max_bytes : -1},
      {"max_msgs", -1},
      {"max_msgs_per_subject", -1},
      {"max_msg_size", -1},
      {"duplicate_window", window * kNsPerMs},
      {"no_ack", false},
      {"sealed", false},
  };
}

std::string duration_text(int64_t ns) {
  if (ns <= 0) return "unlimited";
  const int64_t ms = ns / kNsPerMs;
  const std::pair<int64_t, const char*> units[] = {{3'600'000, "h"}, {60'000, "m"}, {1'000, "s"}};
  for (const auto& [size, unit] : units) {
    if (ms % size == 0) return std::to_string(ms / size) + unit;
  }
  return std::to_string(ms) + "ms";
}

std::string show(const std::string& key, const Json& value) {
  if (value.is_null()) return "not set";
  if (!value.is_number_integer()) return value.is_string() ? value.get<std::string>() : value.dump();
  const int64_t number = value.get<int64_t>();
  if (key == "max_age" || key == "duplicate_window") return duration_text(number);
  if (number < 0) return "unlimited";
  return std::to_string(number);
}

// The server leaves out what is at its zero value, and writes -1 or 0 for "no limit".
bool same(const std::string& key, const Json& present, const Json& want) {
  if (present.is_null()) return want == Json(0) || want == Json(false) || (want.is_number() && want.get<int64_t>() < 0);
  if (key.rfind("max_", 0) == 0 && present.is_number_integer() && want.is_number_integer()) {
    return std::max<int64_t>(present.get<int64_t>(), 0) == std::max<int64_t>(want.get<int64_t>(), 0);
  }
  return present == want;
}

std::vector<std::string> compare(const Json& present, const Json& want) {
  std::vector<std::string> lines;
  for (const auto& [key, value] : want.items()) {
    const auto at = present.find(key);
    const Json found = at == present.end() ? Json() : *at;
    if (!same(key, found, value)) lines.push_back(key + " is " + show(key, found) + ", configured " + show(key, value));
  }
  return lines;
}

// The configuration that is there, with ours over it: what later servers added stays.
Json merged(Json present, const Json& want) {
  present.update(want);
  return present;
}

class Ensure : public std::enable_shared_from_this<Ensure> {
 public:
  Ensure(const std::shared_ptr<Core>& core, const StreamConfig& config, Connection::StateReply done)
      : core_(core), config_(config), done_(std::move(done)) {}

  void look() {
    const auto core = core_.lock();
    if (!core) return;
    api::read(*core, "STREAM.INFO." + config_.name, Json(), [self = shared_from_this()](Result<Json> info) {
      if (info) return self->present(*info);
      if (info.error().code != Errc::not_found) return self->fail(std::move(info).error(), "ask for stream");
      if (!self->config_.may_create) {
        return self->fail(make_error(Errc::not_found, "there is no such stream, and this agent does not create one",
                                     api::kStreamNotFound), "stream");
      }
      self->create();
    });
  }

 private:
  void ask(const std::string& verb, const Json& request, void (*then)(Ensure&, Result<Json>)) {
    const auto core = core_.lock();
    if (!core) return;
    api::call(*core, verb, request, [self = shared_from_this(), then](Result<Json> reply) { then(*self, std::move(reply)); });
  }

  void create() {
    Json request = wanted(config_);
    request["name"] = config_.name;
    if (unlimited_) request["max_bytes"] = -1;
    ask("STREAM.CREATE." + config_.name, request, [](Ensure& self, Result<Json> info) {
      if (info) {
        StreamState state = state_of(*info);
        state.was_created = true;
        if (self.unlimited_) {
          state.differences.push_back("max_bytes is unlimited, configured " + std::to_string(self.config_.max_bytes) +
                                      ": the server has no room for that much");
        }
        return self.done_(std::move(state));
      }
      // Limits are reserved when a stream is made. A small server is no reason to replicate nothing.
      if (info.error().detail == kNoStorage && self.config_.max_bytes > 0 && !self.unlimited_) {
        self.unlimited_ = true;
        return self.create();
      }
      // Another agent was faster, with other settings: look at what it made. The server may have noticed only by the subject.
      const int why = info.error().detail;
      if ((why == api::kStreamNameInUse || why == kSubjectsOverlap) && !self.looked_again_) {
        self.looked_again_ = true;
        return self.look();
      }
      self.fail(std::move(info).error(), "create stream");
    });
  }

  void present(const Json& info) {
    const Json& config = api::object(info, "config");
    StreamState state = state_of(info);
    state.differences = compare(config, wanted(config_));
    if (state.differences.empty() || !config_.update_existing) return done_(std::move(state));
    ask("STREAM.UPDATE." + config_.name, merged(config, wanted(config_)), [](Ensure& self, Result<Json> updated) {
      if (!updated) return self.fail(std::move(updated).error(), "update stream");
      self.done_(state_of(*updated));
    });
  }

  void fail(Error error, const char* verb) {
    if (error.detail == kNoStorage) {
      error.message += ": the server's storage is given away to the max_bytes of its streams; raise max_file_store there, or"
                       " lower log.max_bytes with log.update_existing = true";
    }
    done_(std::move(error).in(std::string(verb) + " " + config_.name));
  }

  const std::weak_ptr<Core> core_;
  const StreamConfig config_;
  const Connection::StateReply done_;
  bool looked_again_ = false;
  bool unlimited_ = false;
};

// The value of one header in "NATS/1.0\r\nKey: value\r\n...".
std::string header_value(std::string_view block, std::string_view key) {
  size_t at = block.find("\r\n");
  while (at != std::string_view::npos) {
    block.remove_prefix(at + 2);
    at = block.find("\r\n");
    const std::string_view line = block.substr(0, at);
    if (line.size() <= key.size() || line.substr(0, key.size()) != key || line[key.size()] != ':') continue;
    const size_t start = line.find_first_not_of(' ', key.size() + 1);
    return start == std::string_view::npos ? std::string() : std::string(line.substr(start));
  }
  return {};
}

StoredMessage stored(const Json& reply) {
  const Json& message = api::object(reply, "message");
  StoredMessage out;
  out.seq = api::number(message, "seq");
  out.time_ms = api::parse_time(api::text(message, "time"));
  out.msg_id = header_value(api::decode_base64(api::text(message, "hdrs")), "Nats-Msg-Id");
  out.data = api::decode_base64(api::text(message, "data"));
  return out;
}

}  // namespace

void ensure_stream(const std::shared_ptr<Core>& core, const StreamConfig& config, Connection::StateReply done) {
  std::make_shared<Ensure>(core, config, std::move(done))->look();
}

void stream_state(const std::shared_ptr<Core>& core, std::string_view stream, Connection::StateReply done) {
  const std::string name(stream);
  api::read(*core, "STREAM.INFO." + name, Json(), [name, done = std::move(done)](Result<Json> info) {
    if (!info) return done(std::move(info).error().in("ask for stream " + name));
    done(state_of(*info));
  });
}

void get_message(const std::shared_ptr<Core>& core, std::string_view stream, uint64_t seq,
                 std::function<void(Result<StoredMessage>)> done) {
  const std::string verb = "get message " + std::to_string(seq) + " of stream " + std::string(stream);
  api::read(*core, "STREAM.MSG.GET." + std::string(stream), Json{{"seq", seq}}, [verb, done = std::move(done)](Result<Json> reply) {
    if (!reply) return done(std::move(reply).error().in(verb));
    done(stored(*reply));
  });
}

void drop_before(const std::shared_ptr<Core>& core, std::string_view stream, uint64_t seq, std::function<void(Status)> done) {
  const std::string verb = "purge what is before message " + std::to_string(seq) + " of stream " + std::string(stream);
  api::call(*core, "STREAM.PURGE." + std::string(stream), Json{{"seq", seq}}, [verb, done = std::move(done)](Result<Json> reply) {
    if (!reply) return done(std::move(reply).error().in(verb));
    done(ok());
  });
}

}  // namespace marmot::agent::nats
