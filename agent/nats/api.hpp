// Internal: the JetStream API as it is on the wire, JSON over requests to $JS.API.> (NATS ADR-1 and the server's
// jetstream_api.go). Used directly instead of nats.c's js_ calls, which block the calling thread for as long as the
// server takes; so no call here waits, none holds up another, and every one has a deadline of its own.
#pragma once

#include <nlohmann/json.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "agent/nats/core.hpp"
#include "agent/nats/transport.hpp"

namespace marmot::agent::nats::api {

using Json = nlohmann::json;

// Error numbers of the server (errors.json there) that mean something here.
inline constexpr int kStreamNotFound = 10059;
inline constexpr int kStreamNameInUse = 10058;
inline constexpr int kMessageNotFound = 10037;
inline constexpr int kWrongLastSequence = 10071;
inline constexpr int kExpectedStreamDoesNotMatch = 10060;

// The server's answer to an API call or a publish: its JSON object, or its error with its number in `detail`.
Result<Json> parse(std::string_view text);

// Calls `$JS.API.<verb>`. `done` always comes later and once, at the latest after the timeout.
void call(Core& core, std::string_view verb, const Json& request, std::function<void(Result<Json>)> done,
          int64_t timeout_ms = kApiTimeoutMs);

// A call that changes nothing, with the same promise: asked a second time where no answer comes soon, because what is sent
// while the cluster elects a leader is not answered at all.
void read(Core& core, std::string_view verb, const Json& request, std::function<void(Result<Json>)> done);

// Fields of an object; a missing one or another type gives the default.
uint64_t number(const Json& object, const char* key);
int64_t integer(const Json& object, const char* key, int64_t otherwise);
std::string text(const Json& object, const char* key);
const Json& object(const Json& parent, const char* key);

// What the server writes into the reply subject of a message that a consumer delivers. nullopt: it is none.
struct Delivery {
  uint64_t stream_seq = 0, consumer_seq = 0;
  int64_t time_ns = 0;
};
std::optional<Delivery> parse_delivery(std::string_view reply);

// "2023-01-31T12:00:00.123456789Z" in milliseconds since 1970; 0 when it is none.
WallMs parse_time(std::string_view text);
// Stops at the first character that is no base64.
std::string decode_base64(std::string_view text);
// With '-' and '_' and padding, as object stores write names and digests.
std::string encode_base64url(std::string_view bytes);

}  // namespace marmot::agent::nats::api
