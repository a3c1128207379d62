#include "common/replica/sidecars.hpp"

#include <algorithm>

#include "common/replica/sql_text.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::replica {

namespace {

enum class Place : uint8_t { start, end };

struct Sidecar {
  std::string_view mark;  // folded
  Place place;
  std::string_view program;
};

// Marmot's first version is not here: its __marmot__* tables already count as Marmot's own. LiteFS, rqlite and dqlite keep
// nothing in the file. A name that an application could well choose does not belong here.
constexpr Sidecar kSidecars[] = {
    {"_litestream_", Place::start, "Litestream"},       // _litestream_seq, _litestream_lock
    {"crsql_", Place::start, "cr-sqlite"},              // crsql_master, crsql_site_id, crsql_tracked_peers
    {"__crsql_clock", Place::end, "cr-sqlite"},         // one a table of the application
    {"__crsql_pks", Place::end, "cr-sqlite"},           // the same
    {"__harmonylite__", Place::start, "HarmonyLite"},   // __harmonylite___global_change_log, ..._<table>_change_log
};

const Sidecar* find(std::string_view table) {
  const std::string name = fold_name(table);
  const auto* const its = std::find_if(std::begin(kSidecars), std::end(kSidecars), [&](const Sidecar& one) {
    return one.place == Place::start ? name.starts_with(one.mark) : name.ends_with(one.mark);
  });
  return its == std::end(kSidecars) ? nullptr : its;
}

}  // namespace

std::optional<std::string_view> sidecar_of(std::string_view table) {
  const Sidecar* const its = find(table);
  if (its == nullptr) return std::nullopt;
  return its->program;
}

bool names_sidecar(const std::vector<std::string>& include, std::string_view table) {
  const Sidecar* const its = find(table);
  if (its == nullptr) return false;
  const std::string name(table);
  return std::any_of(include.begin(), include.end(), [&](const std::string& glob) {
    return fold_name(glob).find(its->mark) != std::string::npos && sqlite3_strglob(glob.c_str(), name.c_str()) == 0;
  });
}

}  // namespace marmot::replica
