// Internal: nkeys, the ed25519 keys of NATS in base32 (https://docs.nats.io, "NKeys").
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.hpp"

namespace marmot::agent::nats {

// The public key ("U...") of a user seed ("SU..."). Errc::bad_input when it is no user seed or its checksum is wrong;
// the message never holds the seed.
Result<std::string> public_nkey(std::string_view seed);

}  // namespace marmot::agent::nats
