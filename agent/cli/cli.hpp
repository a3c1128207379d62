// The command line: turns arguments into a call of one subcommand (commands.hpp).
#pragma once

namespace marmot::agent {

// Returns the process's exit code. Wrong usage is told on stderr and gives 2.
int run_cli(int argc, const char* const* argv);

}  // namespace marmot::agent
