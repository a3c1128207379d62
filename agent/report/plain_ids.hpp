// Tables whose ids every node counts up by itself, and the command that ends it: for the agent's start, `marmot status` and `marmot ids`.
#pragma once

#include <string>
#include <vector>

namespace marmot::agent {

struct PlainIds {
  std::string table;
  std::string why_not;  // it cannot be adopted; empty: it can
};

// At most two lines, each a sentence; none where there is no such table. `file`: as the user would write it.
std::vector<std::string> plain_ids_lines(const std::string& file, const std::vector<PlainIds>& tables);

}  // namespace marmot::agent
