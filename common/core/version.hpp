// The version of a last-writer-wins register: higher HLC wins, then higher node id, then higher incarnation.
#pragma once

#include <compare>

#include "common/base/ids.hpp"
#include "common/core/hlc.hpp"

namespace marmot {

struct Version {
  Hlc hlc;
  Origin origin;
  auto operator<=>(const Version&) const = default;  // member order is the rule above
};

}  // namespace marmot
