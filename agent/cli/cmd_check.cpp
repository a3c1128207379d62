#include <nlohmann/json.hpp>

#include "agent/check/check_file.hpp"
#include "agent/cli/commands.hpp"

namespace marmot::agent {

namespace {

// What to look at. A configuration says which tables are left out, and which extensions there are.
Result<std::vector<CheckRequest>> requests(const TargetOptions& options) {
  if (options.config.empty()) {
    if (options.database.empty()) return make_error(Errc::bad_input, "name a database file, or --config FILE");
    return std::vector<CheckRequest>{CheckRequest{options.database, {"*"}, {}, {}}};
  }
  ConfigOverrides overrides;
  overrides.file = options.config;
  if (!options.database.empty()) overrides.databases = {options.database};
  TRY_ASSIGN(const Config config, load_config(overrides));
  std::vector<CheckRequest> out;
  for (const DatabaseConfig& database : config.databases) {
    out.push_back(CheckRequest{database.path, database.tables, database.exclude, config.extensions});
  }
  return out;
}

// For programs.
Json report_json(const std::string& path, const CheckReport& report) {
  Json findings = Json::array(), tables = Json::array();
  for (const Finding& one : report.findings) {
    findings.push_back(Json{{"severity", to_string(one.severity)}, {"rule", one.rule}, {"table", one.table}, {"subject", one.subject},
                            {"what", one.what}, {"cure", one.cure}});
  }
  for (const TableFacts& table : report.facts.tables) {
    Json keys = Json::array();
    for (const ForeignKey& key : table.foreign_keys) keys.push_back(Json{{"columns", key.columns}, {"parent", key.parent}});
    tables.push_back(Json{{"name", table.name}, {"key", kind_text(table)}, {"unique", table.unique}, {"foreign_keys", keys}});
  }
  return Json{{"path", path}, {"findings", findings}, {"tables", tables}};
}

}  // namespace

int cmd_check(const TargetOptions& options) {
  const auto wanted = requests(options);
  if (!wanted) return fail(wanted.error());
  bool found = false;
  std::string text;
  Json json = Json::array();
  for (const CheckRequest& request : *wanted) {
    const auto report = check_file(request);
    if (!report) return fail(report.error());
    found = found || !report->findings.empty();
    text += (text.empty() ? "" : "\n") + report_text(request.path, *report);
    json.push_back(report_json(request.path, *report));
  }
  if (options.json) print_json(Json{{"databases", json}});
  else print(text);
  return found ? kExitDifferent : kExitOk;
}

}  // namespace marmot::agent
