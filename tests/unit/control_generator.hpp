// Random messages between agents.
#pragma once

#include "common/codec/control.hpp"
#include "tests/unit/generator.hpp"

namespace marmot::test {

// Of the kind that is alternative `kind` of Message: lists of up to a few hundred elements, numbers near the ends.
codec::control::Message random_control_message(Random& random, size_t kind);

}  // namespace marmot::test
