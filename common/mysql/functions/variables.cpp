// The session's variables, set from SQL where there is no SET: marmot_set_variable('lc_time_names', 'de_DE'),
// marmot_set_time_zone('Europe/Berlin'). Names and values are MySQL's (manual 7.1.8).
#include <array>
#include <cmath>

#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"
#include "common/mysql/functions/time_names.hpp"
#include "common/mysql/functions/time_zone.hpp"

namespace marmot::mysql {

namespace {

constexpr int kErUnknownSystemVariable = 1193;  // ER_UNKNOWN_SYSTEM_VARIABLE
constexpr int kErWrongValueForVar = 1231;       // ER_WRONG_VALUE_FOR_VAR

struct Variable {
  std::string_view name;
  bool (*set)(Call&, int value);  // false: the value is none of its values
  std::string_view values;        // which are, for the message
};

bool in_range(Call& call, int i, int64_t least, int64_t most) {
  return call.value(i).type == ValueType::integer && call.value(i).integer >= least && call.value(i).integer <= most;
}

bool set_time_zone(Call& call, int i) {
  std::string name(call.text(i));
  auto zone = TimeZone::find(name);
  if (zone == nullptr) return false;
  call.session().time_zone = std::move(zone);
  call.session().time_zone_name = std::move(name);
  return true;
}

constexpr std::array kVariables = {
    Variable{"block_encryption_mode",
             [](Call& call, int i) {
               std::string mode(call.text(i));
               for (const char* size : {"128", "192", "256"}) {
                 for (const char* kind : {"ecb", "cbc", "cfb1", "cfb8", "cfb128", "ofb"}) {
                   if (mode != std::string("aes-") + size + "-" + kind) continue;
                   call.session().block_encryption_mode = std::move(mode);
                   return true;
                 }
               }
               return false;
             },
             "aes-{128,192,256}-{ecb,cbc,cfb1,cfb8,cfb128,ofb}"},
    Variable{"default_week_format", [](Call& call, int i) { return in_range(call, i, 0, 7) && (call.session().default_week_format = static_cast<int>(call.integer(i)), true); }, "0 to 7"},
    Variable{"div_precision_increment", [](Call& call, int i) { return in_range(call, i, 0, 30) && (call.session().div_precision_increment = static_cast<int>(call.integer(i)), true); }, "0 to 30"},
    Variable{"group_concat_max_len", [](Call& call, int i) { return in_range(call, i, 4, INT64_MAX) && (call.session().group_concat_max_len = static_cast<uint64_t>(call.integer(i)), true); }, "4 or more"},
    Variable{"lc_time_names",
             [](Call& call, int i) { return find_time_names(call.text(i)) != nullptr && (call.session().lc_time_names = std::string(call.text(i)), true); },
             "a locale of the manual's section 12.16, such as de_DE"},
    Variable{"max_allowed_packet", [](Call& call, int i) { return in_range(call, i, 1024, 1 << 30) && (call.session().max_allowed_packet = static_cast<uint64_t>(call.integer(i)), true); }, "1024 to 1073741824"},
    Variable{"regexp_stack_limit", [](Call& call, int i) { return in_range(call, i, 1, INT32_MAX) && (call.session().regexp_stack_limit = static_cast<int>(call.integer(i)), true); }, "1 to 2147483647"},
    Variable{"regexp_time_limit", [](Call& call, int i) { return in_range(call, i, 1, INT32_MAX) && (call.session().regexp_time_limit = static_cast<int>(call.integer(i)), true); }, "1 to 2147483647"},
    Variable{"time_zone", set_time_zone, "SYSTEM, an offset such as +02:00 (-13:59 to +14:00), or a name such as Europe/Berlin"},
    Variable{"timestamp",
             [](Call& call, int i) {
               const double seconds = call.real(i);
               if (!(seconds >= 0 && seconds <= 32536771199)) return false;
               call.session().timestamp_us = std::llround(seconds * 1e6);
               return true;
             },
             "seconds since 1970; 0: the clock's"},
};

void set(Call& call, std::string_view name, int value) {
  for (const Variable& variable : kVariables) {
    if (variable.name != name) continue;
    if (call.is_null(value) || !variable.set(call, value)) {
      return call.fail(kErWrongValueForVar, "variable '" + std::string(name) + "' cannot be '" + std::string(call.text(value)) + "'; it takes " + std::string(variable.values));
    }
    return call.integer_is(1);
  }
  call.fail(kErUnknownSystemVariable, "there is no variable '" + std::string(name) + "'");
}

// marmot_set_variable(name, value) -> 1
void marmot_set_variable(Call& call) { set(call, call.text(0), 1); }

// marmot_set_time_zone(zone) -> 1
void marmot_set_time_zone(Call& call) { set(call, "time_zone", 0); }

constexpr std::array kVariablesFunctions = {
    Function{"marmot_set_time_zone", 1, 1, kEffect, marmot_set_time_zone},
    Function{"marmot_set_variable", 2, 2, kEffect, marmot_set_variable},
};

}  // namespace

std::span<const Function> variable_functions() { return kVariablesFunctions; }

}  // namespace marmot::mysql
