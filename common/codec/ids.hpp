// The payload of an ids message (envelope.hpp): what is said of slots and of how tables deal their ids (core/id_blocks.hpp).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/core/id_blocks.hpp"

namespace marmot::codec {

struct IdFacts {
  std::vector<SlotFact> slots;
  std::vector<GeometryFact> geometries;
  bool empty() const { return slots.empty() && geometries.empty(); }
  bool operator==(const IdFacts&) const = default;
};

std::string encode_ids(const IdFacts& facts);
// Total and bounded like all decoders (message.hpp). Errc::corrupt as well where a fact is none that can be (is_valid()).
Result<IdFacts> decode_ids(std::string_view payload);

}  // namespace marmot::codec
