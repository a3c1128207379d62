#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.hpp"
#include "agent/control/fields.hpp"
#include "agent/report/progress.hpp"
#include "agent/report/text.hpp"

namespace marmot::agent {

namespace {

constexpr std::chrono::seconds kSilence{60};  // every progress line starts it anew

Result<Json> ask(const SnapshotOptions& options, Json request) {
  TRY_ASSIGN(const Target target, find_target(options.target));
  TRY_ASSIGN(const std::string database, single_database(target));
  TRY_ASSIGN(ControlClient client, connect_agent(target));
  request["cmd"] = "snapshot";
  request["db"] = database;
  Progress bar;
  return client.call(request, kSilence, [&](const Json& progress) {
    bar.update(text_in(progress, "what"), number_in(progress, "done").value_or(0), number_in(progress, "total").value_or(0));
  });
}

std::string bytes_text(int64_t bytes) {
  if (bytes < 10'000) return grouped(bytes) + " bytes";
  if (bytes < 10'000'000) return grouped(bytes / 1000) + " kB";
  return grouped(bytes / 1'000'000) + " MB";
}

std::string time_text(int64_t at_ms) {
  const std::time_t seconds = at_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

std::vector<std::string> table_row(const Json& snapshot) {
  return {printable(text_in(snapshot, "id")),
          time_text(number_in(snapshot, "at_ms").value_or(0)),
          "message " + grouped(number_in(snapshot, "seq").value_or(0)),
          "node " + std::to_string(number_in(snapshot, "node").value_or(0)),
          bytes_text(number_in(snapshot, "bytes").value_or(0)),
          bytes_text(number_in(snapshot, "stored_bytes").value_or(0)) + " stored"};
}

int told(const SnapshotOptions& options, const Result<Json>& answer, const std::string& text) {
  if (!answer) return fail(answer.error());
  if (options.target.json) {
    Json json = *answer;
    json.erase("ok");
    print_json(json);
  } else {
    print(text);
  }
  return kExitOk;
}

}  // namespace

int cmd_snapshot_save(const SnapshotOptions& options) {
  const auto answer = ask(options, {{"action", "save"}});
  return told(options, answer, answer ? "saved: " + columns({table_row(answer->value("snapshot", Json::object()))}) : "");
}

int cmd_snapshot_list(const SnapshotOptions& options) {
  const auto answer = ask(options, {{"action", "list"}});
  std::vector<std::vector<std::string>> rows;
  if (answer) {
    for (const Json& snapshot : list_in(*answer, "snapshots")) rows.push_back(table_row(snapshot));
  }
  return told(options, answer, rows.empty() ? "no snapshots yet; take one: marmot snapshot save\n" : columns(rows));
}

int cmd_snapshot_restore(const SnapshotOptions& options) {
  std::error_code error;
  const std::string to = std::filesystem::absolute(options.to, error).lexically_normal().string();
  if (std::filesystem::exists(std::filesystem::symlink_status(to, error))) {
    return fail(make_error(Errc::bad_input, "--to " + options.to + ": it exists already; name a new file"));
  }
  Json request{{"action", "restore"}, {"to", to}, {"keep", options.keep}};
  if (!options.id.empty()) request["id"] = options.id;
  const auto answer = ask(options, std::move(request));
  return told(options, answer, answer ? to + ": as of " + columns({table_row(answer->value("snapshot", Json::object()))}) : "");
}

}  // namespace marmot::agent
