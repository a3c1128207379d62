// Messages of the stream that do not decode, for people: what `marmot quarantine` lists. On any connection to a replicated file, with or
// without an agent on it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

inline constexpr int64_t kMostQuarantined = 1000;  // messages that a file keeps something of
inline constexpr size_t kQuarantinedHead = 1024;   // bytes that it keeps of one

struct QuarantinedMessage {
  StreamSeq seq = 0;
  WallMs at = 0;       // when it was met
  std::string reason;
  int64_t size = 0;    // bytes of the whole message
  uint64_t hash = 0;   // XXH3-64 of the whole
  std::string head;    // its first bytes
};

struct Quarantine {
  std::vector<QuarantinedMessage> messages;  // the newest first
  int64_t dropped = 0;                       // more there were, of which nothing is kept
};

// Empty where Marmot's tables are not there.
Result<Quarantine> read_quarantine(sqlite::Database& db);

// Forgets all of them, in a transaction of the caller's or one of its own.
Status empty_quarantine(sqlite::Database& db);

// A file of before kept messages whole, and all of them: brings its table into today's form.
Status shorten_quarantine(sqlite::Database& db);

}  // namespace marmot::replica
