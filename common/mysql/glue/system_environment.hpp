// The outside, as a real process sees it: the system's clock, OpenSSL's randomness, and named locks shared by all of its sessions.
#pragma once

#include "common/mysql/functions/session.hpp"

namespace marmot::mysql {

// One a process; any thread. Never destroyed.
Environment& system_environment();

}  // namespace marmot::mysql
