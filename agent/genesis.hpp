// The first message of a stream: it gives the stream its id, which tells it from another one under the same name.
#pragma once

#include "agent/nats/transport.hpp"
#include "common/base/result.hpp"
#include "common/replica/entry.hpp"

namespace marmot::agent {

// Errc::corrupt: it is something else. Errc::newer_format: of a later Marmot.
Result<replica::EntryFacts::Genesis> read_genesis(const nats::StoredMessage& message);

}  // namespace marmot::agent
