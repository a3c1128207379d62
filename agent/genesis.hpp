// The message that a stream begins with: it gives the stream its id, which tells it from another one under the same name.
#pragma once

#include "agent/nats/transport.hpp"
#include "common/base/result.hpp"
#include "common/replica/entry.hpp"

namespace marmot::agent {

// `message` is the first that the stream holds. nullopt: what it began with has aged out. Errc::corrupt: it is not Marmot's.
// Errc::newer_format: of a later Marmot.
Result<std::optional<replica::EntryFacts::Genesis>> read_genesis(const nats::StoredMessage& message);

}  // namespace marmot::agent
