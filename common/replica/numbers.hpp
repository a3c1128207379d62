// PRAGMA user_version and application_id: the numbers in a file's header by which applications tell how far their migrations
// have come. Each is a set of registers of the schema, one for each node that ever changed it:
//
//   id        "user_version 1f"          the number's name and the node, in hexadecimal
//   position  the value, as 32 bits
//   body      what it replaced: the versions, one for each node, of the registers that its writer had in its file, by spaces
//
// A register that another one replaced is out. Of those that are left, which were made without knowing of one another, the
// highest value stands. That is a function of the set of registers (docs/decisions/0019).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/schema.hpp"
#include "common/replica/meta.hpp"

namespace marmot::replica {

struct HeaderNumber {
  std::string_view name;       // of the pragma, of the register
  std::string_view read;       // "PRAGMA <name>"
  std::string_view seen_meta;  // the key of __marmot_meta that holds what stood here last
  bool counts;                 // one that a joining file brought along contends with the cluster's; else it gives way
};
inline constexpr std::array<HeaderNumber, 2> kHeaderNumbers{{
    {"user_version", "PRAGMA user_version", meta::kUserVersionSeen, true},
    {"application_id", "PRAGMA application_id", meta::kApplicationIdSeen, false},
}};

// A register's id. The one that waits to meet a stream is under the number's name alone: it is no node's yet.
std::string number_id(std::string_view name, NodeId node);

int32_t number_of(const SchemaRegister& number);
void set_number(SchemaRegister& number, int64_t value);

// What SchemaRegister::body says of registers: that these are replaced.
std::string spell_replaced(const std::vector<Version>& versions);
std::vector<Version> unspell_replaced(std::string_view body);

// The one that stands, of the registers of one number; null: there is none. Registers without a version wait to meet a stream.
const SchemaRegister* standing_number(const HeaderNumber& number, const std::vector<const SchemaRegister*>& registers);

}  // namespace marmot::replica
