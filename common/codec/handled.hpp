// The payload of a handled message (envelope.hpp): conflicts that somebody has restored or discarded, so that no other node lists them any more.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/core/version.hpp"

namespace marmot::codec {

struct HandledConflict {
  std::string table;  // its name
  std::string key;    // canonical bytes, the loser's
  Version loser;
  NodeId by;
  WallMs at = 0;      // there
  bool operator==(const HandledConflict&) const = default;
};

std::string encode_handled(const std::vector<HandledConflict>& conflicts);
// Total and bounded like all decoders (message.hpp). Errc::corrupt as well where the table has no name, or the loser no version.
Result<std::vector<HandledConflict>> decode_handled(std::string_view payload);

}  // namespace marmot::codec
