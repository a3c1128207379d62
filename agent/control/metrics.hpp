// The agent's counters in Prometheus' text format (docs/operate.md has the list), from the answer to `status`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace marmot::agent {

std::string metrics_text(const nlohmann::json& status);

// Every name that metrics_text() can print.
std::vector<std::string> metric_names();

}  // namespace marmot::agent
