#include "agent/nats/api.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace marmot::agent::nats::api {
namespace {

constexpr const char* kDisabledText =
    "JetStream is disabled on the NATS server: start nats-server with -js, or write `jetstream { store_dir: ... }` in its "
    "configuration (and enable it for this account)";

constexpr int64_t kFirstReadMs = 1'500;

Errc code_of(int err_code, int http) {
  switch (err_code) {
    case kStreamNotFound:
    case kMessageNotFound:
    case kExpectedStreamDoesNotMatch: return Errc::not_found;
    case kWrongLastSequence: return Errc::refused;
    case 10023:                        // insufficient resources
    case 10028:                        // memory resources exceeded
    case 10047:                        // storage resources exceeded
    case 10077: return Errc::full;     // stream store failed: maximum bytes or messages exceeded, disk full
    case 10054: return Errc::bad_input;  // message size exceeds maximum allowed
    default: break;
  }
  if (http == 404) return Errc::not_found;
  if (http >= 500) return Errc::unavailable;  // no leader yet, temporarily unavailable
  return Errc::refused;
}

Error server_error(const Json& error) {
  const int err_code = static_cast<int>(integer(error, "err_code", 0));
  const int http = static_cast<int>(integer(error, "code", 0));
  // 10039: not enabled for this account.
  if (err_code == kJetStreamDisabled || err_code == 10039) return make_error(Errc::refused, kDisabledText, kJetStreamDisabled);
  return make_error(code_of(err_code, http), text(error, "description"), err_code);
}

}  // namespace

Result<Json> parse(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return make_error(Errc::corrupt, "the NATS server's answer is no JSON object");
  if (const auto at = json.find("error"); at != json.end()) return server_error(*at);
  return json;
}

void call(Core& core, std::string_view verb, const Json& request, std::function<void(Result<Json>)> done, int64_t timeout_ms) {
  const std::string subject = "$JS.API." + std::string(verb);
  const std::string body = request.is_null() ? std::string() : request.dump();
  Outgoing message;
  message.subject = subject;
  message.data = body;
  const Status sent = core.ask(message, timeout_ms, false, [done, &core](Result<Incoming> answer) {
    if (answer) {
      const auto json = parse(answer->data);
      core.served(Core::api_call, json || json.error().code != Errc::unavailable);
      return done(json);
    }
    if (answer.error().code == Errc::timeout) core.served(Core::api_call, false);
    // A server without JetStream has nobody on $JS.API. One with it answers, even if only with an error.
    if (answer.error().detail == 503) return done(make_error(Errc::refused, kDisabledText, kJetStreamDisabled));
    done(std::move(answer).error());
  });
  if (!sent) core.after(0, [done, error = sent.error()] { done(error); });
}

void read(Core& core, std::string_view verb, const Json& request, std::function<void(Result<Json>)> done) {
  call(core, verb, request, [&core, verb = std::string(verb), request, done = std::move(done)](Result<Json> reply) {
    if (reply || reply.error().code != Errc::timeout) return done(std::move(reply));
    call(core, verb, request, done, kApiTimeoutMs - kFirstReadMs);
  }, kFirstReadMs);
}

uint64_t number(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_number_unsigned() ? at->get<uint64_t>() : 0;
}

int64_t integer(const Json& object, const char* key, int64_t otherwise) {
  const auto at = object.find(key);
  return at != object.end() && at->is_number_integer() ? at->get<int64_t>() : otherwise;
}

std::string text(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

const Json& object(const Json& parent, const char* key) {
  static const Json none = Json::object();
  const auto at = parent.find(key);
  return at != parent.end() && at->is_object() ? *at : none;
}

//   $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time ns>.<pending>                 9 tokens
//   $JS.ACK.<domain>.<account>.<stream>.<consumer>.<delivered>.<stream seq>. ... .<pending>[.<random>]      11 or more
std::optional<Delivery> parse_delivery(std::string_view reply) {
  std::array<std::string_view, 13> tokens;
  size_t count = 0;
  while (count < tokens.size()) {
    const size_t dot = reply.find('.');
    tokens[count++] = reply.substr(0, dot);
    if (dot == std::string_view::npos) break;
    reply.remove_prefix(dot + 1);
  }
  if (count < 9 || tokens[0] != "$JS" || tokens[1] != "ACK") return std::nullopt;
  const size_t at = count >= 11 ? 7 : 5;
  Delivery out;
  const auto read = [](std::string_view text, auto& value) {
    return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
  };
  if (!read(tokens[at], out.stream_seq) || !read(tokens[at + 1], out.consumer_seq) || !read(tokens[at + 2], out.time_ns)) {
    return std::nullopt;
  }
  return out;
}

WallMs parse_time(std::string_view value) {
  const std::string terminated(value.substr(0, 40));
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
  int read = 0;
  if (std::sscanf(terminated.c_str(), "%4d-%2u-%2uT%2u:%2u:%2u%n", &year, &month, &day, &hour, &minute, &second, &read) != 6) {
    return 0;
  }
  using namespace std::chrono;
  const sys_days date = std::chrono::year(year) / static_cast<int>(month) / static_cast<int>(day);
  WallMs ms = duration_cast<milliseconds>(date.time_since_epoch()).count() +
              (static_cast<WallMs>(hour) * 3600 + static_cast<WallMs>(minute) * 60 + static_cast<WallMs>(second)) * 1000;
  size_t at = static_cast<size_t>(read);
  if (at < terminated.size() && terminated[at] == '.') {
    int scale = 100;
    for (++at; at < terminated.size() && terminated[at] >= '0' && terminated[at] <= '9'; ++at, scale /= 10) {
      ms += (terminated[at] - '0') * scale;
    }
  }
  // The server writes UTC; a cluster's other members may write an offset.
  unsigned zone_hour = 0, zone_minute = 0;
  if (at < terminated.size() && (terminated[at] == '+' || terminated[at] == '-') &&
      std::sscanf(terminated.c_str() + at + 1, "%2u:%2u", &zone_hour, &zone_minute) == 2) {
    const WallMs offset = (static_cast<WallMs>(zone_hour) * 60 + static_cast<WallMs>(zone_minute)) * 60'000;
    ms += terminated[at] == '+' ? -offset : offset;
  }
  return ms;
}

std::string decode_base64(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  unsigned buffer = 0;
  int bits = 0;
  for (char c : text) {
    unsigned digit = 0;
    if (c >= 'A' && c <= 'Z') digit = static_cast<unsigned>(c - 'A');
    else if (c >= 'a' && c <= 'z') digit = static_cast<unsigned>(c - 'a') + 26;
    else if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0') + 52;
    else if (c == '+') digit = 62;
    else if (c == '/') digit = 63;
    else break;
    buffer = ((buffer << 6) | digit) & 0xffffffu;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>((buffer >> bits) & 0xffu);
    }
  }
  return out;
}

std::string encode_base64url(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t here = std::min<size_t>(3, bytes.size() - i);
    unsigned group = 0;
    for (size_t j = 0; j < 3; ++j) group = (group << 8) | (j < here ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) out += j <= here ? kDigits[(group >> (18 - 6 * j)) & 63u] : '=';
  }
  return out;
}

}  // namespace marmot::agent::nats::api
