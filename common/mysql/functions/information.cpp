// Information, locking, and miscellaneous functions (MySQL 8.0 manual, 14.15, 14.14, 14.23; sys: 14.21).
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

namespace {

// --- information: 14.15 ----------------------------------------------------------------------------------------------------

// DATABASE(), SCHEMA()
void database(Call& call) {
  if (!call.session().database.empty()) call.text_is(call.session().database);
}
// USER(), CURRENT_USER(), SESSION_USER(), SYSTEM_USER() -> 'name@host'
void user(Call& call) { call.text_is(call.session().user); }
// VERSION()
void version(Call& call) { call.text_is(call.session().version); }
// CONNECTION_ID()
void connection_id(Call& call) { call.integer_is(call.session().connection_id); }
// LAST_INSERT_ID([expr]): expr is what it tells from now on
void last_insert_id(Call& call) {
  if (call.count() == 0) return call.unsigned_is(static_cast<uint64_t>(call.session().last_insert_id()));
  if (call.is_null(0)) {
    call.session().set_last_insert_id(0);
    return call.null();
  }
  call.session().set_last_insert_id(call.integer(0));
  call.integer_is(call.integer(0));
}
// ROW_COUNT(): rows that the last INSERT, UPDATE or DELETE changed
void row_count(Call& call) { call.integer_is(call.session().row_count()); }
// FOUND_ROWS()
void found_rows(Call& call) { call.integer_is(call.session().found_rows); }

bool is_binary(Call& call) { return call.value(0).type != ValueType::text; }
// CHARSET(x)
void charset(Call& call) { call.text_is(is_binary(call) ? "binary" : "utf8mb4"); }
// COLLATION(x)
void collation(Call& call) { call.text_is(is_binary(call) ? "binary" : "utf8mb4_0900_ai_ci"); }
// COERCIBILITY(x): of literals, numbers and NULL; what was a column is not known here
void coercibility(Call& call) { call.integer_is(call.is_null(0) ? 6 : call.is_number(0) ? 5 : 4); }
// BENCHMARK(count, expr) -> 0. SQLite evaluates expr once, before the call: it is not repeated.
void benchmark(Call& call) {
  if (call.is_null(0) || call.integer(0) < 0) return call.null();
  call.integer_is(0);
}

// --- locking: 14.14 --------------------------------------------------------------------------------------------------------

constexpr size_t kLongestLockName = 64;
constexpr int64_t kLongestWaitUs = int64_t{365} * 24 * 3600 * 1'000'000;  // MySQL's own "for ever"

// Lock names are compared without case. nullopt: the call failed.
std::optional<std::string> lock_name(Call& call) {
  std::string name(call.text(0));
  size_t characters = 0;
  for (char& c : name) {
    characters += (c & 0xC0) != 0x80 ? 1 : 0;
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  if (!call.is_null(0) && characters > 0 && characters <= kLongestLockName) return name;
  call.fail(kErUserLockWrongName, "incorrect user-level lock name '" + name + "'; it has 1 to 64 characters");
  return std::nullopt;
}

// GET_LOCK(str, timeout) -> 1, or 0 when it timed out; timeout in seconds, negative: no limit
void get_lock(Call& call) {
  const auto name = lock_name(call);
  if (!name) return;
  const double seconds = call.real(1);
  const int64_t us = seconds < 0 || seconds * 1e6 > static_cast<double>(kLongestWaitUs) ? kLongestWaitUs : static_cast<int64_t>(seconds * 1e6);
  switch (call.session().environment.lock(*name, call.session(), us)) {
    case Environment::Lock::taken: return call.integer_is(1);
    case Environment::Lock::timed_out: return call.integer_is(0);
    case Environment::Lock::deadlock: return call.fail(kErUserLockDeadlock, "deadlock found when trying to get user-level lock; try rolling back and releasing locks");
  }
}
// RELEASE_LOCK(str) -> 1; 0 when somebody else holds it; NULL when nobody does
void release_lock(Call& call) {
  const auto name = lock_name(call);
  if (!name) return;
  const int released = call.session().environment.unlock(*name, call.session());
  if (released >= 0) call.integer_is(released);
}
// RELEASE_ALL_LOCKS() -> how many
void release_all_locks(Call& call) { call.integer_is(call.session().environment.unlock_all(call.session())); }
// IS_FREE_LOCK(str)
void is_free_lock(Call& call) {
  if (const auto name = lock_name(call)) call.integer_is(call.session().environment.lock_holder(*name) == 0 ? 1 : 0);
}
// IS_USED_LOCK(str) -> the holder's connection id, or NULL
void is_used_lock(Call& call) {
  const auto name = lock_name(call);
  const int64_t holder = name ? call.session().environment.lock_holder(*name) : 0;
  if (holder != 0) call.integer_is(holder);
}

// --- miscellaneous: 14.23 ----------------------------------------------------------------------------------------------------

// SLEEP(seconds) -> 0, or 1 when interrupted
void sleep(Call& call) {
  const double seconds = call.real(0);
  if (call.is_null(0) || seconds < 0) return call.fail(kErWrongArguments, "incorrect arguments to sleep: a number of seconds, 0 or more");
  const double us = std::min(seconds * 1e6, static_cast<double>(kLongestWaitUs));
  call.integer_is(call.session().environment.sleep_us(static_cast<int64_t>(us)) ? 0 : 1);
}
// NAME_CONST(name, value) -> value
void name_const(Call& call) { call.same_as(1); }

// FORMAT_BYTES(count) -> '1.00 KiB' (14.21)
void format_bytes(Call& call) {
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  const double count = call.real(0);
  char text[64];
  if (std::fabs(count) < 1024) {
    std::snprintf(text, sizeof text, "%4d bytes", static_cast<int>(count));
    return call.text_is(text);
  }
  double scaled = count / 1024;
  size_t unit = 0;
  for (; std::fabs(scaled) >= 1024 && unit + 1 < std::size(kUnits); ++unit) scaled /= 1024;
  std::snprintf(text, sizeof text, std::fabs(scaled) >= 100000 ? "%4.2e %s" : "%4.2f %s", scaled, kUnits[unit]);
  call.text_is(text);
}

// FORMAT_PICO_TIME(picoseconds) -> '3.50 ns' (14.21)
void format_pico_time(Call& call) {
  struct Unit {
    double picoseconds;
    const char* name;
  };
  static constexpr Unit kUnits[] = {{86400e12, "d"}, {3600e12, "h"}, {60e12, "min"}, {1e12, "s"}, {1e9, "ms"}, {1e6, "us"}, {1e3, "ns"}};
  const double value = call.real(0);
  char text[64];
  for (const Unit& unit : kUnits) {
    if (std::fabs(value) < unit.picoseconds) continue;
    const double scaled = value / unit.picoseconds;
    std::snprintf(text, sizeof text, std::fabs(scaled) >= 100000 ? "%4.2e %s" : "%4.2f %s", scaled, unit.name);
    return call.text_is(text);
  }
  std::snprintf(text, sizeof text, "%3d ps", static_cast<int>(value));
  call.text_is(text);
}

constexpr std::array kInformationFunctions = {
    Function{"BENCHMARK", 2, 2, kEffect, benchmark},
    Function{"CHARSET", 1, 1, kPure, charset},
    Function{"COERCIBILITY", 1, 1, kPure, coercibility},
    Function{"COLLATION", 1, 1, kPure, collation},
    Function{"CONNECTION_ID", 0, 0, kSession, connection_id},
    Function{"CURRENT_USER", 0, 0, kSession, user},
    Function{"DATABASE", 0, 0, kSession, database},
    Function{"FORMAT_BYTES", 1, 1, kStrict, format_bytes},
    Function{"FORMAT_PICO_TIME", 1, 1, kStrict, format_pico_time},
    Function{"FOUND_ROWS", 0, 0, kSession, found_rows},
    Function{"GET_LOCK", 2, 2, kEffect, get_lock},
    Function{"IS_FREE_LOCK", 1, 1, kSession, is_free_lock},
    Function{"IS_USED_LOCK", 1, 1, kSession, is_used_lock},
    Function{"LAST_INSERT_ID", 0, 1, kSession, last_insert_id},
    Function{"NAME_CONST", 2, 2, kPure, name_const},
    Function{"RELEASE_ALL_LOCKS", 0, 0, kEffect, release_all_locks},
    Function{"RELEASE_LOCK", 1, 1, kEffect, release_lock},
    Function{"ROW_COUNT", 0, 0, kSession, row_count},
    Function{"SCHEMA", 0, 0, kSession, database},
    Function{"SESSION_USER", 0, 0, kSession, user},
    Function{"SLEEP", 1, 1, kEffect, sleep},
    Function{"SYSTEM_USER", 0, 0, kSession, user},
    Function{"USER", 0, 0, kSession, user},
    Function{"VERSION", 0, 0, kSession, version},
};

}  // namespace

std::span<const Function> information_functions() { return kInformationFunctions; }

}  // namespace marmot::mysql
