// How fast the ids of AUTOINCREMENT tables grow, and when they are beyond what programs read: __marmot_pace has a sample a day of the last week.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

struct IdForecast {
  std::string table;
  int64_t highest = 0;      // what SQLite's next id is above
  int64_t window_ms = 0;    // that the pace was looked at for
  int64_t grown = 0;        // within it
  // Milliseconds until then at that pace; nullopt: never, or beyond a thousand years.
  std::optional<int64_t> to_31_bits;  // 2^31: beyond what a program can read into 32 bits
  std::optional<int64_t> to_53_bits;  // 2^53: beyond what JavaScript counts exactly
};

// Of every table that was looked at for an hour at least. On any connection to a replicated file; empty where Marmot's tables are not there.
Result<std::vector<IdForecast>> id_forecasts(sqlite::Database& db, WallMs now);

// In the transaction of the caller, for a table of __marmot_table whose highest id is known anew. Writes once a day. `last`: when it wrote, 0: not
// known; kept by the caller.
Status sample_pace(sqlite::Database& db, int64_t table_id, int64_t highest, WallMs now, WallMs& last);

}  // namespace marmot::replica
