// Which row is which after a tool gave a table's rows the rowids 1, 2, 3, ... (docs/decisions/0045-a-copy-in-the-midst-of-the-log.md).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/replica/table.hpp"

namespace marmot::replica {

struct LoggedRow {
  LogOp op = LogOp::update;
  int64_t rowid = 0;
  bool keyless = true;
};

struct RowHere {
  int64_t rowid = 0;
  bool keyless = true;
  uint64_t hash = 0;
};

// A keyless row as the last drain left it.
struct DrainedRow {
  int64_t rowid = 0;
  std::optional<uint64_t> hash;  // none: it has no version yet
};

constexpr int kNewRow = -1;

// For each keyless row that is here, by rowid, which of `former` it is, or kNewRow. Nothing, where the log explains the file by no point
// at which it was copied, or by several between which the rows differ. All three are sorted: `log` by its seq, the others by rowid.
std::optional<std::map<int64_t, int>> rows_by_log(const std::vector<DrainedRow>& former, const std::vector<LoggedRow>& log, const std::vector<RowHere>& here,
                                                  bool nullable_key);

}  // namespace marmot::replica
