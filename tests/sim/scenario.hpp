// Named scenarios: a script, and the full trace that it must give (tests/scenarios). A command a line:
//
//   node N             a machine with an empty file; its agent starts, and may found the stream when N is 1
//   sql N TEXT         the application of N says so
//   run MS             time goes by
//   settle             until nothing is left to do
//   kill N | power N   its agent, or the machine, ends; the agent comes back by itself
//   stop N | start N   its agent stays away
//   tail K | delete    the stream loses its last K messages; is deleted
//   trim K             retention leaves it its last K
//   snapshot           some node takes one, soon
//   query N TEXT       rows into the trace
//
// Lines that begin with # are comments; `---` ends the script, the trace follows.
#pragma once

#include <string>

namespace marmot::sim {

// 0: every script gives its trace. `rewrite`: the trace becomes what it gives now.
int run_scenario(const std::string& path, bool rewrite);

}  // namespace marmot::sim
