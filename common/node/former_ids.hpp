// Which node ids the file at one path had. data_dir remembers them, and stays where it is when an old copy of the file is put back in
// the file's place, which gets another node id then: what the ids before it gave versions to is this file's own former life
// (docs/decisions/0021-what-a-former-life-left.md). Of a copy that came from elsewhere it is not: whose id that has may be alive. And which lives agents
// had on it: where another one has the id now, these are its former lives all the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/base/ids.hpp"

namespace marmot::node {

constexpr size_t kMostIds = 16;  // the newest

// `known`: what data_dir remembers, the oldest first. `before`: the id that the file has, 0 where it has none. `now`: the one that it has
// from now on. `given_up`: another agent that is alive has the id before. What data_dir remembers from now on: `now` is the last.
std::vector<NodeId> ids_of_path(std::vector<NodeId> known, NodeId before, NodeId now, bool given_up);

constexpr size_t kMostLives = 32;  // likewise

// Which lives (life_of in common/core/key.hpp) agents had on the file at that path: `now` is the one that begins. A file that names one of them is an old
// copy of this path's. `given_up`: the agent before this one gave its node id up to a twin, the machine may be a clone of, and then the lives before the
// last may be that twin's, which is alive.
std::vector<NodeId> lives_of_path(std::vector<NodeId> known, const Origin& now, bool given_up);

// For a place that is remembered: where data_dir was copied together with its file, what it remembers is the original's.
uint64_t place_number(std::string_view place);

}  // namespace marmot::node
