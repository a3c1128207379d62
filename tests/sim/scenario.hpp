// Named scenarios (tests/scenarios): a script, a command a line, and the full trace that it must give. Lines that begin with #
// are comments, `---` ends the script, the trace follows. scenario_help() lists the commands.
//
// Whatever an application does by `sql` is known to the ledger, and `settle` checks every promise as a run of a seed does in
// its end: a scenario fails by what it did wrong, not only by another trace. So that rows can be told, tables have a key or a column
// `tag`, a number that is never changed. Those whose schema changes are named m0, m1, ... and are written to as ddl.hpp says: a key `id`, and in `w`
// a number of each write's own, 32 * n + id.
#pragma once

#include <string>
#include <vector>

namespace marmot::sim {

// 0: the script keeps all promises and gives its trace. `rewrite`: the trace becomes what it gives now.
int run_scenario(const std::string& path, bool rewrite);

// The commands, one a line.
std::string scenario_help();

// The files, and those in the directories.
std::vector<std::string> find_scenarios(const std::vector<std::string>& paths);

}  // namespace marmot::sim
