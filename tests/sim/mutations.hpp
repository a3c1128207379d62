// Runs of one seed, with a rule broken or without; and the search that shows that every broken rule is seen.
#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/world.hpp"

namespace marmot::sim {

// `mutation`: a name, or empty. `unbroken`: only its profile.
Outcome run_seed(uint64_t seed, const std::string& mutation, bool unbroken, bool print);
bool know_mutation(const std::string& name);  // false too in a build without mutations
void break_rule(const std::string& name);     // from now on
// 0: every mutation was caught, and the unbroken build passed the same seeds.
int run_mutations();

}  // namespace marmot::sim
