#include <nlohmann/json.hpp>

#include "agent/cli/commands.hpp"
#include "agent/control/fields.hpp"
#include "agent/report/text.hpp"

namespace marmot::agent {

namespace {

std::string members_text(const Json& answer) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& member : list_in(answer, "members")) {
    const int64_t behind = number_in(member, "behind").value_or(0);
    const std::string seen = flag_in(member, "self") ? "this node" : "seen " + spoken_ms(number_in(member, "seen_ms_ago").value_or(0)) + " ago";
    rows.push_back({"node " + std::to_string(number_in(member, "node").value_or(0)), flag_in(member, "alive") ? "alive" : "AWAY",
                    behind == 0 ? "up to date" : counted(behind, "change") + " behind", seen});
  }
  return rows.empty() ? "no members are known yet\n" : columns(rows);
}

}  // namespace

int cmd_members(const TargetOptions& options) {
  const auto answer = ask_of_database(options, {{"cmd", "members"}}, std::chrono::seconds{5});
  if (!answer) return fail(answer.error());
  if (options.json) print_json(*answer);
  else print(members_text(*answer));
  return kExitOk;
}

}  // namespace marmot::agent
