// Internal: the stream calls of Connection.
#pragma once

#include "agent/nats/core.hpp"
#include "agent/nats/transport.hpp"

namespace marmot::agent::nats {

void ensure_stream(const std::shared_ptr<Core>& core, const StreamConfig& config, Connection::StateReply done);
void stream_state(const std::shared_ptr<Core>& core, std::string_view stream, Connection::StateReply done);
void get_message(const std::shared_ptr<Core>& core, std::string_view stream, uint64_t seq,
                 std::function<void(Result<StoredMessage>)> done);
void drop_before(const std::shared_ptr<Core>& core, std::string_view stream, uint64_t seq, std::function<void(Status)> done);

}  // namespace marmot::agent::nats
