#include "common/node/former_ids.hpp"

#include <algorithm>

#include "common/core/key.hpp"
#include "common/core/siphash.hpp"

namespace marmot::node {

std::vector<NodeId> ids_of_path(std::vector<NodeId> known, NodeId before, NodeId now, bool given_up) {
  if (given_up || std::find(known.begin(), known.end(), before) == known.end()) known.clear();
  std::erase(known, now);
  known.push_back(now);
  if (known.size() > kMostIds) known.erase(known.begin(), known.end() - kMostIds);
  return known;
}

std::vector<NodeId> lives_of_path(std::vector<NodeId> known, const Origin& now, bool given_up) {
  const NodeId life = life_of(now);
  if (given_up && !known.empty()) known.erase(known.begin(), known.end() - 1);
  if (known.empty() || known.back() != life) known.push_back(life);
  if (known.size() > kMostLives) known.erase(known.begin(), known.end() - kMostLives);
  return known;
}

uint64_t place_number(std::string_view place) { return siphash(HashKey{}, 0, place); }

}  // namespace marmot::node
