// `marmot check`, the short form that `marmot agent` prints at its start, and what `marmot status` keeps of it.
#pragma once

#include <nlohmann/json_fwd.hpp>
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

// For people, and for programs: {path, findings: [{severity, rule, table, subject, what, cure}], tables: [...]}.
std::string report_text(const std::string& shown, const CheckReport& report);
nlohmann::json report_json(const std::string& path, const CheckReport& report);

}  // namespace marmot::agent
