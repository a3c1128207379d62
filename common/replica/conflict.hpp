// A row that lost, kept in full (docs/conflicts.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/core/version.hpp"

namespace marmot::replica {

struct Conflict {
  std::string_view kind;  // 'insert', 'unique', 'refused', 'dropped-table', 'lost-update', ...
  std::string_view table;
  std::string_view key;   // the loser's
  Version loser;
  std::string loser_row;  // core row_json
  std::optional<Version> winner;  // nullopt: nobody won, or it is not known
  std::string winner_row;         // empty: it is gone, or was a delete
  std::string reason;             // for people
};

}  // namespace marmot::replica
