#include <doctest/doctest.h>

#include "common/core/version.hpp"

using namespace marmot;

namespace {

Version version(uint64_t hlc, uint64_t node, uint64_t incarnation) { return {{hlc}, {{node}, {incarnation}}}; }

}  // namespace

TEST_CASE("version: the higher clock wins whatever node and incarnation say") {
  CHECK(version(2, 1, 1) > version(1, 9, 9));
}

TEST_CASE("version: at the same clock the higher node wins, whatever its incarnation") {
  CHECK(version(1, 2, 1) > version(1, 1, 9));
}

TEST_CASE("version: at the same clock and node the higher incarnation wins") {
  CHECK(version(1, 1, 2) > version(1, 1, 1));
}

TEST_CASE("version: equal only when all three are") {
  CHECK(version(1, 2, 3) == version(1, 2, 3));
  CHECK(version(1, 2, 3) != version(1, 2, 4));
}
