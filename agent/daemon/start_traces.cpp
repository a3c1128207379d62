#include "agent/daemon/start_traces.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "agent/config/paths.hpp"
#include "agent/control/lock.hpp"

namespace marmot::agent {

namespace fs = std::filesystem;

namespace {

bool stands(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

}  // namespace

StartTraces::StartTraces(const Config& config) {
  std::vector<std::string> paths;
  for (const DatabaseConfig& database : config.databases) {
    paths.push_back(database.path);
    if (!stands(database.path)) databases_.push_back(database.path);
  }
  for (const std::string& path : lock_folders(paths, config.data_dir)) {
    Folder folder{path, {}, stands(path + "/agent.lock"), stands(path + "/nats")};
    for (fs::path part = path; part.has_relative_path() && !stands(part); part = part.parent_path()) {
      folder.missing.push_back(part.string());
    }
    folders_.push_back(std::move(folder));
  }
}

void StartTraces::take_away(const std::vector<std::string>& held) const {
  std::error_code ignored;
  for (const std::string& database : databases_) {
    const bool ours = std::find(held.begin(), held.end(), marmot_dir(database)) != held.end();
    if (ours && fs::file_size(database, ignored) == 0 && !ignored) fs::remove(database, ignored);
  }
  for (const Folder& folder : folders_) {
    if (std::find(held.begin(), held.end(), folder.path) == held.end()) continue;
    if (!folder.had_nats) fs::remove_all(folder.path + "/nats", ignored);
    fs::remove(folder.path + "/control.sock", ignored);
    if (!folder.had_lock) fs::remove(folder.path + "/agent.lock", ignored);
    for (const std::string& part : folder.missing) {
      if (!fs::remove(part, ignored) || ignored) break;  // not empty: somebody else's file is in it
    }
  }
}

}  // namespace marmot::agent
