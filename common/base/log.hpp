// Where the layers below the agent say things. The agent gives them a sink; the extension gives none.
#pragma once

#include <functional>
#include <string_view>

namespace marmot {

enum class LogLevel { debug, info, warn, error };

// Called on the thread that logs; must not throw.
using LogSink = std::function<void(LogLevel, std::string_view)>;

}  // namespace marmot
