// Internal: owning handles of nats.c, and its one error converter. Included by .cpp files of this folder only.
#pragma once

#include <nats/nats.h>

#include <memory>
#include <string>

#include "agent/nats/transport.hpp"

namespace marmot::agent::nats {

struct Destroy {
  void operator()(natsOptions* p) const { natsOptions_Destroy(p); }
  void operator()(natsMsg* p) const { natsMsg_Destroy(p); }
  void operator()(natsConnection* p) const { natsConnection_Destroy(p); }
  void operator()(natsSubscription* p) const { natsSubscription_Destroy(p); }
};
using OptionsHandle = std::unique_ptr<natsOptions, Destroy>;
using MsgHandle = std::unique_ptr<natsMsg, Destroy>;
using ConnectionHandle = std::unique_ptr<natsConnection, Destroy>;
using SubscriptionHandle = std::unique_ptr<natsSubscription, Destroy>;

// The library's status with its text; `detail` is the natsStatus.
Error nats_error(natsStatus status);

// nats.c's options for one server, all files read. Errc::bad_input names the key. `options` must outlive them: the seed
// is read from it when the server asks for a signature.
Result<OptionsHandle> build_options(const Options& options, const std::string& url);

}  // namespace marmot::agent::nats
