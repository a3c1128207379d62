#include "common/mysql/functions/time_zone.hpp"

#include <cctz/time_zone.h>
#include <unicode/strenum.h>
#include <unicode/timezone.h>
#include <unicode/uchar.h>

#include <memory>
#include <string>

#include "common/mysql/functions/ascii.hpp"
#include "common/mysql/functions/session.hpp"

namespace marmot::mysql {

namespace {

class Fixed final : public TimeZone {
 public:
  explicit Fixed(int64_t east) : east_(east) {}
  int64_t local(int64_t unix_seconds) const override { return unix_seconds + east_; }
  int64_t unix(int64_t local_seconds) const override { return local_seconds - east_; }

 private:
  int64_t east_;
};

class Named final : public TimeZone {
 public:
  explicit Named(cctz::time_zone zone) : zone_(std::move(zone)) {}
  int64_t local(int64_t unix_seconds) const override { return unix_seconds + zone_.lookup(at(unix_seconds)).offset; }
  int64_t unix(int64_t local_seconds) const override {
    const cctz::civil_second shown = cctz::civil_second() + local_seconds;  // civil_second() is 1970-01-01 00:00:00
    const auto found = zone_.lookup(shown);
    const auto when = found.kind == cctz::time_zone::civil_lookup::SKIPPED ? found.trans : found.pre;
    return (when - at(0)).count();
  }

 private:
  static cctz::time_point<cctz::seconds> at(int64_t unix_seconds) { return cctz::time_point<cctz::seconds>(cctz::seconds(unix_seconds)); }
  cctz::time_zone zone_;
};

// "+5:30", "-13:59"; nullptr: not of that form, or too far.
std::shared_ptr<const TimeZone> offset(std::string_view name) {
  const bool west = name.front() == '-';
  name.remove_prefix(1);
  const size_t colon = name.find(':');
  if (colon == 0 || colon > 2 || name.size() != colon + 3) return nullptr;
  for (const char c : name) {
    if (!is_digit(c) && c != ':') return nullptr;
  }
  int hours = 0;
  for (size_t i = 0; i < colon; ++i) hours = hours * 10 + (name[i] - '0');
  const int minutes = (name[colon + 1] - '0') * 10 + (name[colon + 2] - '0');
  if (minutes > 59 || hours * 60 + minutes > (west ? 13 * 60 + 59 : 14 * 60)) return nullptr;
  const int64_t seconds = hours * 3600 + minutes * 60;
  return std::make_shared<Fixed>(west ? -seconds : seconds);
}

// The name as the tz database writes it, upper and lower case being the same to MySQL; empty: it has none such. ICU knows the names, and keeps
// cctz, which remembers for ever what it was asked for, from being asked for anything else.
std::string proper_name(std::string_view name) {
  constexpr size_t kLongest = 64;
  if (name.size() > kLongest || name.find('\0') != std::string_view::npos) return {};
  const icu::UnicodeString wanted = icu::UnicodeString::fromUTF8(icu::StringPiece(name.data(), static_cast<int32_t>(name.size())));
  icu::UnicodeString canonical;
  UBool system = 0;
  UErrorCode status = U_ZERO_ERROR;
  icu::TimeZone::getCanonicalID(wanted, canonical, system, status);
  if (U_SUCCESS(status) && system) return std::string(name);
  status = U_ZERO_ERROR;
  const std::unique_ptr<icu::StringEnumeration> all(icu::TimeZone::createEnumeration(status));
  while (all != nullptr && U_SUCCESS(status)) {
    const icu::UnicodeString* one = all->snext(status);
    if (one == nullptr || U_FAILURE(status)) break;
    if (one->caseCompare(wanted, U_FOLD_CASE_DEFAULT) != 0) continue;
    std::string out;
    return one->toUTF8String(out);
  }
  return {};
}

}  // namespace

std::shared_ptr<const TimeZone> TimeZone::find(std::string_view name) {
  if (name.empty()) return nullptr;
  if (name.front() == '+' || name.front() == '-') return offset(name);
  if (same_word(name, "SYSTEM")) return std::make_shared<Named>(cctz::local_time_zone());
  constexpr std::string_view kPosix = "posix/";  // the same zones once more; those of "right/" count leap seconds, which Unix time has not
  if (name.substr(0, kPosix.size()) == kPosix) name.remove_prefix(kPosix.size());
  const std::string proper = proper_name(name);
  cctz::time_zone zone;
  if (proper.empty() || !cctz::load_time_zone(proper, &zone)) return nullptr;
  return std::make_shared<Named>(zone);
}

const TimeZone& zone_of(Session& session) {
  if (session.time_zone == nullptr) session.time_zone = TimeZone::find("SYSTEM");
  return *session.time_zone;
}

}  // namespace marmot::mysql
