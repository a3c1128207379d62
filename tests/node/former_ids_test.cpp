#include <doctest/doctest.h>

#include "common/core/key.hpp"
#include "common/node/former_ids.hpp"

using namespace marmot;
using namespace marmot::node;

namespace {

std::vector<NodeId> ids(std::initializer_list<uint64_t> values) {
  std::vector<NodeId> out;
  for (const uint64_t value : values) out.push_back(NodeId{value});
  return out;
}

}  // namespace

TEST_CASE("former lives: of a path; of those before an agent gave its id up to a twin only the last is surely not the twin's") {
  const auto agent = [](uint64_t start) { return Origin{NodeId{7}, Incarnation{start}}; };
  const auto lives = [&](std::initializer_list<uint64_t> starts) {
    std::vector<NodeId> out;
    for (const uint64_t start : starts) out.push_back(life_of(agent(start)));
    return out;
  };
  CHECK(lives_of_path({}, agent(1), false) == lives({1}));
  CHECK(lives_of_path(lives({1}), agent(2), false) == lives({1, 2}));
  CHECK(lives_of_path(lives({1, 2}), agent(2), false) == lives({1, 2}));
  CHECK(lives_of_path(lives({1, 2}), agent(3), true) == lives({2, 3}));
  CHECK(lives_of_path({}, agent(3), true) == lives({3}));
  std::vector<NodeId> many;
  for (uint64_t life = 1; life <= 40; ++life) many = lives_of_path(many, agent(life), false);
  CHECK(many.size() == kMostLives);
  CHECK(many.back() == life_of(agent(40)));
}

TEST_CASE("former ids: of a file that is put back, and of no other's") {
  CHECK(ids_of_path({}, NodeId{0}, NodeId{1}, false) == ids({1}));                // new
  CHECK(ids_of_path(ids({1}), NodeId{1}, NodeId{1}, false) == ids({1}));          // started again
  CHECK(ids_of_path(ids({1}), NodeId{1}, NodeId{2}, false) == ids({1, 2}));       // put back: it stands elsewhere
  CHECK(ids_of_path(ids({1, 2}), NodeId{2}, NodeId{2}, false) == ids({1, 2}));
  CHECK(ids_of_path(ids({1, 2}), NodeId{1}, NodeId{3}, false) == ids({1, 2, 3}));  // the same old copy once more
  CHECK(ids_of_path(ids({1, 2}), NodeId{7}, NodeId{3}, false) == ids({3}));       // another node's file
  CHECK(ids_of_path(ids({1, 2}), NodeId{0}, NodeId{3}, false) == ids({3}));       // one that met no cluster
  CHECK(ids_of_path(ids({1}), NodeId{1}, NodeId{2}, true) == ids({2}));           // its twin is alive, and is node 1
  std::vector<NodeId> many;
  for (uint64_t id = 1; id <= 40; ++id) many = ids_of_path(many, NodeId{id - 1}, NodeId{id}, false);
  CHECK(many.size() == kMostIds);
  CHECK(many.back() == NodeId{40});
}
