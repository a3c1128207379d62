// The agent itself: one loop, one database thread a file, one NATS connection.
#pragma once

#include "agent/config/config.hpp"

namespace marmot::agent {

// Runs until SIGTERM or SIGINT and returns the process's exit code: 0 stopped as asked, 1 failed (the reason is logged to
// stderr). Takes the locks, makes the loop on the calling thread (main), prints the ready lines on stdout, and stops what it
// started before it returns.
int run_agent(const Config& config);

}  // namespace marmot::agent
