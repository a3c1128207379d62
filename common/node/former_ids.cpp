#include "common/node/former_ids.hpp"

#include <algorithm>

#include "common/core/siphash.hpp"

namespace marmot::node {

std::vector<NodeId> ids_of_path(std::vector<NodeId> known, NodeId before, NodeId now, bool given_up) {
  if (given_up || std::find(known.begin(), known.end(), before) == known.end()) known.clear();
  std::erase(known, now);
  known.push_back(now);
  if (known.size() > kMostIds) known.erase(known.begin(), known.end() - kMostIds);
  return known;
}

uint64_t place_number(std::string_view place) { return siphash(HashKey{}, 0, place); }

}  // namespace marmot::node
