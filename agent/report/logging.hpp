// The agent's log: one line an entry, to stderr.
#pragma once

#include <string>

#include "common/base/log.hpp"

namespace marmot::agent {

enum class LogFormat { console, json };

// A sink for everything below `level` to be dropped by. Thread-safe; copies share one stream. Entries are written at once
// (nothing is lost at a crash). Control characters in a message are escaped, so that an entry stays one line.
//   console: 2026-11-20 21:02:10.123 warn  text        (coloured on a terminal)
//   json:    {"time":"2026-11-20T21:02:10.123Z","level":"warn","message":"text"}
LogSink make_log_sink(LogLevel level, LogFormat format);

// "debug", "info", "warn", "error".
std::string to_string(LogLevel level);

}  // namespace marmot::agent
