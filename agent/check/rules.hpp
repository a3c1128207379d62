// What an application's schema means where several nodes write, and what to do about it: a table of rules over SchemaFacts.
// Pure: no SQL, no files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/check/schema_facts.hpp"

namespace marmot::agent {

// In the order in which findings are listed.
enum class Severity : uint8_t {
  stops,     // the table cannot be replicated as it is, or not by this agent
  collides,  // what two nodes do at the same time comes out otherwise than in one file
  note,      // good to know
};
std::string_view to_string(Severity severity);

struct Finding {
  Severity severity;
  std::string rule;     // its name in RuleInfo
  std::string table;
  std::string subject;  // the columns, functions or the like that it is about; may be empty
  std::string what;     // what it means here
  std::string cure;
};

struct RuleInfo {
  std::string_view name;
  Severity severity;
  std::string_view one, many;  // "a counter", "counters": for the short form
};
const std::vector<RuleInfo>& rules();

// Worst first; of one severity in the order of the rules, then of the tables.
std::vector<Finding> find_findings(const SchemaFacts& facts);

// One line: "3 things to know: counted ids in 2 tables (a, b), a queue (jobs)". Empty: nothing was found.
std::string short_form(const std::vector<Finding>& findings);

// How a table's rows are known everywhere: "id (counted)", "a, b", "none".
std::string key_text(const TableFacts& table);

}  // namespace marmot::agent
