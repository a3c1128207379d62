// Internal: how LogSubscription is made.
//
// An ephemeral push consumer with flow control, idle heartbeats and no acknowledgements, made through the API itself
// and checked here, message by message:
//
//   the consumer's sequence jumps, or a heartbeat tells a later one   -> messages were lost on the way: start again
//   the stream's sequence jumps while the consumer's does not         -> they are not in the stream: a gap, reported
//   nothing for kSilenceMs, not even a heartbeat                      -> the consumer or its server is gone: start again
//
// Starting again makes a new consumer at the last delivered message itself, whose time and id must be what they were;
// then the stream is asked for its creation time and end. Until both are known to be right nothing is delivered. The
// order matters: a consumer belongs to one life of a stream, so a stream that is looked at after the consumer was made,
// and is the one known, is the one this consumer reads (*tried* on 2.9.10: a stream made again takes a consumer at any sequence).
//
// Push, because a message then takes one way instead of two; nats.c's own ordered consumer is the same idea, but does
// not tell gaps, cannot know a stream made again, and answers flow control before anybody has taken the messages.
#pragma once

#include "agent/nats/core.hpp"
#include "agent/nats/transport.hpp"

namespace marmot::agent::nats {

std::unique_ptr<LogSubscription> subscribe_log(const std::shared_ptr<Core>& core, std::string_view stream, uint64_t start_seq,
                                               LogHandlers handlers);

}  // namespace marmot::agent::nats
