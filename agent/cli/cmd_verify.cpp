#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.hpp"
#include "agent/control/fields.hpp"
#include "agent/report/progress.hpp"
#include "agent/report/text.hpp"

namespace marmot::agent {

namespace {

Result<Json> ask_verify(const VerifyOptions& options) {
  TRY_ASSIGN(const Target target, find_target(options.target));
  TRY_ASSIGN(const std::string database, single_database(target));
  TRY_ASSIGN(ControlClient client, connect_agent(target));
  constexpr int64_t kGraceMs = 5000;
  Progress bar;
  return client.call({{"cmd", "verify"}, {"db", database}, {"timeout_ms", options.timeout_ms}, {"repair", options.repair}},
                     std::chrono::milliseconds{options.timeout_ms + kGraceMs}, [&](const Json& progress) {
                       bar.update(text_in(progress, "what"), number_in(progress, "done").value_or(0),
                                  number_in(progress, "total").value_or(0));
                     });
}

std::string nodes_text(const Json& answer) {
  const int64_t nodes = number_in(answer, "nodes").value_or(0);
  return nodes == 1 ? "this node is alone: nothing to compare with" : "identical on " + counted(nodes, "node");
}

std::string differs_text(const Json& differs) {
  std::string keys;
  for (const Json& key : list_in(differs, "keys")) {
    keys += (keys.empty() ? "" : ", ") + printable(key.is_string() ? key.get<std::string>() : key.dump());
  }
  const int64_t more = number_in(differs, "more").value_or(0);
  if (more != 0) keys += (keys.empty() ? "" : " and ") + grouped(more) + (keys.empty() ? " keys" : " more");
  const auto node = number_in(differs, "node");
  return "  node " + (node ? std::to_string(*node) : "-") + ": " + keys + "\n";
}

// What --repair did, a line a table.
std::string repair_text(const Json& answer) {
  if (!flag_in(answer, "repair")) return {};
  std::string out;
  for (const Json& table : list_in(answer, "tables")) {
    const int64_t found = number_in(table, "found").value_or(0), repaired = number_in(table, "repaired").value_or(0);
    if (found == 0 && repaired == 0) continue;
    out += printable(text_in(table, "name")) + ": ";
    if (found != 0) out += counted(found, "row") + " written without the triggers, now published";
    if (repaired != 0) out += std::string(found != 0 ? "; " : "") + counted(repaired, "row") + " differed between nodes, published again";
    out += "\n";
  }
  return out.empty() ? "nothing to repair\n" : out;
}

// One line when all is well and it fits; else a table, and under each table that differs its nodes and keys.
std::string verify_text(const Json& answer) {
  constexpr size_t kOneLine = 100;
  std::string line;
  std::vector<std::vector<std::string>> rows;
  std::string differences;
  int64_t total = 0;
  for (const Json& table : list_in(answer, "tables")) {
    const std::string name = printable(text_in(table, "name"));
    const int64_t count = number_in(table, "rows").value_or(0);
    total += count;
    line += (line.empty() ? "" : ", ") + name + " " + counted(count, "row");
    rows.push_back({name, counted(count, "row"), flag_in(table, "identical") ? "identical" : "DIFFERENT"});
    if (flag_in(table, "identical")) continue;
    differences += name + " differs on\n";
    for (const Json& differs : list_in(table, "differs")) differences += differs_text(differs);
  }
  if (!flag_in(answer, "identical")) return columns(rows) + differences;
  if (line.size() <= kOneLine && !line.empty()) return line + ": " + nodes_text(answer) + "\n";
  return columns(rows) + counted(static_cast<int64_t>(rows.size()), "table") + ", " + counted(total, "row") + ": " +
         nodes_text(answer) + "\n";
}

// Full-text indexes are each node's own: a line for each that its own check finds wrong.
std::string full_text_text(const Json& answer) {
  std::string out;
  for (const Json& one : list_in(answer, "full_text")) {
    const auto node = number_in(one, "node");
    out += "full-text index " + printable(text_in(one, "name")) + " on node " + (node ? std::to_string(*node) : "-") + ": " +
           printable(text_in(one, "reason")) + "\n";
  }
  return out;
}

// Members that were heard within `retention`.
std::string unreachable_text(const Json& answer) {
  std::string out;
  for (const Json& one : list_in(answer, "unreachable")) {
    out += "node " + std::to_string(number_in(one, "node").value_or(0)) + " did not answer, and what it holds is not known: last heard " +
           spoken_ms(number_in(one, "seen_ms_ago").value_or(0)) + " ago\n";
  }
  return out;
}

bool out_of_step(const Json& answer) {
  const Json& list = list_in(answer, "full_text");
  return std::any_of(list.begin(), list.end(), [](const Json& one) { return flag_in(one, "out_of_step"); });
}

}  // namespace

int cmd_verify(const VerifyOptions& options) {
  const auto answer = ask_verify(options);
  if (!answer) return fail(answer.error());
  if (options.target.json) print_json(*answer);
  else print(repair_text(*answer) + verify_text(*answer) + full_text_text(*answer) + unreachable_text(*answer));
  const bool all_there = options.reachable || list_in(*answer, "unreachable").empty();
  return flag_in(*answer, "identical") && !out_of_step(*answer) && all_there ? kExitOk : kExitDifferent;
}

}  // namespace marmot::agent
