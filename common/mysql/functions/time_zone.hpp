// Time zones of a session (manual 7.1.15): 'SYSTEM', '+HH:MM' from -13:59 to +14:00, or a name of the system's tz database (in
// upper or lower case, as MySQL's tables are read).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace marmot::mysql {

class Session;

class TimeZone {
 public:
  virtual ~TimeZone() = default;
  // Seconds since 1970 as a local clock shows them, as if it stood in UTC.
  virtual int64_t local(int64_t unix_seconds) const = 0;
  // The time at which a local clock shows this. Shown twice (clocks go back): the first time. Never shown (they go forward): the
  // moment of the change, as MySQL has it.
  virtual int64_t unix(int64_t local_seconds) const = 0;

  // nullptr: there is no such zone.
  static std::shared_ptr<const TimeZone> find(std::string_view name);
};

// The session's; the system's own where none was set.
const TimeZone& zone_of(Session& session);

}  // namespace marmot::mysql
