// `marmot check`, the short form that `marmot agent` prints at its start, and what `marmot status` keeps of it.
#pragma once

#include <string>
#include <vector>

#include "agent/check/rules.hpp"

namespace marmot::agent {

struct CheckRequest {
  std::string path;
  std::vector<std::string> include{"*"}, exclude;  // as in DatabaseConfig
  std::vector<std::string> extensions;
};

struct CheckReport {
  SchemaFacts facts;
  std::vector<Finding> findings;
};

// Reads the file on a connection of its own; changes nothing in it. Works beside an agent and applications. Any thread; may
// wait for a locked file for some seconds (Errc::busy).
Result<CheckReport> check_file(const CheckRequest& request);

// For people.
std::string report_text(const std::string& shown, const CheckReport& report);
// How the rows of a table are known (key_text), or why they are not replicated, in a word or two.
std::string kind_text(const TableFacts& table);

}  // namespace marmot::agent
