#include "agent/report/plain_ids.hpp"

#include <algorithm>

#include "agent/report/text.hpp"

namespace marmot::agent {

namespace {

constexpr size_t kNamed = 5;  // tables by name; of more, so many

// Of a name that a shell would take apart.
std::string as_argument(const std::string& name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '/' || c == '-'; };
  if (!name.empty() && name[0] != '-' && std::all_of(name.begin(), name.end(), plain)) return name;
  std::string out = "'";
  for (const char c : name) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (size_t i = 0; i < std::min(names.size(), kNamed); ++i) out += (i == 0 ? "" : ", ") + printable(names[i]);
  return names.size() > kNamed ? out + " and " + std::to_string(names.size() - kNamed) + " more" : out;
}

}  // namespace

std::vector<std::string> plain_ids_lines(const std::string& file, const std::vector<PlainIds>& tables) {
  std::vector<std::string> can, cannot, out;
  std::string arguments, why;
  for (const PlainIds& one : tables) {
    (one.why_not.empty() ? can : cannot).push_back(one.table);
    if (one.why_not.empty()) arguments += " " + printable(as_argument(one.table));
    else if (why.empty()) why = one.why_not;
  }
  if (!can.empty()) {
    out.push_back("nodes that insert at the same moment give out the same ids in " + listed(can) + ", each its own with: marmot ids adopt " + as_argument(file) +
                  (can.size() > kNamed ? " --all" : arguments));
  }
  if (!cannot.empty()) {
    out.push_back("nodes that insert at the same moment give out the same ids in " + listed(cannot) + ", and `marmot ids adopt` cannot change that: " + why);
  }
  return out;
}

}  // namespace marmot::agent
